/* SPDX-License-Identifier: MIT */

/*
 * Two sessions back to back, under a scheduler that splits, delays and interleaves. Each run is a
 * seed.
 */

#include "peer.h"

#include "base/rng.h"

#define N_SEEDS   150
#define N_STEPS   1500
#define N_TRACKED 4096

/* One call, as the client's application sees it; the id as both see it on the wire. */
struct tracked {
    struct mcp_call *call; /* NULL: ended */
    uint32_t seq;
    uint32_t pending; /* cost of chunks not taken yet */
    uint32_t n_chunks;
    uint32_t n_ends;
    size_t body_len;
    bool is_cancelled;
};

struct handler {
    struct mcp_call *call;
    uint32_t n_chunks;
};

struct world {
    struct peer *client;
    struct peer *server;
    struct rng rng;
    struct tracked tracked[N_TRACKED];
    size_t n_tracked;
    struct handler handlers[256];
    size_t n_handlers;
    struct buf to_server;
    struct buf to_client;
    uint32_t in_use[512]; /* ids between REQUEST sent and terminal frame received */
    size_t n_in_use;
    size_t n_batches;
};

static struct world *the_world;

static uint64_t below(struct world *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

/* A body says its length, then repeats one byte of it. */
static size_t make_body(char *out, uint32_t number, size_t len)
{
    wire_put_u32(out, number);
    wire_put_u32(out + 4, (uint32_t)len);
    memset(out + 8, (int)(number & 0xFF), len - 8);
    return len;
}

static uint32_t check_body(struct str body)
{
    uint32_t number = wire_get_u32(body.s);

    assert_true(body.len >= 8);
    assert_int_equal(wire_get_u32(body.s + 4), body.len);
    for (size_t i = 8; i < body.len; i += 997)
        assert_int_equal((uint8_t)body.s[i], number & 0xFF);
    return number;
}

static void world_request(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    struct world *w = the_world;

    (void)s;
    (void)check_body(m->body);
    w->handlers[w->n_handlers++] = (struct handler){.call = call};
}

static void world_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    (void)s;
    (void)reason;
    for (size_t i = 0; i < the_world->n_handlers; i++) {
        if (the_world->handlers[i].call == call)
            return;
    }
    fail_msg("cancelled what was not handed out");
}

static void world_chunk(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    struct tracked *t = call->owner;

    (void)s;
    assert_false(t->is_cancelled);
    assert_int_equal(check_body(m->body), t->n_chunks);
    t->n_chunks++;
    t->pending += m->cost;
}

static void world_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m,
                      const struct mcp_error *error)
{
    struct tracked *t = call->owner;

    (void)s;
    assert_true((m == NULL) != (error == NULL));
    if (m != NULL && !t->is_cancelled)
        assert_int_equal(check_body(m->body), t->n_chunks);
    t->n_ends++;
    assert_int_equal(t->n_ends, 1);
    t->call = NULL;
}

static const struct mcp_session_ops world_ops = {
    .name = "world",
    .on_request = world_request,
    .on_cancel = world_cancel,
    .on_chunk = world_chunk,
    .on_end = world_end,
};

/* Counters as after nearly 4 GiB. */
static void fast_forward(struct mcp_tx *tx, struct mcp_rx *rx)
{
    uint32_t by = UINT32_MAX - 300000;

    tx->sent += by;
    tx->limit += by;
    rx->received += by;
    rx->released += by;
    rx->limit += by;
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.rng = {.state = seed}};
    the_world = w;
    w->client = peer_make();
    w->server = peer_make();
    w->client->settings.hello.conn_limit = 65536;
    w->client->settings.hello.call_limit = 8192 + (uint32_t)below(w, 40000);
    w->client->settings.gather_calls = (uint32_t)below(w, 2) * 8;
    w->client->settings.gather_bytes = 2000;
    w->client->settings.gather_ns = MS;
    w->server->settings.hello.conn_limit = 65536;
    w->server->settings.hello.call_limit = 8192 + (uint32_t)below(w, 40000);
    w->server->settings.hello.max_inflight = 40;
    w->server->settings.hello.max_frame = (uint16_t)(4096 + below(w, 60000));
    w->to_server = BUF_INIT(1u << 30);
    w->to_client = BUF_INIT(1u << 30);
    assert_int_equal(mcp_session_init(&w->client->session, MCP_CLIENT, &w->client->settings,
                                      &world_ops, &w->client->pool, T0),
                     0);
    assert_int_equal(mcp_session_init(&w->server->session, MCP_SERVER, &w->server->settings,
                                      &world_ops, &w->server->pool, T0),
                     0);
}

