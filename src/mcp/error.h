/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * MCP errors
 *
 * The payload of an ERROR frame: u16 code, u8 flags, u8 origin, u32 retry-after ms, u16 text
 * length, UTF-8 text. Codes 0..16 are gRPC's, 32.. are ours. One table says name, class and the
 * status of the plain profile. Never allocates.
 */

#include "base/str.h"

enum mcp_code {
    MCP_OK = 0,
    MCP_CANCELLED = 1,
    MCP_UNKNOWN = 2,
    MCP_INVALID_ARGUMENT = 3,
    MCP_DEADLINE_EXCEEDED = 4,
    MCP_NOT_FOUND = 5,
    MCP_ALREADY_EXISTS = 6,
    MCP_PERMISSION_DENIED = 7,
    MCP_RESOURCE_EXHAUSTED = 8,
    MCP_FAILED_PRECONDITION = 9,
    MCP_ABORTED = 10,
    MCP_OUT_OF_RANGE = 11,
    MCP_UNIMPLEMENTED = 12,
    MCP_INTERNAL = 13,
    MCP_UNAVAILABLE = 14,
    MCP_DATA_LOSS = 15,
    MCP_UNAUTHENTICATED = 16,
    MCP_TOO_LARGE = 32,
    MCP_OVERLOADED = 33,
    MCP_CONTENT_FILTERED = 34,
    MCP_CONTEXT_LENGTH = 35,
    MCP_BACKEND_LOST = 36,
    MCP_PROTOCOL = 37,
    MCP_FLOW_CONTROL = 38,
};

/* What a code says about the next try. */
enum mcp_class {
    MCP_CLASS_OK,
    MCP_CLASS_CALLER,    /* the same request fails again */
    MCP_CLASS_TRANSIENT, /* another try, later or elsewhere, may help */
    MCP_CLASS_SERVER,    /* something is broken on the other side */
    MCP_CLASS_ENDED,     /* the caller's own doing: cancel, deadline */
    MCP_CLASS_PROTOCOL,  /* one of the two does not speak MCP */
};

enum {
    MCP_NOT_PROCESSED = 0x01, /* the handler never saw it */
    MCP_TRANSIENT = 0x02,     /* another try may help */
    MCP_NO_RETRY = 0x04,      /* beats all */
    MCP_PARTIAL = 0x08,       /* chunks were sent */
};

enum mcp_origin {
    MCP_ORIGIN_LOCAL = 0,
    MCP_ORIGIN_GATEWAY = 1,
    MCP_ORIGIN_NODE = 2,
    MCP_ORIGIN_TRANSPORT = 3,
};

struct mcp_ext;

#define MCP_NO_RETRY_AFTER UINT32_C(0xFFFFFFFF)
#define MCP_ERROR_LEN      10   /* without the text */
#define MCP_ERROR_TEXT_MAX 1024 /* longer texts are cut, at a UTF-8 boundary */

struct mcp_error {
    uint16_t code; /* enum mcp_code, or one we do not know yet */
    uint8_t flags;
    uint8_t origin;          /* enum mcp_origin, or one we do not know yet */
    uint32_t retry_after_ms; /* or MCP_NO_RETRY_AFTER */
    struct str text;
    /* what came with it, where a session tells it; else NULL, and never packed */
    const struct mcp_ext *ext;
};

#define MCP_ERROR_MAKE(code_, flags_, origin_, text_) \
    ((struct mcp_error){.code = (code_), \
                        .flags = (flags_), \
                        .origin = (origin_), \
                        .retry_after_ms = MCP_NO_RETRY_AFTER, \
                        .text = (text_)})

struct mcp_code_info {
    const char *name;
    enum mcp_class class;
    uint16_t status; /* in the plain profile */
};

/* A code that is not in the table is described like UNKNOWN. */
const struct mcp_code_info *mcp_code_info(unsigned code);

/* What a failure of HTTP, or of the plain profile, means where no code came with it. */
unsigned mcp_code_of_status(int status);

/* Bytes that mcp_error_pack() writes. */
size_t mcp_error_len(const struct mcp_error *error);

/* Writes the payload, mcp_error_len() bytes. Code 0 is none: it is written, and read, as UNKNOWN. */
void mcp_error_pack(char *out, const struct mcp_error *error);

/**
 * mcp_error_parse() - read an ERROR payload (behind its extension block, if any)
 * @payload:    all of it; the text points into it
 * @ret_error:  set on success
 *
 * Return: 0; -EPROTO wrong length.
 */
MUST_USE int mcp_error_parse(struct str payload, struct mcp_error *ret_error);
