/* SPDX-License-Identifier: MIT */

/* A client of the plain profile, against frames by hand and against a server of ours. */

#include "peer.h"

#include "mcp/plain.h"

static const struct mcp_ext json = {.method = {.s = "echo", .len = 4}, .codec = MCP_CODEC_JSON};

static struct peer *plain_client(void)
{
    struct peer *p = peer_make();

    p->settings.speaks_plain = true;
    peer_begin(p, MCP_CLIENT);
    return p;
}

static struct str answer_make(uint32_t seq, unsigned status, struct str error, struct str body)
{
    const struct mcp_plain_response response = {.status = status, .error = error, .body = body};
    static char payload[MCP_PAYLOAD_MAX];

    mcp_plain_pack_response(payload, &response);
    return frame_make(MCP_RESPONSE, seq, str_make(payload, mcp_plain_response_len(&response)));
}

static void pass(struct peer *from, struct peer *to)
{
    (void)peer_write(from, SIZE_MAX);
    peer_feed(to, buf_str(&from->wire));
    buf_reset(&from->wire);
}

/* [M-8] */
static void there_is_no_hello_and_the_first_frame_is_a_request(void **state)
{
    struct peer *p = plain_client();
    struct peer *server = peer_make();

    (void)state;
    peer_begin(server, MCP_SERVER);
    server->is_echo = true;
    (void)peer_open(p, json, STR("a"));
    (void)peer_open(p, json, bytes_make(60000));
    pass(p, server);
    assert_string_equal(peer_told(server), "request 1 echo a;request 2 echo [60000];");
    assert_true(server->session.is_plain);
    pass(server, p);
    assert_string_equal(peer_told(p), "end 1 OK a;end 2 OK [60000];");
    peer_free(server);
    peer_free(p);
}

static void a_status_becomes_a_code(void **state)
{
    static const struct {
        unsigned status;
        const char *told;
    } rows[] = {
        {200, "end 1 OK x;"},
        {204, "end 1 OK x;"},
        {400, "end 1 INVALID_ARGUMENT;"},
        {401, "end 1 UNAUTHENTICATED;"},
        {404, "end 1 NOT_FOUND;"},
        {413, "end 1 TOO_LARGE;"},
        {426, "end 1 FAILED_PRECONDITION;"},
        {429, "end 1 RESOURCE_EXHAUSTED+NOT_PROCESSED+TRANSIENT;"},
        {500, "end 1 INTERNAL;"},
        {503, "end 1 OVERLOADED+TRANSIENT;"},
        {599, "end 1 INTERNAL;"},
        {0, "end 1 UNKNOWN;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer *p = plain_client();

        (void)peer_open(p, json, STR_NULL);
        (void)peer_said(p);
        peer_feed(p, answer_make(1, rows[i].status, STR("why"), STR("x")));
        assert_string_equal(peer_told(p), rows[i].told);
        peer_free(p);
    }
}

static void what_the_profile_does_not_have_is_refused(void **state)
{
    static const struct {
        struct mcp_ext ext;
        size_t len;
        int result;
    } rows[] = {
        {{.codec = MCP_CODEC_PROTOBUF}, 1, -EOPNOTSUPP},
        {{.codec = MCP_CODEC_JSON, .order_lane = 1}, 1, -EOPNOTSUPP},
        {{.codec = MCP_CODEC_JSON, .compression = MCP_COMPRESSION_GZIP}, 1, -EOPNOTSUPP},
        {{.codec = MCP_CODEC_JSON}, 65536, -EMSGSIZE},
        {{.codec = MCP_CODEC_JSON}, 65530, -EMSGSIZE},
    };
    struct peer *p = plain_client();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mcp_request request = {.ext = rows[i].ext, .body = bytes_make(rows[i].len)};
        struct mcp_call *call;

        request.ext.method = STR("echo");
        assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), rows[i].result);
    }
    peer_free(p);
}

/* [M-10] */
static void there_are_never_more_than_128_in_flight(void **state)
{
    struct peer *p = plain_client();
    struct mcp_request request = {.ext = json};
    struct mcp_call *call;

    (void)state;
    for (unsigned i = 0; i < 128; i++)
        (void)peer_open(p, json, STR_NULL);
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), MCP_BUSY);
    (void)peer_said(p);
    peer_feed(p, answer_make(77, 200, STR_NULL, STR_NULL));
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), 0);
    peer_free(p);
}

/* [M-9] */
static void a_call_that_was_given_up_keeps_its_id_until_it_is_answered(void **state)
{
    struct peer *p = plain_client();
    const struct mcp_ext hasty = {.codec = MCP_CODEC_JSON, .has_deadline = true, .deadline_ms = 10};

    (void)state;
    (void)peer_open(p, hasty, STR_NULL);
    (void)peer_said(p);
    peer_tick(p, 10 * MS);
    assert_string_equal(peer_told(p), "end 1 DEADLINE_EXCEEDED;");
    assert_string_equal(peer_said(p), ""); /* nothing that the profile does not have */
    p->session.next_seq = 1;
    (void)peer_open(p, json, STR_NULL);
    assert_string_equal(peer_said(p), "REQUEST 2 \n\x04"
                                      "echo;");
    peer_feed(p, answer_make(1, 200, STR_NULL, STR("late")));
    assert_string_equal(peer_told(p), "");
    assert_int_equal(p->session.n_listed, 1);
    peer_free(p);
}

/* [M-13] */
static void any_other_frame_ends_the_connection(void **state)
{
    const struct str frames[] = {
        frame_make(MCP_CHUNK, 1, STR("x")),
        frame_make(MCP_RESPONSE | MCP_MORE, 1, STR_NULL),
        frame_make(MCP_RESPONSE, 2, STR_NULL),
        frame_make(MCP_RESPONSE, 1, STR("\x0a\x05x")),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct peer *p = plain_client();

        (void)peer_open(p, json, STR_NULL);
        (void)peer_said(p);
        peer_feed(p, frames[i]);
        assert_int_equal(mcp_session_state(&p->session), MCP_STATE_DEAD);
        assert_string_equal(peer_told(p), "end 1 UNAVAILABLE;");
        peer_free(p);
    }
}

static void the_end_of_the_connection_ends_calls_and_says_which_were_never_sent(void **state)
{
    struct peer *p = plain_client();

    (void)state;
    (void)peer_open(p, json, STR_NULL);
    (void)peer_said(p);
    (void)peer_open(p, json, STR_NULL);
    mcp_session_eof(&p->session, p->now);
    assert_string_equal(peer_told(p), "end 1 UNAVAILABLE;end 2 UNAVAILABLE+NOT_PROCESSED;");
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_no_hello_and_the_first_frame_is_a_request),
        cmocka_unit_test(a_status_becomes_a_code),
        cmocka_unit_test(what_the_profile_does_not_have_is_refused),
        cmocka_unit_test(there_are_never_more_than_128_in_flight),
        cmocka_unit_test(a_call_that_was_given_up_keeps_its_id_until_it_is_answered),
        cmocka_unit_test(any_other_frame_ends_the_connection),
        cmocka_unit_test(the_end_of_the_connection_ends_calls_and_says_which_were_never_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
