/* SPDX-License-Identifier: MIT */
#include "gateway/manage.h"

#include <errno.h>

#include "api/manage.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"
#include "gateway/relay.h"
#include "json/writer.h"

#define BODY_MAX  (64 * 1024)
#define LINES_MAX ((size_t)1024 * 1024)

struct leg {
    struct manage *manage;
    struct flight_seat seat;
    size_t index;
    struct str node;
    int status; /* 0: no head came */
    int code;   /* an error's own status */
    struct str type;
    char type_text[64];
    struct buf body;  /* of an answer that is not streamed */
    struct buf error; /* text; empty: all is well */
    bool is_stream;
    bool is_open;
};

struct manage {
    struct exchange *exchange;
    struct net_task bury;
    struct leg *legs;
    size_t n_legs;
    size_t n_open;    /* legs of which the end has not come */
    struct buf share; /* what shared flights are known by */
    struct buf body;  /* and their request */
    struct attempt_request request;
    struct api_progress progress;
    bool has_begun; /* the client has a head */
    bool is_over;   /* the exchange is told */
};

static void on_bury(struct net_task *task)
{
    struct manage *m = container_of(task, struct manage, bury);

    for (size_t i = 0; i < m->n_legs; i++) {
        desk_node_unref(&m->exchange->worker->gateway->desk, m->legs[i].seat.node);
        buf_fini(&m->legs[i].body);
        buf_fini(&m->legs[i].error);
    }
    api_progress_fini(&m->progress);
    buf_fini(&m->share);
    buf_fini(&m->body);
    free(m->legs);
    exchange_came_back(m->exchange);
    free(m);
}

/*
 * The end
 */

/* "node b: text", or the text alone where there is no other node to mean. */
static int put_failure(struct buf *out, const struct manage *m, const struct leg *leg)
{
    if (m->n_legs == 1)
        return buf_put(out, buf_str(&leg->error));
    return buf_printf(out, "node " STR_FMT ": " STR_FMT, STR_ARG(leg->node),
                      STR_ARG(buf_str(&leg->error)));
}

static const struct leg *first_failure(const struct manage *m)
{
    for (size_t i = 0; i < m->n_legs; i++)
        if (m->legs[i].error.len > 0)
            return &m->legs[i];
    return NULL;
}

/* Behind merged progress: one line per failure, or the one that all is well. */
static void end_stream(struct manage *m)
{
    struct exchange *ex = m->exchange;
    struct buf text = BUF_INIT(BODY_MAX);
    struct buf line = BUF_INIT(BODY_MAX);
    bool has_failed = first_failure(m) != NULL;

    for (size_t i = 0; i < m->n_legs && m->n_legs > 1; i++) {
        struct api_error error = {.reason = REASON_node_5xx};

        buf_reset(&text);
        buf_reset(&line);
        if (m->legs[i].error.len == 0 || put_failure(&text, m, &m->legs[i]) < 0)
            continue;
        error.text = buf_str(&text);
        if (api_put_error_record(&line, ex->route, /* is_sse= */ false, &error) == 0)
            ex->sink->ops->record(ex->sink, buf_str(&line));
    }
    if (m->n_legs > 1 && !has_failed)
        ex->sink->ops->record(ex->sink, STR("{\"status\":\"success\"}\n"));
    buf_fini(&text);
    buf_fini(&line);
    ex->sink->ops->end(ex->sink, SINK_COMPLETE);
    if (ex->state != EXCHANGE_ENDED)
        exchange_finish(ex, has_failed ? REASON_node_5xx : REASON_none);
}

static int status_of(const struct leg *failure)
{
    if (failure->code != 0)
        return failure->code;
    if (failure->status >= 400)
        return failure->status;
    return failure->status != 0 ? 500 : 502;
}

static enum reason reason_of(int status)
{
    if (status < 400)
        return REASON_none;
    if (status == 502)
        return REASON_node_connect;
    return status == 404 ? REASON_no_model : status < 500 ? REASON_bad_request : REASON_node_5xx;
}

/* What Ollama types so when it ends without a stream. */
#define PLAIN_JSON_FIELD "Content-Type: application/json\r\n"

