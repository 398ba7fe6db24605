/* SPDX-License-Identifier: MIT */
#include "call/pool.h"

#include <assert.h>

void pool_init(struct pool *p, uint32_t max_idle, nsec_t idle_timeout_ns)
{
    *p = (struct pool){
        .max_idle = max_idle, .idle_timeout_ns = idle_timeout_ns, .next_death = NSEC_NEVER};
    list_init(&p->idle);
}

void pool_join(struct pool *p, struct pool_member *m, nsec_t dies_at)
{
    m->dies_at = dies_at;
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

    if (m->dies_at <= now)
        return POOL_OLD;
    if (p->n_idle >= p->max_idle)
        return POOL_FULL;
    if (m->dies_at < p->next_death)
        p->next_death = m->dies_at;
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

/* When the one that has been idle longest has idled enough. */
static nsec_t next_idle(const struct pool *p)
{
    const struct pool_member *m = oldest(p);

    if (m == NULL || p->idle_timeout_ns == NSEC_NEVER || p->n_idle <= p->min_idle)
        return NSEC_NEVER;
    return m->idle_since + p->idle_timeout_ns;
}

nsec_t pool_next_expiry(const struct pool *p)
{
    nsec_t idle = next_idle(p);

    return idle < p->next_death ? idle : p->next_death;
}

/* Looks at all, and knows then when the next one dies. */
static struct pool_member *find_dead(struct pool *p, nsec_t now)
{
    p->next_death = NSEC_NEVER;
    list_for_each (it, &p->idle) {
        struct pool_member *m = container_of(it, struct pool_member, link);

        if (m->dies_at < p->next_death)
            p->next_death = m->dies_at;
        if (m->dies_at <= now)
            return m;
    }
    return NULL;
}

struct pool_member *pool_expired(struct pool *p, nsec_t now)
{
    if (p->next_death <= now) {
        struct pool_member *m = find_dead(p, now);

        if (m != NULL)
            return m;
    }
    return next_idle(p) <= now ? oldest(p) : NULL;
}
