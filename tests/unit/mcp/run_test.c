/* SPDX-License-Identifier: MIT */
#include "peer.h"

/* A server with @n calls, 1..n, each of which may send @limit bytes. */
static struct peer *with_calls(uint32_t n, uint32_t limit)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_ext ext = {.method = STR("echo"), .stream_limit = limit};

    for (uint32_t seq = 1; seq <= n; seq++)
        peer_feed(p, message_make(MCP_REQUEST, seq, &ext, STR("a")));
    (void)peer_said(p);
    return p;
}

static void put_chunks(struct peer *p, uint32_t seq, int n, size_t len)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(mcp_call_chunk(p->calls[seq], NULL, bytes_make(len)), 0);
}

static void many_small_chunks_need_little_memory(void **state)
{
    struct peer *p = with_calls(1, 1 << 20);
    size_t before = p->meter.n_requests;

    (void)state;
    put_chunks(p, 1, 1000, 80);
    assert_true(p->meter.n_requests - before < 30);
    assert_int_equal(p->session.unsent, 80 * 1000);
    assert_int_equal(count_of(peer_said(p), "CHUNK 1 [80];"), 1000);
    assert_int_equal(p->session.unsent, 0);
    peer_free(p);
}

static void one_chunk_that_waits_is_small(void **state)
{
    struct peer *p = with_calls(100, 1 << 20);

    (void)state;
    for (uint32_t seq = 1; seq <= 100; seq++)
        put_chunks(p, seq, 1, 80);
    assert_int_equal(p->pool.n_spare[MCP_KIND_RUN], 0);
    (void)peer_said(p);
    assert_int_equal(p->pool.n_spare[MCP_KIND_RUN], 0);
    assert_true(p->pool.n_spare[MCP_KIND_SMALL] >= 100);
    peer_free(p);
}

/* [M-74] */
static void credit_ends_between_two_frames(void **state)
{
    struct peer *p = with_calls(1, 8192);

    (void)state;
    put_chunks(p, 1, 9, 1000);
    assert_int_equal(count_of(peer_said(p), "CHUNK 1 [1000];"), 8);
    peer_feed(p, credit_make(1, 8999));
    assert_string_equal(peer_said(p), "");
    assert_int_equal(mcp_call_chunk(p->calls[1], NULL, STR("last")), 0);
    peer_feed(p, credit_make(1, 9000));
    assert_string_equal(peer_said(p), "CHUNK 1 [1000];");
    peer_feed(p, credit_make(1, 20000));
    assert_string_equal(peer_said(p), "CHUNK 1 last;");
    peer_free(p);
}

/* [M-86] */
static void a_stream_without_credit_holds_back_no_other(void **state)
{
    struct peer *p = with_calls(64, 8192);

    (void)state;
    put_chunks(p, 1, 20, 1000);
    for (uint32_t seq = 2; seq <= 64; seq++)
        put_chunks(p, seq, 8, 1000);
    assert_int_equal(count_of(peer_said(p), " [1000];"), 64 * 8);
    assert_int_equal(p->session.unsent, 12 * 1000);
    peer_free(p);
}

static void streams_take_turns(void **state)
{
    struct peer *p = with_calls(2, 1 << 20);
    const char *said;
    const char *second;

    (void)state;
    put_chunks(p, 1, 200, 90);
    put_chunks(p, 2, 1, 90);
    said = peer_said(p);
    second = strstr(said, "CHUNK 2");
    assert_non_null(second);
    assert_true((size_t)(second - said) / strlen("CHUNK 1 [90];") <= 4096 / 90);
    peer_free(p);
}

