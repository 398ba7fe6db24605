/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Passive ejection of one node
 *
 * A node that answers badly is left alone for a while: after 3 consecutive failures, or more than
 * half of at least 5 within 30 s, it is out for 1 s x 2^n up to 60 s, less up to a quarter by
 * chance. n falls by one for each minute after an ejection without the next. Whether it may be
 * taken out (never the last, at most half of the pool that is up) is the caller's to know. Overload
 * is no failure. Pure: time and randomness are arguments. {0} is a node without a past. Never
 * allocates.
 *
 *     in --ejection_feed() says due, the pool agrees, ejection_eject()--> out --until--> in,
 *     outcomes forgotten
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/time.h"

#define EJECTION_WINDOW 32 /* outcomes remembered */

struct ejection {
    nsec_t until;   /* out before this moment; it stays behind when the node is back in */
    uint32_t level; /* n of the next ejection, before it falls with time */
    uint32_t n_consecutive;
    nsec_t last_ejected;
    uint32_t n_seen; /* outcomes in `at`, `failed` */
    uint32_t next;   /* ring position */
    nsec_t at[EJECTION_WINDOW];
    bool failed[EJECTION_WINDOW];
};

enum {
    EJECTION_DUE = 1, /* the node should be taken out: ask the pool, then ejection_eject() */
};

/**
 * ejection_feed() - an attempt on the node ended
 * @failed:  an outcome that CALL_BLAME_FAILURE marks
 *
 * Outcomes that arrive while the node is out are not counted.
 *
 * Return: 0; EJECTION_DUE, again at each failure until the pool agrees.
 */
int ejection_feed(struct ejection *e, bool failed, nsec_t now);

/* Takes the node out from @now on and forgets its outcomes. */
void ejection_eject(struct ejection *e, nsec_t now, struct rng *rng);

bool ejection_is_out(const struct ejection *e, nsec_t now);

/* Forgets outcomes and lets it in again: the node came back from being down. The level stays. */
void ejection_reset(struct ejection *e, nsec_t now);
