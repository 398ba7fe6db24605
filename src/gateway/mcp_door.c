/* SPDX-License-Identifier: MIT */
#include "gateway/mcp_door.h"

#include <errno.h>

#include "api/error_body.h"
#include "gateway/exchange.h"
#include "gateway/forward.h"
#include "gateway/gateway.h"
#include "gateway/mcp_body.h"
#include "observe/log.h"

#define KEY_GRACE_S  30 /* for the calls of a connection whose key is gone */
#define FIELDS_MAX   4096
#define ANSWER_MAX   (64 * 1024 * 1024)
#define ENCODED_KEPT (1024 * 1024)       /* between conversions */
#define SCRATCH_MAX  (160 * 1024 * 1024) /* of one conversion; given back with it */

/*
 * A call on its way. It lives until the exchange has ended, also when the connection is gone
 * earlier.
 */
struct door_call {
    struct sink sink;
    struct list link;      /* of conn->requests; alone when the connection is gone */
    struct mcp_conn *conn; /* NULL: gone */
    struct mcp_call *call; /* NULL: ended */
    struct exchange *exchange;
    const struct codec_service *service;
    enum codec_id codec;
    struct buf answer; /* one that is not streamed, or an error body */
    struct net_task given_up;
    int status;
    bool is_full;
    bool is_from_node; /* the answer is a node's */
};

static struct worker *worker_of(const struct mcp_listener *listener)
{
    return container_of(listener->loop, struct worker, loop);
}

/*
 * Errors
 */

/* Code of an answer with @status that no reason code explains: a node's own refusal. */
static unsigned code_of_status(int status)
{
    /* an error record in the middle of a good answer */
    if (status < 400)
        return MCP_INTERNAL;
    switch (status) {
    case 401:
        return MCP_UNAUTHENTICATED;
    case 403:
        return MCP_PERMISSION_DENIED;
    case 404:
        return MCP_NOT_FOUND;
    case 413:
        return MCP_TOO_LARGE;
    case 429:
    case 503:
        return MCP_OVERLOADED;
    case 501:
        return MCP_UNIMPLEMENTED;
    case 504:
        return MCP_DEADLINE_EXCEEDED;
    default:
        return status >= 500 ? MCP_INTERNAL : MCP_INVALID_ARGUMENT;
    }
}

static void end_call(struct door_call *q, const struct mcp_ext *ext, const struct mcp_error *error)
{
    struct mcp_call *call = q->call;

    q->call = NULL;
    if (call == NULL)
        return;
    mcp_call_fail(call, ext, error);
    wire_wake(&q->conn->wire);
}

/* Ends the call with what the exchange knows of its failure. */
static void fail(struct door_call *q)
{
    const struct timeline *tl = &q->exchange->tl;
    const struct mcp_metadata metadata[] = {
        {STR("request-id"), str_of(tl->request_id)},
        {STR("reason"), str_of(reason_name(tl->reason))},
    };
    const struct mcp_ext ext = {.metadata = metadata, .n_metadata = 2};
    struct buf text = BUF_INIT(MCP_ERROR_TEXT_MAX);
    bool is_own = tl->reason != REASON_none && tl->reason != REASON_bad_request &&
                  tl->reason != REASON_node_5xx;
    unsigned code = is_own ? (unsigned)reason_mcp_code(tl->reason) : code_of_status(q->status);
    struct mcp_error error = {
        .code = (uint16_t)code,
        .flags = (uint8_t)((tl->n_attempts == 0 ? MCP_NOT_PROCESSED : 0) |
                           (mcp_code_info(code)->class == MCP_CLASS_TRANSIENT ? MCP_TRANSIENT : 0)),
        .origin = tl->n_attempts > 0 && !is_own ? MCP_ORIGIN_NODE : MCP_ORIGIN_GATEWAY,
        .retry_after_ms = q->status == 503 ? 1000 : MCP_NO_RETRY_AFTER,
        .text = str_of(reason_text(tl->reason)),
    };

    if (q->answer.len > 0 && api_read_error(buf_str(&q->answer), &text) == 0)
        error.text = buf_str(&text);
    end_call(q, &ext, &error);
    buf_fini(&text);
}

