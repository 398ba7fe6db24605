/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/err.h"
#include "codec/codec.h"
#include "json/writer.h"
#include "upstream/mcp_wire.h"

#define WAITING_MAX    4096 /* attempts without room, per loop and node */
#define ERROR_BODY_MAX 8192

#define DEADLINE_SLACK_NS (20 * NSEC_PER_MSEC)

/* Which service answers what is asked of an Ollama by path; NULL: none. */
static const struct codec_service *find_service(struct str target)
{
    const struct api_route *route;

    if (api_route_find(str_head(target, str_find(target, '?')), &route) != 0)
        return NULL;
    return codec_service_of_route(route->id);
}

/* At the end of the turn, when what ends has ended. */
static void wake_waiting(struct upstream *u)
{
    if (!list_is_empty(&u->mcp->waiting))
        net_defer(u->loop, &u->mcp->placing);
}

/*
 * Answers
 */

/* The attempt of a call, parted from it; NULL: it was cancelled. */
static struct attempt *detach(struct mcp_call *call)
{
    struct attempt *a = call->owner;

    call->owner = NULL;
    if (a == NULL)
        return NULL;
    a->call = NULL;
    a->is_running = false;
    return a;
}

static void tell_head(struct attempt *a, int status, struct str type, struct str body)
{
    struct h1_head head = {
        .status = (uint16_t)status,
        .minor = 1,
        .framing = a->is_stream ? H1_BODY_CHUNKED : H1_BODY_LENGTH,
        .length = body.len,
        .n_fields = 1,
        .fields = {{STR("Content-Type"), type}},
    };

    a->has_answer = true;
    a->ops->on_head(a, &head);
}

/* A record as NDJSON has it. */
static void tell_record(struct attempt *a, struct str body)
{
    struct upstream_mcp *m = a->upstream->mcp;

    buf_reset(&m->record);
    /* longer than any record we take: the end will lack it, and be noticed */
    if (buf_put(&m->record, body) < 0 || buf_put_char(&m->record, '\n') < 0)
        return;
    a->ops->on_record(a, buf_str(&m->record));
}

static void on_chunk(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *chunk)
{
    struct attempt *a = call->owner;

    if (a == NULL) {
        mcp_call_take(call, chunk->cost);
        wire_wake(wire_of(s));
        return;
    }
    if (!a->has_answer) {
        a->is_stream = true;
        tell_head(a, 200, STR("application/x-ndjson"), STR_NULL);
    }
    if (call->owner == a)
        tell_record(a, chunk->body);
    if (call->owner == a)
        a->ops->on_flush(a);
    if (call->owner == a && a->is_paused) {
        a->owed += chunk->cost;
        return;
    }
    mcp_call_take(call, chunk->cost);
    wire_wake(wire_of(s));
}

static void respond(struct attempt *a, struct mcp_call *call, struct str body)
{
    if (!a->has_answer)
        tell_head(a, 200, STR("application/json; charset=utf-8"), body);
    if (call->owner == a && body.len > 0) {
        if (a->is_stream)
            tell_record(a, body);
        else
            a->ops->on_bytes(a, body);
    }
    if (call->owner != a)
        return;
    a->ops->on_flush(a);
    if (call->owner == a && detach(call) != NULL)
        a->ops->on_end(a);
}

/* An ERROR before anything else is an answer with a status, as an Ollama would have given it. */
static void answer_error(struct attempt *a, struct mcp_call *call, const struct mcp_error *error)
{
    struct buf body = BUF_INIT(ERROR_BODY_MAX);
    struct json_writer w;

    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_key(&w, "error");
    json_str(&w, error->text);
    json_end(&w);
    tell_head(a, mcp_code_info(error->code)->status, STR("application/json; charset=utf-8"),
              buf_str(&body));
    if (call->owner == a)
        a->ops->on_bytes(a, buf_str(&body));
    if (call->owner == a && detach(call) != NULL)
        a->ops->on_end(a);
    buf_fini(&body);
}

/* The deadline was ours, told on; the other side's clock may be a little ahead. */
static bool is_over(nsec_t deadline)
{
    return deadline > 0 && deadline != NSEC_NEVER && time_now() + DEADLINE_SLACK_NS >= deadline;
}

