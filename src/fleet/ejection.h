/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Passive ejection of one node
 *
 * A node that answers badly is left alone for a while: after 3 consecutive failures, or more than half of at least 5 within 30 s, it is
 * out for 1 s x 2^n up to 60 s, with jitter. n falls by one for each minute without ejection. Whether it may be taken out
 * (never the last, at most half of the pool that is up) is the caller's to know. Overload is no failure. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/time.h"

#define EJECTION_WINDOW 32 /* outcomes remembered */

struct ejection {
    nsec_t until;          /* out until then; 0: not out */
    uint32_t level;        /* n above */
    uint32_t n_consecutive;
    nsec_t last_ejected;
    uint32_t n_seen;       /* outcomes in `at`, `failed` */
    uint32_t next;         /* ring position */
    nsec_t at[EJECTION_WINDOW];
    bool failed[EJECTION_WINDOW];
};

enum {
    EJECTION_DUE = 1, /* the node should be taken out: ask the pool, then ejection_eject() */
};

int ejection_feed(struct ejection *e, bool failed, nsec_t now); /* Return: 0 or EJECTION_DUE */
void ejection_eject(struct ejection *e, nsec_t now, struct rng *rng);
bool ejection_is_out(const struct ejection *e, nsec_t now);
void ejection_reset(struct ejection *e); /* forget outcomes, after the node came back from being down; the level stays */
