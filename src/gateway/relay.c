/* SPDX-License-Identifier: MIT */
#include "gateway/relay.h"

#include <errno.h>

#include "base/err.h"
#include "gateway/gateway.h"
#include "gateway/resume.h"

/*
 * Head
 */

/* Ollama's own 500s that the caller caused: another node would say the same. */
static const struct str caller_texts[] = {
    STR_INIT("option \\\""), STR_INIT("invalid format"),   STR_INIT("invalid options"),
    STR_INIT("template:"),   STR_INIT("context canceled"), STR_INIT("does not support"),
};

static bool is_callers_fault(struct str body)
{
    for (size_t i = 0; i < sizeof(caller_texts) / sizeof(caller_texts[0]); i++)
        if (str_search(body, caller_texts[i]) < body.len)
            return true;
    return false;
}

static enum call_outcome outcome_of(int status, struct str body)
{
    if (status == 429 || status == 503)
        return CALL_OVERLOAD;
    if (status == 500)
        return is_callers_fault(body) ? CALL_CALLER_FAULT : CALL_STATUS_500;
    if (status > 500)
        return CALL_STATUS_502_504;
    return status >= 400 ? CALL_CALLER_FAULT : CALL_OK;
}

static bool is_failure(int status)
{
    return status == 429 || status >= 500;
}

/* HOLDING: the answer is no good for the client; else it is kept only until it is whole. */
static bool is_unfit(const struct exchange *ex)
{
    return ex->has_begun || is_failure(ex->head.status);
}

static bool is_kept_back(const struct h1_head *head, struct str name)
{
    return h1_is_hop_by_hop(head, name) || str_eq_nocase(name, STR("content-length")) ||
           str_eq_nocase(str_head(name, 15), STR("access-control-")) ||
           str_eq_nocase(str_head(name, 10), STR("x-chasqui-")) ||
           str_eq_nocase(name, STR("x-request-id"));
}

/* Copies the fields that go on to the client. */
static int take_fields(struct exchange *ex, const struct h1_head *head)
{
    int r = 0;

    buf_reset(&ex->answer_fields);
    for (size_t i = 0; i < head->n_fields && r == 0; i++)
        if (!is_kept_back(head, head->fields[i].name))
            r = h1_put_field(&ex->answer_fields, head->fields[i].name, head->fields[i].value);
    ex->head.fields = buf_str(&ex->answer_fields);
    return r;
}

static nsec_t retry_after(const struct h1_head *head)
{
    uint64_t seconds;

    if (str_to_u64(h1_field_get(head, STR("retry-after")), &seconds) < 0 || seconds > 3600)
        return -1;
    return (nsec_t)seconds * NSEC_PER_SEC;
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    struct exchange *ex = container_of(a, struct exchange, attempt);

    ex->tl.connected = a->connected_at;
    ex->tl.sent = a->sent_at;
    ex->head = (struct answer_head){
        .status = head->status,
        /* Of a stream only its records count, and an error record may join them. */
        .has_length =
            !a->is_stream && (head->framing == H1_BODY_LENGTH || head->framing == H1_BODY_NONE),
        .length = head->framing == H1_BODY_LENGTH ? head->length : 0,
    };
    if (take_fields(ex, head) < 0) {
        attempt_cancel(a);
        exchange_leave_desk(ex, CALL_CANCELLED);
        exchange_refuse(ex, REASON_overload, NULL);
        return;
    }
    api_answer_init(&ex->judge, resume_route(ex));
    ex->retry_after_ns = retry_after(head);
    ex->held.max = is_failure(head->status) ? RELAY_HELD_MAX : RELAY_WHOLE_MAX;
    /* What goes on with an answer is a stream; anything else is a failure, whatever it says. */
    if (is_failure(head->status) || (ex->has_begun && (head->status != 200 || !a->is_stream)))
        ex->state = EXCHANGE_HOLDING;
}

/*
 * Body
 */

/* From here on the answer is the client's: no blind retry any more. */
static void commit(struct exchange *ex)
{
    ex->state = EXCHANGE_RELAYING;
    if (ex->has_begun)
        return;
    ex->has_begun = true;
    ex->is_in_records = ex->attempt.is_stream;
    ex->is_sse = ex->attempt.is_sse;
    ex->tl.first_record = net_now(&ex->worker->loop);
    ex->tl.status = ex->head.status;
    ex->sink->ops->head(ex->sink, &ex->head);
}

void relay_arm(struct exchange *ex)
{
    nsec_t t = ex->view->settings->between_tokens_timeout_ns;
    nsec_t due = t == NSEC_NEVER ? NSEC_NEVER : net_now(&ex->worker->loop) + t;

    net_timer_arm(&ex->worker->loop, &ex->timer, due < ex->deadline ? due : ex->deadline);
}

