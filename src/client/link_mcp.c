/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/err.h"
#include "client/channel.h"
#include "wire/wire.h"

/*
 * A connection that carries many calls
 *
 *     CONNECTING ──► GREETING ──HELLO_ACK──► READY ──GOAWAY──► GOING ──► freed
 *          └────────────┴───────────────────────┴───────────────^
 *
 * Calls are opened from GREETING on: the first ones ride behind HELLO, unless the server may turn
 * out to be plain. The pool keeps those without calls. A connection that is lost is GOING until the loop gives its memory back.
 */
enum conn_state {
    CONN_CONNECTING,
    CONN_GREETING,
    CONN_READY,
    CONN_GOING, /* nothing new goes on it */
};

struct client_mcp_conn {
    struct wire wire;
    struct client_endpoint *endpoint;
    struct list link;
    struct pool_member member;
    uint32_t n_calls;   /* ids in use, calls that were dropped included */
    uint32_t n_batches; /* of the session's, that the client has counted */
    enum conn_state state;
    bool is_full; /* the peer takes no more until a call ends */
};

static struct client_mcp_conn *conn_of(struct mcp_session *s)
{
    return container_of(wire_of(s), struct client_mcp_conn, wire);
}

/* Takes no more calls. Return: whether it could have. */
static bool retire(struct client_mcp_conn *c)
{
    struct client_endpoint *e = c->endpoint;

    if (c->state == CONN_GOING)
        return false;
    if (c->state < CONN_READY)
        e->n_opening--;
    c->state = CONN_GOING;
    pool_leave(&e->pool, &c->member);
    net_timer_arm(&e->client->loop, &e->sweep, pool_next_expiry(&e->pool));
    return true;
}

static int conn_open(struct client_endpoint *e);

/* Whether the server may be one that knows the plain profile only. */
static bool may_be_plain(const struct client_endpoint *e)
{
    return e->client->options.may_go_plain && !e->is_greeted;
}

/* It was never ready. */
static void fail(struct client_mcp_conn *c, unsigned code, const char *why)
{
    if (retire(c) && !c->endpoint->client->is_closing)
        client_channel_failed(c->endpoint, code, why);
}

/* Whether the server closed at HELLO, as one does that knows the plain profile only. */
static bool is_refused(const struct client_mcp_conn *c)
{
    return c->state == CONN_GREETING && may_be_plain(c->endpoint) &&
           mcp_session_end_code(&c->wire.session) == MCP_UNAVAILABLE;
}

/* It is tried once more, plainly. */
static void go_plain(struct client_mcp_conn *c)
{
    struct client_endpoint *e = c->endpoint;
    int r;

    (void)retire(c);
    e->is_plain = true;
    r = e->client->is_closing ? 0 : conn_open(e);
    if (r < 0)
        client_channel_failed(e, MCP_UNAVAILABLE, err_text(r));
}

/* What the session ended with before HELLO_ACK. */
static void fail_greeting(struct client_mcp_conn *c)
{
    if (is_refused(c))
        go_plain(c);
    else if (mcp_session_end_code(&c->wire.session) == MCP_UNAUTHENTICATED)
        fail(c, MCP_UNAUTHENTICATED, "the server asks for a valid key");
    else
        fail(c, MCP_UNAVAILABLE, "the connection ended before the server had greeted");
}

/* Without calls it grows old in the pool. */
static void rest(struct client_mcp_conn *c)
{
    struct client_endpoint *e = c->endpoint;

    if (c->n_calls > 0 || c->member.is_idle || c->state >= CONN_GOING)
        return;
    if (pool_put(&e->pool, &c->member, time_now()) == 0)
        net_timer_arm(&e->client->loop, &e->sweep, pool_next_expiry(&e->pool));
}

static void become_ready(struct client_mcp_conn *c)
{
    c->state = CONN_READY;
    c->is_full = false;
    c->endpoint->n_opening--;
    rest(c);
    client_channel_connected(c->endpoint);
}