/* Texts of all failures, a line each, in one error. */
static void answer_failures(struct manage *m, const struct leg *first)
{
    struct exchange *ex = m->exchange;
    struct buf text = BUF_INIT(BODY_MAX);
    struct buf body = BUF_INIT(2 * BODY_MAX);
    struct api_error error = {.status = status_of(first)};
    int r = 0;

    for (size_t i = 0; i < m->n_legs && r == 0; i++) {
        if (m->legs[i].error.len == 0)
            continue;
        if (text.len > 0)
            r = buf_put_char(&text, '\n');
        if (r == 0)
            r = put_failure(&text, m, &m->legs[i]);
    }
    error.reason = ex->tl.reason = reason_of(error.status);
    error.text = buf_str(&text);
    /* Without memory the status says it alone. */
    (void)!api_put_error(&body, API_OLLAMA, &error);
    exchange_answer(ex, error.status,
                    ex->route->streams_by_default ? STR(PLAIN_JSON_FIELD)
                                                  : api_json_field(API_OLLAMA),
                    buf_str(&body));
    buf_fini(&text);
    buf_fini(&body);
}

/* The answer of one node, as it is. */
static void answer_as(struct manage *m, const struct leg *leg)
{
    struct exchange *ex = m->exchange;
    char field[128] = "";

    if (leg->type.len > 0)
        (void)snprintf(field, sizeof(field), "Content-Type: " STR_FMT "\r\n", STR_ARG(leg->type));
    ex->tl.reason = reason_of(leg->status);
    exchange_answer(ex, leg->status, str_of(field), buf_str(&leg->body));
}

static void answer_whole(struct manage *m)
{
    const struct leg *failure = first_failure(m);
    const struct leg *leg = failure != NULL ? failure : &m->legs[0];
    bool is_nodes = leg->status != 0 && !leg->is_stream;

    if (is_nodes && (m->n_legs == 1 || failure == NULL))
        answer_as(m, leg);
    else if (failure != NULL)
        answer_failures(m, failure);
    else
        exchange_answer(m->exchange, 200, STR(PLAIN_JSON_FIELD), STR("{\"status\":\"success\"}"));
}

static void finish(struct manage *m)
{
    m->is_over = true;
    m->exchange->tl.n_attempts = (unsigned)m->n_legs;
    if (m->has_begun)
        end_stream(m);
    else
        answer_whole(m);
}

/*
 * Flights
 */

static struct leg *leg_of(struct flight_seat *s)
{
    return container_of(s, struct leg, seat);
}

static void begin_stream(struct manage *m)
{
    struct exchange *ex = m->exchange;
    const struct answer_head head = {.status = 200,
                                     .fields = STR("Content-Type: " API_NDJSON_TYPE "\r\n")};

    m->has_begun = true;
    ex->tl.status = 200;
    ex->tl.first_record = time_now();
    ex->sink->ops->head(ex->sink, &head);
}

static void on_head(struct flight_seat *s, const struct flight_head *head)
{
    struct leg *leg = leg_of(s);

    leg->status = head->status;
    leg->is_stream = head->is_stream;
    leg->type = str_make(leg->type_text, 0);
    leg->type.len = str_head(head->type, sizeof(leg->type_text)).len;
    memcpy(leg->type_text, head->type.s, leg->type.len);
}

static void take_error(struct leg *leg, struct str record, uint64_t code)
{
    buf_reset(&leg->error);
    leg->code = code >= 400 && code < 600 ? (int)code : 0;
    if (api_read_error(record, &leg->error) < 0 || leg->error.len == 0)
        (void)!buf_put(&leg->error, STR("failed without a text"));
}

/* A reader that is behind misses progress; the end says it all. */
static void pass_on(struct manage *m, struct leg *leg, struct str record)
{
    struct exchange *ex = m->exchange;
    struct buf line = BUF_INIT(LINES_MAX);

    if (api_progress_feed(&m->progress, leg->index, record, &line) == 0 && line.len > 0) {
        if (!m->has_begun)
            begin_stream(m);
        ex->tl.n_records++;
        ex->tl.bytes_out += line.len;
        if (!m->is_over) {
            ex->sink->ops->record(ex->sink, buf_str(&line));
            ex->sink->ops->flush(ex->sink);
        }
    }
    buf_fini(&line);
}

