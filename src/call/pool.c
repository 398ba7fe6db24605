/* SPDX-License-Identifier: MIT */
#include "call/pool.h"

#include <assert.h>

void pool_init(struct pool *p, uint32_t max_idle, nsec_t idle_timeout_ns)
{
    *p = (struct pool){.max_idle = max_idle, .idle_timeout_ns = idle_timeout_ns};
    list_init(&p->idle);
}

void pool_join(struct pool *p, struct pool_member *m)
{
    list_init(&m->link);
    m->is_idle = false;
    p->n_busy++;
}

struct pool_member *pool_take(struct pool *p)
{
    struct list *first = list_first(&p->idle);
    struct pool_member *m;

    if (first == NULL)
        return NULL;
    m = container_of(first, struct pool_member, link);
    list_remove(first);
    m->is_idle = false;
    p->n_idle--;
    p->n_busy++;
    return m;
}

int pool_put(struct pool *p, struct pool_member *m, nsec_t now)
{
    assert(!m->is_idle);

    if (p->n_idle >= p->max_idle)
        return POOL_FULL;
    m->is_idle = true;
    m->idle_since = now;
    list_put_front(&p->idle, &m->link);
    p->n_busy--;
    p->n_idle++;
    return 0;
}

void pool_leave(struct pool *p, struct pool_member *m)
{
    if (m->is_idle)
        p->n_idle--;
    else
        p->n_busy--;
    list_remove(&m->link);
    m->is_idle = false;
}

static struct pool_member *oldest(const struct pool *p)
{
    return list_is_empty(&p->idle) ? NULL : container_of(p->idle.prev, struct pool_member, link);
}

nsec_t pool_next_expiry(const struct pool *p)
{
    const struct pool_member *m = oldest(p);

    if (m == NULL || p->idle_timeout_ns == NSEC_NEVER)
        return NSEC_NEVER;
    return m->idle_since + p->idle_timeout_ns;
}

struct pool_member *pool_expired(struct pool *p, nsec_t now)
{
    return pool_next_expiry(p) <= now ? oldest(p) : NULL;
}
