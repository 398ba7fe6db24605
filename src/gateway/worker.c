/* SPDX-License-Identifier: MIT */
#include "gateway/worker.h"

#include <errno.h>

#include "gateway/door.h"
#include "gateway/exchange.h"
#include "gateway/gateway.h"
#include "gateway/mcp_door.h"

static bool is_idle(const struct worker *w)
{
    if (w->n_exchanges > 0)
        return false;
    for (size_t i = 0; i < w->gateway->n_listens; i++)
        if (w->servers[i].n_conns > 0)
            return false;
    for (size_t i = 0; i < w->gateway->n_mcp_listens; i++)
        if (w->mcp_listeners[i].n_conns > 0)
            return false;
    return true;
}

static void on_idle_check(struct net_task *task)
{
    struct worker *w = container_of(task, struct worker, idle_check);

    if (is_idle(w))
        net_loop_stop(&w->loop);
}

void worker_check_idle(struct worker *w)
{
    if (w->is_draining)
        net_defer(&w->loop, &w->idle_check);
    if (w->is_closing)
        net_loop_wake(&w->loop);
}

static void on_drain_timeout(struct net_timer *timer)
{
    net_loop_stop(&container_of(timer, struct worker, drain_timer)->loop);
}

static void on_settle(struct net_timer *timer)
{
    struct worker *w = container_of(timer, struct worker, settle_timer);

    net_timer_arm(&w->loop, timer, desk_settle(&w->gateway->desk, time_now()));
}

void worker_settle_at(struct worker *w, nsec_t at)
{
    if (at < w->settle_timer.due && !w->is_closing)
        net_timer_arm(&w->loop, &w->settle_timer, at);
}

static void on_drain(struct net_mail *mail)
{
    struct worker *w = container_of(mail, struct worker, drain_mail);

    /* Up: what GOAWAY promises must not be over before the drain time-out is. */
    unsigned grace_s =
        (unsigned)((w->view->settings->drain_timeout_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC);

    w->is_draining = true;
    for (size_t i = 0; i < w->gateway->n_listens; i++)
        http_server_drain(&w->servers[i]);
    for (size_t i = 0; i < w->gateway->n_mcp_listens; i++)
        mcp_listener_drain(&w->mcp_listeners[i], grace_s);
    net_timer_arm(&w->loop, &w->drain_timer, time_now() + w->view->settings->drain_timeout_ns);
    worker_check_idle(w);
}

static void on_stop(struct net_mail *mail)
{
    net_loop_stop(&container_of(mail, struct worker, stop_mail)->loop);
}

void worker_drain(struct worker *w)
{
    net_mail_post(&w->loop, &w->drain_mail);
}

void worker_stop(struct worker *w)
{
    net_mail_post(&w->loop, &w->stop_mail);
}

void worker_take_view(struct worker *w, struct view *view)
{
    struct view *before = w->view;

    w->view = view;
    for (size_t i = 0; i < w->gateway->n_listens; i++)
        w->servers[i].settings = &view->settings->http;
    for (size_t i = 0; i < w->gateway->n_mcp_listens; i++)
        mcp_door_take_keys(&w->mcp_listeners[i], &before->keys, &view->keys);
    worker_nodes_configure(&w->nodes);
    view_unref(before);
}

static int init_mcp_listeners(struct worker *w, const int *fds)
{
    size_t n = w->gateway->n_mcp_listens;

    w->mcp_listeners = calloc(n > 0 ? n : 1, sizeof(struct mcp_listener));
    if (w->mcp_listeners == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int r;

        mcp_door_init(&w->mcp_listeners[i], w);
        r = mcp_listener_open(&w->mcp_listeners[i], fds[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int init_servers(struct worker *w, const int *fds)
{
    struct gateway *g = w->gateway;
    size_t n = g->n_listens;

    w->servers = calloc(n, sizeof(struct http_server));
    if (w->servers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct http_server *s = &w->servers[i];
        int r;

        s->ops = &door_ops;
        s->settings = &w->view->settings->http;
        s->loop = &w->loop;
        s->metrics = w->metrics;
        s->out = &w->out;
        s->on_idle = &w->idle_check;
        s->is_loopback = addr_is_loopback(&g->listens[i]);
        r = http_server_open(s, fds[i]);
        if (r < 0)
            return r;
    }
    return init_mcp_listeners(w, fds + n);
}

int worker_init(struct worker *w, struct gateway *gateway, const int *fds)
{
    int r;

    *w = (struct worker){.gateway = gateway, .view = view_ref(gateway->view)};
    list_init(&w->exchanges);
    list_init(&w->spare_exchanges);
    w->drain_mail.deliver = on_drain;
    w->stop_mail.deliver = on_stop;
    w->idle_check.run = on_idle_check;
    w->rng.state = (uint64_t)time_now() ^ (uintptr_t)w;
    zip_init(&w->zip, ZIP_PIECE);
    w->metrics = metrics_new();
    if (w->metrics == NULL || http_out_init(&w->out) < 0)
        return -ENOMEM;
    r = net_loop_init(&w->loop);
    w->has_loop = r == 0;
    if (r == 0)
        r = net_timer_init(&w->loop, &w->drain_timer, on_drain_timeout);
    if (r == 0)
        r = net_timer_init(&w->loop, &w->settle_timer, on_settle);
    if (r == 0)
        r = beat_start(&w->beat, &w->loop, w->metrics);
    if (r == 0)
        r = worker_nodes_init(&w->nodes, w);
    if (r == 0)
        r = init_servers(w, fds);
    return r;
}

/* What the drain time-out cut off ends here, on the loop's own thread. */
static void close_all(struct worker *w)
{
    list_for_each_safe (it, &w->exchanges)
        exchange_abort(container_of(it, struct exchange, link));
    for (size_t i = 0; i < w->gateway->n_listens && w->servers != NULL; i++)
        http_server_close(&w->servers[i]);
    for (size_t i = 0; i < w->gateway->n_mcp_listens && w->mcp_listeners != NULL; i++)
        mcp_listener_close(&w->mcp_listeners[i]);
    worker_nodes_close(&w->nodes);
    beat_stop(&w->beat);
    net_timer_fini(&w->loop, &w->drain_timer);
    net_timer_fini(&w->loop, &w->settle_timer);
}

static void clear_away(struct worker *w)
{
    w->is_closing = true;
    close_all(w);
    /* Some wait for control's mail, which must find them. */
    while (w->n_exchanges > 0)
        net_loop_turn(&w->loop);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    net_loop_run(&w->loop);
    clear_away(w);
    net_mail_post(&w->gateway->control.loop, &w->ended_mail);
    return NULL;
}

int worker_start(struct worker *w)
{
    int r = pthread_create(&w->thread, NULL, worker_main, w);

    w->is_running = r == 0;
    return -r;
}

void worker_join(struct worker *w)
{
    if (w->is_running)
        (void)pthread_join(w->thread, NULL);
    else if (w->has_loop)
        clear_away(w);
    /* not earlier: until now control may have had mail for it */
    if (w->has_loop)
        net_loop_fini(&w->loop);
    exchange_free_spares(w);
    http_out_fini(&w->out);
    zip_fini(&w->zip);
    worker_nodes_fini(&w->nodes);
    view_unref(w->view);
    free(w->servers);
    for (size_t i = 0; w->mcp_listeners != NULL && i < w->gateway->n_mcp_listens; i++)
        mcp_listener_fini(&w->mcp_listeners[i]);
    free(w->mcp_listeners);
    w->metrics = metrics_free(w->metrics);
}
