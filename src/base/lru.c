/* SPDX-License-Identifier: MIT */
#include "base/lru.h"

#include <errno.h>
#include <stdlib.h>

int lru_init(struct lru *l, uint32_t cap)
{
    *l = (struct lru){.cap = cap, .n_buckets = 1};
    while (l->n_buckets < cap)
        l->n_buckets *= 2;
    l->entries = calloc(cap, sizeof(*l->entries));
    l->buckets = calloc(l->n_buckets, sizeof(*l->buckets));
    return l->entries == NULL || l->buckets == NULL ? -ENOMEM : 0;
}

void lru_fini(struct lru *l)
{
    free(l->entries);
    free(l->buckets);
    *l = (struct lru){0};
}

static struct lru_entry *entry_at(const struct lru *l, uint32_t index)
{
    return index > 0 ? &l->entries[index - 1] : NULL;
}

static uint32_t index_of(const struct lru *l, const struct lru_entry *e)
{
    return (uint32_t)(e - l->entries) + 1;
}

static uint32_t *bucket_of(const struct lru *l, uint64_t key)
{
    return &l->buckets[key & (l->n_buckets - 1)];
}

static struct lru_entry *find(const struct lru *l, uint64_t key)
{
    struct lru_entry *e = entry_at(l, *bucket_of(l, key));

    while (e != NULL && e->key != key)
        e = entry_at(l, e->chain);
    return e;
}

const struct lru_entry *lru_get(const struct lru *l, uint64_t key)
{
    return find(l, key);
}

static void unlink_age(struct lru *l, struct lru_entry *e)
{
    *(e->newer > 0 ? &entry_at(l, e->newer)->older : &l->newest) = e->older;
    *(e->older > 0 ? &entry_at(l, e->older)->newer : &l->oldest) = e->newer;
}

static void link_newest(struct lru *l, struct lru_entry *e)
{
    e->newer = 0;
    e->older = l->newest;
    *(l->newest > 0 ? &entry_at(l, l->newest)->newer : &l->oldest) = index_of(l, e);
    l->newest = index_of(l, e);
}

static void unlink_chain(struct lru *l, const struct lru_entry *e)
{
    uint32_t *at = bucket_of(l, e->key);

    while (*at != index_of(l, e))
        at = &entry_at(l, *at)->chain;
    *at = e->chain;
}

/* A free entry, or the oldest, which is forgotten. */
static struct lru_entry *take_entry(struct lru *l)
{
    struct lru_entry *e;

    if (l->n < l->cap)
        return &l->entries[l->n++];
    e = entry_at(l, l->oldest);
    unlink_age(l, e);
    unlink_chain(l, e);
    return e;
}

void lru_put(struct lru *l, uint64_t key, uint64_t value, nsec_t now)
{
    struct lru_entry *e = find(l, key);

    if (e != NULL) {
        unlink_age(l, e);
    } else {
        e = take_entry(l);
        e->key = key;
        e->chain = *bucket_of(l, key);
        *bucket_of(l, key) = index_of(l, e);
    }
    e->value = value;
    e->at = now;
    link_newest(l, e);
}