/* Refuses a call that has not become an exchange. */
static void refuse(struct mcp_conn *c, struct mcp_call *call, enum mcp_code code, const char *text)
{
    const struct mcp_error error =
        MCP_ERROR_MAKE((uint16_t)code, MCP_NOT_PROCESSED, MCP_ORIGIN_GATEWAY, str_of(text));

    mcp_call_fail(call, NULL, &error);
    wire_wake(&c->wire);
}

/*
 * Sink
 */

static struct door_call *request_of(const struct sink *s)
{
    return container_of((struct sink *)(uintptr_t)s, struct door_call, sink);
}

static void sink_head(struct sink *s, const struct answer_head *head)
{
    request_of(s)->status = head->status;
}

/* Ends the call of an answer that cannot be sent. @r: why */
static void give_up(struct door_call *q, int r)
{
    struct mcp_error error = MCP_ERROR_MAKE(MCP_INTERNAL, 0, MCP_ORIGIN_GATEWAY,
                                            STR("the node's answer has no form in this codec"));

    if (r == -EMSGSIZE) {
        error.code = MCP_TOO_LARGE;
        error.text = STR("the answer is longer than the peer takes");
    } else if (r == -ENOBUFS || r == -ENOMEM) {
        error.code = MCP_OVERLOADED;
        error.text = STR("the answer does not fit into the memory there is for it");
    }
    end_call(q, NULL, &error);
}

/* Out of the sink's own callbacks an exchange is not left. */
static void on_given_up(struct net_task *task)
{
    struct door_call *q = container_of(task, struct door_call, given_up);

    exchange_leave(q->exchange, &q->sink);
}

/* Likewise, while the node still works on it. */
static void give_up_early(struct door_call *q, int r)
{
    give_up(q, r);
    net_defer(&q->exchange->worker->loop, &q->given_up);
}

/* Few bodies are long: what one of them took is not kept for the others. */
static void reset_encoded(struct mcp_listener *listener)
{
    if (listener->encoded.cap > ENCODED_KEPT)
        buf_fini(&listener->encoded);
    buf_reset(&listener->encoded);
}

/* An answer of Ollama's in the codec of the call; in *ret, valid until the next. Return: 0, <0. */
static int encode(struct mcp_conn *c, enum codec_id codec, const struct codec_service *service,
                  struct str json, struct str *ret)
{
    struct mcp_listener *listener = c->listener;
    int r;

    *ret = json;
    if (codec == CODEC_JSON)
        return 0;
    reset_encoded(listener);
    r = codec_record_from_json(codec, service, json, &listener->scratch, &listener->encoded);
    *ret = buf_str(&listener->encoded);
    return r;
}

/* The final object ends the call, every other record is a CHUNK. */
static void sink_record(struct sink *s, struct str record)
{
    struct door_call *q = request_of(s);
    struct str body = str_trim(record);
    int r;

    /* An error record, the node's or ours, becomes the ERROR that ends the call. */
    if (q->call == NULL)
        return;
    if (q->exchange->judge.state == API_ANSWER_ERROR || q->exchange->tl.reason != REASON_none) {
        (void)!buf_put(&q->answer, body);
        return;
    }
    r = encode(q->conn, q->codec, q->service, body, &body);
    if (r == 0 && q->exchange->judge.state == API_ANSWER_COMPLETE) {
        r = mcp_body_respond(q->conn, q->call, body);
        if (r == 0)
            q->call = NULL;
    } else if (r == 0) {
        r = mcp_body_chunk(q->conn, q->call, body);
        q->is_full = r == MCP_FULL;
    }
    if (r < 0 && r != -ECANCELED)
        give_up_early(q, r);
    wire_wake(&q->conn->wire);
}

static void sink_bytes(struct sink *s, struct str bytes)
{
    struct door_call *q = request_of(s);
    int r = q->call != NULL ? buf_put(&q->answer, bytes) : 0;

    if (r < 0)
        give_up_early(q, r == -ENOBUFS ? -EMSGSIZE : r);
}

static void sink_flush(struct sink *s)
{
    (void)s; /* the connection writes at the end of the turn */
}

