/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Slots of the models of one node
 *
 * A node works on so many requests at once for each model that it has loaded, and lets others wait
 * inside, without a bound and without telling. So the gateway lets in at most `limit` per
 * residency: model, and the options that make a warm state of it. The limit is given, or learned:
 *
 *   - it begins with 2, and doubles each time that many answers were found to be under way at
 *     once: none of them waits;
 *   - when the final objects of two requests in a row show a wait (total less load, prompt and
 *     generation), the limit is what was in flight before they came; after PROBE_FIRST requests
 *     that filled all slots and did not wait one more is tried, and each try that fails makes the
 *     next one rarer.
 *
 * An attempt that was cut off keeps its slot until the node has noticed. That time is learned too:
 * the next request's wait says by how much it was too short.
 *
 * Pure: time is an argument. Not thread-safe. Bounded by SLOTS_MAX residencies; one that is idle
 * makes room for another.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/time.h"

#define SLOTS_MAX       64
#define SLOTS_AUTO      0
#define SLOTS_ANY       UINT32_MAX /* no limit: the node is a gateway with a queue of its own */
#define SLOTS_NONE      UINT16_MAX
#define SLOTS_SAMPLES   8
#define SLOTS_LEARN_MAX 65536

/* What is warm: a model, and the options that it was loaded with. */
struct residency {
    uint64_t model;
    uint64_t options; /* 0: none given */
};

struct slots {
    struct residency what;
    nsec_t used_at;
    uint32_t n_busy;   /* attempts, and what of them the node may not have noticed to be gone */
    uint32_t n_begun;  /* of them, those whose answer has begun */
    uint32_t limit;    /* learned */
    uint32_t n_clean;  /* in a row, that filled the slots and did not wait */
    uint32_t n_needed; /* before one more is tried; 0: the limit was never lowered */
    uint32_t n_waits;  /* in a row, */
    uint32_t proven;   /* and the most that may have been at once with all of them waiting */
    uint32_t n_kept;   /* of those busy: cut off, and held until `kept_until` */
    nsec_t kept_since;
    nsec_t kept_until;
    nsec_t linger;                 /* how long the node needs to notice */
    nsec_t freed_at;               /* when kept ones were given up last */
    nsec_t service[SLOTS_SAMPLES]; /* of the latest requests, a ring */
    uint32_t n_served;
};

struct slots_table {
    struct slots *at; /* an index stays while it is busy */
    uint16_t n;
    uint16_t cap;
};

/* What an attempt holds. */
struct slot {
    uint16_t index;  /* SLOTS_NONE: it needs none */
    uint32_t n_busy; /* with it, when it came */
    bool is_full;    /* it took the last one there was */
    bool has_begun;
    nsec_t taken_at;
};

/* What the node's final object says of an attempt that ended well. */
struct slots_told {
    uint64_t total_ns; /* 0: nothing is told */
    uint64_t load_ns;
    uint64_t prompt_ns;
    uint64_t eval_ns;
};

void slots_fini(struct slots_table *t);

/* The node was started anew: what was learned is forgotten, what is held stays. */
void slots_forget(struct slots_table *t);

/*
 * How many more may come now: SLOTS_ANY without a limit; 0 also while the same model is busy with
 * other options, since the node would load it anew.
 */
uint32_t slots_free(const struct slots_table *t, uint32_t setting, const struct residency *what);

/* Return: 0; -ENOBUFS all SLOTS_MAX residencies are busy; -ENOMEM. */
MUST_USE int slots_take(struct slots_table *t, uint32_t setting, const struct residency *what,
                        nsec_t now, struct slot *ret_slot);

/* Its answer has begun: it does not wait. Return: whether the limit grew. */
bool slots_begin(struct slots_table *t, struct slot *slot);

/* Whether anybody wants to know by slots_begin(): only while no wait was seen. */
bool slots_wants_begin(const struct slots_table *t, uint32_t setting, const struct slot *slot);

/* The attempt ended well, or in a way that leaves nothing behind in the node. */
void slots_give(struct slots_table *t, struct slot *slot, const struct slots_told *told,
                nsec_t now);

/* It was cut off: the slot is kept for a while. Return: until when. */
nsec_t slots_keep(struct slots_table *t, struct slot *slot, nsec_t now);

/* Gives up what is kept no longer than @now. Return: when the next is due; NSEC_NEVER. */
nsec_t slots_settle(struct slots_table *t, nsec_t now, bool *ret_has_freed);

/* In use for certain, kept ones not counted. */
uint32_t slots_n_held(const struct slots_table *t);

/* The slots of a residency; NULL: nothing is known. */
const struct slots *slots_find(const struct slots_table *t, const struct residency *what);

/* Of all that is known of @model, what was in use last: that is how it is loaded. NULL: nothing. */
const struct slots *slots_find_latest(const struct slots_table *t, uint64_t model);

/* The limit, known or to be learned. */
uint32_t slots_limit(const struct slots_table *t, uint32_t setting, const struct residency *what);

/* The median of what its latest requests took; -1: there was none. */
nsec_t slots_service(const struct slots *s);
