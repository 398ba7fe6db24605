/* SPDX-License-Identifier: MIT */
#include "peer.h"

static const struct mcp_ext none;

/* One nanosecond before @wait nothing happens; then the session is due. */
static void passes(struct peer *p, nsec_t wait, const char *said)
{
    peer_tick(p, wait - 1);
    assert_string_equal(peer_said(p), "");
    assert_int_equal(mcp_session_next_due(&p->session), p->now + 1);
    peer_tick(p, 1);
    assert_string_equal(peer_said(p), said);
}

/* [M-5] */
static void the_first_frame_must_be_whole_within_five_seconds(void **state)
{
    struct peer *p = peer_make();

    (void)state;
    peer_begin(p, MCP_SERVER);
    p->now += 3 * SEC;
    peer_feed(p, STR("\x01\x0b"));
    passes(p, 2 * SEC, "");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

/* [M-4] */
static void half_a_frame_without_progress_costs_the_connection(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, STR("\x01"));
    peer_tick(p, 9 * SEC);
    peer_feed(p, STR("\x08"));
    passes(p, 10 * SEC, "ERROR 0 PROTOCOL;");
    peer_free(p);
}

/* [M-71] */
static void a_message_without_progress_exceeds_its_deadline(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.ping_open_ns = settings.ping_idle_ns = NSEC_NEVER;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, first_make(1, 9000, 2000));
    p->now += 20 * SEC;
    peer_feed(p, first_make(2, 9000, 2000));
    p->now += 5 * SEC;
    peer_feed(p, frame_make(MCP_REQUEST | MCP_MORE, 1, bytes_make(2000)));
    passes(p, 25 * SEC, "ERROR 2 DEADLINE_EXCEEDED+NOT_PROCESSED;");
    passes(p, 5 * SEC, "ERROR 1 DEADLINE_EXCEEDED+NOT_PROCESSED;");
    assert_string_equal(peer_told(p), "");
    peer_free(p);
}

/* [M-93] [M-94] */
static void a_deadline_ends_a_call_wherever_it_is(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_ext ext = {.method = STR("echo"), .has_deadline = true, .deadline_ms = 300};

    (void)state;
    peer_feed(p, message_make(MCP_REQUEST, 1, &ext, STR("a")));
    ext.stream_limit = 8192;
    peer_feed(p, message_make(MCP_REQUEST, 2, &ext, STR("b")));
    ext.has_total_len = true;
    ext.total_len = 9000;
    peer_feed(p, message_make(MCP_REQUEST | MCP_MORE, 3, &ext, bytes_make(2000)));
    assert_int_equal(mcp_call_deadline(p->calls[1]), p->now + 300 * MS);
    assert_int_equal(mcp_call_respond(p->calls[2], NULL, bytes_make(9000)), 0);
    assert_string_equal(peer_said(p), "RESPONSE|EXT|MORE 2 [8184];");
    (void)peer_told(p);
    passes(p, 300 * MS,
           "ERROR 1 DEADLINE_EXCEEDED;ERROR 2 DEADLINE_EXCEEDED;ERROR 3 "
           "DEADLINE_EXCEEDED+NOT_PROCESSED;");
    assert_string_equal(peer_told(p), "cancel 1 1;");
    peer_free(p);
}

/* [M-95] */
static void a_clients_deadline_ends_the_call_here_and_cancels_it(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);

    (void)state;
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 250}, STR("a"));
    (void)peer_said(p);
    passes(p, 250 * MS, "CANCEL 1 1;");
    assert_string_equal(peer_told(p), "end 1 DEADLINE_EXCEEDED;");
    peer_feed(p, error_make(1, MCP_DEADLINE_EXCEEDED, 0));
    assert_string_equal(peer_told(p), "");
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
}

