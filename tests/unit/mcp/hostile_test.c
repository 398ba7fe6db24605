/* SPDX-License-Identifier: MIT */

/* A peer that sends anything at all, and an application that does anything in its callbacks. */

#include "peer.h"

#include "base/rng.h"

#define N_SESSIONS 1500
#define N_FRAMES   150

static struct rng rng;
static struct mcp_call *held[512];
static size_t n_held;
static size_t n_open;

static uint32_t below(uint32_t n)
{
    return (uint32_t)rng_below(&rng, n);
}

/* With luck a block that is right, or nearly. */
static size_t put_payload(char *p, unsigned type)
{
    struct mcp_ext ext = {
        .method = STR("m"), .has_total_len = below(2) == 0, .total_len = below(6000)};
    size_t n = below(4) == 0 ? below(5000) : below(40);

    ext.order_lane = (uint16_t)(below(4) == 0 ? below(3) : 0);
    ext.has_deadline = below(8) == 0;
    ext.deadline_ms = below(2000);
    ext.stream_limit = below(4) == 0 ? 8192 : 0;
    for (size_t i = 0; i < n; i++)
        p[i] = (char)below(256);
    if ((type & MCP_EXT) != 0 && below(10) > 0) {
        mcp_ext_pack(p, &ext, NULL);
        n += mcp_ext_len(&ext);
    }
    if ((type & MCP_TYPE_MASK) == MCP_ERROR && (type & MCP_EXT) == 0) {
        n = n < 10 ? 10 : n;
        wire_put_u16(p + 8, (uint16_t)(n - 10));
    }
    if ((type & MCP_TYPE_MASK) == MCP_CREDIT) {
        n = 8 * (1 + below(3));
        for (size_t at = 0; at < n; at += 8) {
            wire_put_u32(p + at, below(3));
            wire_put_u32(p + at + 4, below(4) == 0 ? below(UINT32_MAX) : below(400000));
        }
    }
    if (below(40) == 0 && n > 0)
        p[below((uint32_t)n)] ^= (char)(1 << below(8));
    return n;
}

/* A type that fits the direction, and an id that it may have. */
static unsigned pick_tame(const struct mcp_session *s, uint32_t *ret_seq)
{
    static const uint8_t to_client[] = {MCP_CHUNK, MCP_CHUNK, MCP_RESPONSE, MCP_ERROR, MCP_CREDIT};
    static const uint8_t to_server[] = {MCP_REQUEST, MCP_REQUEST, MCP_REQUEST, MCP_CANCEL,
                                        MCP_CREDIT};
    unsigned type = s->role == MCP_CLIENT ? to_client[below(sizeof(to_client))]
                                          : to_server[below(sizeof(to_server))];
    struct list *partial = list_first(&s->partials);

    *ret_seq = s->newest > 0 ? 1 + below(s->newest) : 1;
    if (partial != NULL && below(2) == 0) {
        *ret_seq = container_of(partial, struct mcp_call, partial)->seq;
        return container_of(partial, struct mcp_call, partial)->in.type |
               (below(2) == 0 ? MCP_MORE : 0u);
    }
    if (type == MCP_REQUEST) {
        *ret_seq = s->newest + 1;
        return type | MCP_EXT | (below(4) == 0 ? MCP_MORE : 0u);
    }
    return type | (type == MCP_CHUNK && below(3) == 0 ? MCP_EXT | MCP_MORE : 0u);
}

static unsigned pick_wild(uint32_t *ret_seq)
{
    unsigned type = below(256);

    *ret_seq = below(40);
    return type;
}

static void feed_something(struct peer *p, bool is_tame)
{
    static char payload[8192];
    uint32_t seq;
    unsigned type = is_tame && below(50) > 0 ? pick_tame(&p->session, &seq) : pick_wild(&seq);
    size_t n = put_payload(payload, type);

    if (type == MCP_CREDIT || type == MCP_PING || type == MCP_PONG)
        seq = 0;
    if (type == MCP_CANCEL)
        n = 1;
    if (type == MCP_PING || type == MCP_PONG)
        n = 8;
    peer_feed(p, frame_make(type, seq, str_make(payload, n)));
}

static void open_something(struct peer *p)
{
    struct mcp_request request = {.ext = {.method = STR("m")},
                                  .body = bytes_make(below(3) == 0 ? below(60000) : 10)};
    struct mcp_call *call;

    request.ext.order_lane = (uint16_t)below(2);
    if (mcp_session_open(&p->session, &request, p->now, &call) != 0)
        return;
    n_open++;
    held[n_held++] = call;
}

static void forget(const struct mcp_call *call)
{
    for (size_t i = 0; i < n_held; i++) {
        if (held[i] == call) {
            held[i] = held[--n_held];
            return;
        }
    }
    fail_msg("a call that was not held");
}

static void end_something(struct mcp_call *call)
{
    struct mcp_error error = MCP_ERROR_MAKE(MCP_INTERNAL, 0, 0, STR("no"));

    forget(call);
    if (below(2) == 0 && mcp_call_respond(call, NULL, bytes_make(below(30000))) == 0)
        return;
    mcp_call_fail(call, NULL, &error);
}