static void other_messages_keep_their_place_among_them(void **state)
{
    struct mcp_metadata metadata = {STR("a"), STR("b")};
    struct mcp_ext ext = {.metadata = &metadata, .n_metadata = 1};
    struct peer *p = with_calls(1, 1 << 20);

    (void)state;
    put_chunks(p, 1, 2, 50);
    assert_int_equal(mcp_call_chunk(p->calls[1], &ext, STR("with a block")), 0);
    put_chunks(p, 1, 1, 60);
    put_chunks(p, 1, 1, 1025);
    put_chunks(p, 1, 1, 0);
    put_chunks(p, 1, 1, 1024);
    assert_int_equal(mcp_call_respond(p->calls[1], NULL, STR("end")), 0);
    assert_string_equal(peer_said(p), "CHUNK 1 [50];CHUNK 1 [50];CHUNK|EXT 1 with a block;"
                                      "CHUNK 1 [60];CHUNK 1 [1025];CHUNK 1;CHUNK 1 [1024];"
                                      "RESPONSE 1 end;");
    peer_free(p);
}

/* [M-78] */
static void an_error_goes_behind_what_credit_lets_go(void **state)
{
    struct mcp_error error = MCP_ERROR_MAKE(MCP_BACKEND_LOST, 0, MCP_ORIGIN_NODE, STR_NULL);
    struct peer *p = with_calls(1, 8192);

    (void)state;
    put_chunks(p, 1, 20, 1000);
    mcp_call_fail(p->calls[1], NULL, &error);
    assert_int_equal(count_of(peer_said(p), "CHUNK 1 [1000];"), 8);
    assert_int_equal(p->session.n_calls, 0);
    assert_int_equal(p->session.unsent, 0);
    peer_free(p);
}

/* [M-98] */
static void cancel_discards_what_waits_but_not_what_is_being_written(void **state)
{
    struct peer *p = with_calls(1, 1 << 20);
    const char *said;

    (void)state;
    put_chunks(p, 1, 200, 1000);
    assert_int_equal(peer_write(p, 100), 100);
    put_chunks(p, 1, 10, 1000);
    peer_feed(p, frame_make(MCP_CANCEL, 1, STR("\0")));
    assert_int_equal(p->session.unsent, 0);
    said = peer_said(p);
    assert_true(count_of(said, "CHUNK 1 [1000];") > 0);
    assert_true(count_of(said, "CHUNK 1 [1000];") < 200);
    assert_non_null(strstr(said, "ERROR 1 CANCELLED+PARTIAL;"));
    peer_free(p);
}

/* [M-84] */
static void pong_and_credit_pass_by_all_that_waits(void **state)
{
    struct peer *p = with_calls(64, 1 << 20);

    (void)state;
    for (uint32_t seq = 1; seq <= 64; seq++)
        put_chunks(p, seq, 250, 1000);
    assert_int_equal(peer_write(p, 100), 100);
    peer_feed(p, frame_make(MCP_PING, 0, bytes_make(8)));
    (void)peer_write(p, MCP_PAYLOAD_MAX * 2);
    assert_non_null(memmem(p->wire.data, p->wire.len, "\1\11\0\0\0\0\0\10", 8));
    peer_free(p);
}

static void a_producer_of_small_chunks_is_told_full_and_then_room(void **state)
{
    struct peer *p = with_calls(1, 1 << 20);
    int r = 0;
    int n = 0;

    (void)state;
    (void)peer_told(p);
    for (; r == 0; n++)
        r = mcp_call_chunk(p->calls[1], NULL, bytes_make(100));
    assert_int_equal(r, MCP_FULL);
    assert_int_equal(n, 256 * 1024 / 100 + 1);
    (void)peer_write(p, SIZE_MAX);
    assert_string_equal(peer_told(p), "room 1;");
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_small_chunks_need_little_memory),
        cmocka_unit_test(one_chunk_that_waits_is_small),
        cmocka_unit_test(credit_ends_between_two_frames),
        cmocka_unit_test(a_stream_without_credit_holds_back_no_other),
        cmocka_unit_test(streams_take_turns),
        cmocka_unit_test(other_messages_keep_their_place_among_them),
        cmocka_unit_test(an_error_goes_behind_what_credit_lets_go),
        cmocka_unit_test(cancel_discards_what_waits_but_not_what_is_being_written),
        cmocka_unit_test(pong_and_credit_pass_by_all_that_waits),
        cmocka_unit_test(a_producer_of_small_chunks_is_told_full_and_then_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