/* [M-100] */
static void a_cancel_without_a_terminal_frame_closes_after_30_s(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.ping_open_ns = NSEC_NEVER;
    p = peer_ready(MCP_CLIENT, &settings);
    mcp_call_cancel((peer_open(p, none, STR("a"))), MCP_CANCEL_APPLICATION, p->now);
    peer_tick(p, 0);
    mcp_call_cancel(peer_open(p, none, STR("b")), MCP_CANCEL_APPLICATION, p->now);
    (void)peer_said(p);
    (void)peer_told(p);
    (void)peer_open(p, none, STR("c"));
    (void)peer_said(p);
    mcp_call_cancel(container_of(p->session.calls.prev, struct mcp_call, all),
                    MCP_CANCEL_APPLICATION, p->now);
    assert_string_equal(peer_said(p), "CANCEL 3 0;");
    passes(p, 30 * SEC, "ERROR 0 PROTOCOL;");
    assert_non_null(strstr(peer_told(p), "end 3 UNAVAILABLE;"));
    peer_free(p);
}

/* [M-108] [M-111] */
static void silence_is_pinged_after_15_s_with_calls_and_30_s_without(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    passes(p, 30 * SEC, "PING 0;");
    peer_feed(p, frame_make(MCP_PONG, 0, bytes_make(8)));
    assert_int_equal(p->session.abuse_left, 10000 * 1000);
    peer_feed(p, frame_make(MCP_PONG, 0, bytes_make(8)));
    assert_int_equal(p->session.abuse_left, 9999 * 1000);
    peer_feed(p, request_make(1, STR("a")));
    passes(p, 15 * SEC, "PING 0;");
    passes(p, 10 * SEC, "");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    assert_int_equal(mcp_session_end_code(&p->session), MCP_UNAVAILABLE);
    assert_non_null(strstr(peer_told(p), "cancel 1 3;"));
    peer_free(p);
}

static void any_byte_is_life(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    passes(p, 30 * SEC, "PING 0;");
    peer_tick(p, 9 * SEC);
    peer_feed(p, STR("\x01"));
    peer_tick(p, 5 * SEC);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_RUNNING);
    peer_free(p);
}

/* [M-110] */
static void pings_are_never_more_often_than_the_peer_allows(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.min_ping_s = 60;
    p = peer_ready(MCP_CLIENT, &settings);
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    passes(p, 60 * SEC, "PING 0;");
    peer_free(p);
}

/* [M-112] */
static void a_peer_that_takes_nothing_for_30_s_is_closed(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct str pieces[4];
    struct peer *p;

    (void)state;
    settings.ping_open_ns = NSEC_NEVER;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, STR("x")), 0);
    assert_int_equal(mcp_session_output(&p->session, pieces, 4, p->now), 1);
    p->now += 20 * SEC;
    mcp_session_sent(&p->session, 1, p->now);
    peer_tick(p, 30 * SEC - 1);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_RUNNING);
    peer_tick(p, 1);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

/* [M-112] */
static void a_peer_that_grants_no_connection_credit_for_30_s_is_closed(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.ping_idle_ns = settings.ping_open_ns = NSEC_NEVER;
    settings.hello.conn_limit = 65536;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, bytes_make(70000)), 0);
    (void)peer_said(p);
    passes(p, 30 * SEC, "");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

static void a_call_that_waits_for_its_own_credit_closes_nothing(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_ext ext = {.method = STR("echo"), .stream_limit = 8192};
    struct peer *p;

    (void)state;
    settings.ping_open_ns = NSEC_NEVER;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, message_make(MCP_REQUEST, 1, &ext, STR("a")));
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, bytes_make(70000)), 0);
    (void)peer_said(p);
    assert_int_equal(mcp_session_next_due(&p->session), NSEC_NEVER);
    peer_free(p);
}