static void open_one(struct world *w)
{
    static char body[120000];
    struct tracked *t = &w->tracked[w->n_tracked];
    size_t len = 8 + (below(w, 4) == 0 ? below(w, 100000) : below(w, 200));
    struct mcp_request request = {.ext = {.method = STR("echo")}, .owner = t};

    if (w->n_tracked == N_TRACKED)
        return;
    request.ext.order_lane = (uint16_t)(below(w, 5) == 0 ? 1 + below(w, 2) : 0);
    request.ext.stream_limit = below(w, 3) == 0 ? 8192 : 0;
    request.body = str_make(body, make_body(body, (uint32_t)w->n_tracked, len));
    *t = (struct tracked){.body_len = len};
    if (mcp_session_open(&w->client->session, &request, T0, &t->call) != 0)
        return;
    t->seq = t->call->seq;
    w->n_tracked++;
}

static void cancel_one(struct world *w)
{
    struct tracked *t = w->n_tracked > 0 ? &w->tracked[below(w, w->n_tracked)] : NULL;

    if (t == NULL || t->call == NULL)
        return;
    t->is_cancelled = true;
    mcp_call_cancel(t->call, MCP_CANCEL_APPLICATION, T0);
}

static void take_one(struct world *w)
{
    struct tracked *t =
        w->n_tracked > 0 ? &w->tracked[w->n_tracked - 1 - below(w, w->n_tracked) / 8] : NULL;

    if (t == NULL || t->call == NULL)
        return;
    mcp_call_take(t->call, t->pending);
    t->pending = 0;
}

static void forget(struct world *w, struct handler *h)
{
    *h = w->handlers[--w->n_handlers];
}

/* @is_end: respond or fail, no chunks. */
static void handle_one(struct world *w, bool is_end)
{
    static char body[120000];
    struct mcp_error error = MCP_ERROR_MAKE(MCP_INTERNAL, 0, MCP_ORIGIN_GATEWAY, STR("x"));
    struct handler *h = w->n_handlers > 0 ? &w->handlers[below(w, w->n_handlers)] : NULL;
    size_t len = 8 + (below(w, 6) == 0 ? below(w, 100000) : below(w, 3000));
    uint64_t what = below(w, 8);
    int r;

    if (h == NULL)
        return;
    (void)make_body(body, h->n_chunks, len);
    if (what < 5 && !is_end) {
        r = mcp_call_chunk(h->call, NULL, str_make(body, len));
        assert_true(r >= 0 || r == -ECANCELED);
        h->n_chunks++;
        return;
    }
    if (what == 7)
        mcp_call_fail(h->call, NULL, &error);
    else
        assert_int_equal(mcp_call_respond(h->call, NULL, str_make(body, len)), 0);
    forget(w, h);
}

static size_t find_in_use(const struct world *w, uint32_t seq)
{
    size_t i = 0;

    while (i < w->n_in_use && w->in_use[i] != seq)
        i++;
    return i;
}

/* Entries of a BATCH open calls as well. */
static void watch_batch(struct world *w, const struct mcp_frame *f)
{
    struct mcp_ext ext;
    struct str rest;

    assert_int_equal(mcp_ext_parse(f->payload, &ext, &rest), 0);
    for (rest = str_from(rest, 4); rest.len > 0;
         rest = str_from(rest, 6u + wire_get_u16(rest.s + 4))) {
        uint32_t seq = wire_get_u32(rest.s);

        assert_int_equal(find_in_use(w, seq), w->n_in_use);
        w->in_use[w->n_in_use++] = seq;
    }
    w->n_batches++;
}