/* A body in @from; a long one leaves with its memory: copying it would keep everybody waiting. */
static int respond_from(struct door_call *q, struct buf *from, struct str body)
{
    struct mcp_call *call = q->call;
    int r;

    if (body.len <= ENCODED_KEPT ||
        mcp_session_compression(&q->conn->wire.session) != MCP_COMPRESSION_NONE)
        return mcp_body_respond(q->conn, call, body);
    r = mcp_call_respond_owned(call, NULL, body, from->data);
    if (r == 0)
        *from = BUF_INIT(from->max);
    return r;
}

static void respond(struct door_call *q)
{
    struct mcp_conn *c = q->conn;
    struct buf *from = q->codec == CODEC_JSON ? &q->answer : &c->listener->encoded;
    struct str body;
    int r = encode(c, q->codec, q->service, str_trim(buf_str(&q->answer)), &body);

    if (r == 0)
        r = respond_from(q, from, body);
    if (r == 0)
        q->call = NULL;
    else
        give_up(q, r);
    wire_wake(&c->wire);
}

static void sink_end(struct sink *s, enum sink_end end)
{
    struct door_call *q = request_of(s);
    bool is_whole = end == SINK_COMPLETE && q->status == 200 && q->exchange->judge.n_records == 0;

    if (q->call != NULL && is_whole)
        respond(q);
    else if (q->call != NULL)
        fail(q);
    list_remove(&q->link);
    if (q->given_up.is_queued)
        list_remove(&q->given_up.link);
    buf_fini(&q->answer);
    free(q);
}

static bool sink_is_full(const struct sink *s)
{
    return request_of(s)->is_full;
}

static const struct sink_ops mcp_sink_ops = {
    .name = "mcp",
    .head = sink_head,
    .record = sink_record,
    .bytes = sink_bytes,
    .flush = sink_flush,
    .end = sink_end,
    .is_full = sink_is_full,
};

/*
 * Requests
 */

/* Trace context of HTTP out of the 25 bytes of MCP (W3C Trace Context 3.2). */
static int print_trace(const struct mcp_ext *ext, char out[static 128])
{
    static const char hex[] = "0123456789abcdef";
    char *at = out;

    if (ext->trace == NULL)
        return 0;
    at = mempcpy(at, "traceparent: 00-", 16);
    for (int i = 0; i < MCP_TRACE_LEN; i++) {
        unsigned char byte = (unsigned char)ext->trace[i];

        if (i == 16 || i == 24)
            *at++ = '-';
        *at++ = hex[byte >> 4];
        *at++ = hex[byte & 15];
    }
    at = mempcpy(at, "\r\n", 2);
    return (int)(at - out);
}

/* Return: gateways the call has passed, -EINVAL. */
static int read_hops(const struct mcp_ext *ext)
{
    struct str text = mcp_ext_metadata(ext, STR("hops"));
    uint64_t hops = 0;

    if (text.s != NULL && (str_to_u64(text, &hops) < 0 || hops > INT16_MAX))
        return -EINVAL;
    return (int)hops;
}

/* A session is any bytes; those that a field cannot hold do not cost the call its answer. */
static bool is_field_value(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if ((unsigned char)bytes.s[i] < ' ' || bytes.s[i] == 0x7f)
            return false;
    return true;
}

/* The head that a node gets, and what else the extensions say of the call. */
static int put_fields(struct exchange *ex, const struct gateway *g, const struct mcp_ext *ext,
                      int hops)
{
    struct buf fields = BUF_INIT(FIELDS_MAX);
    char trace[128];
    int n = print_trace(ext, trace);
    int r = buf_printf(&fields, "Content-Type: application/json\r\nUser-Agent: chasqui/%s\r\nVia: ",
                       CHASQUI_VERSION);

    for (int i = 0; i < hops && r == 0; i++)
        r = buf_put(&fields, STR("1.1 chasqui-hop, "));
    if (r == 0)
        r = buf_printf(&fields, "%s\r\n%.*s", g->via, n, trace);
    if (r == 0 && ext->session.len > 0 && is_field_value(ext->session))
        r = buf_printf(&fields, "X-Session-Id: " STR_FMT "\r\n", STR_ARG(ext->session));
    if (r == 0)
        r = buf_reserve(&fields, EXCHANGE_LENGTH_FIELD_MAX);
    if (r == 0) {
        size_t len = fields.len;

        fields.len += EXCHANGE_LENGTH_FIELD_MAX;
        ex->request.fields = arena_dup(&ex->arena, buf_str(&fields));
        ex->request.fields.len = len;
        r = ex->request.fields.s != NULL ? 0 : -ENOMEM;
    }
    if (n > 0) {
        ex->request.traceparent = arena_dup(&ex->arena, str_make(trace + 13, 55));
        ex->tl.trace_id = str_head(str_from(ex->request.traceparent, 3), 32);
    }
    ex->request.session = arena_dup(&ex->arena, ext->session);
    ex->request.hops = (unsigned)hops;
    ex->is_resume_off = str_eq_nocase(mcp_ext_metadata(ext, STR("resume")), STR("off"));
    buf_fini(&fields);
    return r;
}

