/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A wire: an MCP session on a stream
 *
 * Bytes from the socket go into the session, what the session wants to say leaves in one gathering
 * write per turn of the loop, one timer follows its clock. Either role. What calls mean is the
 * owner's business, through the session's own callbacks. The owner embeds the wire and may free it
 * in on_closed, not before. Handles of calls are invalid from on_closed on; a session that ends
 * tells every call first.
 */

#include "base/buf.h"
#include "mcp/session.h"
#include "net/stream.h"

struct wire;

struct wire_ops {
    const char *name;
    void (*on_open)(struct wire *w);            /* a client's connection is made */
    void (*on_failed)(struct wire *w, int err); /* it cannot be made; close it */
    void (*on_closed)(struct wire *w);
};

struct wire {
    struct net_stream stream;
    struct mcp_session session;
    struct net_loop *loop;
    const struct wire_ops *ops;
    struct net_timer timer; /* the session's, and of connecting */
    struct net_task pump;   /* writes what the session has to say */
    struct buf tail;        /* begin of a frame; unallocated when there is none */
    size_t given;           /* bytes handed to the stream of which the session was not told yet */
    bool is_connecting;
    bool is_shut; /* our side has ended */
};

/* What both ends need to begin. */
struct wire_setup {
    struct net_loop *loop;
    const struct wire_ops *ops;
    const struct mcp_settings *settings; /* as mcp_session_init() has them */
    const struct mcp_session_ops *session_ops;
    struct mcp_pool *pool;
};

/*
 * Takes the connection that waits at @listener. Return: 0; -errno, and then on_closed comes when
 * w->stream.is_open.
 */
MUST_USE int wire_accept(struct wire *w, const struct wire_setup *setup,
                         struct net_listener *listener);

/*
 * Begins to connect; on_open or on_failed tells. Calls may be opened at once. Return: 0; -errno
 * nothing was begun.
 */
MUST_USE int wire_connect(struct wire *w, const struct wire_setup *setup, const struct addr *to,
                          nsec_t timeout);

/* The session was given something to say. */
void wire_wake(struct wire *w);

/* Writes now what the socket takes, for those who close next. */
void wire_flush(struct wire *w);

/* Ends at once: every call is told, on_closed follows. Twice is once. */
void wire_close(struct wire *w);

/* Frees what it holds; for the owner's on_closed. */
void wire_fini(struct wire *w);

static inline struct wire *wire_of(struct mcp_session *s)
{
    return container_of(s, struct wire, session);
}