/* Why a session ended, as errno. */
static int broken_by(const struct mcp_session *s)
{
    return mcp_session_end_code(s) == MCP_UNAUTHENTICATED ? -EACCES : -ECONNRESET;
}

static void on_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *response,
                   const struct mcp_error *error)
{
    struct mcp_wire *mw = mcp_wire_of(s);
    struct attempt *a = call->owner;

    wake_waiting(mw->upstream);
    if (a == NULL)
        return;
    if (response != NULL) {
        respond(a, call, response->body);
        return;
    }
    if (error->code == MCP_DEADLINE_EXCEEDED && is_over(a->request->deadline)) {
        (void)detach(call);
        a->ops->on_fail(a, CALL_DEADLINE, -ETIMEDOUT);
    } else if (!mw->is_open) {
        (void)detach(call);
        a->ops->on_fail(a, CALL_CONNECT_FAILED, mw->connect_err);
    } else if (mcp_session_state(s) >= MCP_STATE_FLUSH || a->has_answer) {
        /* The connection, or an answer that had begun, broke. */
        (void)detach(call);
        a->ops->on_fail(a, CALL_RESET, broken_by(s));
    } else {
        answer_error(a, call, error);
    }
}

static void on_goaway(struct mcp_session *s, unsigned reason, unsigned grace_s)
{
    (void)reason;
    (void)grace_s;
    mcp_wire_of(s)->is_going = true;
}

/* Only a few calls may be begun before it; now there is room. */
static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    struct mcp_wire *mw = mcp_wire_of(s);

    (void)hello;
    mw->has_greeted = true;
    wake_waiting(mw->upstream);
    return 0;
}

static const struct mcp_session_ops session_ops = {
    .name = "upstream_mcp",
    .on_hello = on_hello,
    .on_chunk = on_chunk,
    .on_end = on_end,
    .on_goaway = on_goaway,
};

/*
 * Attempts
 */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* traceparent "00-<32>-<16>-<2>" into MCP's 25 bytes. Return: whether it is one. */
