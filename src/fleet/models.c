/* SPDX-License-Identifier: MIT */
#include "fleet/models.h"

#include <errno.h>

void models_fini(struct models *m)
{
    for (size_t i = 0; i < m->n_slots; i++)
        free(m->slots[i].key);
    free(m->slots);
    *m = (struct models){0};
}

/* The slot that holds @key, or the free one where it would stand. There always is a free one. */
static struct model_slot *find(const struct models *m, struct str key, uint64_t hash)
{
    for (size_t i = hash & (m->n_slots - 1);; i = (i + 1) & (m->n_slots - 1)) {
        struct model_slot *slot = &m->slots[i];

        if (slot->key == NULL || (slot->hash == hash && str_eq(str_of(slot->key), key)))
            return slot;
    }
}

static int grow(struct models *m)
{
    struct models bigger = {.n_slots = m->n_slots > 0 ? m->n_slots * 2 : 16,
                            .n_models = m->n_models};

    bigger.slots = calloc(bigger.n_slots, sizeof(struct model_slot));
    if (bigger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].key != NULL)
            *find(&bigger, str_of(m->slots[i].key), m->slots[i].hash) = m->slots[i];
    free(m->slots);
    bigger.n_ignored = m->n_ignored;
    *m = bigger;
    return 0;
}

int models_put(struct models *m, struct str key, uint64_t hash)
{
    struct model_slot *slot;

    if (models_has(m, key, hash))
        return 0;
    if (m->n_models >= MODELS_MAX) {
        m->n_ignored++;
        return 0;
    }
    if (m->n_models * 2 >= m->n_slots && grow(m) < 0)
        return -ENOMEM;
    slot = find(m, key, hash);
    slot->key = str_dup(key);
    if (slot->key == NULL)
        return -ENOMEM;
    slot->hash = hash;
    m->n_models++;
    return 0;
}

int models_put_digest(struct models *m, struct str key, uint64_t hash, uint64_t digest)
{
    int r = models_put(m, key, hash);

    if (r == 0 && models_has(m, key, hash))
        find(m, key, hash)->digest = digest;
    return r;
}

uint64_t models_digest(const struct models *m, struct str key, uint64_t hash)
{
    return models_has(m, key, hash) ? find(m, key, hash)->digest : 0;
}

bool models_has(const struct models *m, struct str key, uint64_t hash)
{
    return m->n_slots > 0 && find(m, key, hash)->key != NULL;
}

const char *models_find(const struct models *m, uint64_t hash)
{
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].key != NULL && m->slots[i].hash == hash)
            return m->slots[i].key;
    return NULL;
}

void models_add_common(struct models *m, const struct models *a, const struct models *b)
{
    for (size_t i = 0; i < a->n_slots; i++) {
        const struct model_slot *slot = &a->slots[i];

        /* Without memory one is left out, which a later answer mends. */
        if (slot->key != NULL && models_has(b, str_of(slot->key), slot->hash))
            (void)!models_put(m, str_of(slot->key), slot->hash);
    }
}
