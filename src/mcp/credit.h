/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Credit
 *
 * How much a peer may send, on a connection and on a call. Limits are absolute: the total of bytes
 * that may have been sent since the scope began, modulo 2^32. So an update that is repeated, or
 * overtaken by a newer one, does no harm. limit - sent is read as a signed number, which holds as
 * long as no window is over 2^31 - 1.
 *
 * A sender keeps struct mcp_tx, a receiver struct mcp_rx. Pure arithmetic.
 */

#include "base/str.h"

#define MCP_WINDOW_MIN UINT32_C(8192)
#define MCP_WINDOW_MAX UINT32_C(0x7FFFFFFF)

struct mcp_tx {
    uint32_t sent;
    uint32_t limit;
};

struct mcp_rx {
    uint32_t received;
    uint32_t released; /* of those, what is done with */
    uint32_t limit;    /* as last announced */
    uint32_t window;
};

/* Bytes that may be sent now. */
static inline uint32_t mcp_tx_room(const struct mcp_tx *tx)
{
    int32_t room = (int32_t)(tx->limit - tx->sent);

    return room > 0 ? (uint32_t)room : 0;
}

/* @n <= mcp_tx_room() bytes go out. */
static inline void mcp_tx_use(struct mcp_tx *tx, uint32_t n)
{
    tx->sent += n;
}

/* The peer announces @limit; one that goes backwards is ignored. Return: bytes gained. */
uint32_t mcp_tx_raise(struct mcp_tx *tx, uint32_t limit);

static inline struct mcp_rx mcp_rx_make(uint32_t window)
{
    return (struct mcp_rx){.limit = window, .window = window};
}

/**
 * mcp_rx_receive() - count @n bytes that arrived
 * Return: 0; -EDQUOT the peer sent beyond its limit (connection error FLOW_CONTROL), nothing is
 * counted.
 */
MUST_USE int mcp_rx_receive(struct mcp_rx *rx, uint32_t n);

/* @n bytes are done with; more than were received count as all of them. */
void mcp_rx_release(struct mcp_rx *rx, uint32_t n);

/**
 * mcp_rx_update() - the limit to announce, if it is time
 * @rx:         window
 * @is_needed:  a message is incomplete: what it brought is granted again although nobody could take
 *              it yet, so that a message longer than the window does not hang
 * @ret_limit:  set, and taken as announced, when true
 *
 * It is time when half a window has been used since the last update.
 */
bool mcp_rx_update(struct mcp_rx *rx, bool is_needed, uint32_t *ret_limit);

/* Whether mcp_rx_update() would announce something. */
bool mcp_rx_is_due(const struct mcp_rx *rx, bool is_needed);
