/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An attempt: one request to one node, and its answer as it comes
 *
 *   attempt_start() ──► on_head ──► (on_record | on_bytes)* ──► on_end
 *         └───────────────┴───────────────┴──────────────────► on_fail
 *
 * Exactly one of on_end and on_fail runs, never inside attempt_start(), and none after attempt_cancel(). A streamed answer (NDJSON or
 * SSE with status 200) comes in whole records, any other in bytes, each in the turn of the loop in which its last byte was read.
 * Slices are valid until on_flush, which runs at the end of the turn, and earlier behind a record that came in parts. Callbacks may
 * cancel the attempt.
 */

#include "call/retry.h"
#include "http/h1.h"
#include "http/records.h"
#include "upstream/upstream.h"

#define ATTEMPT_RECORD_MAX (8 * 1024 * 1024)

struct attempt;
struct upstream_conn;

struct attempt_ops {
    const char *name;
    void (*on_head)(struct attempt *a, const struct h1_head *head);
    void (*on_record)(struct attempt *a, struct str record);
    void (*on_bytes)(struct attempt *a, struct str bytes);
    void (*on_flush)(struct attempt *a);
    void (*on_end)(struct attempt *a);
    void (*on_fail)(struct attempt *a, enum call_outcome outcome, int err);
};

/* All slices must stay until the attempt has ended. */
struct attempt_request {
    struct str method;
    struct str target;  /* path and query, without the prefix of the node's URL */
    struct str fields;  /* "Name: value\r\n"..., with Content-Length where there is a body, without Host */
    struct str body;
    bool is_head;       /* the method is HEAD */
};

struct attempt {
    const struct attempt_ops *ops;
    struct upstream *upstream;
    struct upstream_conn *conn;           /* NULL once ended */
    const struct attempt_request *request;
    struct records records;
    bool is_stream;                       /* the answer comes in records */
    bool is_sse;
    bool has_answer;                      /* at least one byte of the answer came */
    nsec_t connected_at;                  /* 0: not yet */
    nsec_t sent_at;
};

/**
 * attempt_start() - begin
 * @a:         zeroed, or ended before
 * @is_fresh:  do not use a pooled connection
 *
 * Return: 0; -errno nothing was begun (descriptors or memory ran out).
 */
MUST_USE int attempt_start(struct attempt *a, const struct attempt_ops *ops, struct upstream *u,
                           const struct attempt_request *request, bool is_fresh);

static inline bool attempt_is_running(const struct attempt *a)
{
    return a->conn != NULL;
}

/* Closes the node's connection at once, so that it stops working; no callback follows. Ended already: nothing. */
void attempt_cancel(struct attempt *a);

/* The reader of the answer is behind, or has caught up. */
void attempt_pause(struct attempt *a);
void attempt_resume(struct attempt *a);