static void on_open(struct wire *w)
{
    struct client_mcp_conn *c = container_of(w, struct client_mcp_conn, wire);

    c->state = CONN_GREETING;
    if (c->wire.session.is_plain)
        become_ready(c);
    client_channel_wake(c->endpoint->client);
}

static void on_failed(struct wire *w, int err)
{
    struct client_mcp_conn *c = container_of(w, struct client_mcp_conn, wire);

    wire_close(w);
    fail(c, MCP_UNAVAILABLE, err_text(err));
}

static void on_closed(struct wire *w)
{
    struct client_mcp_conn *c = container_of(w, struct client_mcp_conn, wire);
    struct client_endpoint *e = c->endpoint;

    list_remove(&c->link);
    e->n_conns--;
    atomic_fetch_sub_explicit(&e->client->n_connections, 1, memory_order_relaxed);
    if (c->state < CONN_READY)
        fail_greeting(c);
    (void)retire(c);
    client_channel_wake(e->client);
    wire_fini(w);
    free(c);
}

static const struct wire_ops wire_ops = {
    .name = "client",
    .on_open = on_open,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

/*
 * What the session tells
 */

static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    struct client_mcp_conn *c = conn_of(s);

    (void)hello;
    c->endpoint->is_greeted = true;
    if (c->state == CONN_GREETING)
        become_ready(c);
    return 0;
}

/* A body that its codec does not understand. */
static const struct client_end garbled = {
    .code = MCP_DATA_LOSS,
    .retry_after_ms = -1,
    .text = STR_INIT("the answer is not what its codec says"),
};

/* A compressed body that is none. */
static const struct client_end misshapen = {
    .code = MCP_INVALID_ARGUMENT,
    .retry_after_ms = -1,
    .text = STR_INIT("the answer is not what its compression says"),
};

/* What a message says, as JSON. Return: NULL, or why it cannot be told. */
static const struct client_end *read_body(const chasqui_call *call, const struct mcp_message *m,
                                          struct str *ret)
{
    struct client_coder *coder = &call->client->coder;
    struct str body = m->body;

    if (m->ext != NULL && m->ext->compression != MCP_COMPRESSION_NONE &&
        zip_grow(&call->client->zip, (enum zip_algorithm)m->ext->compression, m->body,
                 m->ext->raw_len, &body) < 0)
        return &misshapen;
    return client_coder_record(coder, call->known, call->codec, body, ret) < 0 ? &garbled : NULL;
}

static void on_chunk(struct mcp_session *s, struct mcp_call *mcp, const struct mcp_message *chunk)
{
    chasqui_call *call = mcp->owner;
    const struct client_end *wrong;
    struct str json;

    if (call == NULL) {
        mcp_call_take(mcp, chunk->cost);
        return;
    }
    wrong = read_body(call, chunk, &json);
    if (wrong != NULL)
        client_call_end(call, wrong);
    else
        client_call_record(call, json, chunk->cost);
    wire_wake(wire_of(s)); /* maybe there is credit to give */
}

static void count_batches(struct client_mcp_conn *c)
{
    atomic_fetch_add_explicit(&c->endpoint->client->n_batches,
                              c->wire.session.n_batches - c->n_batches, memory_order_relaxed);
    c->n_batches = c->wire.session.n_batches;
}

/* One call less: maybe there is room, maybe nothing is left to do. */
static void count_down(struct client_mcp_conn *c)
{
    if (c->wire.session.n_batches != c->n_batches)
        count_batches(c);
    c->n_calls--;
    c->is_full = false;
    rest(c);
    client_channel_wake(c->endpoint->client);
}

static void on_end(struct mcp_session *s, struct mcp_call *mcp, const struct mcp_message *response,
                   const struct mcp_error *error)
{
    chasqui_call *call = mcp->owner;
    const struct client_end *wrong;
    struct client_end end;

    count_down(conn_of(s));
    if (call == NULL)
        return;
    call->mcp = NULL;
    call->conn = NULL;
    end = client_end_of(response, error);
    wrong = response != NULL ? read_body(call, response, &end.body) : NULL;
    if (wrong != NULL)
        end = *wrong;
    client_call_tried(call, &end);
}

