/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "api/answer.h"
#include "api/error_body.h"
#include "base/err.h"
#include "client/channel.h"
#include "upstream/attempt.h"

#define FIELDS_MAX     8192
#define ERROR_BODY_MAX (64 * 1024)

/* One try: a request, and what its answer has brought so far. */
struct client_http_try {
    struct attempt attempt;
    struct attempt_request request;
    struct client_endpoint *endpoint;
    chasqui_call *call; /* NULL: dropped */
    struct net_task farewell;
    struct buf fields;
    struct buf body; /* of an answer that is not streamed, or the final record */
    struct api_answer judge;
    bool is_judged; /* the route says when a stream is complete */
    int status;
    int64_t retry_after_ms;
    size_t tlvs_len;
    char tlvs[128]; /* request-id, as METADATA */
    size_t n_held;  /* bytes of records that nobody has taken */
    bool is_paused;
};

static struct client_http_try *try_of(struct attempt *a)
{
    return container_of(a, struct client_http_try, attempt);
}

static void try_free(struct client_http_try *t)
{
    buf_fini(&t->fields);
    buf_fini(&t->body);
    free(t);
}

static void on_farewell(struct net_task *task)
{
    try_free(container_of(task, struct client_http_try, farewell));
}

/* The attempt has ended; its callbacks may still be on the stack. */
static chasqui_call *let_go(struct client_http_try *t)
{
    chasqui_call *call = t->call;

    t->call = NULL;
    if (call != NULL)
        call->http = NULL;
    net_defer(&t->endpoint->client->loop, &t->farewell);
    return call;
}

/*
 * The request
 */

static int put_field(struct buf *out, const char *name, struct str value)
{
    return value.len > 0 ? buf_printf(out, "%s: " STR_FMT "\r\n", name, STR_ARG(value)) : 0;
}

static int put_trace(struct buf *out, const chasqui_call *call)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * CHASQUI_TRACE_LEN];

    if (!call->has_trace)
        return 0;
    for (size_t i = 0; i < CHASQUI_TRACE_LEN; i++) {
        hex[2 * i] = digits[(unsigned char)call->trace[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)call->trace[i] & 15];
    }
    return buf_printf(out, "traceparent: 00-%.32s-%.16s-%.2s\r\n", hex, hex + 32, hex + 48);
}

static int put_metadata(struct buf *out, const chasqui_call *call)
{
    const struct mcp_ext ext = {.tlvs = call->tlvs};
    struct mcp_metadata pair;
    size_t at = 0;
    int r = 0;

    while (r == 0 && mcp_ext_next_metadata(&ext, &at, &pair)) {
        if (str_eq(pair.key, STR("class")))
            r = put_field(out, "X-Chasqui-Class", pair.value);
        else
            r = buf_printf(out, "X-Chasqui-Meta-" STR_FMT ": " STR_FMT "\r\n", STR_ARG(pair.key),
                           STR_ARG(pair.value));
    }
    return r;
}

static int put_fields(struct buf *out, const chasqui_call *call, bool has_body)
{
    const struct client_options *o = &call->client->options;
    int r = buf_put(out, STR("User-Agent: libchasqui/" CHASQUI_VERSION "\r\n"));

    if (r == 0 && has_body)
        r = buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       call->payload.len);
    if (r == 0 && o->key_len > 0)
        r = buf_printf(out, "Authorization: Bearer %s\r\n", o->key + 1);
    if (r == 0)
        r = put_field(out, "X-Session-Id", call->session);
    if (r == 0)
        r = put_trace(out, call);
    return r == 0 ? put_metadata(out, call) : r;
}

static int fill_request(struct client_http_try *t, const chasqui_call *call)
{
    const struct api_route *route = call->known != NULL ? api_route_get(call->known->route) : NULL;
    bool is_get = route != NULL ? (route->methods & H1_POST) == 0 : call->payload.len == 0;
    bool is_delete = str_eq(call->service, api_route_get(ROUTE_DELETE)->path);

    t->request = (struct attempt_request){
        .method = is_delete ? STR("DELETE")
                  : is_get  ? STR("GET")
                            : STR("POST"),
        .target = route != NULL ? route->path : call->service,
        .body = is_get ? STR_NULL : call->payload,
    };
    t->is_judged = route != NULL && route->streams_by_default;
    if (route != NULL)
        api_answer_init(&t->judge, route);
    return put_fields(&t->fields, call, !is_get);
}