/* Watches whole frames at the client's end of the wire. @at: bytes of @b looked at. */
static void watch(struct world *w, struct str bytes, bool is_sent)
{
    struct mcp_frame f;

    while (mcp_frame_next(&bytes, MCP_PAYLOAD_MAX, &f) == 0) {
        size_t i = find_in_use(w, f.seq);

        if (is_sent && f.type == MCP_REQUEST && (f.flags & MCP_EXT) != 0) {
            assert_int_equal(i, w->n_in_use);
            w->in_use[w->n_in_use++] = f.seq;
        } else if (is_sent && f.type == MCP_BATCH) {
            watch_batch(w, &f);
        } else if (!is_sent && f.seq != 0 &&
                   (f.type == MCP_ERROR || (f.type == MCP_RESPONSE && (f.flags & MCP_MORE) == 0))) {
            assert_true(i < w->n_in_use);
            w->in_use[i] = w->in_use[--w->n_in_use];
        }
    }
}

static size_t whole_frames(struct str bytes)
{
    struct str rest = bytes;
    struct mcp_frame f;

    while (mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f) == 0)
        ;
    return bytes.len - rest.len;
}

/* Writes up to @max bytes. The client's are watched once they are whole. */
static void pump_out(struct world *w, struct peer *from, struct buf *pipe, size_t max)
{
    size_t before = from->wire.len;
    size_t whole;

    (void)peer_write(from, max);
    if (from->wire.len == before)
        return;
    whole = whole_frames(buf_str(&from->wire));
    if (from == w->client)
        watch(w, str_head(buf_str(&from->wire), whole), true);
    assert_int_equal(buf_put(pipe, str_head(buf_str(&from->wire), whole)), 0);
    buf_take(&from->wire, whole);
}

static void pump_in(struct world *w, struct peer *to, struct buf *pipe, size_t max)
{
    struct str piece = str_head(buf_str(pipe), max);
    size_t whole;

    assert_int_equal(buf_put(&to->in, piece), 0);
    buf_take(pipe, piece.len);
    whole = whole_frames(buf_str(&to->in));
    if (to == w->client)
        watch(w, str_head(buf_str(&to->in), whole), false);
    assert_int_equal(mcp_session_feed(&to->session, buf_str(&to->in), T0), whole);
    buf_take(&to->in, whole);
    if (mcp_session_state(&to->session) > MCP_STATE_RUNNING)
        fail_msg("it ended: %s", mcp_code_info(to->session.end_code)->name);
}

static void step(struct world *w)
{
    switch (below(w, 12)) {
    case 0:
    case 1:
        open_one(w);
        return;
    case 2:
        if (below(w, 3) == 0)
            cancel_one(w);
        return;
    case 3:
        take_one(w);
        return;
    case 4:
    case 5:
        handle_one(w, w->n_handlers > 30);
        return;
    case 6:
    case 7:
        pump_out(w, w->client, &w->to_server, below(w, 20000));
        return;
    case 8:
        pump_out(w, w->server, &w->to_client, below(w, 20000));
        return;
    case 9:
        pump_in(w, w->client, &w->to_client, below(w, 30000));
        return;
    case 10:
        pump_in(w, w->server, &w->to_server, below(w, 30000));
        return;
    default:
        mcp_session_tick(&w->client->session, T0);
        mcp_session_tick(&w->server->session, T0);
        if (below(w, 20) == 0 && w->client->session.is_acked)
            assert_int_equal(mcp_session_ping(&w->client->session, "12345678"), 0);
    }
}

