/* SPDX-License-Identifier: MIT */
#pragma once

/* Signals, delivered on a loop. */

#include "net/loop.h"

struct net_signal {
    uv_signal_t uv;
    void (*on_signal)(struct net_signal *signal, int number);
};

MUST_USE int net_signal_start(struct net_loop *loop, struct net_signal *signal, int number,
                              void (*on_signal)(struct net_signal *signal, int number));

/* Twice is once. The memory may go when the loop has run out. */
void net_signal_stop(struct net_signal *signal);
