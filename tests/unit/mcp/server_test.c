/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "golden.h"

#define RUNNING MCP_STATE_RUNNING

static const struct mcp_ext echo = {.method = STR_INIT("echo")};

/* Feeds, and says what came of it. */
static void expect_wire(struct peer *p, struct str bytes, const char *said)
{
    peer_feed(p, bytes);
    assert_string_equal(peer_said(p), said);
}

/* A fresh server gets @n frames; the last one must cost it the connection with @code. */
static void costs_the_connection(const char *what, const struct str *frames, size_t n,
                                 const char *code)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    char want[64];
    const char *said;

    for (size_t i = 0; i + 1 < n; i++)
        peer_feed(p, frames[i]);
    (void)peer_said(p);
    if (mcp_session_state(&p->session) != RUNNING)
        fail_msg("%s: over too early", what);
    peer_feed(p, frames[n - 1]);
    said = peer_said(p);
    (void)snprintf(want, sizeof(want), "ERROR 0 %s;", code);
    if (strcmp(said, want) != 0 || mcp_session_state(&p->session) != MCP_STATE_FLUSH)
        fail_msg("%s: said %s", what, said);
    peer_free(p);
}

#define COSTS_CONNECTION(what, code, ...) \
    do { \
        const struct str frames_[] = {__VA_ARGS__}; \
        costs_the_connection(what, frames_, sizeof(frames_) / sizeof(frames_[0]), code); \
    } while (0)

/* [M-52] */
/* What was written since last time, byte for byte. */
static void is_golden(struct peer *p, const char *name)
{
    struct str want = golden_get(name);

    (void)peer_write(p, SIZE_MAX);
    assert_int_equal(p->wire.len, want.len);
    assert_memory_equal(p->wire.data, want.s, want.len);
    buf_reset(&p->wire);
}

static void a_hello_is_answered_and_requests_right_behind_it_are_served(void **state)
{
    struct peer *p = peer_make();
    struct str rest;
    struct mcp_frame f;
    struct mcp_hello ack;

    (void)state;
    p->is_echo = true;
    peer_begin(p, MCP_SERVER);
    peer_feed(p, golden_get("hello"));
    peer_feed(p, golden_get("request"));
    (void)peer_write(p, SIZE_MAX);
    rest = buf_str(&p->wire);
    assert_int_equal(mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f), 0);
    assert_int_equal(f.type, MCP_HELLO_ACK);
    assert_int_equal(mcp_hello_parse(f.payload, true, &ack), 0);
    assert_int_equal(ack.features, MCP_FEATURES_BASIC | MCP_FEATURE_BATCH);
    assert_int_equal(ack.revision_max, 1);
    assert_int_equal(mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f), 0);
    assert_int_equal(f.type, MCP_RESPONSE);
    assert_int_equal(f.seq, 2);
    assert_true(str_eq(f.payload, STR("Hi")));
    assert_string_equal(peer_told(p), "request 2 echo Hi;");
    peer_free(p);
}

static void the_golden_batch_opens_two_calls(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    p->is_echo = true;
    expect_wire(p, golden_get("batch"), "RESPONSE 4 a;RESPONSE 5 bc;");
    assert_string_equal(peer_told(p), "request 4 echo a;request 5 echo bc;");
    peer_free(p);
}

/* [M-23] [M-48] */
static void what_hello_may_not_be_costs_the_connection(void **state)
{
    struct mcp_hello bad = mcp_settings_default.hello;
    struct peer *p;
    static char big[5000];
    struct str hello;

    (void)state;
    bad.call_limit = 100;
    for (int i = 0; i < 2; i++) {
        p = peer_make();
        peer_begin(p, MCP_SERVER);
        if (i == 0) {
            peer_feed(p, hello_make(MCP_HELLO, &bad));
        } else {
            hello = hello_make(MCP_HELLO, &mcp_settings_default.hello);
            memcpy(big, hello.s + MCP_HEADER_LEN, hello.len - MCP_HEADER_LEN);
            peer_feed(p, frame_make(MCP_HELLO, 0, str_make(big, 4097)));
        }
        assert_string_equal(peer_said(p), "ERROR 0 PROTOCOL;");
        peer_free(p);
    }
    COSTS_CONNECTION("second HELLO", "PROTOCOL",
                     hello_make(MCP_HELLO, &mcp_settings_default.hello));
}

/* [M-57] */
static void a_refused_key_ends_all_calls_unprocessed(void **state)
{
    struct peer *p = peer_make();

    (void)state;
    p->hello_code = MCP_UNAUTHENTICATED;
    peer_begin(p, MCP_SERVER);
    peer_feed(p, hello_make(MCP_HELLO, &p->settings.hello));
    peer_feed(p, request_make(1, STR("x")));
    assert_string_equal(peer_said(p), "ERROR 0 UNAUTHENTICATED+NOT_PROCESSED;");
    assert_string_equal(peer_told(p), "");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
    assert_int_equal(mcp_session_end_code(&p->session), MCP_UNAUTHENTICATED);
    peer_free(p);
}