/* Nobody is slow any more, until nothing moves. */
static void settle(struct world *w)
{
    for (int quiet = 0; quiet < 3; quiet++) {
        while (w->n_handlers > 0) {
            handle_one(w, true);
            quiet = 0;
        }
        for (size_t i = 0; i < w->n_tracked; i++) {
            struct tracked *t = &w->tracked[i];

            if (t->call != NULL && t->pending > 0) {
                mcp_call_take(t->call, t->pending);
                t->pending = 0;
                quiet = 0;
            }
        }
        pump_out(w, w->client, &w->to_server, SIZE_MAX);
        pump_out(w, w->server, &w->to_client, SIZE_MAX);
        if (w->to_server.len + w->to_client.len > 0)
            quiet = 0;
        pump_in(w, w->server, &w->to_server, SIZE_MAX);
        pump_in(w, w->client, &w->to_client, SIZE_MAX);
        mcp_session_tick(&w->client->session, T0);
        mcp_session_tick(&w->server->session, T0);
    }
}

static void check_settled(const struct world *w)
{
    const struct mcp_session *c = &w->client->session;
    const struct mcp_session *s = &w->server->session;

    for (size_t i = 0; i < w->n_tracked; i++)
        assert_int_equal(w->tracked[i].n_ends, 1);
    assert_int_equal(w->n_in_use, 0);
    assert_int_equal(c->n_calls, 0);
    assert_int_equal(s->n_calls, 0);
    assert_int_equal(c->unsent + s->unsent, 0);
    assert_int_equal(c->partial_bytes + s->partial_bytes, 0);
    assert_int_equal(c->n_partial + s->n_partial, 0);
    /* Credit is conserved: what was sent was received, what is granted is known. */
    assert_int_equal(c->tx.sent, s->rx.received);
    assert_int_equal(c->tx.limit, s->rx.limit);
    assert_int_equal(s->tx.sent, c->rx.received);
    assert_int_equal(s->tx.limit, c->rx.limit);
    assert_int_equal(s->rx.received, s->rx.released);
    assert_true(mcp_tx_room(&c->tx) >= s->rx.window / 2);
    assert_true(mcp_tx_room(&s->tx) >= c->rx.window / 2);
}

static void world_fini(struct world *w)
{
    peer_free(w->client);
    peer_free(w->server);
    buf_fini(&w->to_server);
    buf_fini(&w->to_client);
}

/* [M-59] [M-61] [M-104] */
static void every_call_ends_once_and_credit_is_conserved(void **state)
{
    static struct world w;
    size_t n_batches = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
        world_init(&w, seed);
        for (int i = 0; i < N_STEPS; i++)
            step(&w);
        settle(&w);
        check_settled(&w);
        assert_true(w.n_tracked > 20);
        n_batches += w.n_batches;
        world_fini(&w);
    }
    assert_true(n_batches > N_SEEDS);
}

/* [M-75] [M-102] */
static void four_gibibytes_and_the_wrap_of_ids_change_nothing(void **state)
{
    static struct world w;

    (void)state;
    for (uint64_t seed = 1000; seed < 1000 + N_SEEDS / 3; seed++) {
        world_init(&w, seed);
        pump_out(&w, w.client, &w.to_server, SIZE_MAX);
        settle(&w);
        fast_forward(&w.client->session.tx, &w.server->session.rx);
        fast_forward(&w.server->session.tx, &w.client->session.rx);
        w.client->session.next_seq = MCP_SEQ_MAX - 10;
        for (int i = 0; i < N_STEPS; i++)
            step(&w);
        settle(&w);
        check_settled(&w);
        assert_true(w.client->session.newest < 1000);
        assert_true(w.server->session.tx.sent < UINT32_MAX / 2);
        world_fini(&w);
    }
}

/* [M-102] [M-104] */
static void ids_come_round_while_others_are_in_use(void **state)
{
    static struct world w;

    (void)state;
    for (uint64_t seed = 2000; seed < 2000 + N_SEEDS / 3; seed++) {
        world_init(&w, seed);
        for (int i = 0; i < N_STEPS; i++) {
            if (i % 40 == 0)
                w.client->session.next_seq = MCP_SEQ_MAX - 5;
            step(&w);
        }
        settle(&w);
        check_settled(&w);
        world_fini(&w);
    }
}

/*
 * Pieces
 */

