/* SPDX-License-Identifier: MIT */
#include "peer.h"

static const struct mcp_ext none;

static void expect_told(struct peer *p, struct str bytes, const char *told)
{
    peer_feed(p, bytes);
    assert_string_equal(peer_told(p), told);
}

static struct str answer_make(unsigned type, uint32_t seq, const struct mcp_ext *ext,
                              struct str body)
{
    return ext != NULL ? message_make(type, seq, ext, body) : frame_make(type, seq, body);
}

static struct str ack_make(void)
{
    return hello_make(MCP_HELLO_ACK, &mcp_settings_default.hello);
}

/* [M-53] */
static void requests_follow_hello_without_waiting(void **state)
{
    struct peer *p = peer_make();

    (void)state;
    peer_begin(p, MCP_CLIENT);
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, bytes_make(5000));
    (void)peer_open(p, (struct mcp_ext){.codec = MCP_CODEC_AVRO}, STR("b"));
    (void)peer_open(p, none, STR("c"));
    assert_string_equal(peer_said(p), "HELLO 0;REQUEST|EXT 1 a;REQUEST|EXT 4 c;");
    peer_feed(p, ack_make());
    assert_string_equal(peer_said(p), "REQUEST|EXT 3 b;REQUEST|EXT 2 [5000];");
    peer_free(p);
}

/* [M-53] */
static void before_the_ack_32_calls_and_64_kib_go_out_and_no_cancel(void **state)
{
    struct peer *p = peer_make();
    struct mcp_request request = {.ext = {.method = STR("echo")}, .body = bytes_make(4000)};
    struct mcp_call *call = NULL;
    struct mcp_call *first;
    uint32_t n = 1;

    (void)state;
    peer_begin(p, MCP_CLIENT);
    first = peer_open(p, none, bytes_make(4000));
    while (mcp_session_open(&p->session, &request, p->now, &call) == 0)
        n++;
    assert_int_equal(n, 32);
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), MCP_BUSY);
    (void)peer_said(p);
    assert_int_equal(p->session.tx.sent, 16 * 4008);
    mcp_call_cancel(first, MCP_CANCEL_APPLICATION, p->now);
    assert_string_equal(peer_said(p), "");
    peer_feed(p, ack_make());
    assert_true(strncmp(peer_said(p), "CANCEL 1 0;REQUEST|EXT 17 ", 26) == 0);
    peer_free(p);
}

/* [M-56] [M-68] */
static void what_the_server_does_not_take_fails_alone(void **state)
{
    struct peer *p = peer_make();
    struct mcp_hello ack = mcp_settings_default.hello;
    struct mcp_request request = {.ext = {.method = STR("echo")}, .body = bytes_make(10001)};
    struct mcp_call *call;

    (void)state;
    ack.features = MCP_FEATURES_BASIC;
    ack.max_message = 10000;
    peer_begin(p, MCP_CLIENT);
    (void)peer_open(p, none, bytes_make(10001));
    (void)peer_open(p, (struct mcp_ext){.order_lane = 1}, STR("b"));
    (void)peer_open(p, none, STR("c"));
    expect_told(p, hello_make(MCP_HELLO_ACK, &ack),
                "end 1 TOO_LARGE+NOT_PROCESSED;end 2 UNIMPLEMENTED+NOT_PROCESSED;");
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), -EMSGSIZE);
    request = (struct mcp_request){.ext = {.method = STR("echo"), .order_lane = 3}};
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), -EOPNOTSUPP);
    request.ext = (struct mcp_ext){0};
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), -EINVAL);
    peer_free(p);
}