/* The model is loaded and nobody waits for the answer: the node may stop. */
static bool stop_for_nobody(struct exchange *ex)
{
    if (!ex->is_gone)
        return false;
    if (ex->head.status == 200)
        desk_begun(&ex->worker->gateway->desk, &ex->grant, &ex->ask);
    attempt_cancel(&ex->attempt);
    exchange_leave_desk(ex, CALL_CANCELLED);
    exchange_finish(ex, REASON_client_gone);
    return true;
}

/* Return: whether the sink may be written. */
static bool begin_relaying(struct exchange *ex)
{
    if (ex->state == EXCHANGE_RELAYING)
        return true;
    if (stop_for_nobody(ex))
        return false;
    if (ex->route->work == API_INFERENCE && ex->head.status == 200)
        desk_begun(&ex->worker->gateway->desk, &ex->grant, &ex->ask);
    commit(ex);
    return ex->state == EXCHANGE_RELAYING; /* the sink may have found its client gone */
}

/*
 * Of an answer that goes on: what is new in *record, and the piece of it in the judge's hand.
 * Return: whether there is anything.
 */
static bool take_fresh(struct exchange *ex, struct str *record)
{
    struct api_answer again;
    int r = resume_splice(ex, record);

    if (r < 0) {
        (void)snprintf(ex->why, sizeof(ex->why), "%s", err_text(r));
        attempt_cancel(&ex->attempt);
        exchange_leave_desk(ex, CALL_CANCELLED);
        relay_break(ex, REASON_node_incomplete);
        return false;
    }
    if (record->len == 0)
        return false;
    api_answer_init(&again, ex->route);
    api_answer_record(&again, ex->is_sse, *record);
    ex->judge.piece = again.piece;
    if (ex->judge.state == API_ANSWER_COMPLETE)
        resume_correct_usage(ex, &ex->judge.usage);
    return true;
}

static void on_record(struct attempt *a, struct str record)
{
    struct exchange *ex = container_of(a, struct exchange, attempt);

    if (!begin_relaying(ex))
        return;
    api_answer_record(&ex->judge, a->is_sse, record);
    if (ex->resume != NULL && !take_fresh(ex, &record))
        return;
    delivered_add(&ex->have, &ex->judge.piece, record);
    ex->tl.n_records++;
    ex->tl.bytes_out += record.len;
    ex->sink->ops->record(ex->sink, record);
}

static void relay_bytes(struct exchange *ex, struct str bytes)
{
    if (!begin_relaying(ex))
        return;
    api_answer_bytes(&ex->judge, bytes);
    ex->tl.bytes_out += bytes.len;
    ex->sink->ops->bytes(ex->sink, bytes);
}

/* Half of an answer is of no use to anybody, and another node can give all of it. */
static bool is_whole_in_one(const struct exchange *ex, struct str bytes)
{
    return ex->head.has_length && ex->head.length == bytes.len;
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct exchange *ex = container_of(a, struct exchange, attempt);

    if (ex->state == EXCHANGE_ASKING && !is_whole_in_one(ex, bytes))
        ex->state = EXCHANGE_HOLDING;
    if (ex->state != EXCHANGE_HOLDING) {
        relay_bytes(ex, bytes);
        return;
    }
    if (buf_put(&ex->held, bytes) == 0 || ex->has_begun)
        return;
    /* Too long to wait for its end before deciding: it is the client's. */
    relay_bytes(ex, buf_str(&ex->held));
    buf_reset(&ex->held);
    if (ex->state == EXCHANGE_RELAYING)
        relay_bytes(ex, bytes);
}

static void note_record(struct timeline *tl)
{
    nsec_t now = time_now();

    if (tl->last_record > 0)
        histogram_put(&tl->between, now - tl->last_record);
    tl->last_record = now;
}

static void on_flush(struct attempt *a)
{
    struct exchange *ex = container_of(a, struct exchange, attempt);

    if (ex->state != EXCHANGE_RELAYING)
        return;
    ex->sink->ops->flush(ex->sink);
    if (a->is_stream)
        note_record(&ex->tl);
    if (ex->state != EXCHANGE_RELAYING)
        return;
    if (ex->sink->ops->is_full(ex->sink)) {
        ex->is_paused = true;
        net_timer_arm(&ex->worker->loop, &ex->timer, ex->deadline);
        attempt_pause(a);
        return;
    }
    relay_arm(ex);
}

/*
 * End
 */

static void complete(struct exchange *ex, enum call_outcome outcome, enum reason reason)
{
    if (ex->tl.n_resumes > 0 && reason == REASON_none)
        metrics_count(ex->worker->metrics, METRICS_RESUMED);
    exchange_leave_desk(ex, outcome);
    ex->tl.reason = reason;
    ex->sink->ops->end(ex->sink, SINK_COMPLETE);
    if (ex->state != EXCHANGE_ENDED)
        exchange_finish(ex, reason);
}