/* [M-116] */
static void an_idle_connection_is_sent_away_and_pings_are_no_activity(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    p->is_echo = true;
    p->now += 100 * SEC;
    peer_feed(p, request_make(1, STR("a")));
    (void)peer_said(p);
    for (int i = 0; i < 29; i++) {
        peer_tick(p, 10 * SEC);
        peer_feed(p, frame_make(MCP_PING, 0, bytes_make(8)));
        assert_string_equal(peer_said(p), "PONG 0;");
    }
    peer_tick(p, 10 * SEC);
    assert_true(mcp_session_next_due(&p->session) > p->now);
    assert_string_equal(peer_said(p), "GOAWAY 0 last 1 reason 0 grace 0;");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
    peer_free(p);
}

/* [M-117] */
static void after_an_error_input_is_discarded_for_a_second(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    peer_feed(p, frame_make(0x05, 0, STR_NULL));
    assert_string_equal(peer_said(p), "ERROR 0 PROTOCOL;");
    peer_feed(p, request_make(1, STR("a")));
    assert_int_equal(p->in.len, 0);
    assert_string_equal(peer_told(p), "");
    peer_tick(p, 1 * SEC - 1);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
    peer_tick(p, 1);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    assert_int_equal(mcp_session_end_code(&p->session), MCP_PROTOCOL);
    peer_free(p);
}

/*
 * Floods
 */

/* The bucket lets @n pass and not one more. */
static void floods_end_after(struct peer *p, struct str frame, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        peer_feed(p, frame);
        if (i % 256 == 0)
            (void)peer_write(p, SIZE_MAX);
    }
    (void)peer_write(p, SIZE_MAX);
    buf_reset(&p->wire);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_RUNNING);
    peer_feed(p, frame);
    assert_string_equal(peer_said(p), "ERROR 0 OVERLOADED;");
    peer_free(p);
}

/* [M-30] [M-126] */
static void frames_that_do_nothing_share_a_bucket(void **state)
{
    static const char tiny[8] = {0};
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    floods_end_after(p, frame_make(MCP_PING, 0, bytes_make(8)), 10000);
    floods_end_after(peer_ready(MCP_SERVER, NULL), frame_make(MCP_PONG, 0, bytes_make(8)), 10000);
    floods_end_after(peer_ready(MCP_SERVER, NULL), frame_make(0x21, 0, STR_NULL), 10000);
    floods_end_after(peer_ready(MCP_SERVER, NULL), frame_make(MCP_CREDIT, 0, str_make(tiny, 8)),
                     10000);
    p = peer_ready(MCP_CLIENT, NULL);
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    floods_end_after(p, frame_make(MCP_CHUNK, 1, STR_NULL), 10000);
    p = peer_ready(MCP_SERVER, NULL);
    p->is_echo = true;
    peer_feed(p, request_make(1, STR("a")));
    (void)peer_said(p);
    floods_end_after(p, frame_make(MCP_CANCEL, 1, STR("\0")), 10000);
}

/* [M-126] */
static void the_bucket_refills_at_330_a_second(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    for (int i = 0; i < 10000; i++)
        peer_feed(p, frame_make(0x21, 0, STR_NULL));
    p->now += 1 * SEC;
    floods_end_after(p, frame_make(0x21, 0, STR_NULL), 330);
}

/* [M-128] */
static void a_thousand_control_frames_may_wait_and_no_more(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    for (int i = 0; i < 1000; i++)
        peer_feed(p, frame_make(MCP_PING, 0, bytes_make(8)));
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_RUNNING);
    peer_feed(p, frame_make(MCP_PING, 0, bytes_make(8)));
    assert_string_equal(peer_said(p), "ERROR 0 OVERLOADED;");
    peer_free(p);
}

