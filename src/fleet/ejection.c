/* SPDX-License-Identifier: MIT */
#include "fleet/ejection.h"

#define MAX_CONSECUTIVE 3
#define MIN_OUTCOMES    5
#define WINDOW_NS       (30 * NSEC_PER_SEC)
#define FIRST_NS        (1 * NSEC_PER_SEC)
#define LONGEST_NS      (60 * NSEC_PER_SEC)
#define MAX_LEVEL       6 /* 64 s, the first over LONGEST_NS */
#define DECAY_NS        (60 * NSEC_PER_SEC)
#define JITTER          0.25 /* taken off, so that LONGEST_NS holds */

static bool is_mostly_failing(const struct ejection *e, nsec_t now)
{
    uint32_t n = 0;
    uint32_t n_failed = 0;

    for (uint32_t i = 0; i < e->n_seen; i++) {
        if (now - e->at[i] > WINDOW_NS)
            continue;
        n++;
        n_failed += e->failed[i];
    }
    return n >= MIN_OUTCOMES && n_failed * 2 > n;
}

int ejection_feed(struct ejection *e, bool failed, nsec_t now)
{
    /* Answers to what was sent before say nothing about the node that comes back. */
    if (ejection_is_out(e, now))
        return 0;
    e->n_consecutive = failed ? e->n_consecutive + 1 : 0;
    e->at[e->next] = now;
    e->failed[e->next] = failed;
    e->next = (e->next + 1) % EJECTION_WINDOW;
    if (e->n_seen < EJECTION_WINDOW)
        e->n_seen++;
    /* a node that just answered well is not taken out for its past */
    if (!failed)
        return 0;
    return e->n_consecutive >= MAX_CONSECUTIVE || is_mostly_failing(e, now) ? EJECTION_DUE : 0;
}

static void forget(struct ejection *e)
{
    e->n_consecutive = 0;
    e->n_seen = 0;
    e->next = 0;
}

void ejection_eject(struct ejection *e, nsec_t now, struct rng *rng)
{
    /* Time spent outside proves nothing: only what came after it counts. */
    nsec_t n_good = now > e->until ? (now - e->until) / DECAY_NS : 0;
    nsec_t span;

    e->level = n_good < e->level ? e->level - (uint32_t)n_good : 0;
    span = FIRST_NS << e->level;
    if (span > LONGEST_NS)
        span = LONGEST_NS;
    span -= (nsec_t)((double)span * JITTER * rng_unit(rng));
    e->until = now + span;
    e->last_ejected = now;
    if (e->level < MAX_LEVEL)
        e->level++;
    forget(e);
}

bool ejection_is_out(const struct ejection *e, nsec_t now)
{
    return now < e->until;
}

void ejection_reset(struct ejection *e, nsec_t now)
{
    forget(e);
    if (e->until > now)
        e->until = now;
}
