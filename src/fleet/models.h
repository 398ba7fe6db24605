/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A set of models, by key
 *
 * What one node has, or has loaded. Open addressing; bounded by MODELS_MAX, beyond which names are
 * ignored and counted.
 */

#include "api/model_name.h"
#include "base/hash.h"

#define MODELS_MAX 16384

struct model_slot {
    uint64_t hash;
    uint64_t digest; /* hash of the node's digest of it; 0: not known */
    char *key;       /* owned; NULL: free */
};

struct models {
    struct model_slot *slots;
    size_t n_slots; /* power of two, or 0 */
    size_t n_models;
    size_t n_ignored;
};

void models_fini(struct models *m);

/* Return: 0, also when it was there or the set is full; -ENOMEM. */
MUST_USE int models_put(struct models *m, struct str key, uint64_t hash);

/* The same, and the hash of its digest. */
MUST_USE int models_put_digest(struct models *m, struct str key, uint64_t hash, uint64_t digest);

/* Of a model in the set; 0: not known, or not there. Equal digests are equal models. */
uint64_t models_digest(const struct models *m, struct str key, uint64_t hash);

bool models_has(const struct models *m, struct str key, uint64_t hash);

/* The key with this hash, of whatever collides the first; NULL: none. */
const char *models_find(const struct models *m, uint64_t hash);

/* Adds to @m what both @a and @b have. */
void models_add_common(struct models *m, const struct models *a, const struct models *b);