/* [M-1] */
static void wrong_version_closes_without_a_word(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    expect_wire(p, STR("\x02"), "");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

/* [M-16] [M-17] [M-18] [M-19] [M-20] [M-24] [M-25] [M-26] [M-28] */
static void each_wrong_frame_costs_the_connection(void **state)
{
    struct str req1;

    (void)state;
    COSTS_CONNECTION("reserved type 0x05", "PROTOCOL", frame_make(0x05, 1, STR_NULL));
    COSTS_CONNECTION("reserved type 0x00", "PROTOCOL", frame_make(0x00, 0, STR_NULL));
    COSTS_CONNECTION("RESPONSE to a server", "PROTOCOL", frame_make(MCP_RESPONSE, 1, STR_NULL));
    COSTS_CONNECTION("GOAWAY to a server", "PROTOCOL", frame_make(MCP_GOAWAY, 0, bytes_make(8)));
    COSTS_CONNECTION("PING of 7", "PROTOCOL", frame_make(MCP_PING, 0, bytes_make(7)));
    COSTS_CONNECTION("PING on a call", "PROTOCOL", frame_make(MCP_PING, 1, bytes_make(8)));
    COSTS_CONNECTION("PING with MORE", "PROTOCOL",
                     frame_make(MCP_PING | MCP_MORE, 0, bytes_make(8)));
    COSTS_CONNECTION("CREDIT with EXT", "PROTOCOL",
                     frame_make(MCP_CREDIT | MCP_EXT, 0, bytes_make(8)));
    COSTS_CONNECTION("CREDIT of 12", "PROTOCOL", frame_make(MCP_CREDIT, 0, bytes_make(12)));
    COSTS_CONNECTION("CREDIT of 65 entries", "PROTOCOL",
                     frame_make(MCP_CREDIT, 0, bytes_make(520)));
    COSTS_CONNECTION("REQUEST on 0", "PROTOCOL", request_make(0, STR("a")));
    COSTS_CONNECTION("REQUEST above 0x7FFFFFFF", "PROTOCOL", request_make(0x80000000, STR("a")));
    COSTS_CONNECTION("CANCEL of 2 bytes", "PROTOCOL", request_make(1, STR("a")),
                     frame_make(MCP_CANCEL, 1, bytes_make(2)));
    req1 = request_make(1, STR("a"));
    COSTS_CONNECTION("REQUEST with EXT for an id in use", "PROTOCOL", req1,
                     request_make(1, STR("b")));
    COSTS_CONNECTION("REQUEST without EXT, nothing incomplete", "PROTOCOL",
                     request_make(1, STR("a")), frame_make(MCP_REQUEST, 1, STR("b")));
    COSTS_CONNECTION("EXT inside a message", "PROTOCOL", first_make(1, 9000, 2000),
                     request_make(1, STR("b")));
    COSTS_CONNECTION("REQUEST without EXT, id never opened", "PROTOCOL",
                     frame_make(MCP_REQUEST, 1, STR("b")));
    COSTS_CONNECTION("CANCEL of an id never opened, none was", "PROTOCOL",
                     frame_make(MCP_CANCEL, 1, bytes_make(1)));
    COSTS_CONNECTION("CANCEL newer than the newest", "PROTOCOL", request_make(7, STR("a")),
                     frame_make(MCP_CANCEL, 8, bytes_make(1)));
    COSTS_CONNECTION("CREDIT for an id never opened", "PROTOCOL", request_make(7, STR("a")),
                     credit_make(8, 1 << 20));
    COSTS_CONNECTION("CREDIT above 0x7FFFFFFF", "PROTOCOL", credit_make(0x80000001, 1));
}

/* [M-3] */
static void a_frame_above_max_frame_costs_the_connection_at_its_header(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.max_frame = 4096;
    p = peer_ready(MCP_SERVER, &settings);
    expect_wire(p, str_head(frame_make(MCP_REQUEST, 1, bytes_make(4097)), MCP_HEADER_LEN),
                "ERROR 0 PROTOCOL;");
    peer_free(p);
}

/* [M-33] [M-38] [M-39] [M-55] [M-65] [M-66] [M-67] [M-68] [M-87] */
static void each_wrong_block_costs_the_call_only(void **state)
{
    static char bad_tlv[] = {0, 2, 0x15, 5};
    static char foreign[] = {0, 8, (char)0x81, 4, 'e', 'c', 'h', 'o', (char)0xFF, 0};
    const struct {
        const char *what;
        struct mcp_ext ext;
        unsigned type;
        size_t len;
        const char *said;
    } rows[] = {
        {"no METHOD", {.codec = 0}, MCP_REQUEST, 1, "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;"},
        {"MORE without TOTAL_LEN", echo, MCP_REQUEST | MCP_MORE, 2000,
         "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;"},
        {"TOTAL_LEN below the fragment",
         {.method = echo.method, .has_total_len = true, .total_len = 1999},
         MCP_REQUEST | MCP_MORE,
         2000,
         "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;"},
        {"TOTAL_LEN of a whole message is false",
         {.method = echo.method, .has_total_len = true, .total_len = 3},
         MCP_REQUEST,
         2,
         "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;"},
        {"fragment of 1023",
         {.method = echo.method, .has_total_len = true, .total_len = 9000},
         MCP_REQUEST | MCP_MORE,
         1023,
         "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;"},
        {"fragment of 1024",
         {.method = echo.method, .has_total_len = true, .total_len = 9000},
         MCP_REQUEST | MCP_MORE,
         1024,
         ""},
        {"too large at the first frame",
         {.method = echo.method, .has_total_len = true, .total_len = (64 << 20) + 1},
         MCP_REQUEST | MCP_MORE,
         2000,
         "ERROR 1 TOO_LARGE+NOT_PROCESSED;"},
        {"raw length over the maximum",
         {.method = echo.method, .has_compression = true, .raw_len = (64 << 20) + 1},
         MCP_REQUEST,
         2,
         "ERROR 1 TOO_LARGE+NOT_PROCESSED;"},
        {"raw length false",
         {.method = echo.method, .has_compression = true, .raw_len = 3},
         MCP_REQUEST,
         2,
         "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;"},
        {"compression not negotiated",
         {.method = echo.method, .has_compression = true, .compression = 1, .raw_len = 3},
         MCP_REQUEST,
         2,
         "ERROR 1 UNIMPLEMENTED+NOT_PROCESSED;"},
        {"deadline 0",
         {.method = echo.method, .has_deadline = true},
         MCP_REQUEST,
         2,
         "ERROR 1 DEADLINE_EXCEEDED+NOT_PROCESSED;"},
    };
    struct peer *p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        p = peer_ready(MCP_SERVER, NULL);
        peer_feed(p, message_make(rows[i].type, 1, &rows[i].ext, bytes_make(rows[i].len)));
        if (strcmp(peer_said(p), rows[i].said) != 0)
            fail_msg("%s", rows[i].what);
        assert_string_equal(peer_told(p), "");
        p->is_echo = true;
        expect_wire(p, request_make(9, STR("on")), "RESPONSE 9 on;");
        peer_free(p);
    }
    p = peer_ready(MCP_SERVER, NULL);
    expect_wire(p, frame_make(MCP_REQUEST | MCP_EXT, 1, str_make(bad_tlv, 4)),
                "ERROR 1 INVALID_ARGUMENT+NOT_PROCESSED;");
    expect_wire(p, frame_make(MCP_REQUEST | MCP_EXT, 2, str_make(foreign, sizeof(foreign))),
                "ERROR 2 UNIMPLEMENTED+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-56] */
static void a_lane_that_was_not_negotiated_is_unimplemented(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_ext ext = {.method = STR("echo"), .order_lane = 1};
    struct peer *p;

    (void)state;
    settings.hello.features = MCP_FEATURES_BASIC;
    p = peer_ready(MCP_SERVER, &settings);
    expect_wire(p, message_make(MCP_REQUEST, 1, &ext, STR("a")),
                "ERROR 1 UNIMPLEMENTED+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-66] [M-127] */
static void fragments_become_one_request_and_late_ones_do_no_harm(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    p->is_echo = true;
    peer_feed(p, first_make(3, 9000, 4000));
    peer_feed(p, frame_make(MCP_REQUEST | MCP_MORE, 3, bytes_make(4000)));
    peer_feed(p, request_make(4, STR("between")));
    peer_feed(p, frame_make(MCP_REQUEST, 3, bytes_make(1000)));
    assert_string_equal(peer_told(p), "request 4 echo between;request 3 echo [9000];");
    assert_string_equal(peer_said(p), "RESPONSE 4 between;RESPONSE 3 [9000];");
    peer_feed(p, first_make(5, 9000, 4000));
    expect_wire(p, frame_make(MCP_REQUEST | MCP_MORE, 5, bytes_make(6000)),
                "ERROR 5 INVALID_ARGUMENT+NOT_PROCESSED;");
    for (int i = 0; i < 10; i++)
        expect_wire(p, frame_make(MCP_REQUEST | MCP_MORE, 5, bytes_make(1024)), "");
    assert_int_equal(p->session.abuse_left, 10000 * 1000);
    peer_feed(p, first_make(6, 9000, 4000));
    expect_wire(p, frame_make(MCP_REQUEST, 6, bytes_make(4999)),
                "ERROR 6 INVALID_ARGUMENT+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-27] [M-98] */
static void cancel_discards_an_incomplete_request(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, first_make(1, 9000, 4000));
    expect_wire(p, frame_make(MCP_CANCEL, 1, bytes_make(1)), "ERROR 1 CANCELLED+NOT_PROCESSED;");
    assert_string_equal(peer_told(p), "");
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
}

/* [M-60] [M-62] [M-63] [M-97] [M-98] */
static void cancel_is_answered_at_once_but_counts_until_the_handler_lets_go(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.max_inflight = 32;
    p = peer_ready(MCP_SERVER, &settings);
    for (uint32_t seq = 1; seq <= 32; seq++) {
        peer_feed(p, request_make(seq, STR("a")));
        peer_feed(p, frame_make(MCP_CANCEL, seq, STR("\1")));
    }
    (void)peer_said(p);
    assert_int_equal(p->session.n_listed, 0);
    expect_wire(p, request_make(33, STR("a")), "ERROR 33 OVERLOADED+NOT_PROCESSED;");
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, STR("late")), -ECANCELED);
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, STR("late")), 0);
    expect_wire(p, request_make(34, STR("a")), "");
    assert_non_null(strstr(peer_told(p), "request 32 echo a;cancel 32 1;request 34 echo a;"));
    expect_wire(p, frame_make(MCP_CANCEL, 1, STR("\1")), "");
    assert_int_equal(p->session.abuse_left, 9999 * 1000);
    peer_free(p);
}

/* [M-61] [M-64] */
static void chunks_go_before_the_response_and_an_error_is_partial(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_error error = MCP_ERROR_MAKE(MCP_BACKEND_LOST, 0, MCP_ORIGIN_NODE, STR("gone"));

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    peer_feed(p, request_make(2, STR("a")));
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, STR("one")), 0);
    assert_int_equal(mcp_call_chunk(p->calls[2], NULL, STR("uno")), 0);
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, STR("two")), 0);
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, STR_NULL), 0);
    mcp_call_fail(p->calls[2], NULL, &error);
    assert_string_equal(
        peer_said(p),
        "CHUNK 1 one;CHUNK 1 two;CHUNK 2 uno;RESPONSE 1;ERROR 2 BACKEND_LOST+PARTIAL;");
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
}

