/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A client's MCP connection
 *
 * The shell around a session without I/O: bytes from the socket go in, what the session wants to say leaves in one gathering write per turn of
 * the loop, one timer follows its clock. What a request means is the door's business (mcp_door.h).
 */

#include "gateway/sink.h"
#include "mcp/session.h"
#include "net/stream.h"
#include "observe/metrics.h"

struct mcp_conn;
struct mcp_listener;

/* The connection is closed: handles of its calls are invalid. */
typedef void mcp_gone_fn(struct mcp_conn *c);

/* One loop's side of an MCP listener. */
struct mcp_listener {
    const struct mcp_session_ops *ops;
    mcp_gone_fn *on_gone;
    struct mcp_settings settings;
    struct mcp_pool pool;
    struct net_loop *loop;
    struct metrics *metrics;
    struct net_listener listener;
    struct list conns;
    size_t n_conns;
    struct net_task *on_idle;    /* deferred when the last connection has gone while draining; NULL: nobody asks */
    bool is_draining;
    bool is_open;
};

struct mcp_conn {
    struct net_stream stream;
    struct mcp_session session;
    struct mcp_listener *server;
    struct list link;
    struct net_timer timer;
    struct net_task pump;        /* writes what the session has to say */
    struct list requests;        /* the door's, in flight */
    struct buf tail;             /* begin of a frame; unallocated when there is none */
    struct str key_name;         /* of the key it showed; the gateway's memory */
    bool is_admin;
    bool is_shut;                /* our side has ended */
    char peer[NET_PEER_MAX];     /* "" until an access line needs it */
};

/* Takes @fd over. Return: 0, -errno. */
MUST_USE int mcp_listener_open(struct mcp_listener *server, int fd);

/* Accepts nothing more, says GOAWAY; connections end with their last call or after @grace_s. */
void mcp_listener_drain(struct mcp_listener *server, unsigned grace_s);

/* Cuts everything off. */
void mcp_listener_close(struct mcp_listener *server);
void mcp_listener_fini(struct mcp_listener *server); /* after the loop has run out */

/* The session of @c was given something to say. */
void mcp_conn_wake(struct mcp_conn *c);

static inline struct mcp_conn *mcp_conn_of(struct mcp_session *s)
{
    return container_of(s, struct mcp_conn, session);
}