static void on_goaway(struct mcp_session *s, unsigned reason, unsigned grace_s)
{
    (void)reason;
    (void)grace_s;
    (void)retire(conn_of(s));
}

static const struct mcp_session_ops session_ops = {
    .name = "client",
    .on_hello = on_hello,
    .on_chunk = on_chunk,
    .on_end = on_end,
    .on_goaway = on_goaway,
};

/*
 * Connecting
 */

static int conn_open(struct client_endpoint *e)
{
    struct client_mcp_conn *c = calloc(1, sizeof(*c));
    bool is_plain = e->is_plain || e->client->options.speaks_plain;
    const struct wire_setup setup = {
        .loop = &e->client->loop,
        .ops = &wire_ops,
        .settings = is_plain ? &e->client->plain_settings : &e->client->mcp_settings,
        .session_ops = &session_ops,
        .pool = &e->client->pool,
    };
    int r;

    if (c == NULL)
        return -ENOMEM;
    c->endpoint = e;
    e->is_plain = false; /* who was mistaken for simple is greeted the next time */
    r = wire_connect(&c->wire, &setup, &e->url.addr, e->client->options.connect_timeout_ns);
    if (r < 0) {
        free(c);
        return r;
    }
    list_put_back(&e->conns, &c->link);
    pool_join(&e->pool, &c->member, NSEC_NEVER);
    e->n_conns++;
    e->n_opening++;
    atomic_fetch_add_explicit(&e->client->n_connections, 1, memory_order_relaxed);
    return 0;
}

/*
 * Calls
 */

static bool takes_calls(const struct client_mcp_conn *c)
{
    bool is_early = c->state == CONN_GREETING && !may_be_plain(c->endpoint);

    return (is_early || c->state == CONN_READY) && !c->is_full &&
           mcp_session_state(&c->wire.session) <= MCP_STATE_RUNNING;
}

/* The connection with the fewest calls that takes one more, or NULL. */
static struct client_mcp_conn *pick(struct client_endpoint *e)
{
    struct pool_member *idle = pool_take(&e->pool);
    struct client_mcp_conn *best = NULL;

    if (idle != NULL)
        return container_of(idle, struct client_mcp_conn, member);
    list_for_each (it, &e->conns) {
        struct client_mcp_conn *c = container_of(it, struct client_mcp_conn, link);

        if (!takes_calls(c))
            continue;
        if (best == NULL || c->n_calls < best->n_calls)
            best = c;
    }
    return best;
}

/* Another connection shares the load once those there are have some. */
static int grow(struct client_endpoint *e, const struct client_mcp_conn *picked)
{
    bool is_allowed = e->n_conns < e->client->options.connections && e->n_opening == 0 &&
                      e->failing_until <= time_now();

    if (!is_allowed || (picked != NULL && picked->n_calls == 0))
        return 0;
    return conn_open(e);
}

static size_t fill_metadata(const chasqui_call *call, struct mcp_metadata *ret, size_t max)
{
    const struct mcp_ext ext = {.tlvs = call->tlvs};
    size_t at = 0;
    size_t n = 0;

    while (n < max && mcp_ext_next_metadata(&ext, &at, &ret[n]))
        n++;
    return n;
}

/* Compresses the body where that was agreed and is worth it. Return: 0; MCP_BUSY whether it was is
 * not known before the ACK; -ENOMEM. */
static int shrink(struct client_mcp_conn *c, struct mcp_request *request)
{
    uint8_t algorithm = mcp_session_compression(&c->wire.session);
    size_t raw_len = request->body.len;
    chasqui_client *client = c->endpoint->client;
    int r;

    if (!c->wire.session.is_acked && !c->wire.session.is_plain && raw_len >= ZIP_MIN &&
        client->options.compression != ZIP_NONE)
        return MCP_BUSY;
    r = zip_shrink(&client->zip, (enum zip_algorithm)algorithm, request->body, &request->body);
    if (r != 0)
        return r == ZIP_KEEP ? 0 : r;
    request->ext.has_compression = true;
    request->ext.compression = algorithm;
    request->ext.raw_len = (uint32_t)raw_len;
    return 0;
}

