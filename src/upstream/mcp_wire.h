/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Wires: the connections of one loop to another Chasqui
 *
 * Each carries hundreds of calls. There are few; a wire that is going away takes no new call and
 * stays until its last one has ended. Private to upstream/: mcp.c puts attempts on them.
 */

#include "upstream/kind.h"
#include "wire/wire.h"

#define MCP_WIRE_KEY_MAX 253 /* of a HELLO */

struct mcp_wire {
    struct wire wire;
    struct upstream *upstream;
    struct list link;
    bool is_open;     /* the connection was made */
    bool has_greeted; /* the other side said how many calls it takes */
    bool is_going;    /* nothing new goes on it */
    int connect_err;
};

struct upstream_mcp {
    struct mcp_settings settings;
    const struct mcp_session_ops *session_ops;
    struct mcp_pool pool;
    struct list wires; /* newest first */
    unsigned n_wires;
    struct list waiting; /* attempts that found no room, in their order */
    unsigned n_waiting;
    struct net_task placing; /* looks whether they have room now */
    struct buf record;       /* a record with its LF, while it is handed over */
    char auth[1 + MCP_WIRE_KEY_MAX];
};

static inline struct mcp_wire *mcp_wire_of(struct mcp_session *s)
{
    return container_of(wire_of(s), struct mcp_wire, wire);
}

/* Return: 0; -EINVAL the key does not fit into a HELLO; -ENOMEM. */
MUST_USE int mcp_wires_init(struct upstream *u, const struct mcp_session_ops *session_ops);

/* Begins to connect; calls may be opened at once. Return: 0; -errno nothing was begun. */
MUST_USE int mcp_wire_open(struct upstream *u, struct mcp_wire **ret);

static inline bool mcp_wire_is_usable(const struct mcp_wire *mw)
{
    return !mw->is_going && !mw->wire.stream.is_closing;
}

/* Whether one more may be opened. */
bool mcp_wires_may_grow(const struct upstream_mcp *m);

/* Those without a call close now, others are looked at again each second. */
void mcp_wires_retire(struct upstream *u);

/* Closes all; with the last one u->mcp is gone. */
void mcp_wires_close(struct upstream *u);

/* mcp.c: a wire is gone, which never was (@err), or was (0). */
void mcp_wires_on_lost(struct upstream *u, int err);
