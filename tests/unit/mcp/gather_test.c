/* SPDX-License-Identifier: MIT */

/* Small requests of a client that go together in a BATCH. */

#include "peer.h"

static const struct mcp_ext none;

static struct peer *gathering(uint32_t n_calls, uint32_t n_bytes)
{
    struct mcp_settings settings = mcp_settings_default;

    settings.gather_calls = n_calls;
    settings.gather_bytes = n_bytes;
    settings.gather_ns = 2 * MS;
    return peer_ready(MCP_CLIENT, &settings);
}

/* What was sent, to a server: it says what it understood. */
static const char *understood(struct peer *client)
{
    struct peer *server = peer_ready(MCP_SERVER, NULL);
    static char text[65536];

    (void)peer_write(client, SIZE_MAX);
    peer_feed(server, buf_str(&client->wire));
    assert_int_equal(mcp_session_end_code(&server->session), MCP_OK);
    buf_reset(&client->wire);
    (void)snprintf(text, sizeof(text), "%s", peer_told(server));
    peer_free(server);
    return text;
}

static void the_first_call_goes_at_once_and_those_behind_it_wait_and_go_together(void **state)
{
    struct peer *p = gathering(64, 4096);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, STR("b"));
    (void)peer_open(p, none, STR("c"));
    assert_string_equal(peer_said(p), "REQUEST|EXT 1 a;");
    assert_int_equal(mcp_session_next_due(&p->session), p->now + 2 * MS);
    peer_tick(p, 2 * MS);
    assert_string_equal(peer_said(p), "BATCH|EXT 0;");
    assert_int_equal(p->session.n_batches, 1);
    peer_free(p);
}

static void enough_calls_do_not_wait(void **state)
{
    struct peer *p = gathering(3, 4096);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    (void)peer_open(p, none, STR("b"));
    (void)peer_open(p, none, STR("c"));
    assert_string_equal(peer_said(p), "");
    (void)peer_open(p, none, STR("d"));
    assert_string_equal(understood(p), "request 2 echo b;request 3 echo c;request 4 echo d;");
    peer_free(p);
}

static void enough_bytes_do_not_wait(void **state)
{
    struct peer *p = gathering(64, 500);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    (void)peer_open(p, none, bytes_make(300));
    assert_string_equal(peer_said(p), "");
    (void)peer_open(p, none, bytes_make(300));
    assert_string_equal(understood(p), "request 2 echo [300];request 3 echo [300];");
    peer_free(p);
}

static void when_nothing_is_awaited_nothing_waits(void **state)
{
    struct peer *p = gathering(64, 4096);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    (void)peer_open(p, none, STR("b"));
    (void)peer_open(p, none, STR("c"));
    peer_feed(p, frame_make(MCP_RESPONSE, 1, STR("A")));
    assert_string_equal(peer_said(p), "BATCH|EXT 0;");
    peer_feed(p, frame_make(MCP_RESPONSE, 3, STR("C")));
    peer_feed(p, frame_make(MCP_RESPONSE, 2, STR("B")));
    assert_string_equal(peer_told(p), "end 1 OK A;end 3 OK C;end 2 OK B;");
    peer_free(p);
}

static void calls_with_different_blocks_stay_apart(void **state)
{
    struct peer *p = gathering(64, 4096);
    const struct mcp_ext other = {.method = STR("other")};
    const struct mcp_ext json = {.codec = MCP_CODEC_JSON};

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, STR("b"));
    (void)peer_open(p, other, STR("c"));
    (void)peer_open(p, json, STR("d"));
    (void)peer_open(p, other, STR("e"));
    (void)peer_open(p, none, STR("f"));
    (void)peer_said(p);
    peer_tick(p, 2 * MS);
    assert_string_equal(understood(p), "request 2 echo b;request 6 echo f;request 3 other c;"
                                       "request 5 other e;request 4 echo d;");
    assert_int_equal(p->session.n_batches, 2);
    peer_free(p);
}

static void what_is_long_or_in_a_lane_goes_by_itself(void **state)
{
    struct peer *p = gathering(64, 4096);

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, bytes_make(1025));
    (void)peer_open(p, (struct mcp_ext){.order_lane = 1}, STR("c"));
    assert_string_equal(peer_said(p), "REQUEST|EXT 1 a;REQUEST|EXT 2 [1025];REQUEST|EXT 3 c;");
    peer_free(p);
}

