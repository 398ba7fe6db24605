/* SPDX-License-Identifier: MIT */
#include "upstream/upstream.h"

#include <errno.h>
#include <stdio.h>

#include "upstream/conn.h"
#include "upstream/kind.h"

#define LIFETIME_JITTER 0.1
#define WARM_RETRY_NS   (5 * NSEC_PER_SEC)

static void on_sweep(struct net_timer *timer)
{
    struct upstream *u = container_of(timer, struct upstream, sweep);
    nsec_t now = time_now();
    struct pool_member *m;

    if (u->is_retired) {
        u->kind->retire(u);
        return;
    }
    while ((m = pool_expired(&u->pool, now)) != NULL)
        conn_close(container_of(m, struct upstream_conn, member),
                   m->dies_at <= now ? POOL_CLOSED_AGE : POOL_CLOSED_IDLE);
    net_timer_arm(u->loop, timer, pool_next_expiry(&u->pool));
}

nsec_t upstream_death(struct upstream *u, nsec_t now)
{
    nsec_t life = u->settings->max_lifetime_ns;

    if (life == 0 || life == NSEC_NEVER)
        return NSEC_NEVER;
    return now + (nsec_t)((double)life * (1.0 - LIFETIME_JITTER * rng_unit(&u->rng)));
}

void upstream_count(struct upstream *u, int idle_delta, int busy_delta)
{
    struct quota_member *m = &u->quota;

    (void)atomic_fetch_add_explicit(&m->n_idle, (uint64_t)(int64_t)idle_delta,
                                    memory_order_seq_cst);
    if (busy_delta == 0)
        return;
    /* one writer */
    atomic_store_explicit(&m->n_busy,
                          atomic_load_explicit(&m->n_busy, memory_order_relaxed) +
                              (uint64_t)(int64_t)busy_delta,
                          memory_order_relaxed);
    atomic_store_explicit(&m->busy_ns,
                          atomic_load_explicit(&m->busy_ns, memory_order_relaxed) -
                              busy_delta * net_now(u->loop),
                          memory_order_relaxed);
    if (busy_delta < 0)
        quota_count(&m->n_done);
}

/*
 * Waiting for a permit
 */

void upstream_wait(struct upstream *u, struct attempt *a)
{
    a->patience_ends = time_now() + u->settings->acquire_timeout_ns;
    if (list_is_empty(&u->waiting))
        net_timer_arm(u->loop, &u->patience, a->patience_ends);
    list_put_back(&u->waiting, &a->waiting);
    quota_queue(&u->quota, &a->place);
}

void upstream_unwait(struct upstream *u, struct attempt *a)
{
    list_remove(&a->waiting);
    quota_unqueue(&u->quota, &a->place);
    if (u->is_retired && list_is_empty(&u->waiting))
        net_defer(u->loop, &u->empty);
}

struct attempt *upstream_next(struct upstream *u)
{
    struct list *first = list_first(&u->waiting);
    struct attempt *a;

    if (first == NULL)
        return NULL;
    a = container_of(first, struct attempt, waiting);
    upstream_unwait(u, a);
    return a;
}

static void on_patience(struct net_timer *timer)
{
    struct upstream *u = container_of(timer, struct upstream, patience);
    nsec_t now = time_now();
    struct list *first;

    while ((first = list_first(&u->waiting)) != NULL) {
        struct attempt *a = container_of(first, struct attempt, waiting);

        if (a->patience_ends > now) {
            net_timer_arm(u->loop, timer, a->patience_ends);
            return;
        }
        upstream_unwait(u, a);
        quota_count(&u->quota.n_timeouts);
        a->is_running = false;
        a->ops->on_fail(a, CALL_POOL_TIMEOUT, -ETIMEDOUT);
    }
}

static void on_mail(struct net_mail *mail)
{
    struct upstream *u = container_of(mail, struct upstream, quota.mail);
    uint32_t n_granted;
    uint32_t n_wanted;

    quota_receive(&u->quota, &n_granted, &n_wanted);
    for (; n_granted > 0; n_granted--) {
        struct attempt *a = u->is_closing ? NULL : upstream_next(u);

        if (a == NULL)
            quota_give(&u->quota); /* who waited for it has left */
        else
            conn_open_permitted(u, a);
    }
    for (; n_wanted > 0 && u->pool.n_idle > 0 && !u->is_closing; n_wanted--)
        conn_close(container_of(u->pool.idle.prev, struct upstream_conn, member.link),
                   POOL_CLOSED_SURPLUS);
    if (u->is_retired)
        net_defer(u->loop, &u->empty);
}