/*
 * Ends
 */

static enum call_outcome outcome_of_status(int status)
{
    if (status == 429 || status == 503)
        return CALL_OVERLOAD;
    if (status == 500)
        return CALL_STATUS_500;
    return status > 500 ? CALL_STATUS_502_504 : CALL_CALLER_FAULT;
}

/* A refusal. Who says 429 or 503 has not begun. */
static struct client_end end_of_status(const struct client_http_try *t, struct str text)
{
    enum call_outcome outcome = outcome_of_status(t->status);
    unsigned code = mcp_code_of_status(t->status);
    bool is_transient = mcp_code_info(code)->class == MCP_CLASS_TRANSIENT;

    return (struct client_end){
        .code = code,
        .flags = (outcome == CALL_OVERLOAD ? MCP_NOT_PROCESSED : 0u) |
                 (is_transient ? MCP_TRANSIENT : 0u),
        .origin = MCP_ORIGIN_NODE,
        .retry_after_ms = t->retry_after_ms,
        .outcome = outcome,
        .text = text,
        .tlvs = str_make(t->tlvs, t->tlvs_len),
    };
}

static void end_local(struct client_http_try *t, unsigned code, const char *text)
{
    struct client_end end = client_end_local(code, 0, text);
    chasqui_call *call = let_go(t);

    attempt_cancel(&t->attempt);
    if (call != NULL)
        client_call_tried(call, &end);
}

static void end_with_error(struct client_http_try *t, int status, struct str body)
{
    struct buf text = BUF_INIT(ERROR_BODY_MAX);
    struct client_end end;
    chasqui_call *call = let_go(t);

    t->status = status;
    end = end_of_status(t, api_read_error(body, &text) == 0 ? buf_str(&text) : STR_NULL);
    if (call != NULL)
        client_call_tried(call, &end);
    buf_fini(&text);
}

/* The framing was whole; whether the answer was, its last record says. */
static bool is_incomplete(const struct client_http_try *t)
{
    return t->attempt.is_stream && t->is_judged &&
           api_answer_end_stream(&t->judge) == API_VERDICT_INCOMPLETE;
}

static void on_end(struct attempt *a)
{
    struct client_http_try *t = try_of(a);
    struct client_end end = {
        .retry_after_ms = -1, .body = buf_str(&t->body), .tlvs = str_make(t->tlvs, t->tlvs_len)};
    chasqui_call *call;

    if (t->status < 200 || t->status > 299) {
        end_with_error(t, t->status, buf_str(&t->body));
        return;
    }
    if (is_incomplete(t)) {
        end = client_end_local(MCP_BACKEND_LOST, MCP_TRANSIENT, "the answer is not complete");
        end.origin = MCP_ORIGIN_NODE;
    }
    call = let_go(t);
    if (call != NULL)
        client_call_tried(call, &end);
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    struct client_http_try *t = try_of(a);
    bool is_unsent = outcome == CALL_CONNECT_FAILED;
    struct client_end end = client_end_local(
        MCP_UNAVAILABLE, MCP_TRANSIENT | (is_unsent ? MCP_NOT_PROCESSED : 0u), err_text(err));
    struct client_endpoint *e = t->endpoint;
    chasqui_call *call = let_go(t);

    end.origin = MCP_ORIGIN_TRANSPORT;
    end.outcome = outcome;
    if (call != NULL)
        client_call_tried(call, &end);
    if (is_unsent && !e->client->is_closing)
        client_channel_failed(e, MCP_UNAVAILABLE, err_text(err));
}

/*
 * The answer
 */

static void keep_request_id(struct client_http_try *t, const struct h1_head *head)
{
    struct str id = str_head(h1_field_get(head, STR("x-request-id")), 64);

    if (id.len == 0 ||
        client_metadata_put(t->tlvs, &t->tlvs_len, sizeof(t->tlvs), STR("request-id"), id) < 0)
        t->tlvs_len = 0;
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    struct client_http_try *t = try_of(a);
    uint64_t seconds;

    t->status = head->status;
    if (str_to_u64(h1_field_get(head, STR("retry-after")), &seconds) == 0 && seconds < 86400)
        t->retry_after_ms = (int64_t)seconds * 1000;
    keep_request_id(t, head);
    if (t->endpoint->failing_until > 0)
        client_channel_connected(t->endpoint);
}

