/* SPDX-License-Identifier: MIT */
#include "upstream/upstream.h"

#include <stdio.h>

#include "upstream/conn.h"

static void on_sweep(struct net_timer *timer)
{
    struct upstream *u = container_of(timer, struct upstream, sweep);
    nsec_t now = time_now();
    struct pool_member *m;

    while ((m = pool_expired(&u->pool, now)) != NULL)
        conn_close(container_of(m, struct upstream_conn, member));
    net_timer_arm(u->loop, timer, pool_next_expiry(&u->pool));
}

int upstream_init(struct upstream *u, struct net_loop *loop, const struct upstream_settings *settings,
                  struct str name, const struct url *url)
{
    *u = (struct upstream){.loop = loop, .settings = settings, .name = name, .url = *url};
    list_init(&u->busy);
    pool_init(&u->pool, (uint32_t)settings->max_idle, settings->idle_timeout_ns);
    (void)addr_print(&url->addr, u->host_field);
    u->host_field_len = strlen(u->host_field);
    return net_timer_init(loop, &u->sweep, on_sweep);
}

void upstream_close(struct upstream *u)
{
    struct list *it;

    u->is_closing = true;
    net_timer_fini(u->loop, &u->sweep);
    while ((it = list_first(&u->pool.idle)) != NULL)
        conn_close(container_of(it, struct upstream_conn, member.link));
    while ((it = list_first(&u->busy)) != NULL) {
        struct upstream_conn *c = container_of(it, struct upstream_conn, busy_link);

        if (c->attempt != NULL)
            attempt_cancel(c->attempt);
        else
            conn_close(c);
    }
}
