/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One node, as one loop reaches it
 *
 * A pool of keep-alive connections that belong to this loop alone. The newest idle one is used
 * first; idle ones are read all the time, so one that the node closes is noticed and never handed
 * out.
 */

#include "base/addr.h"
#include "base/buf.h"
#include "call/pool.h"
#include "net/loop.h"

struct upstream;

typedef void upstream_empty_fn(struct upstream *u);

/* Connections became idle or busy, came or went. NULL: nobody counts. */
typedef void upstream_pool_fn(struct upstream *u, int idle_delta, int busy_delta);

struct upstream_settings {
    nsec_t connect_timeout_ns;
    nsec_t idle_timeout_ns;
    nsec_t keepalive_interval_ns; /* TCP keep-alive, also on idle connections */
    uint64_t max_idle;            /* per loop and node */
    struct str key;               /* shown to a node that is a Chasqui; empty: none */
};

struct upstream_kind;
struct upstream_mcp;

struct upstream {
    const struct upstream_kind *kind;
    struct upstream_mcp *mcp; /* mcp:// only */
    struct net_loop *loop;
    const struct upstream_settings *settings;
    struct str name; /* of the node; for logs */
    struct url url;
    char host_field[280]; /* value of Host */
    size_t host_field_len;
    struct pool pool;
    upstream_pool_fn *on_pool;
    struct net_timer sweep; /* closes what has been idle too long */
    struct buf head;        /* of the request that is being sent */
    struct list busy;       /* connections that carry an attempt or are being opened */
    unsigned n_conns;       /* all, the closing ones included */
    upstream_empty_fn *on_empty;
    struct net_task empty;
    bool is_retired;
    bool is_closing;
};

/* @settings and @url must outlive it. Return: 0, -ENOMEM. */
MUST_USE int upstream_init(struct upstream *u, struct net_loop *loop,
                           const struct upstream_settings *settings, struct str name,
                           const struct url *url);

/* @settings are new, or have moved: those of before are not looked at any more. */
void upstream_configure(struct upstream *u, const struct upstream_settings *settings);

/**
 * upstream_retire() - nothing new will be asked of the node
 * @on_empty:  the last connection is gone and the memory may go; never inside this call
 *
 * Idle connections close, attempts that run go on and take their connections with them.
 */
void upstream_retire(struct upstream *u, upstream_empty_fn *on_empty);

/*
 * Closes all connections; attempts that still run end without a callback. The memory may go once
 * the loop has run out.
 */
void upstream_close(struct upstream *u);