/* [M-70] */
static void too_many_partial_messages_cost_the_youngest(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);

    (void)state;
    for (uint32_t seq = 1; seq <= 64; seq++)
        peer_feed(p, first_make(seq, 9000, 2000));
    assert_string_equal(peer_said(p), "");
    peer_feed(p, first_make(65, 9000, 2000));
    assert_string_equal(peer_said(p), "ERROR 65 OVERLOADED+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-69] [M-70] */
static void too_many_partial_bytes_cost_the_youngest(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.partial_bytes = 100000;
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, first_make(1, 200000, 40000));
    peer_feed(p, first_make(2, 200000, 40000));
    assert_int_equal(mcp_session_charge(&p->session, 30000), -ENOBUFS);
    assert_int_equal(mcp_session_charge(&p->session, 10000), 0);
    (void)peer_said(p);
    peer_feed(p, frame_make(MCP_REQUEST | MCP_MORE, 1, bytes_make(20000)));
    assert_string_equal(peer_said(p), "ERROR 2 OVERLOADED+NOT_PROCESSED;");
    mcp_session_discharge(&p->session, 10000);
    assert_int_equal(p->session.partial_bytes, 60014);
    peer_free(p);
}

/*
 * Plain profile
 */

static struct str plain_make(uint32_t seq, const char *service)
{
    static char payload[64];
    size_t n = strlen(service);

    payload[0] = 0x0A;
    payload[1] = (char)n;
    memcpy(payload + 2, service, n);
    return frame_make(MCP_REQUEST, seq, str_make(payload, 2 + n));
}

/* The status of the next answer, and its SeqID. */
static uint32_t plain_status(struct peer *p, uint32_t *ret_seq)
{
    struct str rest;
    struct mcp_frame f;

    (void)peer_write(p, SIZE_MAX);
    rest = buf_str(&p->wire);
    if (mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f) != 0)
        return 0;
    assert_int_equal(f.type, MCP_RESPONSE);
    assert_int_equal(f.payload.s[0], 8);
    *ret_seq = f.seq;
    buf_take(&p->wire, p->wire.len - rest.len);
    /* The status is a varint of two bytes. */
    return (uint32_t)(f.payload.s[1] & 0x7F) | (uint32_t)f.payload.s[2] << 7;
}

static struct peer *plain_peer(void)
{
    struct peer *p = peer_make();

    p->is_echo = true;
    peer_begin(p, MCP_SERVER);
    return p;
}

/* [M-8] */
static void a_plain_peer_is_answered_byte_for_byte(void **state)
{
    static const char request[] = "\x01\x01\0\0\0\x01\0\x0a\x0a\x04"
                                  "echo\x12\x02Hi";
    static const char response[] = "\x01\x02\0\0\0\x01\0\x07\x08\xc8\x01\x1a\x02Hi";
    struct peer *p = plain_peer();

    (void)state;
    peer_feed(p, str_make(request, sizeof(request) - 1));
    (void)peer_write(p, SIZE_MAX);
    assert_int_equal(p->wire.len, sizeof(response) - 1);
    assert_memory_equal(p->wire.data, response, sizeof(response) - 1);
    peer_free(p);
}