void upstream_join(struct upstream *u, struct quota *quota, uint16_t index)
{
    u->quota.mail.deliver = on_mail;
    quota_join(quota, &u->quota, index, u->loop);
}

/*
 * Warmth
 */

static void on_warm(struct net_timer *timer)
{
    struct upstream *u = container_of(timer, struct upstream, warmer);

    if (u->is_warming || u->is_retired || u->is_closing || u->pool.n_idle >= u->min_idle)
        return;
    if (conn_warm(u) < 0)
        net_timer_arm(u->loop, timer, time_now() + WARM_RETRY_NS);
}

void upstream_warmed(struct upstream *u, bool is_open)
{
    u->is_warming = false;
    if (u->min_idle > 0)
        net_timer_arm(u->loop, &u->warmer, time_now() + (is_open ? 0 : WARM_RETRY_NS));
}

void upstream_cooled(struct upstream *u)
{
    if (u->min_idle > u->pool.n_idle && !u->is_warming && u->warmer.due == NSEC_NEVER &&
        !u->is_closing)
        net_timer_arm(u->loop, &u->warmer, time_now());
}

void upstream_keep_warm(struct upstream *u, uint32_t n)
{
    u->min_idle = u->kind == &upstream_http ? n : 0;
    u->pool.min_idle = u->min_idle;
    upstream_cooled(u);
}

/*
 * Life
 */

static void on_empty(struct net_task *task)
{
    struct upstream *u = container_of(task, struct upstream, empty);

    if (u->n_conns > 0 || !list_is_empty(&u->waiting) || u->is_closing ||
        quota_leave(&u->quota) < 0)
        return;
    upstream_close(u);
    u->on_empty(u);
}

int upstream_init(struct upstream *u, struct net_loop *loop,
                  const struct upstream_settings *settings, struct str name, const struct url *url)
{
    int r;

    *u = (struct upstream){.loop = loop, .settings = settings, .name = name, .url = *url};
    u->kind = str_eq(str_of(url->scheme), STR("mcp")) ? &upstream_mcp : &upstream_http;
    u->empty.run = on_empty;
    list_init(&u->busy);
    list_init(&u->waiting);
    u->rng.state = (uint64_t)time_now() ^ (uintptr_t)u;
    pool_init(&u->pool, (uint32_t)settings->max_idle, settings->idle_timeout_ns);
    (void)addr_print(&url->addr, u->host_field);
    u->host_field_len = strlen(u->host_field);
    r = net_timer_init(loop, &u->sweep, on_sweep);
    if (r == 0)
        r = net_timer_init(loop, &u->patience, on_patience);
    if (r == 0)
        r = net_timer_init(loop, &u->warmer, on_warm);
    return r == 0 ? u->kind->init(u) : r;
}

void upstream_configure(struct upstream *u, const struct upstream_settings *settings)
{
    u->settings = settings;
    u->pool.max_idle = (uint32_t)settings->max_idle;
    u->pool.idle_timeout_ns = settings->idle_timeout_ns;
    net_timer_arm(u->loop, &u->sweep, pool_next_expiry(&u->pool));
}

void upstream_gone(struct upstream *u)
{
    u->n_conns--;
    if (u->is_retired && u->n_conns == 0)
        net_defer(u->loop, &u->empty);
}

void upstream_retire(struct upstream *u, upstream_empty_fn *on_empty_fn)
{
    u->is_retired = true;
    u->on_empty = on_empty_fn;
    u->kind->retire(u);
    if (u->n_conns == 0)
        net_defer(u->loop, &u->empty);
}

void upstream_close(struct upstream *u)
{
    if (u->kind == NULL || u->is_closing)
        return;
    u->is_closing = true;
    net_timer_fini(u->loop, &u->sweep);
    net_timer_fini(u->loop, &u->patience);
    net_timer_fini(u->loop, &u->warmer);
    u->kind->close(u);
}