/* Anything the interface allows, at any time. */
static void do_something(struct peer *p)
{
    struct mcp_call *call = n_held > 0 ? held[below((uint32_t)n_held)] : NULL;
    uint32_t what = below(200) == 0 ? below(2) : 2 + below(98);

    if (what == 0)
        mcp_session_close(&p->session, p->now);
    else if (what == 1 && mcp_session_goaway(&p->session, MCP_GOAWAY_MAINTENANCE, 1, p->now) < 0)
        fail();
    if (p->session.role == MCP_CLIENT && what < 40)
        open_something(p);
    else if (call != NULL && p->session.role == MCP_CLIENT && what < 60)
        mcp_call_cancel(call, MCP_CANCEL_APPLICATION, p->now);
    else if (call != NULL && p->session.role == MCP_CLIENT)
        mcp_call_take(call, below(10000));
    else if (call != NULL && what < 60)
        assert_true(mcp_call_chunk(call, NULL, bytes_make(below(20000))) <= MCP_FULL);
    else if (call != NULL)
        end_something(call);
}

static void hostile_request(struct mcp_session *s, struct mcp_call *call,
                            const struct mcp_message *m)
{
    (void)m;
    held[n_held++] = call;
    if (below(2) == 0)
        do_something(peer_of(s));
}

static void hostile_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    (void)s;
    (void)reason;
    if (below(2) == 0)
        end_something(call);
}

static void hostile_chunk(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    (void)call;
    (void)m;
    do_something(peer_of(s));
}

static void hostile_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m,
                        const struct mcp_error *error)
{
    (void)m;
    (void)error;
    forget(call);
    n_open--;
    if (below(3) == 0)
        do_something(peer_of(s));
}

static void hostile_room(struct mcp_session *s, struct mcp_call *call)
{
    (void)call;
    do_something(peer_of(s));
}

static const struct mcp_session_ops hostile_ops = {
    .name = "hostile",
    .on_request = hostile_request,
    .on_cancel = hostile_cancel,
    .on_chunk = hostile_chunk,
    .on_end = hostile_end,
    .on_room = hostile_room,
};

static void check_sane(const struct mcp_session *s)
{
    uint32_t n = 0;

    list_for_each (it, &s->calls) {
        n++;
    }
    assert_int_equal(n, s->n_calls);
    assert_true(s->n_listed <= s->n_calls);
    assert_true(s->n_calls <= 256 + n_held);
    assert_true(s->n_partial <= s->settings->partial_max);
    assert_true(s->partial_bytes <= s->settings->partial_bytes);
    assert_true(s->n_control <= s->settings->control_max);
    if (n == 0)
        assert_int_equal(s->unsent + s->partial_bytes + s->n_partial, 0);
}

static uint32_t session(enum mcp_role role, bool is_tame, size_t fail_at)
{
    struct peer *p = peer_make();
    uint32_t n_fed = 0;

    n_held = n_open = 0;
    p->settings.partial_max = 5;
    p->settings.partial_bytes = 20000;
    p->meter.fail_at = fail_at;
    if (mcp_session_init(&p->session, role, &p->settings, &hostile_ops, &p->pool, p->now) < 0) {
        p->is_closed = true;
        peer_free(p);
        return 0;
    }
    peer_feed(
        p, hello_make(role == MCP_SERVER ? MCP_HELLO : MCP_HELLO_ACK, &mcp_settings_default.hello));
    for (int i = 0; i < N_FRAMES && mcp_session_state(&p->session) < MCP_STATE_FLUSH;
         i++, n_fed++) {
        if (below(3) == 0)
            do_something(p);
        feed_something(p, is_tame);
        if (below(3) == 0)
            (void)peer_write(p, below(50000));
        if (below(4) == 0)
            peer_tick(p, below(3000) * MS);
        check_sane(&p->session);
    }
    (void)peer_write(p, SIZE_MAX);
    mcp_session_eof(&p->session, p->now);
    peer_tick(p, 2 * SEC);
    if (role == MCP_CLIENT)
        assert_int_equal(n_open, 0);
    while (role == MCP_SERVER && n_held > 0)
        end_something(held[0]);
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
    return n_fed;
}

static void any_frames_and_any_calls_do_no_harm(void **state)
{
    uint64_t n_fed = 0;

    (void)state;
    for (uint64_t i = 0; i < N_SESSIONS; i++) {
        rng.state = i;
        n_fed += session(i % 2 == 0 ? MCP_SERVER : MCP_CLIENT, i % 8 != 0, 0);
    }
    assert_true(n_fed > (uint64_t)N_SESSIONS * 10);
}

static void neither_when_an_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < N_SESSIONS; i++) {
        rng.state = 77777 + i;
        (void)session(i % 2 == 0 ? MCP_SERVER : MCP_CLIENT, true, 1 + below(40));
    }
}

static void any_first_bytes_do_no_harm(void **state)
{
    (void)state;
    rng.state = 3;
    for (int i = 0; i < 5000; i++) {
        struct peer *p = peer_make();
        static char bytes[256];
        size_t n = 1 + below(sizeof(bytes));

        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)below(below(2) == 0 ? 8 : 256);
        bytes[0] = 1;
        p->is_echo = true;
        peer_begin(p, i % 2 == 0 ? MCP_SERVER : MCP_CLIENT);
        peer_feed(p, str_make(bytes, n));
        (void)peer_write(p, SIZE_MAX);
        peer_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_frames_and_any_calls_do_no_harm),
        cmocka_unit_test(neither_when_an_allocation_fails),
        cmocka_unit_test(any_first_bytes_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
