/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * MCP listeners and their connections
 *
 * One loop's side of a listener: accepts, counts, drains. What a call means is the door's business
 * (mcp_door.h).
 */

#include "codec/codec.h"
#include "gateway/sink.h"
#include "observe/metrics.h"
#include "wire/wire.h"
#include "zip/zip.h"

struct mcp_conn;

/* The connection is closed: handles of its calls are invalid. */
typedef void mcp_gone_fn(struct mcp_conn *c);

struct mcp_listener {
    const struct mcp_session_ops *ops;
    mcp_gone_fn *on_gone;
    struct mcp_settings settings;
    struct mcp_pool pool;
    struct arena scratch; /* of converting bodies */
    struct buf encoded;   /* the body just converted */
    struct zip zip;
    struct net_loop *loop;
    struct metrics *metrics;
    struct net_listener listener;
    struct list conns;
    size_t n_conns;
    /* deferred when the last connection has gone while draining; NULL: nobody asks */
    struct net_task *on_idle;
    bool is_draining;
    bool is_open;
};

struct mcp_conn {
    struct wire wire;
    struct mcp_listener *listener;
    struct list link;
    struct list requests; /* the door's, in flight */
    char *key_name;       /* of the key it showed; NULL: none */
    char *peer;           /* NULL until an access line needs it */
};

/* Takes @fd over. Return: 0, -errno. */
MUST_USE int mcp_listener_open(struct mcp_listener *listener, int fd);

/* Accepts nothing more, says GOAWAY; connections end with their last call or after @grace_s. */
void mcp_listener_drain(struct mcp_listener *listener, unsigned grace_s);

/* Says GOAWAY to one: it ends with its last call or after @grace_s. */
void mcp_conn_dismiss(struct mcp_conn *c, unsigned grace_s);

/* Cuts everything off. */
void mcp_listener_close(struct mcp_listener *listener);
void mcp_listener_fini(struct mcp_listener *listener); /* after the loop has run out */

static inline struct mcp_conn *mcp_conn_of(struct mcp_session *s)
{
    return container_of(wire_of(s), struct mcp_conn, wire);
}