static void on_record(struct flight_seat *s, struct str record)
{
    struct leg *leg = leg_of(s);
    struct manage *m = leg->manage;
    struct exchange *ex = m->exchange;
    struct api_step step;

    if (m->is_over || api_step_read(record, &step) < 0)
        return;
    if (step.is_error)
        take_error(leg, record, step.code);
    if (!ex->asked.is_stream)
        return;
    if (step.digest.len == 0 || !ex->sink->ops->is_full(ex->sink))
        pass_on(m, leg, record);
}

static void on_bytes(struct flight_seat *s, struct str bytes)
{
    (void)!buf_put(&leg_of(s)->body, bytes); /* flights bound it */
}

/* What the leg's end means, unless an error record has told it. */
static void judge(struct leg *leg, enum call_outcome outcome, const char *why)
{
    if (leg->error.len > 0)
        return;
    if (outcome != CALL_OK && outcome != CALL_CALLER_FAULT)
        (void)!buf_printf(&leg->error, "%s", why);
    else if (leg->status >= 400)
        take_error(leg, buf_str(&leg->body), 0);
}

static void on_end(struct flight_seat *s, enum call_outcome outcome, const char *why)
{
    struct leg *leg = leg_of(s);
    struct manage *m = leg->manage;

    leg->is_open = false;
    judge(leg, outcome, why);
    metrics_attempt(m->exchange->worker->metrics, leg->node, call_rule_get(outcome)->name);
    if (--m->n_open > 0)
        return;
    if (!m->is_over)
        finish(m);
    net_defer(&m->exchange->worker->loop, &m->bury);
}

static const struct flight_ops leg_ops = {
    .name = "manage",
    .on_head = on_head,
    .on_record = on_record,
    .on_bytes = on_bytes,
    .on_end = on_end,
};

void manage_cancel(struct manage *m)
{
    if (m == NULL || m->is_over)
        return;
    m->is_over = true;
    for (size_t i = 0; i < m->n_legs; i++)
        if (m->legs[i].is_open)
            flight_leave(&m->legs[i].seat);
}

bool manage_has_begun(const struct manage *m)
{
    return m != NULL && m->has_begun;
}

void manage_break(struct exchange *ex, enum reason reason)
{
    struct buf record = BUF_INIT(4096);
    const struct api_error error = {.reason = reason, .text = str_of(reason_text(reason))};

    ex->tl.reason = reason;
    if (api_put_error_record(&record, ex->route, /* is_sse= */ false, &error) == 0)
        ex->sink->ops->record(ex->sink, buf_str(&record));
    ex->sink->ops->end(ex->sink, SINK_BROKEN);
    buf_fini(&record);
    if (ex->state != EXCHANGE_ENDED)
        exchange_finish(ex, reason);
}

/*
 * Begin
 */

/* Pulls are shared, whatever form of answer each client wants; so nodes are asked for a stream. */
static int prepare_share(struct manage *m)
{
    struct exchange *ex = m->exchange;
    bool is_insecure = api_is_true(buf_str(&ex->body), STR("insecure"));
    struct json_writer w;

    m->request = ex->request;
    if (ex->route->id != ROUTE_PULL || ex->ask.key.len == 0)
        return 0;
    json_writer_init(&w, &m->body);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, ex->asked.model);
    json_key(&w, "insecure");
    json_bool(&w, is_insecure);
    json_key(&w, "stream");
    json_bool(&w, true);
    json_end(&w);
    m->request.body = buf_str(&m->body);
    return json_writer_result(&w) < 0
               ? -ENOMEM
               : buf_printf(&m->share, "%d " STR_FMT, is_insecure, STR_ARG(ex->ask.key));
}

static struct manage *manage_new(struct exchange *ex, size_t n_legs)
{
    struct manage *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->exchange = ex;
    m->bury.run = on_bury;
    m->share = BUF_INIT(2 * MODEL_KEY_MAX);
    m->body = BUF_INIT(BODY_MAX);
    api_progress_init(&m->progress, n_legs);
    m->legs = calloc(n_legs, sizeof(struct leg));
    if (m->legs != NULL && prepare_share(m) == 0)
        return m;
    buf_fini(&m->share);
    buf_fini(&m->body);
    free(m->legs);
    free(m);
    return NULL;
}

