/* SPDX-License-Identifier: MIT */
#include "golden.h"
#include "peer.h"

/*
 * Rules of a session that no other file is about
 */

static void expect_wire(struct peer *p, struct str bytes, const char *said)
{
    peer_feed(p, bytes);
    assert_string_equal(peer_said(p), said);
}

/* [M-126] [M-127]: it would go on for ever, at 8 bytes each */
static void late_fragments_without_bytes_use_up_the_allowance(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    uint32_t allowed = mcp_settings_default.hello.call_limit / mcp_settings_default.fragment_min;

    (void)state;
    expect_wire(p, first_make(5, 9000, 10), "ERROR 5 INVALID_ARGUMENT+NOT_PROCESSED;");
    for (uint32_t i = 0; i < allowed + 10000; i++)
        peer_feed(p, frame_make(MCP_REQUEST | MCP_MORE, 5, STR_NULL));
    assert_string_equal(peer_said(p), "ERROR 0 OVERLOADED;");
    peer_free(p);
}

/* [M-72] [M-73]: whoever takes the body inflates it */
static void a_compressed_body_is_handed_over_as_it_came(void **state)
{
    struct mcp_settings settings = mcp_settings_default;
    struct mcp_ext ext = {.method = STR("echo"),
                          .has_compression = true,
                          .compression = MCP_COMPRESSION_GZIP,
                          .raw_len = 1 << 20};
    struct peer *p;

    (void)state;
    settings.hello.features |= MCP_FEATURE_COMPRESSION;
    settings.hello.compressions = STR("\0\1");
    p = peer_ready(MCP_SERVER, &settings);
    peer_feed(p, message_make(MCP_REQUEST, 1, &ext, STR("squeezed")));
    assert_string_equal(peer_told(p), "request 1 echo squeezed;");
    assert_true(p->session.partial_bytes == 0);
    peer_free(p);
}

/* [M-90] */
static void an_error_without_a_code_is_unknown(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct mcp_error error = MCP_ERROR_MAKE(MCP_OK, 0, MCP_ORIGIN_GATEWAY, STR_NULL);

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    mcp_call_fail(p->calls[1], NULL, &error);
    assert_string_equal(peer_said(p), "ERROR 1 UNKNOWN;");
    peer_free(p);
}

/* [M-84] [M-109]: PONG and CREDIT are in the next write, whatever waits */
static void pong_and_credit_overtake_everything(void **state)
{
    struct peer *p = peer_ready(MCP_SERVER, NULL);
    struct str ping = golden_get("ping");

    (void)state;
    peer_feed(p, request_make(1, STR("a")));
    for (int i = 0; i < 8; i++)
        assert_int_equal(mcp_call_chunk(p->calls[1], NULL, bytes_make(60000)) < 0, 0);
    peer_feed(p, ping);
    for (int i = 0; i < 10; i++)
        peer_feed(p, frame_make(MCP_TYPE_UNKNOWN, 0, bytes_make(60000)));
    (void)peer_write(p, 1);
    assert_int_equal(peer_write(p, 33), 33);
    assert_int_equal(p->wire.data[1], MCP_PONG);
    assert_memory_equal(p->wire.data + MCP_HEADER_LEN, ping.s + MCP_HEADER_LEN, 8);
    assert_int_equal(p->wire.data[16 + 1], MCP_CREDIT);
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_fragments_without_bytes_use_up_the_allowance),
        cmocka_unit_test(a_compressed_body_is_handed_over_as_it_came),
        cmocka_unit_test(an_error_without_a_code_is_unknown),
        cmocka_unit_test(pong_and_credit_overtake_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
