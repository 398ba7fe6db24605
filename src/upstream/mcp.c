/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/err.h"
#include "codec/codec.h"
#include "json/writer.h"
#include "upstream/kind.h"
#include "wire/wire.h"

#define WIRES_MAX      4  /* connections per loop and node; each carries hundreds of calls */
#define WIRES_ALL_MAX  16 /* with those that end with their last call */
#define ERROR_BODY_MAX 8192
#define KEY_MAX        253 /* of a HELLO */

#define DEADLINE_SLACK_NS (20 * NSEC_PER_MSEC)

struct mcp_wire {
    struct wire wire;
    struct upstream *upstream;
    struct list link;
    bool is_open;     /* the connection was made */
    bool has_greeted; /* the other side said how many calls it takes */
    bool is_going;    /* nothing new goes on it */
    int connect_err;
};

struct upstream_mcp {
    struct mcp_settings settings;
    struct mcp_pool pool;
    struct list wires; /* newest first */
    unsigned n_wires;
    struct list waiting; /* attempts that found no room, until a wire has greeted */
    struct buf record;   /* a record with its LF, while it is handed over */
    char auth[1 + KEY_MAX];
};

static struct mcp_wire *wire_owner(struct mcp_session *s)
{
    return container_of(wire_of(s), struct mcp_wire, wire);
}

/* Which service answers what is asked of an Ollama by path; NULL: none. */
static const struct codec_service *find_service(struct str target)
{
    const struct api_route *route;

    if (api_route_find(str_head(target, str_find(target, '?')), &route) != 0)
        return NULL;
    return codec_service_of_route(route->id);
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
    struct mcp_wire *mw = wire_owner(s);
    struct attempt *a = call->owner;

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
    wire_owner(s)->is_going = true;
}

static void place_waiting(struct upstream *u);

/* Only a few calls may be begun before it; now there is room. */
static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    struct mcp_wire *mw = wire_owner(s);

    (void)hello;
    mw->has_greeted = true;
    place_waiting(mw->upstream);
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
 * Connections
 */

static void on_open(struct wire *w)
{
    container_of(w, struct mcp_wire, wire)->is_open = true;
}

static void on_failed(struct wire *w, int err)
{
    struct mcp_wire *mw = container_of(w, struct mcp_wire, wire);

    mw->connect_err = err;
    mw->is_going = true;
    wire_close(w);
}

/* Parts the attempt from those that wait. */
static void leave_waiting(struct attempt *a)
{
    list_remove(&a->waiting);
    a->is_running = false;
}

/* Nobody greeted: they fare as those that were begun. A retry may wait anew, in the list's own ring. */
static void fail_waiting(struct upstream *u, int err)
{
    struct list all;

    list_init(&all);
    list_insert_after(&u->mcp->waiting, &all); /* take over the whole ring */
    list_remove(&u->mcp->waiting);
    for (struct list *it = list_first(&all); it != NULL; it = list_first(&all)) {
        struct attempt *a = container_of(it, struct attempt, waiting);

        leave_waiting(a);
        a->ops->on_fail(a, CALL_CONNECT_FAILED, err);
    }
}

static void release(struct upstream *u)
{
    mcp_pool_fini(&u->mcp->pool);
    buf_fini(&u->mcp->record);
    free(u->mcp);
    u->mcp = NULL;
}

static enum pool_closed closed_by(const struct upstream *u, int err)
{
    if (u->is_retired || u->is_closing)
        return POOL_CLOSED_LEFT;
    return err < 0 ? POOL_CLOSED_FAILED : POOL_CLOSED_NODE;
}

/* They are few, and each carries hundreds of calls: counted, but not limited by the quota. */
static void count_wire(struct upstream *u, int delta)
{
    upstream_count(u, 0, delta);
    if (u->quota.quota == NULL)
        return;
    if (delta > 0)
        quota_force(&u->quota);
    else
        quota_give(&u->quota);
}

static void on_closed(struct wire *w)
{
    struct mcp_wire *mw = container_of(w, struct mcp_wire, wire);
    struct upstream *u = mw->upstream;
    int err = mw->has_greeted ? 0 : mw->connect_err;

    list_remove(&mw->link);
    wire_fini(w);
    free(mw);
    u->mcp->n_wires--;
    if (err < 0)
        fail_waiting(u, err);
    count_wire(u, -1);
    quota_count(&u->quota.n_closed[closed_by(u, err)]);
    upstream_gone(u);
    if (u->is_closing && u->n_conns == 0)
        release(u);
}

