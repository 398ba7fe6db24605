/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The MCP door
 *
 * Turns calls of MCP (the Message Communication Protocol) into exchanges: service names into
 * routes, deadline, trace and hops into what the exchange and the nodes know, and answers back: one
 * CHUNK per record, the final object as the RESPONSE, failures as ERROR with the reason code.
 * `echo` and `health` are answered here.
 */

#include "admit/keys.h"
#include "gateway/mcp_conn.h"

struct worker;

/* Fills ops, settings and the rest of @listener, one of @w. */
void mcp_door_init(struct mcp_listener *listener, struct worker *w);

/* Keys have changed: connections whose key is not valid any more end with their last call. */
void mcp_door_take_keys(struct mcp_listener *listener, const struct keys *before,
                        const struct keys *now);
