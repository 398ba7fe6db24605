/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Small output that waits for the end of the turn. Private to net/.
 *
 * When many connections are ready at once, a write in the middle of the turn wakes its reader, who competes with us for
 * the rest of it. So what is small is copied and leaves when everything of this turn has been read.
 */

#include "net/stream.h"

#define NET_HELD_BYTES 4096

struct net_held {
    struct list link; /* of the loop */
    struct net_stream *stream;
    struct net_held *next_spare;
    size_t len;
    char bytes[NET_HELD_BYTES];
};

/* Takes @total bytes of @pieces for the end of the turn. Return: whether it did. */
bool net_held_put(struct net_stream *s, const struct str *pieces, size_t n_pieces, size_t total);

/* The stream has a hole: its owner is told with on_error. */
void net_stream_fail(struct net_stream *s, int err);

/* Sends what is held of @s; nothing may be. Return: as net_stream_write(). */
MUST_USE int net_held_flush(struct net_stream *s);

void net_held_flush_all(struct net_loop *loop);
void net_held_fini(struct net_loop *loop);
