/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An attempt: one request to one node, and its answer as it comes
 *
 * The node is an Ollama, asked over HTTP, or another Chasqui, asked over MCP (its URL is
 * mcp://...); the callbacks are the same. Paths that MCP has no service for (/v1/...) cannot be
 * asked of a Chasqui.
 *
 *   attempt_start() ──► on_head ──► (on_record | on_bytes)* ──► on_end
 *         └───────────────┴───────────────┴──────────────────► on_fail
 *
 * Exactly one of on_end and on_fail runs, never inside attempt_start(), and none after
 * attempt_cancel(). A Chasqui that wants another key fails with -EACCES. A streamed answer (NDJSON
 * or SSE with status 200) comes in whole records, any other in bytes, each in the turn of the loop
 * in which its last byte was read. Slices are valid until on_flush, which runs at the end of the
 * turn, and earlier behind a record that came in parts. Callbacks may cancel the attempt.
 *
 * Where the node has as many connections as it may have, the attempt waits in line; one that waits
 * too long fails with CALL_POOL_TIMEOUT.
 */

#include "call/retry.h"
#include "http/h1.h"
#include "http/records.h"
#include "upstream/upstream.h"

#define ATTEMPT_RECORD_MAX (8 * 1024 * 1024)

struct attempt;
struct upstream_conn;
struct mcp_call;

struct attempt_ops {
    const char *name;
    void (*on_head)(struct attempt *a, const struct h1_head *head);
    void (*on_record)(struct attempt *a, struct str record);
    void (*on_bytes)(struct attempt *a, struct str bytes);
    void (*on_flush)(struct attempt *a);
    void (*on_end)(struct attempt *a);
    void (*on_fail)(struct attempt *a, enum call_outcome outcome, int err);
    /* A flowing body: more of it can be taken, also for the first time. NULL where none flows. */
    void (*on_room)(struct attempt *a);
};

/* All slices must stay until the attempt has ended. */
struct attempt_request {
    struct str method;
    struct str target; /* path and query, without the prefix of the node's URL */
    /* "Name: value\r\n"..., with Content-Length where there is a body, without Host */
    struct str fields;
    struct str body;
    bool is_head; /* the method is HEAD */
    /*
     * `body` is empty; it comes by attempt_flow(), with the length in `fields`, or in chunks. Nodes
     * that speak HTTP only.
     */
    bool is_flowing;
    bool is_chunked;

    /*
     * What another Chasqui is told in its own words; a node that speaks HTTP finds it in `fields`.
     */
    nsec_t deadline;        /* of the whole request; 0 or NSEC_NEVER: none */
    struct str traceparent; /* as in HTTP; empty: none */
    struct str session;     /* affinity key; empty: none */
    unsigned hops;          /* gateways passed so far, this one not counted */
};

struct attempt {
    const struct attempt_ops *ops;
    struct upstream *upstream;
    struct upstream_conn *conn; /* HTTP: NULL once ended */
    struct mcp_call *call;      /* MCP: likewise */
    struct list waiting;        /* for room; while running without connection or call */
    struct quota_wait place;    /* HTTP: in the line of all loops */
    nsec_t patience_ends;       /* HTTP: of waiting */
    uint32_t owed;              /* MCP: credit kept back while paused */
    const struct attempt_request *request;
    struct records records;
    bool is_stream; /* the answer comes in records */
    bool is_sse;
    bool is_running;
    bool is_paused;
    bool has_answer;     /* at least one byte of the answer came */
    nsec_t connected_at; /* 0: not yet */
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
    return a->is_running;
}

/*
 * Closes the node's connection at once, so that it stops working; no callback follows. Ended
 * already: nothing.
 */
void attempt_cancel(struct attempt *a);

/*
 * A flowing body. Whether a piece can be taken now; else on_room tells when. attempt_flow() sends
 * one, attempt_flow_end() says that it was the last. Return: 0; -ENOMEM, the attempt is to be
 * cancelled.
 */
bool attempt_has_room(const struct attempt *a);
MUST_USE int attempt_flow(struct attempt *a, struct str bytes);
MUST_USE int attempt_flow_end(struct attempt *a);

/* The reader of the answer is behind, or has caught up. */
void attempt_pause(struct attempt *a);
void attempt_resume(struct attempt *a);