static int add_leg(struct manage *m, uint16_t node)
{
    struct worker *w = m->exchange->worker;
    struct leg *leg = &m->legs[m->n_legs];

    *leg = (struct leg){
        .manage = m,
        .index = m->n_legs,
        .node = desk_node_name(&w->gateway->desk, node),
        .body = BUF_INIT(BODY_MAX),
        .error = BUF_INIT(BODY_MAX),
        .seat = {.ops = &leg_ops,
                 .control = &w->gateway->control,
                 .from = &w->loop,
                 .node = node,
                 .request = &m->request,
                 .share = buf_str(&m->share)},
    };
    if (flight_join(&leg->seat) < 0)
        return -ENOMEM;
    leg->is_open = true;
    m->n_legs++;
    m->n_open++;
    desk_node_ref(&w->gateway->desk, node);
    return 0;
}

/* Where the change is to be made. Return: as fleet_place(). */
static int place(struct exchange *ex, uint16_t *nodes, size_t *ret_n)
{
    struct gateway *g = ex->worker->gateway;
    struct hash_key hash_key = g->desk.fleet.hash_key;
    struct place_question q = {
        .key = ex->ask.key,
        .hash = ex->ask.hash,
        /* what cannot be read goes anywhere, and is refused there in Ollama's words */
        .is_new_allowed =
            ex->route->id == ROUTE_PULL || ex->route->id == ROUTE_CREATE || ex->ask.key.len == 0,
    };
    const struct placement policy = model_settings_placement(&ex->view->settings->models);
    struct api_create create;
    uint64_t blobs[API_DIGESTS_MAX];

    if (ex->route->id == ROUTE_CREATE && q.key.len > 0) {
        api_create_read(buf_str(&ex->body), &create);
        for (size_t i = 0; i < create.n_digests; i++)
            blobs[i] = hash_bytes(hash_key, create.digests[i]);
        q.blobs = blobs;
        q.n_blobs = create.n_digests;
        q.from_key = model_key_str(&create.from);
        q.from_hash = hash_bytes(hash_key, q.from_key);
    }
    return desk_place(&g->desk, &policy, &q, nodes, ret_n);
}

static void refuse(struct exchange *ex, int r)
{
    if (!ex->has_looked && r != PLACE_NO_BLOB)
        exchange_wait_for_look(ex);
    else if (r == PLACE_NO_BLOB)
        exchange_refuse(ex, REASON_bad_request,
                        "no node has all the blobs of this model; upload them to /api/blobs");
    else if (r == PLACE_NOWHERE && ex->route->id != ROUTE_CREATE)
        exchange_refuse_no_model(ex);
    else if (r == PLACE_NOWHERE)
        exchange_refuse(ex, REASON_no_model, "no node has the model to create this one from");
    else
        exchange_refuse(ex, REASON_no_node, "no node is up that could take the model");
}

/* Return: 0; -ENOMEM, and what was begun is cancelled. */
static int begin(struct exchange *ex, const uint16_t *nodes, size_t n)
{
    struct manage *m = manage_new(ex, n);
    int r = 0;

    if (m == NULL)
        return -ENOMEM;
    ex->manage = m;
    exchange_goes_abroad(ex);
    ex->state = EXCHANGE_MANAGING;
    ex->tl.is_known_model = ex->route->id == ROUTE_COPY || ex->route->id == ROUTE_DELETE;
    ex->tl.node = n == 1
                      ? arena_dup(&ex->arena, desk_node_name(&ex->worker->gateway->desk, nodes[0]))
                      : STR_NULL;
    net_timer_arm(&ex->worker->loop, &ex->timer, ex->deadline);
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_leg(m, nodes[i]);
    if (r < 0)
        manage_cancel(m);
    if (m->n_open == 0)
        net_defer(&ex->worker->loop, &m->bury);
    return r;
}

void manage_start(struct exchange *ex)
{
    struct desk *desk = &ex->worker->gateway->desk;
    uint16_t *nodes = calloc(FLEET_MAX_SLOTS, sizeof(*nodes));
    size_t n = 0;
    int r = nodes == NULL ? -ENOMEM : place(ex, nodes, &n);

    if (r == 0)
        r = begin(ex, nodes, n);
    for (size_t i = 0; i < n; i++)
        desk_node_unref(desk, nodes[i]);
    free(nodes);
    if (r > 0)
        refuse(ex, r);
    else if (r < 0)
        exchange_refuse(ex, REASON_overload, NULL);
}