/* [M-78] */
static void an_error_never_waits_for_credit(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_error error = MCP_ERROR_MAKE(MCP_BACKEND_LOST, 0, MCP_ORIGIN_NODE, STR_NULL);
    struct mcp_ext ext = {.method = STR("echo"), .stream_limit = 8192};

    (void)state;
    peer_feed(p, message_make(MCP_REQUEST, 1, &ext, STR("a")));
    for (int i = 0; i < 4; i++)
        assert_int_equal(mcp_call_chunk(p->calls[1], NULL, bytes_make(4096)), 0);
    assert_string_equal(peer_said(p), "CHUNK 1 [4096];CHUNK 1 [4096];");
    mcp_call_fail(p->calls[1], NULL, &error);
    assert_string_equal(peer_said(p), "ERROR 1 BACKEND_LOST+PARTIAL;");
    peer_free(p);
}

static void errors_do_not_wait_behind_others_for_connection_credit(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_error error = MCP_ERROR_MAKE(MCP_BACKEND_LOST, 0, MCP_ORIGIN_NODE, STR_NULL);
    struct peer *p;

    (void)state;
    settings.hello.conn_limit = 65536;
    p = peer_ready(MCP_SERVER, &settings);
    for (uint32_t seq = 1; seq <= 3; seq++)
        peer_feed(p, request_make(seq, STR("a")));
    for (uint32_t seq = 1; seq <= 3; seq++)
        assert_int_equal(mcp_call_chunk(p->calls[seq], NULL, bytes_make(60000)), 0);
    mcp_call_fail(p->calls[3], NULL, &error);
    assert_non_null(strstr(peer_said(p), "ERROR 3 BACKEND_LOST+PARTIAL;"));
    mcp_call_fail(p->calls[2], NULL, &error);
    assert_string_equal(peer_said(p), "ERROR 2 BACKEND_LOST+PARTIAL;");
    peer_free(p);
}

