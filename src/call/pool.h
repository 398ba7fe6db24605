/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pool bookkeeping
 *
 * Which connections to one peer are idle, and for how long. The newest is used first, so that the
 * surplus grows old and expires. Pure: members are intrusive, time is an argument, opening and
 * closing are the owner's. Not thread-safe.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/time.h"

struct pool_member {
    struct list link;
    nsec_t idle_since;
    nsec_t dies_at; /* NSEC_NEVER: no age is too high */
    bool is_idle;
};

struct pool {
    struct list idle; /* newest first */
    uint32_t n_idle;
    uint32_t n_busy;
    uint32_t max_idle;
    uint32_t min_idle;      /* so many do not expire by idling */
    nsec_t idle_timeout_ns; /* NSEC_NEVER: none */
    nsec_t next_death;      /* no idle member dies before it */
};

enum {
    POOL_FULL = 1, /* enough are idle: close this one */
    POOL_OLD = 2,  /* it is too old: likewise */
};

void pool_init(struct pool *p, uint32_t max_idle, nsec_t idle_timeout_ns);

/* A new connection is counted as busy. @dies_at: too old from then on. */
void pool_join(struct pool *p, struct pool_member *m, nsec_t dies_at);

/* The newest idle member, now busy; NULL: open one. */
struct pool_member *pool_take(struct pool *p);

/*
 * A busy member has become idle. Return: 0; POOL_FULL, POOL_OLD it is still busy: pool_leave() and close it.
 */
MUST_USE int pool_put(struct pool *p, struct pool_member *m, nsec_t now);

/* The member is closed. */
void pool_leave(struct pool *p, struct pool_member *m);

/* A member whose time is over at @now, by idling or by age, or NULL. */
struct pool_member *pool_expired(struct pool *p, nsec_t now);

/* When the next one expires; NSEC_NEVER: none will. */
nsec_t pool_next_expiry(const struct pool *p);
