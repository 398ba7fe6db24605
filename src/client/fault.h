/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Errors and replies, as the public API has them
 *
 * Inside, a failure is a small struct client_end that points at its text; it becomes a
 * chasqui_error, which owns its text, where it leaves the library. The numbers of codes, flags and
 * origins are those of the wire.
 */

#include <chasqui/types.h>

#include "base/str.h"
#include "call/retry.h"
#include "mcp/session.h"

/* How a try ended: with code MCP_OK there is an answer. Slices live while it is told. */
struct client_end {
    unsigned code; /* enum mcp_code */
    unsigned flags;
    unsigned origin;
    int64_t retry_after_ms;    /* -1: not said */
    enum call_outcome outcome; /* for the retry policy; CALL_OK where the error is not for it */
    struct str text;
    struct str body;
    struct str tlvs; /* METADATA, as in an extension block */
};

/* A failure of our own making. @flags: NOT_PROCESSED and the like. */
struct client_end client_end_local(unsigned code, unsigned flags, const char *text);

/* How a session says that a call has ended: with one of the two. */
struct client_end client_end_of(const struct mcp_message *response, const struct mcp_error *error);

/* Fills @ret; may be NULL. Return: the code. */
int client_error_set(chasqui_error *ret, const struct client_end *end);

/* The same with a failure of our own making. */
int client_error_local(chasqui_error *ret, unsigned code, const char *text);

/* What a function of ours that returned -errno means to the caller. */
int client_error_errno(chasqui_error *ret, int err);

/* A reply that points at what @end points at. Nothing to free. */
chasqui_reply client_reply_view(const struct client_end *end);

/* An empty reply with this error. Return: the code. */
int client_reply_fail(chasqui_reply *ret, unsigned code, const char *text);

/* A reply of its own; without memory its error says so. Return: its code. */
int client_reply_copy(chasqui_reply *ret, const chasqui_reply *view);

static inline struct str client_str(chasqui_bytes b)
{
    return str_make(b.data, b.len);
}

static inline chasqui_bytes client_bytes(struct str s)
{
    return chasqui_bytes_make(s.s, s.len);
}