static void a_producer_is_told_full_and_then_room(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    int r = 0;
    int n = 0;

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    (void)peer_told(p);
    for (; r == 0; n++)
        r = mcp_call_chunk(p->calls[1], NULL, bytes_make(10000));
    assert_int_equal(r, MCP_FULL);
    assert_int_equal(n, 27);
    (void)peer_write(p, SIZE_MAX);
    assert_string_equal(peer_told(p), "room 1;");
    peer_free(p);
}

static void a_producer_that_waits_for_the_session_gets_room_too(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_ext ext = {.method = STR("echo"), .stream_limit = 8192};
    struct peer *p;

    (void)state;
    settings.session_unsent = 200000;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, request_make(1, STR("a")));
    peer_feed(p, message_make(MCP_REQUEST, 2, &ext, STR("a")));
    (void)peer_told(p);
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, bytes_make(190000)), 0);
    assert_int_equal(mcp_call_chunk(p->calls[2], NULL, bytes_make(30000)), MCP_FULL);
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, STR("x")), MCP_FULL);
    (void)peer_write(p, 1000);
    assert_string_equal(peer_told(p), "");
    (void)peer_write(p, SIZE_MAX);
    assert_string_equal(peer_told(p), "room 1;room 2;");
    peer_free(p);
}

static void an_answer_that_cannot_be_sent_is_refused_and_may_fail(void **state)
{
    struct peer *p = peer_make();
    struct mcp_hello hello = mcp_settings_default.hello;
    struct mcp_error error = MCP_ERROR_MAKE(MCP_TOO_LARGE, 0, MCP_ORIGIN_GATEWAY, STR_NULL);
    struct mcp_ext long_session = {.session = bytes_make(65)};
    struct mcp_ext squeezed = {
        .has_compression = true, .compression = MCP_COMPRESSION_GZIP, .raw_len = 5};
    struct mcp_ext fine = {.trace = "0123456789012345678901234"};

    (void)state;
    hello.max_message = 1000;
    peer_begin(p, MCP_SERVER);
    peer_feed(p, hello_make(MCP_HELLO, &hello));
    peer_feed(p, request_make(1, STR("a")));
    (void)peer_said(p);
    assert_int_equal(mcp_call_chunk(p->calls[1], &fine, bytes_make(1000)), 0);
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, bytes_make(1001)), -EMSGSIZE);
    assert_int_equal(mcp_call_respond(p->calls[1], &long_session, STR_NULL), -EINVAL);
    assert_int_equal(mcp_call_respond(p->calls[1], &squeezed, STR_NULL), -EINVAL);
    mcp_call_fail(p->calls[1], NULL, &error);
    assert_string_equal(peer_said(p), "CHUNK|EXT 1 [1000];ERROR 1 TOO_LARGE+PARTIAL;");
    peer_free(p);
}

