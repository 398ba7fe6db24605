/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Opening a stream: resolve the name off the loop, then try its addresses one after the other.
 * Private to net/.
 */

#include "net/stream.h"

/* Makes @s a stream of @loop without a handle. */
void net_stream_init(struct net_loop *loop, struct net_stream *s, const struct net_stream_ops *ops);

/* The handle of @s was closed while a connection was being opened: ends the opening. */
void net_connect_cancel(struct net_stream *s);
