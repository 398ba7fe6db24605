/* SPDX-License-Identifier: MIT */
#include "gateway/upload.h"

#include <errno.h>

#include "api/manage.h"
#include "base/err.h"
#include "gateway/gateway.h"
#include "gateway/relay.h"

#define ANSWER_MAX (64 * 1024)
#define EARLY_MAX  (1024 * 1024) /* pieces that came before the nodes were connected */

struct leg {
    struct upload *upload;
    struct attempt attempt;
    uint16_t node;
    int status; /* 0: no answer */
    struct buf body;
    char why[128];
    bool is_open;
};

struct upload {
    struct exchange *exchange;
    struct upload_client *client; /* NULL: there is no body */
    struct attempt_request request;
    struct net_task bury;
    struct buf early;
    struct leg *legs;
    size_t n_legs;
    size_t n_open;
    bool is_at_end; /* the client has sent all */
    bool is_ended;  /* and the nodes know it */
    bool is_over;
};

static void on_bury(struct net_task *task)
{
    struct upload *u = container_of(task, struct upload, bury);

    for (size_t i = 0; i < u->n_legs; i++) {
        desk_node_unref(&u->exchange->worker->gateway->desk, u->legs[i].node);
        buf_fini(&u->legs[i].body);
    }
    buf_fini(&u->early);
    free(u->legs);
    exchange_came_back(u->exchange);
    free(u);
}

static void close_all(struct upload *u)
{
    u->is_over = true;
    for (size_t i = 0; i < u->n_legs; i++)
        attempt_cancel(&u->legs[i].attempt);
    net_defer(&u->exchange->worker->loop, &u->bury);
}

void upload_cancel(struct upload *u)
{
    if (u != NULL && !u->is_over)
        close_all(u);
}

/*
 * The answer
 */

static bool is_good(const struct leg *leg)
{
    return leg->status == 200 || leg->status == 201;
}

/* A question is answered well when one node has the blob, unless it must be on all; an upload when
 * all have it. */
static const struct leg *choose(const struct upload *u)
{
    const struct placement policy = model_settings_placement(&u->exchange->view->settings->models);
    bool one_is_enough = u->client == NULL && policy.kind == PLACEMENT_ROOM;

    for (size_t i = 0; i < u->n_legs; i++)
        if (is_good(&u->legs[i]) == one_is_enough)
            return &u->legs[i];
    return &u->legs[0];
}

static void remember(const struct upload *u)
{
    struct exchange *ex = u->exchange;
    struct desk *desk = &ex->worker->gateway->desk;
    struct str hex;

    if (api_digest_parse(api_route_arg(ex->route, ex->request.target), &hex) < 0)
        return;
    for (size_t i = 0; i < u->n_legs; i++)
        if (is_good(&u->legs[i]))
            desk_blob_put(desk, hash_bytes(desk->fleet.hash_key, hex), u->legs[i].node);
}

static void finish(struct upload *u)
{
    struct exchange *ex = u->exchange;
    const struct leg *leg = choose(u);
    char text[320];

    remember(u);
    close_all(u);
    ex->tl.n_attempts = (unsigned)u->n_legs;
    ex->tl.node = arena_dup(&ex->arena, desk_node_name(&ex->worker->gateway->desk, leg->node));
    if (leg->status == 0) {
        (void)snprintf(text, sizeof(text), "node " STR_FMT ": %s", STR_ARG(ex->tl.node), leg->why);
        exchange_refuse(ex, REASON_node_connect, text);
        return;
    }
    ex->tl.reason = is_good(leg)         ? REASON_none
                    : leg->status == 404 ? REASON_not_found
                    : leg->status < 500  ? REASON_bad_request
                                         : REASON_node_5xx;
    exchange_answer(ex, leg->status, leg->body.len > 0 ? api_json_field(API_OLLAMA) : STR_NULL,
                    buf_str(&leg->body));
}

static void close_leg(struct leg *leg)
{
    struct upload *u = leg->upload;

    leg->is_open = false;
    if (--u->n_open == 0 && !u->is_over)
        finish(u);
}

/*
 * The body
 */