static void hold(struct client_http_try *t, size_t n)
{
    t->n_held += n;
    if (t->n_held < t->endpoint->client->options.stream_limit || t->is_paused)
        return;
    t->is_paused = true;
    attempt_pause(&t->attempt);
}

static void on_record(struct attempt *a, struct str record)
{
    struct client_http_try *t = try_of(a);
    enum api_answer_state state = API_ANSWER_OPEN;

    if (t->is_judged) {
        api_answer_record(&t->judge, a->is_sse, record);
        state = t->judge.state;
    }
    record = str_trim(record);
    if (state == API_ANSWER_ERROR) {
        attempt_cancel(a);
        end_with_error(t, 500, record);
        return;
    }
    if (state == API_ANSWER_COMPLETE) {
        if (buf_put(&t->body, record) < 0)
            end_local(t, MCP_RESOURCE_EXHAUSTED, "no memory for the answer");
        return;
    }
    if (record.len == 0)
        return;
    hold(t, record.len);
    client_call_record(t->call, record, (uint32_t)record.len);
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct client_http_try *t = try_of(a);
    int r = buf_put(&t->body, bytes);

    if (r == -ENOBUFS)
        end_local(t, MCP_TOO_LARGE, "the answer is too long");
    else if (r < 0)
        end_local(t, MCP_RESOURCE_EXHAUSTED, "no memory for the answer");
}

static void on_flush(struct attempt *a)
{
    (void)a; /* nothing is kept that is not a copy */
}

static const struct attempt_ops try_ops = {
    .name = "client",
    .on_head = on_head,
    .on_record = on_record,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
};

/*
 * Link
 */

static int try_new(struct client_endpoint *e, const chasqui_call *call,
                   struct client_http_try **ret)
{
    struct client_http_try *t = calloc(1, sizeof(*t));
    int r;

    if (t == NULL)
        return -ENOMEM;
    t->endpoint = e;
    t->farewell.run = on_farewell;
    t->retry_after_ms = -1;
    t->fields = BUF_INIT(FIELDS_MAX);
    t->body = BUF_INIT(e->client->options.max_message);
    r = fill_request(t, call);
    t->request.fields = buf_str(&t->fields);
    if (r < 0) {
        try_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

/* Services without an endpoint exist over MCP only. */
static bool has_endpoint(const chasqui_call *call)
{
    return call->known != NULL || call->service.s[0] == '/';
}

static int http_start(struct client_endpoint *e, chasqui_call *call)
{
    struct client_http_try *t;
    bool is_fresh = call->is_fresh || call->retry_settings.max_retries == 0;
    int r;

    if (e->n_open >= e->client->options.http_connections || e->failing_until > time_now())
        return CLIENT_BUSY;
    if (!has_endpoint(call))
        return -ENOSYS;
    r = try_new(e, call, &t);
    if (r < 0)
        return r;
    /* What must not happen twice does not ride on a connection that may be dying. */
    r = attempt_start(&t->attempt, &try_ops, &e->upstream, &t->request, is_fresh);
    if (r < 0) {
        try_free(t);
        return r;
    }
    t->call = call;
    call->http = t;
    client_call_opened(call, e);
    return 0;
}

static void http_drop(chasqui_call *call, enum mcp_cancel reason)
{
    struct client_http_try *t = call->http;

    (void)reason; /* a closed connection says all there is */
    if (t == NULL)
        return;
    attempt_cancel(&t->attempt);
    (void)let_go(t);
}

static void http_take(chasqui_call *call, uint32_t cost)
{
    struct client_http_try *t = call->http;

    if (t == NULL)
        return;
    t->n_held -= cost < t->n_held ? cost : t->n_held;
    if (!t->is_paused || t->n_held > t->endpoint->client->options.stream_limit / 2)
        return;
    t->is_paused = false;
    attempt_resume(&t->attempt);
}

static bool http_is_hopeful(const struct client_endpoint *e)
{
    return e->upstream.pool.n_idle > 0 && e->failing_until == 0;
}

static int http_init(struct client_endpoint *e)
{
    return upstream_init(&e->upstream, &e->client->loop, &e->client->upstream_settings, STR_NULL,
                         &e->url);
}

static void http_close(struct client_endpoint *e)
{
    upstream_close(&e->upstream);
}

const struct client_link_ops client_link_http = {
    .name = "http",
    .init = http_init,
    .start = http_start,
    .drop = http_drop,
    .take = http_take,
    .is_hopeful = http_is_hopeful,
    .close = http_close,
};