/* Holds the JSON body that a node gets, whatever the codec. */
static int hold_json(struct door_call *q, struct str body)
{
    struct mcp_listener *listener = q->conn->listener;
    int r;

    if (q->codec == CODEC_JSON)
        return exchange_hold(q->exchange, body);
    reset_encoded(listener);
    r = codec_request_to_json(q->codec, q->service, body, &listener->scratch, &listener->encoded);
    if (r == 0)
        r = exchange_hold(q->exchange, buf_str(&listener->encoded));
    return r;
}

/*
 * One answer for the plain profile, which knows no streams: Go's decoder takes the last of two
 * members.
 */
static int hold_plain(struct exchange *ex, struct str body)
{
    struct str text = str_trim(body);
    int r;

    if (!ex->route->streams_by_default || text.len < 2 || text.s[text.len - 1] != '}')
        return exchange_hold(ex, body);
    r = exchange_hold(ex, str_head(text, text.len - 1));
    if (r == 0)
        r = exchange_hold(ex, text.len > 2 ? STR(",\"stream\":false}") : STR("\"stream\":false}"));
    return r;
}

static int hold_body(struct door_call *q, struct str body)
{
    struct exchange *ex = q->exchange;

    if (ex->route->work == API_MERGED || ex->route->work == API_LOCAL)
        return 0;
    return q->conn->wire.session.is_plain ? hold_plain(ex, body) : hold_json(q, body);
}

/* An idle connection has no room for it, and without memory its lines lack it. */
static void learn_peer(struct mcp_conn *c)
{
    char text[NET_PEER_MAX];

    if (c->peer == NULL)
        c->peer = str_dup(str_of(net_stream_peer(&c->wire.stream, text)));
}

static void describe(struct door_call *q)
{
    struct exchange *ex = q->exchange;
    struct mcp_conn *c = q->conn;

    if (log_access_is_on() || view_needs_source(ex->view))
        learn_peer(c);
    ex->route = api_route_get(q->service->route);
    ex->family = API_OLLAMA;
    ex->tl.route = ex->route;
    ex->tl.peer = arena_dup(&ex->arena, str_of(c->peer));
    ex->tl.key = arena_dup(&ex->arena, str_of(c->key_name));
    ex->tl.method = STR("MCP");
    ex->request.method = ex->route->methods & H1_POST ? STR("POST") : STR("GET");
    ex->request.target = ex->route->path;
    ex->deadline = mcp_call_deadline(q->call);
}

/* Bodies of a plain peer are JSON. */
static enum codec_id codec_of(const struct mcp_conn *c, const struct mcp_message *message)
{
    return c->wire.session.is_plain ? CODEC_JSON : (enum codec_id)message->ext->codec;
}