/* [M-92] */
static void the_deadline_is_written_when_the_frame_leaves(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct str rest;
    struct mcp_frame f;
    struct mcp_ext ext;
    struct str body;

    (void)state;
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 250}, STR("a"));
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 100}, STR("b"));
    p->now += 100 * MS;
    (void)peer_write(p, SIZE_MAX);
    rest = buf_str(&p->wire);
    assert_int_equal(mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f), 0);
    assert_int_equal(rest.len, 0);
    assert_int_equal(mcp_ext_parse(f.payload, &ext, &body), 0);
    assert_int_equal(ext.deadline_ms, 150);
    peer_tick(p, 0);
    assert_string_equal(peer_told(p), "end 2 DEADLINE_EXCEEDED+NOT_PROCESSED;");
    peer_free(p);
}

static void chunks_and_a_response_reach_their_call(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_ext total = {.has_total_len = true, .total_len = 3000};

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, STR("b"));
    (void)peer_said(p);
    expect_told(p, frame_make(MCP_CHUNK, 1, STR("one")), "chunk 1 one;");
    expect_told(p, answer_make(MCP_CHUNK | MCP_MORE, 1, &total, bytes_make(2000)), "");
    expect_told(p, frame_make(MCP_RESPONSE, 2, STR("B")), "end 2 OK B;");
    expect_told(p, frame_make(MCP_CHUNK, 1, bytes_make(1000)), "chunk 1 [3000];");
    expect_told(p, frame_make(MCP_RESPONSE, 1, STR_NULL), "end 1 OK;");
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
}

/* [M-27] */
static void error_discards_an_incomplete_answer(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_ext total = {.has_total_len = true, .total_len = 3000};

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    expect_told(p, answer_make(MCP_RESPONSE | MCP_MORE, 1, &total, bytes_make(2000)), "");
    expect_told(p, error_make(1, MCP_BACKEND_LOST, MCP_PARTIAL), "end 1 BACKEND_LOST+PARTIAL;");
    assert_int_equal(p->session.n_partial, 0);
    peer_free(p);
}

/* [M-31] [M-55] [M-65] [M-66] */
static void a_bad_answer_ends_the_call_here_and_is_cancelled(void **state)
{
    struct mcp_ext lies = {.has_total_len = true, .total_len = 5};
    struct mcp_ext squeezed = {.has_compression = true, .compression = 1, .raw_len = 5};
    const struct {
        unsigned type;
        const struct mcp_ext *ext;
        size_t len;
        const char *told;
        const char *said;
    } rows[] = {
        {MCP_CHUNK, &lies, 4, "end 1 INVALID_ARGUMENT;", "CANCEL 1 0;"},
        {MCP_CHUNK, &squeezed, 4, "end 1 UNIMPLEMENTED;", "CANCEL 1 0;"},
        {MCP_CHUNK | MCP_MORE, NULL, 2000, "end 1 INVALID_ARGUMENT;", "CANCEL 1 0;"},
        {MCP_RESPONSE, &lies, 4, "end 1 INVALID_ARGUMENT;", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer *p = peer_ready(MCP_CLIENT, NULL);

        (void)peer_open(p, none, STR("a"));
        (void)peer_said(p);
        expect_told(p, answer_make(rows[i].type, 1, rows[i].ext, bytes_make(rows[i].len)),
                    rows[i].told);
        assert_string_equal(peer_said(p), rows[i].said);
        assert_int_equal(p->session.n_listed, rows[i].said[0] != '\0');
        if (rows[i].said[0] != '\0') {
            expect_told(p, frame_make(MCP_CHUNK, 1, STR("late")), "");
            expect_told(p, error_make(1, MCP_CANCELLED, 0), "");
        }
        assert_int_equal(p->session.n_calls, 0);
        peer_free(p);
    }
}

/* @begun: a CHUNK is incomplete. */
static void costs_the_connection(bool begun, struct str frame, const char *said)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_ext total = {.has_total_len = true, .total_len = 3000};

    (void)peer_open(p, (struct mcp_ext){.stream_limit = 8192}, STR("a"));
    (void)peer_said(p);
    if (begun)
        peer_feed(p, answer_make(MCP_CHUNK | MCP_MORE, 1, &total, bytes_make(2000)));
    peer_feed(p, frame);
    assert_string_equal(peer_said(p), said);
    assert_string_equal(peer_told(p), "end 1 UNAVAILABLE;");
    peer_free(p);
}

