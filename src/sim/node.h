/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The node: what its connections share
 */

#include "net/stream.h"
#include "sim/manage.h"
#include "sim/sched.h"
#include "sim/sim.h"

/* Texts that change once a second, or with each record, made cheaply. */
struct sim_clock {
    nsec_t stamp_second;
    char stamp[20]; /* "2026-11-24T22:43:21" */
    nsec_t date_second;
    char date[32]; /* "Tue, 24 Nov 2026 22:43:21 GMT" */
};

struct sim {
    struct net_loop loop;
    struct net_listener listener;
    const struct sim_settings *settings;
    struct sim_sched sched;
    struct sim_store store;
    struct sim_clock clock;
    struct sim_fault next_fault;
    uint64_t n_connections;
    uint64_t n_served;    /* requests to models that got their answer */
    uint64_t n_cancelled; /* requests to models whose client left */
    uint64_t n_ids;       /* for ids in answers */
};

/* The moment @wall as Go prints it, "2026-11-24T22:43:21.190702117Z". */
struct str sim_clock_stamp(struct sim_clock *c, nsec_t wall, char out[static 40]);

/* Value of the Date field. */
struct str sim_clock_date(struct sim_clock *c, nsec_t wall);