static void start_exchange(struct mcp_conn *c, struct mcp_call *call,
                           const struct codec_service *service, const struct mcp_message *message)
{
    struct worker *w = worker_of(c->listener);
    struct door_call *q = calloc(1, sizeof(*q));
    int hops = read_hops(message->ext);
    int r;

    if (q != NULL)
        q->exchange = exchange_new(w, &q->sink);
    if (q == NULL || q->exchange == NULL) {
        free(q);
        refuse(c, call, MCP_OVERLOADED, "out of memory");
        return;
    }
    q->sink.ops = &mcp_sink_ops;
    q->given_up.run = on_given_up;
    q->conn = c;
    q->call = call;
    q->service = service;
    q->codec = codec_of(c, message);
    q->answer = BUF_INIT(ANSWER_MAX);
    call->owner = q;
    list_put_back(&c->requests, &q->link);
    describe(q);
    if (hops < 0 || hops > FORWARD_HOPS_MAX) {
        exchange_refuse(q->exchange, hops < 0 ? REASON_bad_request : REASON_loop, NULL);
        return;
    }
    r = put_fields(q->exchange, w->gateway, message->ext, hops);
    if (r == 0)
        r = hold_body(q, message->body);
    if (r < 0 && r != -ENOBUFS && r != -ENOMEM)
        exchange_refuse(q->exchange, REASON_bad_request, "the body is not a message of its codec");
    else if (r < 0)
        exchange_refuse(q->exchange, REASON_overload,
                        "the memory for request bodies is used up (memory.bodies)");
    else if (w->is_draining)
        exchange_refuse(q->exchange, REASON_shutting_down, NULL);
    else
        exchange_start(q->exchange);
}

/* What became of an answer that was given at once. */
static void conclude(struct mcp_conn *c, struct mcp_call *call, int r)
{
    if (r == 0)
        wire_wake(&c->wire);
    else if (r == -EMSGSIZE)
        refuse(c, call, MCP_TOO_LARGE, "the answer is longer than the peer takes");
    else
        refuse(c, call, MCP_OVERLOADED, "too much waits to be sent on this connection");
}

/* A long body came in memory of its own, and leaves in it. */
static void answer_echo(struct mcp_conn *c, struct mcp_call *call, struct str body)
{
    struct mcp_session *s = &c->wire.session;
    bool may_shrink = mcp_session_compression(s) != MCP_COMPRESSION_NONE;
    void *memory = may_shrink ? NULL : mcp_session_keep_request(s);
    int r;

    if (memory == NULL) {
        conclude(c, call, mcp_body_respond(c, call, body));
        return;
    }
    r = mcp_call_respond_owned(call, NULL, body, memory);
    if (r < 0)
        (void)mcp_pool_resize(&c->listener->pool, memory, 0);
    conclude(c, call, r);
}

static void answer_health(struct mcp_conn *c, struct mcp_call *call,
                          const struct mcp_message *message)
{
    struct gateway *g = worker_of(c->listener)->gateway;
    size_t n_up = desk_n_up(&g->desk);
    char json[128];
    struct str body;
    int n = snprintf(json, sizeof(json), "{\"status\":\"%s\",\"nodes_up\":%zu,\"nodes\":%zu}",
                     n_up > 0 ? "ok" : "no_node", n_up, desk_n_nodes(&g->desk));

    if (encode(c, codec_of(c, message), codec_service_get(CODEC_HEALTH), str_make(json, (size_t)n),
               &body) < 0)
        refuse(c, call, MCP_OVERLOADED, "out of memory");
    else
        conclude(c, call, mcp_call_respond(call, NULL, body));
}

/* @message: with the body as it was before it was compressed. */
static void serve(struct mcp_conn *c, struct mcp_call *call, const struct mcp_message *message)
{
    const struct mcp_session *s = &c->wire.session;
    const struct codec_service *service = codec_service_find(message->ext->method);

    if (service == NULL)
        refuse(c, call, s->is_plain ? MCP_NOT_FOUND : MCP_UNIMPLEMENTED, "no such service");
    else if (service->id == CODEC_ECHO)
        answer_echo(c, call, message->body);
    else if (!s->is_plain && !codec_is_known(message->ext->codec))
        refuse(c, call, MCP_UNIMPLEMENTED, "no such codec; there are Protobuf (0) and JSON (1)");
    else if (service->id == CODEC_HEALTH)
        answer_health(c, call, message);
    else
        start_exchange(c, call, service, message);
}

static void on_request(struct mcp_session *s, struct mcp_call *call,
                       const struct mcp_message *message)
{
    struct mcp_conn *c = mcp_conn_of(s);
    struct mcp_message opened = *message;
    int r = mcp_body_open(c, message, &opened.body);

    if (r == 0) {
        serve(c, call, &opened);
        mcp_body_close(c, message);
    } else if (r == -EPROTO) {
        refuse(c, call, MCP_INVALID_ARGUMENT, "the body is not what its compression says");
    } else {
        refuse(c, call, MCP_OVERLOADED, "too much of requests is inflated");
    }
}

