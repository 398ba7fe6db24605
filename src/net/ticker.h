/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A timer to the microsecond
 *
 * For who must act at a moment, as a load generator does: the timers of a loop (net_timer) are
 * rounded up to the next millisecond. It is a timerfd, so arming it is a system call.
 */

#include "net/loop.h"

struct net_ticker {
    uv_poll_t uv;
    int fd;
    bool is_open;
    void (*on_due)(struct net_ticker *ticker);
};

/* Return: 0; -EMFILE and the like. */
MUST_USE int net_ticker_init(struct net_loop *loop, struct net_ticker *ticker,
                             void (*on_due)(struct net_ticker *ticker));

/* Due once, at @due (monotonic), also when that is over; replaces what was armed before. */
void net_ticker_arm(struct net_ticker *ticker, nsec_t due);

/* The memory may go when the loop has run out. One that was not opened is fine. */
void net_ticker_close(struct net_ticker *ticker);
