/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers that are none
 *
 * Bytes instead of an answer, from a table: no HTTP, a head without end, a length that is wrong.
 * What goes on for ever does so until the client leaves. They know nothing of the request.
 */

#include "net/loop.h"
#include "sim/faults.h"

struct sim_conn;
struct sim_spoiling;

/* Of a connection; zeroed before first use. */
struct sim_spoil {
    struct net_timer timer;
    const struct sim_spoiling *what; /* NULL: nothing is spoilt */
    size_t at;                       /* bytes sent of what comes in single ones */
};

/* Sends what @fault is instead of an answer. Return: whether it is such a fault. */
bool sim_spoil_begin(struct sim_conn *c, struct sim_fault fault);

/* The connection is closed. */
void sim_spoil_end(struct sim_conn *c);