static bool read_trace(struct str traceparent, char out[static MCP_TRACE_LEN])
{
    size_t n = 0;

    if (traceparent.len < 55)
        return false;
    for (size_t i = 3; i + 1 < 55 && n < MCP_TRACE_LEN;) {
        int high;
        int low;

        if (traceparent.s[i] == '-') {
            i++;
            continue;
        }
        high = hex_digit(traceparent.s[i]);
        low = hex_digit(traceparent.s[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[n++] = (char)(high * 16 + low);
        i += 2;
    }
    return n == MCP_TRACE_LEN;
}

static uint32_t time_left_ms(nsec_t deadline, nsec_t now)
{
    nsec_t left = deadline > now ? (deadline - now) / NSEC_PER_MSEC : 0;

    return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static int open_call(struct mcp_wire *mw, struct attempt *a, struct str method)
{
    const struct attempt_request *q = a->request;
    nsec_t now = time_now();
    char hops[U64_DIGITS_MAX];
    char trace[MCP_TRACE_LEN];
    const struct mcp_metadata metadata = {STR("hops"),
                                          str_make(hops, str_put_u64(q->hops + 1, hops))};
    struct mcp_request request = {
        .ext = {.method = method,
                .codec = MCP_CODEC_JSON,
                .metadata = &metadata,
                .n_metadata = 1,
                .session = str_head(q->session, 64)},
        .body = q->body,
        .owner = a,
    };

    if (q->deadline > 0 && q->deadline != NSEC_NEVER) {
        request.ext.has_deadline = true;
        request.ext.deadline_ms = time_left_ms(q->deadline, now);
    }
    if (read_trace(q->traceparent, trace))
        request.ext.trace = trace;
    return mcp_session_open(&mw->wire.session, &request, now, &a->call);
}

static int begin_on(struct mcp_wire *mw, struct attempt *a, struct str method)
{
    int r = open_call(mw, a, method);

    if (r != 0)
        return r;
    a->connected_at = time_now();
    a->sent_at = a->connected_at;
    wire_wake(&mw->wire);
    return 0;
}

/* Return: 0; MCP_BUSY no wire takes it; <0. */
static int begin_on_any(struct upstream_mcp *m, struct attempt *a, struct str method)
{
    int r = MCP_BUSY;

    list_for_each (it, &m->wires) {
        struct mcp_wire *mw = container_of(it, struct mcp_wire, link);

        if (!mcp_wire_is_usable(mw))
            continue;
        r = begin_on(mw, a, method);
        if (r != MCP_BUSY)
            break;
    }
    return r;
}

/* Begins it on a wire, if need be a new one. Return: 0; MCP_BUSY all are full; <0. */
static int place(struct attempt *a)
{
    struct upstream_mcp *m = a->upstream->mcp;
    const struct codec_service *service = find_service(a->request->target);
    struct mcp_wire *mw;
    int r;

    r = begin_on_any(m, a, service->name);
    if (r != MCP_BUSY || !mcp_wires_may_grow(m))
        return r;
    r = mcp_wire_open(a->upstream, &mw);
    return r == 0 ? begin_on(mw, a, service->name) : r;
}

/* Parts the attempt from those that wait. */
static void leave_waiting(struct attempt *a)
{
    list_remove(&a->waiting);
    a->upstream->mcp->n_waiting--;
}

static void fail_waiting(struct attempt *a, enum call_outcome outcome, int err)
{
    leave_waiting(a);
    a->is_running = false;
    a->ops->on_fail(a, outcome, err);
}

/* In their order, as far as there is room. */
static void on_placing(struct net_task *task)
{
    struct upstream_mcp *m = container_of(task, struct upstream_mcp, placing);
    struct list *it;

    while ((it = list_first(&m->waiting)) != NULL) {
        struct attempt *a = container_of(it, struct attempt, waiting);
        int r = place(a);

        if (r == MCP_BUSY)
            return;
        if (r < 0)
            fail_waiting(a, CALL_OVERLOAD, r);
        else
            leave_waiting(a);
    }
}

/*
 * A wire that could not be made: those that wait fare as those that were begun on it. A retry waits
 * anew, behind them.
 */
void mcp_wires_on_lost(struct upstream *u, int err)
{
    if (err == 0) {
        wake_waiting(u);
        return;
    }
    for (unsigned n = u->mcp->n_waiting; n > 0 && u->mcp->n_waiting > 0; n--)
        fail_waiting(container_of(list_first(&u->mcp->waiting), struct attempt, waiting),
                     CALL_CONNECT_FAILED, err);
}

/* Where all wires are full it waits for its turn. */
static int start(struct attempt *a, bool is_fresh)
{
    struct upstream_mcp *m = a->upstream->mcp;
    int r = MCP_BUSY;

    (void)is_fresh; /* a session that died takes its calls with it: there are no stale ones */
    if (find_service(a->request->target) == NULL)
        return -EOPNOTSUPP;
    if (list_is_empty(&m->waiting))
        r = place(a);
    if (r != MCP_BUSY)
        return r;
    if (m->n_waiting == WAITING_MAX)
        return -EBUSY;
    list_put_back(&m->waiting, &a->waiting);
    m->n_waiting++;
    return 0;
}

static void cancel(struct attempt *a)
{
    struct mcp_call *call = a->call;
    struct wire *w;

    if (call == NULL) {
        leave_waiting(a);
        a->is_running = false;
        return;
    }
    w = wire_of(call->session);
    call->owner = NULL;
    a->call = NULL;
    mcp_call_cancel(call, MCP_CANCEL_GONE, time_now());
    wire_wake(w);
}

/* Credit that is not given back stops the other side. */
static void pause_taking(struct attempt *a)
{
    a->is_paused = true;
}

static void resume_taking(struct attempt *a)
{
    a->is_paused = false;
    mcp_call_take(a->call, a->owed);
    a->owed = 0;
    wire_wake(wire_of(a->call->session));
}

static int init(struct upstream *u)
{
    int r = mcp_wires_init(u, &session_ops);

    if (r == 0)
        u->mcp->placing.run = on_placing;
    return r;
}

static void close_all(struct upstream *u)
{
    struct list *it;

    if (u->mcp == NULL)
        return;
    while ((it = list_first(&u->mcp->waiting)) != NULL)
        attempt_cancel(container_of(it, struct attempt, waiting));
    mcp_wires_close(u);
}

const struct upstream_kind upstream_mcp = {
    .name = "mcp",
    .init = init,
    .start = start,
    .cancel = cancel,
    .pause = pause_taking,
    .resume = resume_taking,
    .retire = mcp_wires_retire,
    .close = close_all,
};