static void put_script(struct buf *script, struct rng *rng)
{
    for (uint32_t seq = 1; seq <= 60; seq++) {
        assert_int_equal(buf_put(script, request_make(seq, bytes_make(rng_below(rng, 300)))), 0);
        if (seq % 7 == 0) {
            assert_int_equal(buf_put(script, first_make(100 + seq, 9000, 5000)), 0);
            assert_int_equal(buf_put(script, frame_make(MCP_CANCEL, seq - 3, STR("\0"))), 0);
            assert_int_equal(buf_put(script, frame_make(MCP_REQUEST, 100 + seq, bytes_make(4000))),
                             0);
        }
        if (seq % 11 == 0)
            assert_int_equal(buf_put(script, frame_make(MCP_PING, 0, bytes_make(8))), 0);
        if (seq % 13 == 0)
            assert_int_equal(buf_put(script, message_make(MCP_REQUEST, 200 + seq,
                                                          &(struct mcp_ext){0}, STR("x"))),
                             0);
    }
    assert_int_equal(buf_put(script, frame_make(MCP_REQUEST, 1, STR("wrong"))), 0);
    assert_int_equal(buf_put(script, request_make(900, STR("never"))), 0);
}

/* [M-2] */
static void the_same_bytes_in_any_pieces_are_the_same_events(void **state)
{
    struct rng rng = {.state = 5};
    struct buf script = BUF_INIT(1u << 20);
    static char whole[65536];

    (void)state;
    put_script(&script, &rng);
    for (int run = 0; run < 60; run++) {
        struct peer *p = peer_ready(MCP_SERVER, NULL);
        struct str rest = buf_str(&script);

        while (rest.len > 0) {
            size_t n = run == 0 ? rest.len : run == 1 ? 1 : 1 + rng_below(&rng, 3000);
            struct str piece = str_head(rest, n);

            peer_feed(p, piece);
            rest = str_from(rest, piece.len);
        }
        assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
        if (run == 0)
            memcpy(whole, peer_told(p), sizeof(whole));
        else
            assert_string_equal(peer_told(p), whole);
        peer_free(p);
    }
    assert_non_null(strstr(whole, "cancel 53 0;"));
    buf_fini(&script);
}

/*
 * Memory
 */

static void exchange(struct peer *client, struct peer *server)
{
    for (int i = 0; i < 4; i++) {
        (void)peer_write(client, SIZE_MAX);
        peer_feed(server, buf_str(&client->wire));
        buf_reset(&client->wire);
        (void)peer_write(server, SIZE_MAX);
        peer_feed(client, buf_str(&server->wire));
        buf_reset(&server->wire);
    }
}

static int try_open(struct peer *client, struct mcp_ext ext, size_t len, struct mcp_call **ret_call)
{
    struct mcp_request request = {.ext = ext, .body = bytes_make(len)};

    request.ext.method = STR("echo");
    return mcp_session_open(&client->session, &request, client->now, ret_call);
}

static void may_fail(int r)
{
    (void)r;
}

/* A little of everything. Counts what was opened. */
static void play(struct peer *client, struct peer *server, size_t *n_opened)
{
    struct mcp_call *call = NULL;

    exchange(client, server);
    *n_opened += try_open(client, (struct mcp_ext){0}, 10, &call) == 0;
    *n_opened += try_open(client, (struct mcp_ext){.order_lane = 1}, 50000, &call) == 0;
    *n_opened += try_open(client, (struct mcp_ext){.order_lane = 1}, 10, &call) == 0;
    exchange(client, server);
    server->is_echo = false;
    if (try_open(client, (struct mcp_ext){0}, 10, &call) == 0) {
        uint32_t seq = call->seq;

        (*n_opened)++;
        server->calls[seq % 512] = NULL;
        exchange(client, server);
        if (server->calls[seq % 512] != NULL) {
            may_fail(mcp_call_chunk(server->calls[seq % 512], NULL, bytes_make(1000)));
            may_fail(mcp_call_chunk(server->calls[seq % 512], NULL, bytes_make(30000)));
        }
        exchange(client, server);
        if (mcp_session_state(&client->session) == MCP_STATE_RUNNING && client->session.n_calls > 0)
            mcp_call_cancel(call, MCP_CANCEL_APPLICATION, client->now);
        exchange(client, server);
    }
    may_fail(mcp_session_ping(&client->session, "12345678"));
    may_fail(mcp_session_goaway(&server->session, MCP_GOAWAY_MAINTENANCE, 1, server->now));
    exchange(client, server);
    peer_tick(server, 2 * SEC);
    peer_tick(client, 0);
    exchange(client, server);
}