static const struct wire_ops wire_ops = {
    .name = "upstream_mcp",
    .on_open = on_open,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

static int open_wire(struct upstream *u, struct mcp_wire **ret)
{
    const struct wire_setup setup = {
        .loop = u->loop,
        .ops = &wire_ops,
        .settings = &u->mcp->settings,
        .session_ops = &session_ops,
        .pool = &u->mcp->pool,
    };
    struct mcp_wire *mw = calloc(1, sizeof(*mw));
    int r;

    if (mw == NULL)
        return -ENOMEM;
    mw->upstream = u;
    mw->connect_err = -ECONNREFUSED;
    r = wire_connect(&mw->wire, &setup, &u->url.addr, u->settings->connect_timeout_ns);
    if (r < 0) {
        free(mw);
        return r;
    }
    list_put_front(&u->mcp->wires, &mw->link);
    u->mcp->n_wires++;
    u->n_conns++;
    count_wire(u, 1);
    quota_count(&u->quota.n_created);
    *ret = mw;
    return 0;
}

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

static bool is_usable(const struct mcp_wire *mw)
{
    return !mw->is_going && !mw->wire.stream.is_closing;
}

/* Return: 0; MCP_BUSY no wire takes it; <0. */
static int begin_on_any(struct upstream_mcp *m, struct attempt *a, struct str method)
{
    int r = MCP_BUSY;

    list_for_each (it, &m->wires) {
        struct mcp_wire *mw = container_of(it, struct mcp_wire, link);

        if (!is_usable(mw))
            continue;
        r = begin_on(mw, a, method);
        if (r != MCP_BUSY)
            break;
    }
    return r;
}

static bool is_greeting(const struct upstream_mcp *m)
{
    list_for_each (it, &m->wires) {
        const struct mcp_wire *mw = container_of(it, struct mcp_wire, link);

        if (!mw->has_greeted && is_usable(mw))
            return true;
    }
    return false;
}

static bool may_grow(const struct upstream_mcp *m)
{
    unsigned n = 0;

    list_for_each (it, &m->wires)
        n += is_usable(container_of(it, struct mcp_wire, link));
    return n < WIRES_MAX && m->n_wires < WIRES_ALL_MAX;
}

/* Begins it, or lets it wait for a greeting: a burst on new wires is no overload. Return: 0, <0. */
static int place(struct attempt *a)
{
    struct upstream_mcp *m = a->upstream->mcp;
    const struct codec_service *service = find_service(a->request->target);
    struct mcp_wire *mw;
    int r;

    if (service == NULL)
        return -EOPNOTSUPP;
    r = begin_on_any(m, a, service->name);
    if (r == MCP_BUSY && may_grow(m)) {
        r = open_wire(a->upstream, &mw);
        if (r == 0)
            r = begin_on(mw, a, service->name);
    }
    if (r != MCP_BUSY)
        return r;
    if (!is_greeting(m))
        return -EBUSY;
    list_put_back(&m->waiting, &a->waiting);
    return 0;
}

/* In their order. A walk, not until it is empty: those without room wait anew. */
static void place_waiting(struct upstream *u)
{
    struct list all;

    list_init(&all);
    list_insert_after(&u->mcp->waiting, &all); /* take over the whole ring */
    list_remove(&u->mcp->waiting);
    for (struct list *it = list_first(&all); it != NULL; it = list_first(&all)) {
        struct attempt *a = container_of(it, struct attempt, waiting);

        list_remove(it);
        if (place(a) == 0)
            continue;
        a->is_running = false;
        a->ops->on_fail(a, CALL_OVERLOAD, -EBUSY);
    }
}

static int start(struct attempt *a, bool is_fresh)
{
    (void)is_fresh; /* a session that died takes its calls with it: there are no stale ones */
    return place(a);
}

static void cancel(struct attempt *a)
{
    struct mcp_call *call = a->call;
    struct wire *w;

    if (call == NULL) {
        leave_waiting(a);
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

static struct str put_auth(struct upstream_mcp *m, struct str key)
{
    if (key.len == 0)
        return STR_NULL;
    m->auth[0] = MCP_AUTH_BEARER;
    memcpy(m->auth + 1, key.s, key.len);
    return str_make(m->auth, 1 + key.len);
}

static int init(struct upstream *u)
{
    if (u->settings->key.len > KEY_MAX)
        return -EINVAL;
    u->mcp = calloc(1, sizeof(*u->mcp));
    if (u->mcp == NULL)
        return -ENOMEM;
    u->mcp->settings = mcp_settings_default;
    u->mcp->settings.hello.max_inflight = 0; /* we take no calls */
    u->mcp->settings.hello.auth = put_auth(u->mcp, u->settings->key);
    u->mcp->record = BUF_INIT(ATTEMPT_RECORD_MAX + 1);
    mcp_pool_init(&u->mcp->pool, NULL);
    list_init(&u->mcp->wires);
    list_init(&u->mcp->waiting);
    return 0;
}

/* Wires without a call close now, others are looked at again each second. */
static void retire(struct upstream *u)
{
    list_for_each_safe (it, &u->mcp->wires) {
        struct mcp_wire *mw = container_of(it, struct mcp_wire, link);

        mw->is_going = mw->has_greeted;
        if (mw->wire.session.n_calls == 0 && list_is_empty(&u->mcp->waiting))
            wire_close(&mw->wire);
    }
    net_timer_arm(u->loop, &u->sweep, time_now() + NSEC_PER_SEC);
}

static void close_all(struct upstream *u)
{
    struct list *it;

    if (u->mcp == NULL)
        return;
    while ((it = list_first(&u->mcp->waiting)) != NULL)
        attempt_cancel(container_of(it, struct attempt, waiting));
    if (list_is_empty(&u->mcp->wires)) {
        release(u);
        return;
    }
    list_for_each_safe (wire, &u->mcp->wires)
        wire_close(&container_of(wire, struct mcp_wire, link)->wire);
}

const struct upstream_kind upstream_mcp = {
    .name = "mcp",
    .init = init,
    .start = start,
    .cancel = cancel,
    .pause = pause_taking,
    .resume = resume_taking,
    .retire = retire,
    .close = close_all,
};