/* [M-28] */
static void what_still_comes_for_a_call_that_ended_here_is_not_kept(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_ext total = {.has_total_len = true, .total_len = 3000};

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    expect_told(p, answer_make(MCP_CHUNK | MCP_MORE, 1, NULL, bytes_make(2000)),
                "end 1 INVALID_ARGUMENT;");
    expect_told(p, answer_make(MCP_RESPONSE | MCP_MORE, 1, &total, bytes_make(2000)), "");
    assert_int_equal(p->session.n_partial, 0);
    assert_int_equal(p->session.n_listed, 1);
    expect_told(p, frame_make(MCP_RESPONSE, 1, bytes_make(1000)), "");
    assert_int_equal(p->session.n_calls, 0);
    peer_free(p);
}

static void an_answer_that_makes_no_progress_is_given_up(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_ext total = {.has_total_len = true, .total_len = 30000};

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    peer_feed(p, answer_make(MCP_CHUNK | MCP_MORE, 1, &total, bytes_make(2000)));
    p->now += 20 * SEC;
    peer_feed(p, frame_make(MCP_CHUNK | MCP_MORE, 1, bytes_make(2000)));
    for (int i = 0; i < 2; i++) {
        peer_tick(p, 14 * SEC);
        peer_feed(p, frame_make(0x20, 0, STR_NULL));
    }
    assert_string_equal(peer_told(p), "");
    peer_tick(p, 2 * SEC);
    assert_string_equal(peer_told(p), "end 1 DEADLINE_EXCEEDED;");
    assert_non_null(strstr(peer_said(p), "CANCEL 1 1;"));
    peer_free(p);
}

static void too_much_of_answers_costs_the_youngest(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_ext total = {.has_total_len = true, .total_len = 30000};
    struct peer *p;

    (void)state;
    settings.partial_bytes = 5000;
    p = peer_ready(MCP_CLIENT, &settings);
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, STR("b"));
    (void)peer_said(p);
    expect_told(p, answer_make(MCP_CHUNK | MCP_MORE, 2, &total, bytes_make(2000)), "");
    expect_told(p, answer_make(MCP_CHUNK | MCP_MORE, 1, &total, bytes_make(2000)), "");
    expect_told(p, frame_make(MCP_CHUNK | MCP_MORE, 2, bytes_make(2000)), "end 1 OVERLOADED;");
    assert_string_equal(peer_said(p), "CANCEL 1 0;");
    peer_free(p);
}

static void malformed_errors_end_what_they_are_about(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    expect_told(p, frame_make(MCP_ERROR | MCP_EXT, 1, STR("\0\2\x15\5 and more")),
                "end 1 INVALID_ARGUMENT;");
    assert_string_equal(peer_said(p), "");
    peer_feed(p, frame_make(MCP_ERROR, 0, bytes_make(12)));
    assert_string_equal(peer_said(p), "ERROR 0 PROTOCOL;");
    peer_free(p);
}

static void compression_is_told_where_both_have_it(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_ext squeezed = {
        .has_compression = true, .compression = MCP_COMPRESSION_GZIP, .raw_len = 500};
    struct mcp_request request = {.ext = squeezed};
    struct mcp_call *call;
    struct peer *p;

    (void)state;
    settings.hello.features |= MCP_FEATURE_COMPRESSION;
    settings.hello.compressions = STR("\0\1");
    p = peer_ready(MCP_CLIENT, &settings);
    (void)peer_open(p, squeezed, STR("a"));
    assert_string_equal(peer_said(p), "REQUEST|EXT 1 a;");
    expect_told(p, answer_make(MCP_RESPONSE, 1, &squeezed, STR("zzz")), "end 1 OK zzz;");
    request.ext.method = STR("echo");
    request.ext.compression = MCP_COMPRESSION_ZSTD;
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), -EOPNOTSUPP);
    peer_free(p);
}

