/* SPDX-License-Identifier: MIT */
#include "gateway/mcp_conn.h"

static void forget(struct mcp_conn *c)
{
    struct mcp_listener *listener = c->listener;

    list_remove(&c->link);
    free(c->peer);
    free(c->key_name);
    free(c);
    listener->n_conns--;
    metrics_gauge_add(listener->metrics, METRICS_CLIENTS, -1);
    if (listener->is_draining && listener->n_conns == 0 && listener->on_idle != NULL)
        net_defer(listener->loop, listener->on_idle);
}

static void on_closed(struct wire *w)
{
    struct mcp_conn *c = container_of(w, struct mcp_conn, wire);

    c->listener->on_gone(c);
    wire_fini(w);
    forget(c);
}

static const struct wire_ops wire_ops = {
    .name = "mcp_conn",
    .on_closed = on_closed,
};

static void on_connection(struct net_listener *net)
{
    struct mcp_listener *listener = container_of(net, struct mcp_listener, listener);
    const struct wire_setup setup = {
        .loop = listener->loop,
        .ops = &wire_ops,
        .settings = &listener->settings,
        .session_ops = listener->ops,
        .pool = &listener->pool,
    };
    struct mcp_conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        net_listener_refuse(net);
        return;
    }
    c->listener = listener;
    list_init(&c->requests);
    list_put_back(&listener->conns, &c->link);
    listener->n_conns++;
    metrics_gauge_add(listener->metrics, METRICS_CLIENTS, 1);
    metrics_count(listener->metrics, METRICS_CONNECTIONS);
    if (wire_accept(&c->wire, &setup, net) == 0 || c->wire.stream.is_open)
        return;
    forget(c);
    net_listener_refuse(net); /* one that waits for ever would keep all others out */
}

int mcp_listener_open(struct mcp_listener *listener, int fd)
{
    list_init(&listener->conns);
    mcp_pool_init(&listener->pool, NULL);
    listener->is_open = true;
    return net_listener_open(listener->loop, &listener->listener, fd, on_connection);
}

void mcp_conn_dismiss(struct mcp_conn *c, unsigned grace_s)
{
    struct wire *w = &c->wire;

    if (mcp_session_goaway(&w->session, MCP_GOAWAY_MAINTENANCE, grace_s, time_now()) < 0)
        wire_close(w);
    else
        wire_wake(w);
}

void mcp_listener_drain(struct mcp_listener *listener, unsigned grace_s)
{
    if (!listener->is_open)
        return;
    listener->is_draining = true;
    net_listener_close(&listener->listener);
    list_for_each_safe (it, &listener->conns)
        mcp_conn_dismiss(container_of(it, struct mcp_conn, link), grace_s);
}

void mcp_listener_close(struct mcp_listener *listener)
{
    if (!listener->is_open)
        return;
    net_listener_close(&listener->listener);
    list_for_each_safe (it, &listener->conns) {
        struct wire *w = &container_of(it, struct mcp_conn, link)->wire;

        wire_flush(w); /* why its calls were cut off */
        wire_close(w);
    }
}

void mcp_listener_fini(struct mcp_listener *listener)
{
    if (!listener->is_open)
        return;
    mcp_pool_fini(&listener->pool);
    arena_fini(&listener->scratch);
    buf_fini(&listener->encoded);
    zip_fini(&listener->zip);
}
