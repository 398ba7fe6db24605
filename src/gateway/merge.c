/* SPDX-License-Identifier: MIT */
#include "gateway/merge.h"

#include <errno.h>

#include "api/merge.h"
#include "gateway/gateway.h"

#define LISTING_MAX (16 * 1024 * 1024)

struct leg {
    struct merge *merge;
    struct attempt attempt;
    struct str node; /* in the exchange's arena */
    uint16_t index;  /* a reference */
    int status;
    bool is_retried;
    struct buf body;
};

struct merge {
    struct exchange *exchange;
    struct attempt_request request;
    struct net_timer timer;
    struct net_task bury;
    struct leg *legs;
    struct api_part *parts;
    size_t n_legs;
    size_t n_open;
    bool is_over;
};

static void on_bury(struct net_task *task)
{
    struct merge *m = container_of(task, struct merge, bury);

    for (size_t i = 0; i < m->n_legs; i++)
        buf_fini(&m->legs[i].body);
    free(m->legs);
    free(m->parts);
    free(m);
}

void merge_cancel(struct merge *m)
{
    if (m == NULL || m->is_over)
        return;
    m->is_over = true;
    for (size_t i = 0; i < m->n_legs; i++) {
        attempt_cancel(&m->legs[i].attempt);
        desk_node_unref(&m->exchange->worker->gateway->desk, m->legs[i].index);
    }
    net_timer_fini(&m->exchange->worker->loop, &m->timer);
    net_defer(&m->exchange->worker->loop, &m->bury);
}

/* What has come is the answer. */
static void finish(struct merge *m)
{
    struct exchange *ex = m->exchange;
    struct buf body = BUF_INIT(LISTING_MAX);
    size_t n = 0;

    for (size_t i = 0; i < m->n_legs; i++)
        if (m->legs[i].status == 200 && m->legs[i].body.len > 0)
            m->parts[n++] =
                (struct api_part){.node = m->legs[i].node, .body = buf_str(&m->legs[i].body)};
    merge_cancel(m);
    if (n == 0)
        exchange_refuse(ex, REASON_no_node,
                        m->n_legs > 0 ? "no node answered the listing in time" : NULL);
    else if (api_merge(ex->route->id, m->parts, n, &body) < 0)
        exchange_refuse(ex, REASON_overload, NULL);
    else
        exchange_merged(ex, buf_str(&body));
    buf_fini(&body);
}

static void close_leg(struct leg *leg, int status)
{
    struct merge *m = leg->merge;

    leg->status = status;
    if (--m->n_open == 0)
        finish(m);
}

static void on_timer(struct net_timer *timer)
{
    struct merge *m = container_of(timer, struct merge, timer);

    for (size_t i = 0; i < m->n_legs; i++) {
        if (attempt_is_running(&m->legs[i].attempt))
            m->legs[i].status = 0; /* half a listing is none */
    }
    finish(m);
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    container_of(a, struct leg, attempt)->status = head->status;
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct leg *leg = container_of(a, struct leg, attempt);

    if (buf_put(&leg->body, bytes) == 0)
        return;
    attempt_cancel(a);
    close_leg(leg, 0);
}

static void on_flush(struct attempt *a)
{
    (void)a;
}

static void on_end(struct attempt *a)
{
    struct leg *leg = container_of(a, struct leg, attempt);

    close_leg(leg, leg->status);
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err);

static const struct attempt_ops leg_ops = {
    .name = "merge",
    .on_head = on_head,
    .on_record = on_bytes,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
};

static int ask(struct leg *leg, bool is_fresh)
{
    struct upstream *u = worker_nodes_get(&leg->merge->exchange->worker->nodes, leg->index);

    leg->status = 0;
    buf_reset(&leg->body);
    return u == NULL ? -ENOMEM
                     : attempt_start(&leg->attempt, &leg_ops, u, &leg->merge->request, is_fresh);
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    struct leg *leg = container_of(a, struct leg, attempt);
    bool is_stale = outcome == CALL_STALE_CONNECTION && !leg->is_retried;

    (void)err;
    leg->is_retried = true;
    if (!is_stale || ask(leg, /* is_fresh= */ true) < 0)
        close_leg(leg, 0);
}

static void add_legs(struct merge *m, size_t n)
{
    struct desk *desk = &m->exchange->worker->gateway->desk;

    for (size_t i = 0; i < n; i++) {
        struct leg *leg = &m->legs[m->n_legs];
        struct desk_node node;

        if (!desk_take_up(desk, (uint16_t)i, &node))
            continue;
        *leg = (struct leg){
            .merge = m,
            .node = arena_dup(&m->exchange->arena, str_of(node.name)),
            .index = (uint16_t)i,
            .body = BUF_INIT(LISTING_MAX),
        };
        if (ask(leg, /* is_fresh= */ false) == 0)
            m->n_legs++;
        else
            desk_node_unref(desk, leg->index);
    }
    m->n_open = m->n_legs;
}

int merge_start(struct exchange *ex)
{
    struct worker *w = ex->worker;
    size_t n = desk_n_slots(&w->gateway->desk);
    struct merge *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return -ENOMEM;
    m->exchange = ex;
    m->bury.run = on_bury;
    m->legs = calloc(n, sizeof(struct leg));
    m->parts = calloc(n, sizeof(struct api_part));
    if (m->legs == NULL || m->parts == NULL || net_timer_init(&w->loop, &m->timer, on_timer) < 0) {
        free(m->legs);
        free(m->parts);
        free(m);
        return -ENOMEM;
    }
    ex->merge = m;
    m->request = (struct attempt_request){
        .method = STR("GET"),
        .target = ex->request.target,
        .fields = ex->request.fields,
        .hops = ex->request.hops,
    };
    net_timer_arm(&w->loop, &m->timer, time_now() + ex->view->settings->metadata_timeout_ns);
    add_legs(m, n);
    if (m->n_legs == 0)
        finish(m);
    return 0;
}
