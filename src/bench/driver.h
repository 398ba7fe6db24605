/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A thread of the load generator
 *
 * Has its share of the plan: some of the requests, some of the connections. A request takes a free
 * slot, and gives it back when it has ended; a failure to connect keeps the slot for a while, so
 * that nobody who is not there is asked a million times. driver_stop() may be called by any thread,
 * all else by the one that owns it.
 */

#include <pthread.h>

#include "bench/request.h"
#include "net/ticker.h"

struct driver_slot;

/* A thread's share. Times are monotonic. */
struct driver_plan {
    nsec_t begin;
    nsec_t measure_from; /* behind the warm-up */
    nsec_t until;        /* nothing begins from here on; NSEC_NEVER: by number */
    nsec_t timeout_ns;   /* of a request */
    double interval_ns;  /* between requests; 0: closed loop */
    double offset_ns;    /* of the first one, so that threads take turns */
    uint64_t n_requests; /* behind the warm-up; UINT64_MAX: by time */
    size_t n_slots;
};

struct driver {
    struct net_loop loop;
    struct driver_plan plan;
    const struct bench_request *request;
    struct upstream_settings upstream_settings;
    struct upstream upstream;
    struct driver_slot *slots;
    struct list free;
    uint64_t n_begun;
    uint64_t n_counted; /* of them, behind the warm-up */
    size_t n_busy;
    nsec_t ended_at; /* last request that counts */
    bool is_stopped;
    struct net_ticker ticker; /* next request of an open loop */
    struct net_task pump;
    struct tally tally;
    struct net_mail stop;
    struct net_mail over; /* to `home`, when all is over */
    struct net_loop *home;
    pthread_t thread;
};

/**
 * driver_start() - begin
 * @d:        large: on the heap, zeroed
 * @home:     whose loop @d->over is posted to; set d->over.deliver before
 *
 * Return: 0, and then driver_join(); -errno nothing runs.
 */
MUST_USE int driver_start(struct driver *d, const struct bench_settings *settings,
                          const struct bench_request *request, const struct driver_plan *plan,
                          struct net_loop *home);

/* Ends what is under way. Once, before driver_join(). */
void driver_stop(struct driver *d);

/* Waits for the thread, frees; d->tally stays. */
void driver_join(struct driver *d);
