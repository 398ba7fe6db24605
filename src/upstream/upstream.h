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
#include "base/rng.h"
#include "call/pool.h"
#include "net/loop.h"
#include "upstream/quota.h"

struct upstream;

typedef void upstream_empty_fn(struct upstream *u);

struct upstream_settings {
    nsec_t connect_timeout_ns;
    nsec_t idle_timeout_ns;
    nsec_t keepalive_interval_ns; /* TCP keep-alive, also on idle connections */
    uint64_t max_idle;            /* per loop and node */
    nsec_t max_lifetime_ns;       /* less up to a tenth; 0 or NSEC_NEVER: none */

    /* Of all loops together; for upstreams with a quota. */
    uint64_t max_connections;  /* to all nodes */
    uint64_t max_pool_size;    /* to one node; QUOTA_AUTO, QUOTA_UNLIMITED */
    uint64_t min_idle;         /* kept open to one node */
    nsec_t acquire_timeout_ns; /* how long an attempt waits for a connection */
    struct str key;            /* shown to a node that is a Chasqui; empty: none */
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
    struct quota_member quota;
    struct list waiting;       /* attempts, for a permit */
    struct net_timer patience; /* of the one that waits longest */
    uint32_t min_idle;         /* this loop's share */
    struct net_timer warmer;   /* opens what lacks of it, one after the other */
    bool is_warming;
    struct net_timer sweep; /* closes what has been idle too long */
    struct rng rng;         /* of life times */
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

/**
 * upstream_join() - connections are counted, and limited, with those of other loops
 * @index:  of the node
 *
 * Once, before the first attempt. upstream_retire() and upstream_close() end it.
 */
void upstream_join(struct upstream *u, struct quota *quota, uint16_t index);

/* This loop keeps @n idle connections open, from now on. HTTP only. */
void upstream_keep_warm(struct upstream *u, uint32_t n);

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
