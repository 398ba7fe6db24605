/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A connection to a node. Private to upstream/.
 *
 *   OPENING ──► HEAD ──► BODY ──► IDLE ──► HEAD ...
 *      └─────────┴────────┴────────┴──────► CLOSING ──► freed
 */

#include "net/stream.h"
#include "upstream/attempt.h"

enum conn_state {
    CONN_OPENING,
    CONN_IDLE,
    CONN_HEAD, /* the request is being sent, the head of the answer is awaited */
    CONN_BODY,
    CONN_CLOSING,
};

struct upstream_conn {
    struct net_stream stream;
    struct upstream *upstream;
    struct attempt *attempt; /* NULL in IDLE and CLOSING */
    struct pool_member member;
    struct list busy_link;
    enum conn_state state;
    struct net_timer timer; /* of opening */
    struct buf head;        /* begin of a head that came in pieces */
    struct h1_scan scan;
    struct h1_body body;
    size_t body_sent;         /* bytes of the request's body handed to the stream */
    unsigned n_informational; /* 1xx answers skipped for this request */
    bool is_warming;          /* opened for nobody */
    bool is_reused;           /* has carried an answer before */
    bool is_last;             /* the node will close it after this answer */
    bool is_flowed;           /* the last piece of a flowing body was handed over */
};

/* A new connection for @a, whose permit is there, being opened. Return: 0, -errno. */
MUST_USE int conn_open(struct upstream *u, struct attempt *a);

/* The same for one that has waited: failure is told by on_fail. */
void conn_open_permitted(struct upstream *u, struct attempt *a);

/* A connection that nobody waits for; upstream_warmed() tells. Return: 0, -errno, -EBUSY. */
MUST_USE int conn_warm(struct upstream *u);

/* Sends the request of @a on @c, which the pool has just given. */
MUST_USE int conn_reuse(struct upstream_conn *c, struct attempt *a);

void conn_close(struct upstream_conn *c, enum pool_closed why);