static void a_plain_connection_drains_too(void **state)
{
    struct peer *p = peer_make();
    struct str request = golden_get("plain_request");
    char second[32];

    (void)state;
    memcpy(second, request.s, request.len);
    second[5] = 2;
    peer_begin(p, MCP_SERVER);
    peer_feed(p, request);
    assert_int_equal(mcp_session_goaway(&p->session, MCP_GOAWAY_MAINTENANCE, 5, p->now), 0);
    peer_feed(p, str_make(second, request.len));
    assert_string_equal(peer_told(p), "request 1 echo Hi;");
    (void)peer_write(p, SIZE_MAX);
    assert_non_null(memmem(p->wire.data, p->wire.len, "\x08\xf7\x03", 3)); /* 503 */
    peer_tick(p, 5 * SEC);
    assert_string_equal(peer_told(p), "cancel 1 3;");
    (void)peer_write(p, SIZE_MAX);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
    peer_free(p);
}

static void what_sessions_write_is_golden(void **state)
{
    struct peer *c = peer_ready(MCP_CLIENT, NULL);
    struct peer *s = peer_ready(MCP_SERVER, NULL);
    struct str golden = golden_get("request");
    struct mcp_error error = MCP_ERROR_MAKE(MCP_CANCELLED, 0, MCP_ORIGIN_GATEWAY, STR("cancelled"));
    struct mcp_ext ext;
    struct mcp_call *call;
    struct str body;

    (void)state;
    c->session.next_seq = 2;
    assert_int_equal(mcp_ext_parse(str_from(golden, MCP_HEADER_LEN), &ext, &body), 0);
    call = peer_open(c, ext, body);
    is_golden(c, "request");
    c->session.rx.received = c->session.rx.released = 1 << 20;
    call->rx.received = 256 << 10;
    mcp_call_take(call, 256 << 10);
    is_golden(c, "credit");
    assert_int_equal(mcp_session_ping(&c->session, "\0\1\2\3\4\5\6\7"), 0);
    is_golden(c, "ping");
    mcp_call_cancel(call, MCP_CANCEL_DEADLINE, c->now);
    is_golden(c, "cancel");
    peer_feed(s, golden_get("request"));
    assert_int_equal(mcp_call_chunk(s->calls[2], NULL, STR("Hi")), 0);
    is_golden(s, "chunk");
    assert_int_equal(mcp_session_goaway(&s->session, MCP_GOAWAY_MAINTENANCE, 30, s->now), 0);
    is_golden(s, "goaway");
    mcp_call_fail(s->calls[2], NULL, &error);
    is_golden(s, "error");
    peer_free(c);
    peer_free(s);
}

static void the_golden_fragments_are_taken_with_the_1024_byte_rule_off(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.fragment_min = 1;
    p = peer_ready(MCP_SERVER, &settings);
    expect_wire(p, golden_get("first_fragment"), "");
    assert_int_equal(p->session.n_partial, 1);
    expect_wire(p, golden_get("last_fragment"), "ERROR 3 INVALID_ARGUMENT+NOT_PROCESSED;");
    peer_free(p);
}

static void a_claimed_length_is_no_allocation(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, first_make(1, 64 << 20, 2000));
    assert_true(container_of(p->session.calls.next, struct mcp_call, all)->in.cap <= 8192);
    peer_free(p);
}

static void the_session_takes_no_more_than_its_backstop(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;
    int r = 0;

    (void)state;
    settings.session_unsent = 1 << 20;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, request_make(1, STR("a")));
    peer_feed(p, request_make(2, STR("a")));
    for (int i = 0; i < 100 && r >= 0; i++)
        r = mcp_call_chunk(p->calls[1], NULL, bytes_make(60000));
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(mcp_call_respond(p->calls[2], NULL, bytes_make(17000)), -ENOBUFS);
    /* small ones always go */
    assert_int_equal(mcp_call_respond(p->calls[2], NULL, STR("x")), 0);
    peer_free(p);
}

/* [M-74] [M-76] [M-78] */
static void a_chunk_is_cut_to_the_credit_at_hand(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_ext ext = {.method = STR("echo"), .stream_limit = 8192};

    (void)state;
    peer_feed(p, message_make(MCP_REQUEST, 1, &ext, STR("a")));
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, bytes_make(20000)), 0);
    assert_string_equal(peer_said(p), "CHUNK|EXT|MORE 1 [8184];");
    expect_wire(p, credit_make(1, 9000), "");
    expect_wire(p, credit_make(1, 8192), "");
    expect_wire(p, credit_make(1, 40000), "CHUNK 1 [11816];");
    peer_free(p);
}

static void an_answer_longer_than_a_fragment_is_cut(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, bytes_make(40000)), 0);
    assert_string_equal(peer_said(p),
                        "RESPONSE|EXT|MORE 1 [16376];RESPONSE|MORE 1 [16384];RESPONSE 1 [7240];");
    peer_free(p);
}

/* A buffer from where the session's memory comes from. */
static char *memory_of(struct peer *p, size_t n)
{
    char *memory = mcp_pool_resize(&p->pool, NULL, n);

    assert_non_null(memory);
    memset(memory, 'm', n);
    return memory;
}