static void an_error_comes_with_its_metadata(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct peer *server = peer_ready(MCP_SERVER, NULL);
    struct mcp_metadata pair = {STR("reason"), STR("no_model")};
    struct mcp_ext ext = {.metadata = &pair, .n_metadata = 1};
    struct mcp_error error = MCP_ERROR_MAKE(MCP_NOT_FOUND, 0, MCP_ORIGIN_GATEWAY, STR("x"));

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_write(p, SIZE_MAX);
    peer_feed(server, buf_str(&p->wire));
    mcp_call_fail(server->calls[1], &ext, &error);
    (void)peer_write(server, SIZE_MAX);
    expect_told(p, buf_str(&server->wire), "end 1 NOT_FOUND reason=no_model;");
    peer_free(p);
    peer_free(server);
}

static void an_answer_needs_no_codec(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;

    (void)state;
    settings.hello.codecs = STR("\1");
    p = peer_ready(MCP_CLIENT, &settings);
    (void)peer_open(p, (struct mcp_ext){.codec = MCP_CODEC_JSON}, STR("a"));
    (void)peer_said(p);
    expect_told(p, frame_make(MCP_RESPONSE, 1, STR("{}")), "end 1 OK {};");
    peer_free(p);
}

static void an_answer_to_what_was_never_opened_costs_the_connection(void **state)
{
    (void)state;
    costs_the_connection(false, frame_make(MCP_RESPONSE, 2, STR("a")), "ERROR 0 PROTOCOL;");
}

/* [M-26] */
static void another_frame_inside_a_chunk_costs_the_connection(void **state)
{
    (void)state;
    costs_the_connection(true, frame_make(MCP_RESPONSE, 1, STR("a")), "ERROR 0 PROTOCOL;");
    costs_the_connection(true, answer_make(MCP_CHUNK, 1, &none, STR("a")), "ERROR 0 PROTOCOL;");
}

/* [M-16] [M-23] [M-74] [M-88] */
static void other_wrong_answers_cost_the_connection(void **state)
{
    (void)state;
    costs_the_connection(false, ack_make(), "ERROR 0 PROTOCOL;");
    costs_the_connection(false, frame_make(MCP_CHUNK, 1, bytes_make(8193)),
                         "ERROR 0 FLOW_CONTROL;");
    costs_the_connection(false, frame_make(MCP_ERROR, 1, bytes_make(11)), "ERROR 0 PROTOCOL;");
    costs_the_connection(false, request_make(9, STR("a")), "ERROR 0 PROTOCOL;");
}

/* [M-52] */
static void anything_before_the_ack_but_an_error_costs_the_connection(void **state)
{
    struct peer *p = peer_make();

    (void)state;
    peer_begin(p, MCP_CLIENT);
    (void)peer_said(p);
    peer_feed(p, frame_make(MCP_PING, 0, bytes_make(8)));
    assert_string_equal(peer_said(p), "ERROR 0 PROTOCOL;");
    peer_free(p);
}

static void a_refused_hello_ends_early_calls_unprocessed(void **state)
{
    struct peer *p = peer_make();

    (void)state;
    peer_begin(p, MCP_CLIENT);
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    expect_told(p, error_make(0, MCP_UNAUTHENTICATED, MCP_NOT_PROCESSED),
                "end 1 UNAUTHENTICATED+NOT_PROCESSED;");
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
    peer_free(p);
}

