/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A bounded map of numbers that forgets what was not put for longest
 *
 * Keys are hashes already. All memory is taken at the start, so nothing fails later. Not
 * thread-safe.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/time.h"

struct lru_entry {
    uint64_t key;
    uint64_t value;
    nsec_t at;      /* when it was put last */
    uint32_t chain; /* indexes + 1; 0: none */
    uint32_t newer;
    uint32_t older;
};

struct lru {
    struct lru_entry *entries;
    uint32_t *buckets;
    uint32_t n_buckets; /* power of two */
    uint32_t n;
    uint32_t cap;
    uint32_t newest;
    uint32_t oldest;
};

/* Return: 0, -ENOMEM. */
MUST_USE int lru_init(struct lru *l, uint32_t cap);
void lru_fini(struct lru *l);

/* NULL: it is not there. Good until the next lru_put(). */
const struct lru_entry *lru_get(const struct lru *l, uint64_t key);

/* Sets the value of @key, and makes it the newest. */
void lru_put(struct lru *l, uint64_t key, uint64_t value, nsec_t now);