static void flow(struct upload *u, struct str bytes)
{
    for (size_t i = 0; i < u->n_legs && !u->is_over && bytes.len > 0; i++) {
        struct leg *leg = &u->legs[i];

        if (!leg->is_open || attempt_flow(&leg->attempt, bytes) == 0)
            continue;
        attempt_cancel(&leg->attempt);
        (void)snprintf(leg->why, sizeof(leg->why), "%s", err_text(-ENOMEM));
        close_leg(leg);
    }
}

static void flow_end(struct upload *u)
{
    u->is_ended = true;
    for (size_t i = 0; i < u->n_legs; i++)
        if (u->legs[i].is_open)
            (void)!attempt_flow_end(&u->legs[i].attempt);
}

static bool are_connected(const struct upload *u)
{
    for (size_t i = 0; i < u->n_legs; i++)
        if (u->legs[i].is_open && u->legs[i].attempt.sent_at == 0)
            return false;
    return true;
}

static bool have_room(const struct upload *u)
{
    for (size_t i = 0; i < u->n_legs; i++)
        if (u->legs[i].is_open && !attempt_has_room(&u->legs[i].attempt))
            return false;
    return true;
}

/*
 * A client that is held back is not read, and so not seen leaving either: a node that takes nothing
 * may not hold it for ever.
 */
static void hold_back(struct upload *u)
{
    struct exchange *ex = u->exchange;
    nsec_t due = time_now() + ex->view->settings->http.send_timeout_ns;

    u->client->pause(u->client);
    net_timer_arm(&ex->worker->loop, &ex->timer, due < ex->deadline ? due : ex->deadline);
}

static void let_go_on(struct upload *u)
{
    net_timer_arm(&u->exchange->worker->loop, &u->exchange->timer, u->exchange->deadline);
    u->client->resume(u->client);
}

/* Something has changed: what waits may go on. */
static void go_on(struct upload *u)
{
    if (u->is_over || u->client == NULL || !are_connected(u))
        return;
    flow(u, buf_str(&u->early));
    buf_fini(&u->early);
    if (u->is_over)
        return;
    if (u->is_at_end && !u->is_ended)
        flow_end(u);
    else if (!u->is_at_end && have_room(u))
        let_go_on(u);
}

void upload_put(struct exchange *ex, struct str bytes)
{
    struct upload *u = ex->upload;

    ex->flowed_bytes += bytes.len;
    if (!are_connected(u) || u->early.len > 0) {
        if (buf_put(&u->early, bytes) < 0) {
            close_all(u);
            exchange_refuse(ex, REASON_overload, NULL);
            return;
        }
    } else {
        flow(u, bytes);
    }
    if (!u->is_over && !have_room(u))
        hold_back(u);
}

void upload_end(struct exchange *ex)
{
    struct upload *u = ex->upload;

    u->is_at_end = true;
    go_on(u);
    net_timer_arm(&ex->worker->loop, &ex->timer, ex->deadline);
}

/*
 * Attempts
 */

static struct leg *leg_of(struct attempt *a)
{
    return container_of(a, struct leg, attempt);
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    leg_of(a)->status = head->status;
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct leg *leg = leg_of(a);

    if (buf_put(&leg->body, bytes) == 0)
        return;
    attempt_cancel(a);
    leg->status = 0;
    (void)snprintf(leg->why, sizeof(leg->why), "its answer is too long");
    close_leg(leg);
}

static void on_flush(struct attempt *a)
{
    (void)a;
}

static void on_end(struct attempt *a)
{
    struct upload *u = leg_of(a)->upload;

    close_leg(leg_of(a));
    go_on(u);
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    struct leg *leg = leg_of(a);
    struct upload *u = leg->upload;

    (void)outcome;
    leg->status = 0;
    (void)snprintf(leg->why, sizeof(leg->why), "%s", err_text(err));
    close_leg(leg);
    go_on(u);
}

static void on_room(struct attempt *a)
{
    go_on(leg_of(a)->upload);
}

static const struct attempt_ops leg_ops = {
    .name = "upload",
    .on_head = on_head,
    .on_record = on_bytes,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
    .on_room = on_room,
};

/*
 * Begin
 */