/* [M-7] [M-9] [M-10] [M-11] [M-12] */
static void plain_mistakes_have_their_status(void **state)
{
    struct peer *p = plain_peer();
    struct mcp_error error = MCP_ERROR_MAKE(MCP_UNIMPLEMENTED, 0, 0, STR("unknown"));
    static char big[70000];
    uint32_t seq = 0;

    (void)state;
    peer_feed(p, frame_make(MCP_REQUEST, 0xFFFFFFFF, STR("\x0a\x09")));
    assert_int_equal(plain_status(p, &seq), 400);
    assert_true(seq == UINT32_MAX);
    peer_feed(p, plain_make(0, ""));
    assert_int_equal(plain_status(p, &seq), 404);
    p->is_echo = false;
    peer_feed(p, plain_make(7, "nothing"));
    assert_int_equal(mcp_call_chunk(p->calls[7], NULL, STR("x")), -EOPNOTSUPP);
    mcp_call_fail(p->calls[7], NULL, &error);
    assert_int_equal(plain_status(p, &seq), 404);
    peer_feed(p, plain_make(8, "large"));
    assert_int_equal(mcp_call_respond(p->calls[8], NULL, str_make(big, sizeof(big))), 0);
    assert_int_equal(plain_status(p, &seq), 413);
    assert_int_equal(seq, 8);
    for (uint32_t i = 0; i < 128; i++)
        peer_feed(p, plain_make(100 + i, "slow"));
    assert_int_equal(plain_status(p, &seq), 0);
    peer_feed(p, plain_make(99, "slow"));
    assert_int_equal(plain_status(p, &seq), 429);
    peer_feed(p, plain_make(100, "again"));
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

/* [M-13] */
static void other_types_close_a_plain_connection_without_words(void **state)
{
    const struct str first[] = {STR("\x01\x41\0\0\0\x01\0\0"), STR("\x01\x08\0\0\0\0\0\0"),
                                STR("\x01\x02\0\0\0\x01\0\0"), STR("GET / HTTP/1.1\r\n")};

    (void)state;
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        for (int is_second = 0; is_second < 2; is_second++) {
            struct peer *p = plain_peer();

            if (is_second)
                peer_feed(p, plain_make(1, "echo"));
            (void)peer_said(p);
            peer_feed(p, first[i]);
            assert_string_equal(peer_said(p), "");
            assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
            peer_free(p);
        }
    }
}

/* [M-14] */
static void where_keys_or_hello_are_needed_a_plain_peer_is_told(void **state)
{
    (void)state;
    for (int needs_key = 0; needs_key < 2; needs_key++) {
        struct peer *p = peer_make();
        uint32_t seq = 0;

        p->settings.needs_key = needs_key;
        p->settings.needs_hello = !needs_key;
        peer_begin(p, MCP_SERVER);
        peer_feed(p, plain_make(5, "echo"));
        assert_int_equal(plain_status(p, &seq), needs_key ? 401 : 426);
        assert_int_equal(p->wire.len, 0);
        assert_int_equal(mcp_session_state(&p->session), MCP_STATE_FLUSH);
        peer_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_frame_must_be_whole_within_five_seconds),
        cmocka_unit_test(half_a_frame_without_progress_costs_the_connection),
        cmocka_unit_test(a_message_without_progress_exceeds_its_deadline),
        cmocka_unit_test(a_deadline_ends_a_call_wherever_it_is),
        cmocka_unit_test(a_clients_deadline_ends_the_call_here_and_cancels_it),
        cmocka_unit_test(a_cancel_without_a_terminal_frame_closes_after_30_s),
        cmocka_unit_test(silence_is_pinged_after_15_s_with_calls_and_30_s_without),
        cmocka_unit_test(any_byte_is_life),
        cmocka_unit_test(pings_are_never_more_often_than_the_peer_allows),
        cmocka_unit_test(a_peer_that_takes_nothing_for_30_s_is_closed),
        cmocka_unit_test(a_peer_that_grants_no_connection_credit_for_30_s_is_closed),
        cmocka_unit_test(a_call_that_waits_for_its_own_credit_closes_nothing),
        cmocka_unit_test(an_idle_connection_is_sent_away_and_pings_are_no_activity),
        cmocka_unit_test(after_an_error_input_is_discarded_for_a_second),
        cmocka_unit_test(frames_that_do_nothing_share_a_bucket),
        cmocka_unit_test(the_bucket_refills_at_330_a_second),
        cmocka_unit_test(a_thousand_control_frames_may_wait_and_no_more),
        cmocka_unit_test(too_many_partial_messages_cost_the_youngest),
        cmocka_unit_test(too_many_partial_bytes_cost_the_youngest),
        cmocka_unit_test(a_plain_peer_is_answered_byte_for_byte),
        cmocka_unit_test(plain_mistakes_have_their_status),
        cmocka_unit_test(other_types_close_a_plain_connection_without_words),
        cmocka_unit_test(where_keys_or_hello_are_needed_a_plain_peer_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