static void a_long_answer_leaves_from_the_memory_it_was_given_in(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    char *memory = memory_of(p, 40100);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(
        mcp_call_respond_owned(p->calls[1], NULL, str_make(memory + 100, 40000), memory), 0);
    memset(memory + 100, 'n', 40000);
    (void)peer_write(p, SIZE_MAX);
    assert_null(memchr(p->wire.data, 'm', p->wire.len));
    assert_string_equal(peer_said(p),
                        "RESPONSE|EXT|MORE 1 [16376];RESPONSE|MORE 1 [16384];RESPONSE 1 [7240];");
    peer_free(p); /* and nothing of it is left */
}

static void cancel_frees_a_given_answer_once_it_is_not_being_written(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    char *memory = memory_of(p, 200000);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(mcp_call_respond_owned(p->calls[1], NULL, str_make(memory, 200000), memory),
                     0);
    (void)peer_write(p, 100);
    peer_feed(p, frame_make(MCP_CANCEL, 1, STR("\0")));
    assert_non_null(strstr(peer_said(p), "RESPONSE|MORE 1 [16384];ERROR 1 CANCELLED;"));
    peer_free(p);
}

static void an_answer_that_is_refused_stays_its_givers(void **state)
{
    struct mcp_error error = MCP_ERROR_MAKE(MCP_TOO_LARGE, 0, MCP_ORIGIN_GATEWAY, STR_NULL);
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;
    char *memory;

    (void)state;
    settings.hello.max_message = 65536;
    p = peer_ready(MCP_SERVER, &settings);
    memory = memory_of(p, 65537);
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(mcp_call_respond_owned(p->calls[1], NULL, str_make(memory, 65537), memory),
                     -EMSGSIZE);
    (void)mcp_pool_resize(&p->pool, memory, 0);
    mcp_call_fail(p->calls[1], NULL, &error);
    peer_free(p);
}

static void a_short_given_answer_is_copied_and_freed_at_once(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    char *memory = memory_of(p, 10);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(mcp_call_respond_owned(p->calls[1], NULL, str_make(memory, 10), memory), 0);
    assert_string_equal(peer_said(p), "RESPONSE 1 mmmmmmmmmm;");
    peer_free(p);
}

static void a_long_request_can_be_answered_with_its_own_memory(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    size_t n_requests;

    (void)state;
    p->is_echo = true;
    peer_feed(p, first_make(1, 40000, 30000));
    n_requests = p->meter.n_requests;
    peer_feed(p, frame_make(MCP_REQUEST, 1, bytes_make(10000)));
    assert_int_equal(count_of(peer_said(p), "RESPONSE"), 3);
    assert_true(p->meter.n_requests - n_requests <= 3); /* growing, a message, a batch */
    peer_free(p);
}

/* [M-85] */
static void fragments_of_calls_take_turns_and_small_ones_go_first(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    for (uint32_t seq = 1; seq <= 3; seq++)
        peer_feed(p, request_make(seq, STR("a")));
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, bytes_make(40000)), 0);
    assert_int_equal(mcp_call_respond(p->calls[2], NULL, bytes_make(40000)), 0);
    assert_int_equal(mcp_call_respond(p->calls[3], NULL, STR("small")), 0);
    assert_string_equal(peer_said(p),
                        "RESPONSE 3 small;RESPONSE|EXT|MORE 1 [16376];RESPONSE|EXT|MORE 2 [16376];"
                        "RESPONSE|MORE 1 [16384];RESPONSE|MORE 2 [16384];RESPONSE 1 [7240];"
                        "RESPONSE 2 [7240];");
    peer_free(p);
}

/* [M-78] */
static void connection_credit_stops_everybody_but_control(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.conn_limit = 65536;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, request_make(1, STR("a")));
    peer_feed(p, request_make(2, STR("a")));
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, bytes_make(70000)), 0);
    (void)peer_said(p);
    assert_int_equal(mcp_call_respond(p->calls[2], NULL, STR("small")), 0);
    expect_wire(p, frame_make(MCP_PING, 0, bytes_make(8)), "PONG 0;");
    expect_wire(p, credit_make(0, 200000), "RESPONSE 2 small;RESPONSE 1 [4472];");
    peer_free(p);
}

/* [M-74] [M-79] [M-81] [M-82] */
static void sending_beyond_the_credit_costs_the_connection(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.call_limit = 8192;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, first_make(1, 60000, 8000));
    assert_string_equal(peer_said(p), "CREDIT 0 1=16206;");
    expect_wire(p, frame_make(MCP_REQUEST | MCP_MORE, 1, bytes_make(8192)), "CREDIT 0 1=24398;");
    expect_wire(p, frame_make(MCP_REQUEST | MCP_MORE, 1, bytes_make(8193)),
                "ERROR 0 FLOW_CONTROL;");
    peer_free(p);
    p = peer_ready(MCP_SERVER, &settings);
    expect_wire(p, first_make(1, 60000, 8193), "ERROR 0 FLOW_CONTROL;");
    peer_free(p);
    settings = mcp_settings_default;
    settings.hello.conn_limit = 65536;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, first_make(1, 1 << 20, 50000));
    peer_feed(p, first_make(2, 1 << 20, 15000));
    peer_feed(p, frame_make(0x20, 0, bytes_make(508)));
    expect_wire(p, frame_make(0x20, 0, bytes_make(1)), "ERROR 0 FLOW_CONTROL;");
    peer_free(p);
}

