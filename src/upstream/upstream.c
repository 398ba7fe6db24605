/* SPDX-License-Identifier: MIT */
#include "upstream/upstream.h"

#include <stdio.h>

#include "upstream/conn.h"
#include "upstream/kind.h"

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
        conn_close(container_of(m, struct upstream_conn, member));
    net_timer_arm(u->loop, timer, pool_next_expiry(&u->pool));
}

static void on_empty(struct net_task *task)
{
    struct upstream *u = container_of(task, struct upstream, empty);

    if (u->n_conns > 0 || u->is_closing)
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
    pool_init(&u->pool, (uint32_t)settings->max_idle, settings->idle_timeout_ns);
    (void)addr_print(&url->addr, u->host_field);
    u->host_field_len = strlen(u->host_field);
    r = net_timer_init(loop, &u->sweep, on_sweep);
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
    u->kind->close(u);
}