static int place(const struct exchange *ex, bool is_question, uint16_t *nodes, size_t *ret_n)
{
    struct desk *desk = &ex->worker->gateway->desk;
    struct placement policy = model_settings_placement(&ex->view->settings->models);

    /* Any node may have what is asked for. */
    if (is_question && policy.kind == PLACEMENT_ROOM)
        policy.kind = PLACEMENT_ALL;
    return desk_place_blob(desk, &policy, nodes, ret_n);
}

static void start_leg(struct upload *u, uint16_t node)
{
    struct worker *w = u->exchange->worker;
    struct leg *leg = &u->legs[u->n_legs++];
    struct upstream *upstream = worker_nodes_get(&w->nodes, node);

    *leg = (struct leg){.upload = u, .node = node, .body = BUF_INIT(ANSWER_MAX)};
    /* On a connection of its own: an upload cannot be sent again when the pooled one turns out dead. */
    if (upstream == NULL ||
        attempt_start(&leg->attempt, &leg_ops, upstream, &u->request, /* is_fresh= */ true) < 0) {
        (void)snprintf(leg->why, sizeof(leg->why), "no connection could be made");
        return;
    }
    leg->is_open = true;
    u->n_open++;
}

/* @nodes: their references are taken over. Return: 0; -ENOMEM. */
static int begin(struct exchange *ex, struct upload_client *client, const uint16_t *nodes, size_t n)
{
    struct upload *u = calloc(1, sizeof(*u));

    if (u == NULL || (u->legs = calloc(n, sizeof(struct leg))) == NULL) {
        free(u);
        return -ENOMEM;
    }
    u->exchange = ex;
    u->client = client;
    u->bury.run = on_bury;
    u->early = BUF_INIT(EARLY_MAX);
    u->request = ex->request;
    u->request.is_flowing = client != NULL;
    ex->upload = u;
    ex->state = EXCHANGE_MANAGING;
    exchange_goes_abroad(ex);
    for (size_t i = 0; i < n; i++)
        start_leg(u, nodes[i]);
    if (u->n_open == 0)
        finish(u);
    else if (client != NULL)
        hold_back(u);
    return 0;
}

static void start(struct exchange *ex, struct upload_client *client)
{
    struct desk *desk = &ex->worker->gateway->desk;
    uint16_t *nodes = calloc(FLEET_MAX_SLOTS, sizeof(*nodes));
    size_t n = 0;
    int r = nodes == NULL ? -ENOMEM : place(ex, ex->request.is_head, nodes, &n);

    if (r == 0)
        r = begin(ex, client, nodes, n);
    for (size_t i = 0; i < n && r != 0; i++)
        desk_node_unref(desk, nodes[i]);
    free(nodes);
    if (r > 0)
        exchange_refuse(ex, REASON_no_node, "no node is up that could take the blob");
    else if (r < 0)
        exchange_refuse(ex, REASON_overload, NULL);
}

bool upload_flows(const struct api_route *route, const struct h1_head *head)
{
    return route->work == API_BLOB && head->method == H1_POST && head->framing != H1_BODY_NONE;
}

/* The door left room behind the fields. */
static void put_framing(struct exchange *ex, const struct h1_head *head)
{
    struct str *fields = &ex->request.fields;
    char *at = (char *)(uintptr_t)fields->s + fields->len;
    int n = head->framing == H1_BODY_LENGTH
                ? snprintf(at, EXCHANGE_LENGTH_FIELD_MAX, "Content-Length: %llu\r\n",
                           (unsigned long long)head->length)
                : snprintf(at, EXCHANGE_LENGTH_FIELD_MAX, "Transfer-Encoding: chunked\r\n");

    fields->len += (size_t)n;
    ex->request.is_chunked = head->framing != H1_BODY_LENGTH;
}

void upload_begin(struct exchange *ex, struct upload_client *client, const struct h1_head *head)
{
    put_framing(ex, head);
    start(ex, client);
}

void upload_ask(struct exchange *ex)
{
    start(ex, NULL);
    if (ex->state == EXCHANGE_MANAGING)
        net_timer_arm(&ex->worker->loop, &ex->timer,
                      time_now() + ex->view->settings->metadata_timeout_ns);
}