static int open_call(struct client_mcp_conn *c, chasqui_call *call)
{
    struct mcp_metadata metadata[CLIENT_METADATA_MAX + 1];
    nsec_t now = time_now();
    struct mcp_request request = {
        .ext =
            {
                .method = call->known != NULL ? call->known->name : call->service,
                .trace = call->has_trace ? call->trace : NULL,
                .session = call->session,
                .metadata = metadata,
                .n_metadata = fill_metadata(call, metadata, CLIENT_METADATA_MAX + 1),
            },
        .owner = call,
    };
    /* In the plain profile all bodies are JSON: as if the service were not known. */
    int r =
        client_coder_request(&call->client->coder, c->wire.session.is_plain ? NULL : call->known,
                             call->payload, &request.body, &call->codec);

    if (r == 0)
        r = shrink(c, &request);
    if (r != 0)
        return r;
    request.ext.codec = (uint8_t)call->codec;
    request.ext.has_deadline = client_call_time_left(call, now, &request.ext.deadline_ms);
    return mcp_session_open(&c->wire.session, &request, now, &call->mcp);
}

static int mcp_start(struct client_endpoint *e, chasqui_call *call)
{
    struct client_mcp_conn *c = pick(e);
    int r = grow(e, c);

    if (c == NULL)
        return r < 0 ? r : CLIENT_BUSY;
    r = open_call(c, call);
    if (r != 0) {
        c->is_full = r == MCP_BUSY;
        rest(c);
        return r == MCP_BUSY ? CLIENT_BUSY : r;
    }
    c->n_calls++;
    call->conn = c;
    client_call_opened(call, e);
    wire_wake(&c->wire);
    return 0;
}

static void mcp_drop(chasqui_call *call, enum mcp_cancel reason)
{
    if (call->mcp == NULL)
        return;
    call->mcp->owner = NULL;
    mcp_call_cancel(call->mcp, reason, time_now());
    wire_wake(&call->conn->wire);
    call->mcp = NULL;
    call->conn = NULL;
}

static void mcp_take(chasqui_call *call, uint32_t cost)
{
    if (call->mcp == NULL)
        return;
    mcp_call_take(call->mcp, cost);
    wire_wake(&call->conn->wire);
}

static bool mcp_is_hopeful(const struct client_endpoint *e)
{
    list_for_each (it, &e->conns)
        if (container_of(it, struct client_mcp_conn, link)->state < CONN_GOING)
            return true;
    return false;
}

/*
 * Endpoint
 */

static void close_idle(struct client_mcp_conn *c)
{
    (void)retire(c);
    wire_close(&c->wire);
}

static void on_sweep(struct net_timer *timer)
{
    struct client_endpoint *e = container_of(timer, struct client_endpoint, sweep);
    struct pool_member *m;

    while ((m = pool_expired(&e->pool, time_now())) != NULL)
        close_idle(container_of(m, struct client_mcp_conn, member));
    net_timer_arm(&e->client->loop, timer, pool_next_expiry(&e->pool));
}

static int mcp_init(struct client_endpoint *e)
{
    list_init(&e->conns);
    pool_init(&e->pool, e->client->options.connections, e->client->options.idle_close_ns);
    return net_timer_init(&e->client->loop, &e->sweep, on_sweep);
}

/* The end of a connection cancels at the server what was open on it. */
static void mcp_close(struct client_endpoint *e)
{
    list_for_each (it, &e->conns)
        close_idle(container_of(it, struct client_mcp_conn, link));
    net_timer_fini(&e->client->loop, &e->sweep);
}

const struct client_link_ops client_link_mcp = {
    .name = "mcp",
    .init = mcp_init,
    .start = mcp_start,
    .drop = mcp_drop,
    .take = mcp_take,
    .is_hopeful = mcp_is_hopeful,
    .close = mcp_close,
};