/* [M-21] */
static void unknown_types_are_ignored_and_their_bytes_credited(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    for (int i = 0; i < 10; i++)
        peer_feed(p, frame_make(0x3F | MCP_MORE, 77, bytes_make(60000)));
    assert_string_equal(peer_said(p), "CREDIT 0 0=1648576;");
    assert_int_equal(p->session.abuse_left, 9990 * 1000);
    peer_free(p);
}

/* [M-106] [M-107] */
static void lanes_run_one_after_the_other(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_ext ext = {.method = STR("echo"), .order_lane = 7};

    (void)state;
    peer_feed(p, message_make(MCP_REQUEST, 1, &ext, STR("a")));
    peer_feed(p, message_make(MCP_REQUEST, 2, &ext, STR("b")));
    peer_feed(p, message_make(MCP_REQUEST, 3, &ext, STR("c")));
    ext.order_lane = 8;
    peer_feed(p, message_make(MCP_REQUEST, 4, &ext, STR("other")));
    assert_string_equal(peer_told(p), "request 1 echo a;request 4 echo other;");
    expect_wire(p, frame_make(MCP_CANCEL, 2, bytes_make(1)), "ERROR 2 CANCELLED+NOT_PROCESSED;");
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, STR("A")), 0);
    assert_string_equal(peer_told(p), "");
    assert_string_equal(peer_said(p), "RESPONSE 1 A;");
    assert_string_equal(peer_told(p), "request 3 echo c;");
    peer_free(p);
}

/* [M-120] [M-121] */
static void a_malformed_batch_costs_the_connection(void **state)
{
    static const struct {
        const char *what;
        const char *hex;
        unsigned flags;
    } rows[] = {
        {"no entries", "0006 81046563686f 01 00 0000", MCP_EXT},
        {"inner type 2", "0006 81046563686f 02 00 0001 00000004 0001 61", MCP_EXT},
        {"second byte 1", "0006 81046563686f 01 01 0001 00000004 0001 61", MCP_EXT},
        {"entry past the end", "0006 81046563686f 01 00 0001 00000004 0002 61", MCP_EXT},
        {"entry cut", "0006 81046563686f 01 00 0002 00000004 0001 61 000000", MCP_EXT},
        {"bytes behind the last", "0006 81046563686f 01 00 0001 00000004 0001 61 00", MCP_EXT},
        {"an id twice", "0006 81046563686f 01 00 0002 00000004 0000 00000004 0000", MCP_EXT},
        {"id 0", "0006 81046563686f 01 00 0001 00000000 0000", MCP_EXT},
        {"block past the end", "00ff 81046563686f 01 00 0001 00000004 0000", MCP_EXT},
        {"257 entries", "0006 81046563686f 01 00 0101 00000004 0000", MCP_EXT},
        {"MORE", "0006 81046563686f 01 00 0001 00000004 0001 61", MCP_EXT | MCP_MORE},
        {"id in use", "0006 81046563686f 01 00 0001 00000001 0000", MCP_EXT},
    };
    char bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        COSTS_CONNECTION(
            rows[i].what, "PROTOCOL", request_make(1, STR("a")),
            frame_make(MCP_BATCH | rows[i].flags, 0, hex_read(rows[i].hex, bytes, sizeof(bytes))));
}

/* [M-123] [M-124] */
static void an_error_of_a_batch_block_is_each_entrys(void **state)
{
    static const char *const rows[] = {
        "000c 81046563686f 8a04 00000001 01 00 0002 00000004 0001 61 00000005 0000",
        "000d 81046563686f 8c05 00 00000001 01 00 0002 00000004 0001 61 00000005 0000",
        "0002 8100 01 00 0002 00000004 0001 61 00000005 0000",
    };
    char bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer *p = peer_ready(MCP_SERVER, NULL);

        expect_wire(
            p, frame_make(MCP_BATCH | MCP_EXT, 0, hex_read(rows[i], bytes, sizeof(bytes))),
            "ERROR 4 INVALID_ARGUMENT+NOT_PROCESSED;ERROR 5 INVALID_ARGUMENT+NOT_PROCESSED;");
        peer_free(p);
    }
}

/* [M-122] */
static void a_batch_that_was_not_negotiated_costs_the_connection(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.features = MCP_FEATURES_BASIC;
    p = peer_ready(MCP_SERVER, &settings);
    expect_wire(p, golden_get("batch"), "ERROR 0 PROTOCOL;");
    peer_free(p);
}