static void on_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    struct door_call *q = call->owner;

    (void)s;
    (void)reason;
    /* the call is released by sink_end() */
    if (q != NULL)
        exchange_leave(q->exchange, &q->sink);
}

static void on_room(struct mcp_session *s, struct mcp_call *call)
{
    struct door_call *q = call->owner;

    (void)s;
    if (q == NULL || !q->is_full)
        return;
    q->is_full = false;
    exchange_room(q->exchange);
}

/* A key where keys are needed. Return: 0, MCP_UNAUTHENTICATED. */
static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    struct mcp_conn *c = mcp_conn_of(s);
    const struct keys *keys = &worker_of(c->listener)->view->keys;
    const struct key *key;

    if (keys->n_keys == 0)
        return 0;
    if (hello->auth.len < 2 || hello->auth.s[0] != MCP_AUTH_BEARER)
        return MCP_UNAUTHENTICATED;
    key = keys_find(keys, str_from(hello->auth, 1));
    if (key == NULL)
        return MCP_UNAUTHENTICATED;
    c->key_name = str_dup(key->name);
    return c->key_name != NULL ? 0 : MCP_OVERLOADED;
}

static const struct mcp_session_ops session_ops = {
    .name = "mcp_door",
    .on_hello = on_hello,
    .on_request = on_request,
    .on_cancel = on_cancel,
    .on_room = on_room,
};

/* The handles of its calls are invalid from here on; what runs for them ends without them. */
static void on_gone(struct mcp_conn *c)
{
    for (struct list *it = list_first(&c->requests); it != NULL; it = list_first(&c->requests)) {
        struct door_call *q = container_of(it, struct door_call, link);

        list_remove(it);
        q->conn = NULL;
        q->call = NULL;
        exchange_leave(q->exchange, &q->sink);
    }
}

static const struct key *find_by_name(const struct keys *keys, struct str name)
{
    for (size_t i = 0; i < keys->n_keys; i++)
        if (str_eq(keys->keys[i].name, name))
            return &keys->keys[i];
    return NULL;
}

/* Whether what the connection showed at its begin would let it in now. */
static bool is_still_valid(const struct mcp_conn *c, const struct keys *before,
                           const struct keys *now)
{
    const struct key *old;
    const struct key *new;

    if (now->n_keys == 0)
        return true;
    if (c->key_name == NULL)
        return false;
    old = find_by_name(before, str_of(c->key_name));
    new = find_by_name(now, str_of(c->key_name));
    return old != NULL && new != NULL &&str_eq(old->secret, new->secret) &&
           old->scopes == new->scopes;
}

void mcp_door_take_keys(struct mcp_listener *listener, const struct keys *before,
                        const struct keys *now)
{
    if (!listener->is_open)
        return;
    listener->settings.needs_key = now->n_keys > 0;
    list_for_each_safe (it, &listener->conns) {
        struct mcp_conn *c = container_of(it, struct mcp_conn, link);

        if (!is_still_valid(c, before, now))
            mcp_conn_dismiss(c, KEY_GRACE_S);
    }
}

static const char codecs[N_CODECS] = {CODEC_PROTOBUF, CODEC_JSON};

void mcp_door_init(struct mcp_listener *listener, struct worker *w)
{
    *listener = (struct mcp_listener){
        .ops = &session_ops,
        .on_gone = on_gone,
        .settings = mcp_settings_default,
        .loop = &w->loop,
        .metrics = w->metrics,
        .on_idle = &w->idle_check,
    };
    listener->settings.needs_key = w->view->keys.n_keys > 0;
    listener->settings.hello.codecs = str_make(codecs, N_CODECS);
    listener->settings.hello.features |= MCP_FEATURE_COMPRESSION;
    listener->settings.hello.compressions = STR("\0\1\2"); /* none, gzip, zstd */
    zip_init(&listener->zip, ANSWER_MAX);
    listener->encoded = BUF_INIT(ANSWER_MAX);
    arena_init(&listener->scratch, SCRATCH_MAX);
}