/* [M-97] [M-99] */
static void a_cancelled_call_ends_once_with_what_the_server_says(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_call *call = peer_open(p, none, STR("a"));
    struct mcp_call *raced = peer_open(p, none, STR("b"));

    (void)state;
    (void)peer_said(p);
    mcp_call_cancel(call, MCP_CANCEL_GONE, p->now);
    mcp_call_cancel(call, MCP_CANCEL_GONE, p->now);
    mcp_call_cancel(raced, MCP_CANCEL_APPLICATION, p->now);
    assert_string_equal(peer_said(p), "CANCEL 1 3;CANCEL 2 0;");
    expect_told(p, frame_make(MCP_CHUNK, 1, STR("late")), "");
    expect_told(p, error_make(1, MCP_CANCELLED, MCP_PARTIAL), "end 1 CANCELLED+PARTIAL;");
    expect_told(p, frame_make(MCP_RESPONSE, 2, STR("won")), "end 2 OK won;");
    peer_free(p);
}

static void a_call_cancelled_before_it_was_sent_never_is(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_call *call = peer_open(p, none, STR("a"));

    (void)state;
    mcp_call_cancel(call, MCP_CANCEL_APPLICATION, p->now);
    assert_string_equal(peer_told(p), "");
    assert_int_equal(mcp_session_next_due(&p->session), 0);
    peer_tick(p, 0);
    assert_string_equal(peer_told(p), "end 1 CANCELLED+NOT_PROCESSED;");
    assert_string_equal(peer_said(p), "");
    peer_free(p);
}

/* [M-101] */
static void cancel_ends_a_request_between_fragments(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_call *call = peer_open(p, none, bytes_make(1 << 20));

    (void)state;
    (void)peer_write(p, 20000);
    mcp_call_cancel(call, MCP_CANCEL_APPLICATION, p->now);
    assert_non_null(strstr(peer_said(p), "CANCEL 1 0;"));
    assert_int_equal(p->session.unsent, 0);
    peer_feed(p, error_make(1, MCP_CANCELLED, MCP_NOT_PROCESSED));
    assert_string_equal(peer_told(p), "end 1 CANCELLED+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-113] [M-115] */
static void goaway_sends_back_what_was_not_sent(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_request request = {.ext = {.method = STR("echo")}};
    struct mcp_call *call;

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, STR("b"));
    (void)peer_said(p);
    (void)peer_open(p, none, STR("c"));
    expect_told(p, frame_make(MCP_GOAWAY, 0, STR("\0\0\0\1\0\1\0\x1e")),
                "goaway 1 30;end 3 UNAVAILABLE+NOT_PROCESSED;");
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), MCP_BUSY);
    mcp_session_eof(&p->session, p->now);
    assert_string_equal(peer_told(p), "end 1 UNAVAILABLE;end 2 UNAVAILABLE+NOT_PROCESSED;");
    peer_free(p);
}