/* [M-62] [M-103] [M-124] */
static void calls_over_the_limit_are_overloaded_also_in_a_batch(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.max_inflight = 32;
    p = peer_ready(MCP_SERVER, &settings);
    for (uint32_t seq = 100; seq < 131; seq++)
        expect_wire(p, request_make(seq, STR("a")), "");
    expect_wire(p, golden_get("batch"), "ERROR 5 OVERLOADED+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-113] [M-114] */
static void after_goaway_new_calls_are_unavailable_and_the_last_one_closes(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, request_make(5, STR("a")));
    assert_int_equal(mcp_session_goaway(&p->session, MCP_GOAWAY_MAINTENANCE, 30, p->now), 0);
    assert_string_equal(peer_said(p), "GOAWAY 0 last 5 reason 1 grace 30;");
    expect_wire(p, request_make(6, STR("b")), "ERROR 6 UNAVAILABLE+NOT_PROCESSED;");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DRAINING);
    assert_int_equal(mcp_call_respond(p->calls[5], NULL, STR("done")), 0);
    assert_string_equal(peer_said(p), "RESPONSE 5 done;");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
    peer_tick(p, 1 * SEC);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

/* [M-114] */
static void when_grace_is_over_open_calls_are_unavailable(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, request_make(5, STR("a")));
    assert_int_equal(mcp_session_goaway(&p->session, MCP_GOAWAY_MAINTENANCE, 10, p->now), 0);
    (void)peer_said(p);
    (void)peer_told(p);
    peer_tick(p, 10 * SEC - 1);
    assert_string_equal(peer_said(p), "");
    peer_tick(p, 1);
    assert_string_equal(peer_told(p), "cancel 5 3;");
    assert_string_equal(peer_said(p), "ERROR 5 UNAVAILABLE;");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
    peer_free(p);
}

/* [M-119] */
static void the_end_of_the_connection_cancels_its_calls(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    peer_feed(p, first_make(2, 9000, 2000));
    (void)peer_told(p);
    mcp_session_eof(&p->session, p->now);
    assert_string_equal(peer_told(p), "cancel 1 3;");
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, STR("x")), 0);
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
}

/* [M-118] */
static void an_error_on_the_connection_from_the_client_ends_it(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    (void)peer_told(p);
    expect_wire(p, error_make(0, MCP_PROTOCOL, 0), "");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    assert_int_equal(mcp_session_end_code(&p->session), MCP_PROTOCOL);
    assert_string_equal(peer_told(p), "cancel 1 3;");
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_is_answered_and_requests_right_behind_it_are_served),
        cmocka_unit_test(the_golden_batch_opens_two_calls),
        cmocka_unit_test(what_hello_may_not_be_costs_the_connection),
        cmocka_unit_test(a_refused_key_ends_all_calls_unprocessed),
        cmocka_unit_test(wrong_version_closes_without_a_word),
        cmocka_unit_test(each_wrong_frame_costs_the_connection),
        cmocka_unit_test(a_frame_above_max_frame_costs_the_connection_at_its_header),
        cmocka_unit_test(each_wrong_block_costs_the_call_only),
        cmocka_unit_test(a_lane_that_was_not_negotiated_is_unimplemented),
        cmocka_unit_test(fragments_become_one_request_and_late_ones_do_no_harm),
        cmocka_unit_test(cancel_discards_an_incomplete_request),
        cmocka_unit_test(cancel_is_answered_at_once_but_counts_until_the_handler_lets_go),
        cmocka_unit_test(chunks_go_before_the_response_and_an_error_is_partial),
        cmocka_unit_test(an_error_never_waits_for_credit),
        cmocka_unit_test(errors_do_not_wait_behind_others_for_connection_credit),
        cmocka_unit_test(a_producer_is_told_full_and_then_room),
        cmocka_unit_test(a_producer_that_waits_for_the_session_gets_room_too),
        cmocka_unit_test(an_answer_that_cannot_be_sent_is_refused_and_may_fail),
        cmocka_unit_test(a_plain_connection_drains_too),
        cmocka_unit_test(what_sessions_write_is_golden),
        cmocka_unit_test(the_golden_fragments_are_taken_with_the_1024_byte_rule_off),
        cmocka_unit_test(a_claimed_length_is_no_allocation),
        cmocka_unit_test(the_session_takes_no_more_than_its_backstop),
        cmocka_unit_test(a_chunk_is_cut_to_the_credit_at_hand),
        cmocka_unit_test(an_answer_longer_than_a_fragment_is_cut),
        cmocka_unit_test(a_long_answer_leaves_from_the_memory_it_was_given_in),
        cmocka_unit_test(cancel_frees_a_given_answer_once_it_is_not_being_written),
        cmocka_unit_test(an_answer_that_is_refused_stays_its_givers),
        cmocka_unit_test(a_short_given_answer_is_copied_and_freed_at_once),
        cmocka_unit_test(a_long_request_can_be_answered_with_its_own_memory),
        cmocka_unit_test(fragments_of_calls_take_turns_and_small_ones_go_first),
        cmocka_unit_test(connection_credit_stops_everybody_but_control),
        cmocka_unit_test(sending_beyond_the_credit_costs_the_connection),
        cmocka_unit_test(unknown_types_are_ignored_and_their_bytes_credited),
        cmocka_unit_test(lanes_run_one_after_the_other),
        cmocka_unit_test(a_malformed_batch_costs_the_connection),
        cmocka_unit_test(an_error_of_a_batch_block_is_each_entrys),
        cmocka_unit_test(a_batch_that_was_not_negotiated_costs_the_connection),
        cmocka_unit_test(calls_over_the_limit_are_overloaded_also_in_a_batch),
        cmocka_unit_test(after_goaway_new_calls_are_unavailable_and_the_last_one_closes),
        cmocka_unit_test(when_grace_is_over_open_calls_are_unavailable),
        cmocka_unit_test(the_end_of_the_connection_cancels_its_calls),
        cmocka_unit_test(an_error_on_the_connection_from_the_client_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
