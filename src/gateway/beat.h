/* SPDX-License-Identifier: MIT */
#pragma once

/* The beat of a loop: a timer each second, which tells how late it was. */

#include "net/loop.h"
#include "observe/metrics.h"

struct beat {
    struct net_timer timer;
    struct net_loop *loop;
    struct metrics *metrics;
    nsec_t due;
};

/* Return: 0, -ENOMEM. */
MUST_USE int beat_start(struct beat *b, struct net_loop *loop, struct metrics *metrics);
void beat_stop(struct beat *b); /* a zeroed one is fine */