static void closing_tells_every_call_at_the_next_tick(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    (void)peer_open(p, none, STR("b"));
    mcp_session_close(&p->session, p->now);
    assert_string_equal(peer_told(p), "");
    peer_tick(p, 0);
    assert_string_equal(peer_told(p), "end 1 UNAVAILABLE;end 2 UNAVAILABLE+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-80] [M-82] */
static void credit_comes_back_when_chunks_are_taken(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);
    struct mcp_call *call = peer_open(p, (struct mcp_ext){.stream_limit = 10000}, STR("a"));

    (void)state;
    (void)peer_said(p);
    peer_feed(p, frame_make(MCP_CHUNK, 1, bytes_make(6000)));
    assert_string_equal(peer_said(p), "");
    mcp_call_take(call, 4999);
    assert_string_equal(peer_said(p), "");
    mcp_call_take(call, 1001);
    assert_string_equal(peer_said(p), "CREDIT 0 1=16000;");
    peer_free(p);
}

/* [M-28] */
static void credit_for_an_unsent_call_costs_the_connection(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    peer_feed(p, credit_make(1, 1 << 20));
    assert_string_equal(peer_said(p), "ERROR 0 PROTOCOL;");
    peer_free(p);
}

/* [M-102] */
static void ids_wrap_and_skip_those_in_use(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    p->session.next_seq = MCP_SEQ_MAX - 1;
    (void)peer_open(p, none, STR("b"));
    (void)peer_open(p, none, STR("c"));
    (void)peer_open(p, none, STR("d"));
    assert_string_equal(peer_said(p),
                        "REQUEST|EXT 1 a;REQUEST|EXT 2147483646 b;REQUEST|EXT 2147483647 c;"
                        "REQUEST|EXT 2 d;");
    assert_int_equal(p->session.newest, 2);
    peer_free(p);
}

/* [M-105] */
static void lanes_keep_their_order_of_first_frames(void **state)
{
    struct peer *p = peer_ready(MCP_CLIENT, NULL);

    (void)state;
    (void)peer_open(p, (struct mcp_ext){.order_lane = 1}, bytes_make(20000));
    (void)peer_open(p, (struct mcp_ext){.order_lane = 1}, STR("second"));
    (void)peer_open(p, (struct mcp_ext){.order_lane = 2}, STR("other"));
    assert_string_equal(peer_said(p), "REQUEST|EXT 3 other;REQUEST|EXT|MORE 1 [16366];"
                                      "REQUEST|EXT 2 second;REQUEST 1 [3634];");
    peer_free(p);
}

/* [M-62] */
static void no_more_calls_than_the_server_takes(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct peer *p;
    struct mcp_request request = {.ext = {.method = STR("echo")}};
    struct mcp_call *call;

    (void)state;
    settings.hello.max_inflight = 40;
    p = peer_ready(MCP_CLIENT, &settings);
    for (int i = 0; i < 40; i++)
        (void)peer_open(p, none, STR("a"));
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), MCP_BUSY);
    (void)peer_said(p);
    peer_feed(p, frame_make(MCP_RESPONSE, 7, STR_NULL));
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), 0);
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_follow_hello_without_waiting),
        cmocka_unit_test(before_the_ack_32_calls_and_64_kib_go_out_and_no_cancel),
        cmocka_unit_test(what_the_server_does_not_take_fails_alone),
        cmocka_unit_test(the_deadline_is_written_when_the_frame_leaves),
        cmocka_unit_test(chunks_and_a_response_reach_their_call),
        cmocka_unit_test(error_discards_an_incomplete_answer),
        cmocka_unit_test(a_bad_answer_ends_the_call_here_and_is_cancelled),
        cmocka_unit_test(what_still_comes_for_a_call_that_ended_here_is_not_kept),
        cmocka_unit_test(an_answer_that_makes_no_progress_is_given_up),
        cmocka_unit_test(too_much_of_answers_costs_the_youngest),
        cmocka_unit_test(malformed_errors_end_what_they_are_about),
        cmocka_unit_test(compression_is_told_where_both_have_it),
        cmocka_unit_test(an_error_comes_with_its_metadata),
        cmocka_unit_test(an_answer_needs_no_codec),
        cmocka_unit_test(an_answer_to_what_was_never_opened_costs_the_connection),
        cmocka_unit_test(another_frame_inside_a_chunk_costs_the_connection),
        cmocka_unit_test(other_wrong_answers_cost_the_connection),
        cmocka_unit_test(anything_before_the_ack_but_an_error_costs_the_connection),
        cmocka_unit_test(a_refused_hello_ends_early_calls_unprocessed),
        cmocka_unit_test(a_cancelled_call_ends_once_with_what_the_server_says),
        cmocka_unit_test(a_call_cancelled_before_it_was_sent_never_is),
        cmocka_unit_test(cancel_ends_a_request_between_fragments),
        cmocka_unit_test(goaway_sends_back_what_was_not_sent),
        cmocka_unit_test(closing_tells_every_call_at_the_next_tick),
        cmocka_unit_test(credit_comes_back_when_chunks_are_taken),
        cmocka_unit_test(credit_for_an_unsent_call_costs_the_connection),
        cmocka_unit_test(ids_wrap_and_skip_those_in_use),
        cmocka_unit_test(lanes_keep_their_order_of_first_frames),
        cmocka_unit_test(no_more_calls_than_the_server_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
