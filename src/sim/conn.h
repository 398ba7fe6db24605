/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A client's connection
 *
 * Reads one request after the other, hands each to its route, and writes the answer: whole, or as a
 * head and chunks, each in a write of its own. A request that takes time has a job; further
 * requests wait in the buffer until it is done.
 */

#include "base/buf.h"
#include "base/sha256.h"
#include "http/h1.h"
#include "sim/job.h"
#include "sim/node.h"
#include "sim/spoil.h"

#define SIM_BODY_MAX ((size_t)64 * 1024 * 1024)

struct sim_route;

enum sim_conn_state {
    SIM_CONN_HEAD, /* a request's head is next */
    SIM_CONN_BODY,
    SIM_CONN_BUSY,   /* an answer is in the making */
    SIM_CONN_ENDING, /* no further request; closes when everything is sent */
};

struct sim_conn {
    struct net_stream stream;
    struct sim *sim;
    enum sim_conn_state state;
    struct buf in;   /* unread bytes */
    struct buf body; /* of the request in hand */
    struct h1_scan scan;
    struct h1_body framing;
    const struct sim_route *route;
    char arg[256]; /* what stands behind the route's path */
    bool is_to_head;
    bool keeps_alive;
    bool is_old;     /* HTTP/1.0: no chunks */
    bool is_chunked; /* the answer in the making */
    /* errors come from the handler of the route now, not from what reads the request */
    bool is_understood;
    struct net_task resume;
    struct sim_spoil spoil;
    struct sim_job job;
    struct sim_progress progress; /* of a pull, push or create */
    struct sha256 blob;           /* of the upload in hand */
};

void sim_conn_accept(struct net_listener *listener);

/* Answers with a whole body. @extra: further field lines, or empty. */
void sim_conn_answer(struct sim_conn *c, int status, struct str type, struct str extra,
                     struct str body);

/* An answer in pieces: its head goes with the first chunk. */
void sim_conn_begin(struct sim_conn *c, struct str type);
void sim_conn_chunk(struct sim_conn *c, struct str bytes);
void sim_conn_end(struct sim_conn *c);

/* Breaks off: sends half of what would be the next chunk and closes. */
void sim_conn_cut(struct sim_conn *c, struct str bytes);

/* Closes once everything is sent. */
void sim_conn_hang_up(struct sim_conn *c);

/*
 * Appends {"error":"text"} or its like in the API of the route, without a line feed. Return: 0,
 * -ENOBUFS, -ENOMEM.
 */
MUST_USE int sim_conn_put_error(const struct sim_conn *c, struct buf *out, int status,
                                struct str text);

/* {"error":"text"} or its like in the API of the route; @type as on the real node. */
void sim_conn_refuse(struct sim_conn *c, int status, struct str extra, struct str text);