void relay_break(struct exchange *ex, enum reason reason)
{
    struct buf record = BUF_INIT(4096);
    char text[320];
    struct api_error error = {.reason = reason, .status = reason_http_status(reason)};

    (void)snprintf(text, sizeof(text), "%s: node " STR_FMT ": %s; the answer is not complete",
                   reason_text(reason), STR_ARG(ex->tl.node), ex->why);
    error.text = str_of(text);
    ex->tl.reason = reason;
    metrics_count(ex->worker->metrics, METRICS_BROKEN);
    if (ex->is_in_records && api_put_error_record(&record, ex->route, ex->is_sse, &error) == 0)
        ex->sink->ops->record(ex->sink, buf_str(&record));
    ex->sink->ops->end(ex->sink, SINK_BROKEN);
    buf_fini(&record);
    if (ex->state != EXCHANGE_ENDED)
        exchange_finish(ex, reason);
}

void relay_held(struct exchange *ex, enum reason reason)
{
    const struct str body = buf_str(&ex->held);

    ex->head.has_length = true;
    ex->head.length = body.len;
    ex->tl.reason = reason;
    commit(ex);
    if (ex->state != EXCHANGE_RELAYING)
        return;
    ex->tl.bytes_out += body.len;
    ex->sink->ops->bytes(ex->sink, body);
    ex->sink->ops->end(ex->sink, SINK_COMPLETE);
    if (ex->state != EXCHANGE_ENDED)
        exchange_finish(ex, reason);
}

static void end_stream(struct exchange *ex)
{
    switch (api_answer_end_stream(&ex->judge)) {
    case API_VERDICT_COMPLETE:
        complete(ex, CALL_OK, REASON_none);
        break;
    case API_VERDICT_ERROR:
        complete(ex, CALL_STATUS_500, REASON_node_5xx);
        break;
    case API_VERDICT_REPETITION:
        complete(ex, CALL_OK, REASON_node_incomplete);
        break;
    case API_VERDICT_INCOMPLETE:
        exchange_broke(ex, CALL_BROKEN_ANSWER, REASON_node_incomplete,
                       "it ended without saying that it is complete");
        break;
    }
}

static void on_end(struct attempt *a)
{
    struct exchange *ex = container_of(a, struct exchange, attempt);
    enum call_outcome outcome = outcome_of(ex->head.status, buf_str(&ex->held));

    if (ex->state == EXCHANGE_HOLDING && resume_on_answer(ex)) {
        exchange_ask_node(ex, /* is_fresh= */ false);
        return;
    }
    if (ex->state == EXCHANGE_HOLDING && is_unfit(ex)) {
        (void)snprintf(ex->why, sizeof(ex->why), "answered %d%s", ex->head.status,
                       outcome == CALL_OK ? " without a stream" : "");
        exchange_failed(ex, outcome == CALL_OK ? CALL_RESET : outcome);
        return;
    }
    if (a->is_stream && ex->judge.n_records == 0) {
        (void)snprintf(ex->why, sizeof(ex->why), "ended the answer before its first record");
        exchange_failed(ex, CALL_RESET);
        return;
    }
    if (ex->state == EXCHANGE_HOLDING)
        relay_bytes(ex, buf_str(&ex->held));
    else
        (void)begin_relaying(ex);
    if (ex->state != EXCHANGE_RELAYING)
        return;
    if (a->is_stream) {
        end_stream(ex);
        return;
    }
    api_answer_end_bytes(&ex->judge);
    complete(ex, outcome,
             outcome == CALL_OK       ? REASON_none
             : ex->head.status == 404 ? REASON_no_model
                                      : REASON_bad_request);
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    struct exchange *ex = container_of(a, struct exchange, attempt);

    if (outcome != CALL_CONNECT_FAILED && err <= -EX_H1_SYNTAX)
        metrics_count(ex->worker->metrics, METRICS_NODE_REJECTS);
    (void)snprintf(ex->why, sizeof(ex->why), "%s", err_text(err));
    if (outcome == CALL_DEADLINE) {
        exchange_out_of_time(ex);
        return;
    }
    if (ex->state == EXCHANGE_RELAYING) {
        exchange_broke(ex, CALL_BROKEN_ANSWER, REASON_node_reset, err_text(err));
        return;
    }
    if (ex->state == EXCHANGE_HOLDING && !is_unfit(ex))
        outcome = CALL_HALF_ANSWER;
    ex->state = EXCHANGE_ASKING; /* half of a failure is no answer to pass on */
    exchange_failed(ex, outcome);
}

const struct attempt_ops relay_ops = {
    .name = "relay",
    .on_head = on_head,
    .on_record = on_record,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
};