/* [M-92] */
static void a_batch_has_the_time_of_the_entry_that_has_most(void **state)
{
    struct peer *p = gathering(64, 4096);
    struct mcp_frame f;
    struct mcp_ext ext;
    struct str body;
    struct str rest;

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 1}, STR("late"));
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 50}, STR("b"));
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 90}, STR("c"));
    (void)peer_open(p, (struct mcp_ext){.has_deadline = true, .deadline_ms = 70}, STR("d"));
    peer_tick(p, 2 * MS);
    (void)peer_write(p, SIZE_MAX);
    rest = buf_str(&p->wire);
    assert_int_equal(mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f), 0);
    assert_int_equal(f.type, MCP_BATCH);
    assert_int_equal(mcp_ext_parse(f.payload, &ext, &body), 0);
    assert_int_equal(ext.deadline_ms, 88);
    assert_int_equal(wire_get_u16(body.s + 2), 3);
    assert_string_equal(peer_told(p), "end 2 DEADLINE_EXCEEDED+NOT_PROCESSED;");
    peer_tick(p, 48 * MS);
    assert_string_equal(peer_told(p), "end 3 DEADLINE_EXCEEDED;");
    buf_reset(&p->wire);
    assert_string_equal(peer_said(p), "CANCEL 3 1;");
    peer_free(p);
}

static void a_call_that_is_cancelled_while_it_waits_is_not_sent(void **state)
{
    struct peer *p = gathering(3, 4096);
    struct mcp_call *call;

    (void)state;
    (void)peer_open(p, none, STR("a"));
    (void)peer_said(p);
    call = peer_open(p, none, STR("b"));
    (void)peer_open(p, none, STR("c"));
    mcp_call_cancel(call, MCP_CANCEL_APPLICATION, p->now);
    (void)peer_open(p, none, STR("d"));
    assert_string_equal(peer_said(p), ""); /* two of three */
    peer_tick(p, 2 * MS);
    assert_string_equal(understood(p), "request 3 echo c;request 4 echo d;");
    assert_string_equal(peer_told(p), "end 2 CANCELLED+NOT_PROCESSED;");
    peer_free(p);
}

/* [M-122] */
static void a_server_that_has_not_agreed_gets_no_batch(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_hello ack = mcp_settings_default.hello;
    struct peer *p = peer_make();

    (void)state;
    settings.gather_calls = 64;
    settings.gather_bytes = 4096;
    settings.gather_ns = 2 * MS;
    ack.features = MCP_FEATURES_BASIC;
    p->settings = settings;
    peer_begin(p, MCP_CLIENT);
    peer_feed(p, hello_make(MCP_HELLO_ACK, &ack));
    (void)peer_open(p, none, STR("a"));
    (void)peer_open(p, none, STR("b"));
    assert_string_equal(peer_said(p), "HELLO 0;REQUEST|EXT 1 a;REQUEST|EXT 2 b;");
    peer_free(p);
}

/* [M-120] [M-71] */
static void a_batch_is_never_longer_than_credit_frame_and_count(void **state)
{
    struct peer *p = gathering(MCP_SEQ_MAX, UINT32_MAX);
    struct peer *server = peer_ready(MCP_SERVER, NULL);
    unsigned n = 0;

    (void)state;
    for (; n < 250; n++)
        (void)peer_open(p, none, bytes_make(n % 1024));
    (void)peer_said(p);
    peer_tick(p, 2 * MS);
    (void)peer_write(p, SIZE_MAX);
    peer_feed(server, buf_str(&p->wire));
    assert_int_equal(mcp_session_end_code(&server->session), MCP_OK);
    assert_int_equal(server->session.n_calls, n - 1);
    assert_int_equal(p->session.tx.sent - server->session.rx.received, 8); /* the first call */
    assert_int_equal(p->session.unsent, 0);
    assert_true(p->session.n_batches > 1);
    peer_free(server);
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_call_goes_at_once_and_those_behind_it_wait_and_go_together),
        cmocka_unit_test(enough_calls_do_not_wait),
        cmocka_unit_test(enough_bytes_do_not_wait),
        cmocka_unit_test(when_nothing_is_awaited_nothing_waits),
        cmocka_unit_test(calls_with_different_blocks_stay_apart),
        cmocka_unit_test(what_is_long_or_in_a_lane_goes_by_itself),
        cmocka_unit_test(a_batch_has_the_time_of_the_entry_that_has_most),
        cmocka_unit_test(a_call_that_is_cancelled_while_it_waits_is_not_sent),
        cmocka_unit_test(a_server_that_has_not_agreed_gets_no_batch),
        cmocka_unit_test(a_batch_is_never_longer_than_credit_frame_and_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