static size_t count_ends(struct str events)
{
    size_t n = 0;

    for (size_t at; (at = str_search(events, STR("end "))) < events.len;
         events = str_from(events, at + 4))
        n++;
    return n;
}

/* Return: whether the failure was reached. */
static bool play_failing(size_t n, bool is_client, bool is_failing_on)
{
    struct peer *client = peer_make();
    struct peer *server = peer_make();
    struct peer *failing = is_client ? client : server;
    size_t n_opened = 0;
    bool is_reached;

    server->is_echo = client->is_echo = true;
    failing->meter.fail_at = n;
    failing->meter.is_failing_on = is_failing_on;
    if (mcp_session_init(&client->session, MCP_CLIENT, &client->settings, &peer_ops, &client->pool,
                         T0) < 0) {
        client->is_closed = server->is_closed = true;
    } else {
        peer_begin(server, MCP_SERVER);
        play(client, server, &n_opened);
        mcp_session_eof(&client->session, client->now);
        mcp_session_eof(&server->session, server->now);
        assert_int_equal(count_ends(buf_str(&client->events)), n_opened);
    }
    is_reached = failing->meter.n_requests >= n;
    peer_free(client);
    peer_free(server);
    return is_reached;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (int mode = 0; mode < 4; mode++) {
        size_t n = 1;

        while (play_failing(n, (mode & 1) != 0, (mode & 2) != 0))
            n++;
        assert_true(n > 5);
    }
}

static void small_calls_allocate_nothing_once_warm(void **state)
{
    struct peer *client = peer_make();
    struct peer *server = peer_make();
    size_t n_before = 0;
    struct mcp_call *call;

    (void)state;
    server->is_echo = true;
    peer_begin(client, MCP_CLIENT);
    peer_begin(server, MCP_SERVER);
    exchange(client, server);
    for (int round = 0; round < 200; round++) {
        if (round == 100)
            n_before = client->meter.n_requests + server->meter.n_requests;
        for (int i = 0; i < 32; i++)
            assert_int_equal(try_open(client, (struct mcp_ext){0}, 64, &call), 0);
        exchange(client, server);
        assert_int_equal(client->session.n_calls, 0);
    }
    assert_int_equal(client->meter.n_requests + server->meter.n_requests, n_before);
    peer_free(client);
    peer_free(server);
}

static void idle_sessions_and_streams_are_small(void **state)
{
    struct peer *server = peer_make();

    (void)state;
    assert_true(sizeof(struct mcp_session) <= 512);
    assert_true(sizeof(struct mcp_call) <= 512);
    peer_begin(server, MCP_SERVER);
    peer_feed(server, hello_make(MCP_HELLO, &server->settings.hello));
    server->is_echo = true;
    for (uint32_t seq = 1; seq <= 200; seq++)
        peer_feed(server, request_make(seq, STR("a")));
    (void)peer_said(server);
    peer_tick(server, 30 * SEC);
    (void)peer_said(server);
    mcp_pool_fini(&server->pool);
    assert_int_equal(server->meter.n_live, 0);
    peer_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_ends_once_and_credit_is_conserved),
        cmocka_unit_test(four_gibibytes_and_the_wrap_of_ids_change_nothing),
        cmocka_unit_test(ids_come_round_while_others_are_in_use),
        cmocka_unit_test(the_same_bytes_in_any_pieces_are_the_same_events),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(small_calls_allocate_nothing_once_warm),
        cmocka_unit_test(idle_sessions_and_streams_are_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
