/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "mcp/credit.h"
#include "mcp/error.h"
#include "mcp/frame.h"

static const char *const vectors[] = {"plain_request",  "plain_response", "hello", "request",
                                      "first_fragment", "last_fragment",  "chunk", "cancel",
                                      "error",          "credit",         "ping",  "goaway",
                                      "batch"};

static void each_golden_header_is_read_and_written_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct str bytes = golden_get(vectors[i]);
        struct str in = bytes;
        struct mcp_frame f;
        char head[MCP_HEADER_LEN];

        assert_true(bytes.len >= MCP_HEADER_LEN);
        assert_int_equal(mcp_frame_next(&in, MCP_PAYLOAD_MAX, &f), 0);
        assert_int_equal(in.len, 0);
        assert_int_equal(f.payload.len, bytes.len - MCP_HEADER_LEN);
        assert_ptr_equal(f.payload.s, bytes.s + MCP_HEADER_LEN);
        mcp_frame_pack_head(head, (unsigned)f.type | f.flags, f.seq, f.payload.len);
        assert_memory_equal(head, bytes.s, sizeof(head));
    }
}

/* [M-2] */
static void a_frame_in_pieces_waits_for_its_last_byte(void **state)
{
    struct str bytes = golden_get("credit");
    struct mcp_frame f;

    (void)state;
    for (size_t n = 0; n < bytes.len; n++) {
        struct str in = str_head(bytes, n);

        assert_int_equal(mcp_frame_next(&in, MCP_PAYLOAD_MAX, &f), MCP_FRAME_MORE);
        assert_int_equal(in.len, n);
    }
}

/* [M-1] */
static void another_version_is_refused_at_its_first_byte(void **state)
{
    static const char first[] = {0, 2, 'G', 0x16, (char)0xFF};
    struct mcp_frame f;

    (void)state;
    for (size_t i = 0; i < sizeof(first); i++) {
        struct str in = str_make(&first[i], 1);

        assert_int_equal(mcp_frame_next(&in, MCP_PAYLOAD_MAX, &f), -EPROTONOSUPPORT);
    }
}

/* [M-3] */
static void a_length_over_the_maximum_is_refused_at_the_header(void **state)
{
    char head[MCP_HEADER_LEN];
    struct mcp_frame f;
    struct str in = str_make(head, sizeof(head));

    (void)state;
    mcp_frame_pack_head(head, MCP_CHUNK, 1, 4097);
    assert_int_equal(mcp_frame_next(&in, 4096, &f), -EMSGSIZE);
    assert_int_equal(mcp_frame_next(&in, 4097, &f), MCP_FRAME_MORE);
}

/* Length 0 stands for one that the type accepts. */
/* [M-16] [M-17] [M-18] [M-19] */
static void each_type_has_its_direction_seqid_bits_and_length(void **state)
{
    static const struct {
        uint8_t type;
        const char *name;
        bool to_server, to_client, on_call, on_zero, may_more, may_ext;
        size_t len_min, len_max;
    } rows[] = {
        {0x01, "REQUEST", true, false, true, false, true, true, 0, 65535},
        {0x02, "RESPONSE", false, true, true, false, true, true, 0, 65535},
        {0x03, "ERROR", true, true, true, true, false, true, 10, 65535},
        {0x04, "CHUNK", false, true, true, false, true, true, 0, 65535},
        {0x06, "CANCEL", true, false, true, false, false, false, 1, 1},
        {0x07, "CREDIT", true, true, false, true, false, false, 8, 512},
        {0x08, "PING", true, true, false, true, false, false, 8, 8},
        {0x09, "PONG", true, true, false, true, false, false, 8, 8},
        {0x0A, "GOAWAY", false, true, false, true, false, false, 8, 264},
        {0x0B, "HELLO", true, false, false, true, false, false, 32, 4096},
        {0x0C, "HELLO_ACK", false, true, false, true, false, false, 32, 4096},
        {0x0E, "BATCH", true, false, false, true, false, true, 4, 65535},
    };
    static char bytes[65536];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum mcp_role to = rows[i].to_server ? MCP_SERVER : MCP_CLIENT;
        bool is_error = rows[i].type == MCP_ERROR;
        struct mcp_frame good = {.type = rows[i].type,
                                 .seq = rows[i].on_zero ? 0 : 1,
                                 .payload = str_make(bytes, rows[i].len_min)};
        struct mcp_frame f = good;

        assert_string_equal(mcp_frame_rule(f.type)->name, rows[i].name);
        assert_int_equal(mcp_frame_check(&f, to), 0);
        assert_int_equal(mcp_frame_check(&f, MCP_SERVER), rows[i].to_server ? 0 : -EPROTO);
        assert_int_equal(mcp_frame_check(&f, MCP_CLIENT), rows[i].to_client ? 0 : -EPROTO);
        f.seq = 1;
        assert_int_equal(mcp_frame_check(&f, is_error ? MCP_CLIENT : to),
                         rows[i].on_call ? 0 : -EPROTO);
        f.seq = 0;
        assert_int_equal(mcp_frame_check(&f, to), rows[i].on_zero ? 0 : -EPROTO);
        f.seq = UINT32_C(0x80000000);
        assert_int_equal(mcp_frame_check(&f, to), -EPROTO);
        f = good;
        f.flags = MCP_MORE;
        assert_int_equal(mcp_frame_check(&f, to), rows[i].may_more ? 0 : -EPROTO);
        f.flags = MCP_EXT;
        assert_int_equal(mcp_frame_check(&f, to), rows[i].may_ext ? 0 : -EPROTO);
        f = good;
        f.payload.len = rows[i].len_max;
        assert_int_equal(mcp_frame_check(&f, to), 0);
        f.payload.len = rows[i].len_max + 1;
        if (rows[i].len_max < 65535)
            assert_int_equal(mcp_frame_check(&f, to), -EPROTO);
        f.payload.len = rows[i].len_min - 1;
        if (rows[i].len_min > 0)
            assert_int_equal(mcp_frame_check(&f, to), -EPROTO);
    }
}

/* [M-22] */
static void an_error_on_a_call_only_goes_to_the_client(void **state)
{
    static char bytes[10];
    struct mcp_frame f = {.type = MCP_ERROR, .seq = 7, .payload = str_make(bytes, sizeof(bytes))};

    (void)state;
    assert_int_equal(mcp_frame_check(&f, MCP_CLIENT), 0);
    assert_int_equal(mcp_frame_check(&f, MCP_SERVER), -EPROTO);
}

/* [M-19] */
static void a_credit_frame_holds_whole_entries(void **state)
{
    static char bytes[512];
    struct mcp_frame f = {.type = MCP_CREDIT};

    (void)state;
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        f.payload = str_make(bytes, n);
        assert_int_equal(mcp_frame_check(&f, MCP_SERVER), n > 0 && n % 8 == 0 ? 0 : -EPROTO);
    }
}

/* [M-20] */
static void reserved_types_are_errors_and_unknown_ones_are_counted(void **state)
{
    (void)state;
    for (unsigned type = 0; type <= MCP_TYPE_MASK; type++) {
        struct mcp_frame f = {.type = (uint8_t)type, .flags = MCP_MORE | MCP_EXT, .seq = 99};

        if (type >= MCP_TYPE_UNKNOWN) {
            assert_int_equal(mcp_frame_check(&f, MCP_SERVER), 0);
            assert_int_equal(mcp_frame_check(&f, MCP_CLIENT), 0);
        } else if (mcp_frame_rule(type) == NULL) {
            assert_int_equal(mcp_frame_check(&f, MCP_SERVER), -EPROTO);
        }
        assert_int_equal(mcp_frame_is_counted(type),
                         type == 1 || type == 2 || type == 4 || type == 0x0E || type >= 0x20);
    }
}

static void newer_survives_the_wrap(void **state)
{
    (void)state;
    assert_true(mcp_seq_is_newer(2, 1));
    assert_false(mcp_seq_is_newer(1, 1));
    assert_false(mcp_seq_is_newer(1, 2));
    assert_true(mcp_seq_is_newer(1, MCP_SEQ_MAX));
    assert_false(mcp_seq_is_newer(MCP_SEQ_MAX, 1));
    assert_true(mcp_seq_is_newer(UINT32_C(0x3FFFFFFF) + 1, 1));
    assert_false(mcp_seq_is_newer(UINT32_C(0x40000000) + 1, 1));
}

/* [M-76] */
static void credit_is_absolute_and_never_goes_backwards(void **state)
{
    struct mcp_tx tx = {.limit = 100};

    (void)state;
    mcp_tx_use(&tx, 60);
    assert_int_equal(mcp_tx_room(&tx), 40);
    assert_int_equal(mcp_tx_raise(&tx, 150), 50);
    assert_int_equal(mcp_tx_raise(&tx, 150), 0);
    assert_int_equal(mcp_tx_raise(&tx, 120), 0);
    assert_int_equal(mcp_tx_room(&tx), 90);
}

/* [M-75] */
static void credit_goes_on_after_four_gibibytes(void **state)
{
    struct mcp_tx tx = {.limit = MCP_WINDOW_MIN};
    struct mcp_rx rx = mcp_rx_make(MCP_WINDOW_MIN);
    uint64_t total = 0;

    (void)state;
    tx.sent = tx.limit = rx.received = rx.released = rx.limit = UINT32_MAX - 10000;
    tx.limit += MCP_WINDOW_MIN;
    rx.limit += MCP_WINDOW_MIN;
    while (total < 1000000) {
        uint32_t n = mcp_tx_room(&tx) < 1000 ? mcp_tx_room(&tx) : 1000;
        uint32_t limit;

        assert_true(n > 0);
        mcp_tx_use(&tx, n);
        assert_int_equal(mcp_rx_receive(&rx, n), 0);
        mcp_rx_release(&rx, n);
        if (mcp_rx_update(&rx, false, &limit))
            assert_true(mcp_tx_raise(&tx, limit) >= MCP_WINDOW_MIN / 2);
        total += n;
    }
}

/* [M-74] */
static void one_byte_beyond_the_limit_is_noticed(void **state)
{
    struct mcp_rx rx = mcp_rx_make(8192);

    (void)state;
    assert_int_equal(mcp_rx_receive(&rx, 8193), -EDQUOT);
    assert_int_equal(mcp_rx_receive(&rx, 8192), 0);
    assert_int_equal(mcp_rx_receive(&rx, 1), -EDQUOT);
}

/* [M-82] */
static void an_update_comes_at_half_a_window(void **state)
{
    struct mcp_rx rx = mcp_rx_make(8192);
    uint32_t limit = 0;

    (void)state;
    assert_int_equal(mcp_rx_receive(&rx, 4096), 0);
    assert_false(mcp_rx_update(&rx, false, &limit));
    mcp_rx_release(&rx, 4095);
    assert_false(mcp_rx_update(&rx, false, &limit));
    mcp_rx_release(&rx, 1);
    assert_true(mcp_rx_update(&rx, false, &limit));
    assert_int_equal(limit, 4096 + 8192);
    assert_false(mcp_rx_update(&rx, false, &limit));
}

/* [M-81] */
static void an_incomplete_message_is_granted_more_before_it_is_taken(void **state)
{
    struct mcp_rx rx = mcp_rx_make(8192);
    uint32_t limit = 0;

    (void)state;
    assert_int_equal(mcp_rx_receive(&rx, 5000), 0);
    assert_false(mcp_rx_is_due(&rx, false));
    assert_true(mcp_rx_update(&rx, true, &limit));
    assert_int_equal(limit, 5000 + 8192);
}

static void more_than_was_received_cannot_be_released(void **state)
{
    struct mcp_rx rx = mcp_rx_make(8192);

    (void)state;
    assert_int_equal(mcp_rx_receive(&rx, 10), 0);
    mcp_rx_release(&rx, 1000);
    assert_int_equal(rx.released, 10);
}

static void the_golden_error_is_read_and_written_byte_for_byte(void **state)
{
    struct str payload = str_from(golden_get("error"), MCP_HEADER_LEN);
    struct mcp_error e;
    char out[64];

    (void)state;
    assert_int_equal(mcp_error_parse(payload, &e), 0);
    assert_int_equal(e.code, MCP_CANCELLED);
    assert_int_equal(e.flags, MCP_PARTIAL);
    assert_int_equal(e.origin, MCP_ORIGIN_GATEWAY);
    assert_int_equal(e.retry_after_ms, MCP_NO_RETRY_AFTER);
    assert_true(str_eq(e.text, STR("cancelled")));
    assert_int_equal(mcp_error_len(&e), payload.len);
    mcp_error_pack(out, &e);
    assert_memory_equal(out, payload.s, payload.len);
}

/* [M-88] */
static void an_error_of_wrong_length_is_refused(void **state)
{
    struct str payload = str_from(golden_get("error"), MCP_HEADER_LEN);
    struct mcp_error e;
    char longer[64] = {0};

    (void)state;
    for (size_t n = 0; n < payload.len; n++)
        assert_int_equal(mcp_error_parse(str_head(payload, n), &e), -EPROTO);
    memcpy(longer, payload.s, payload.len);
    assert_int_equal(mcp_error_parse(str_make(longer, payload.len + 1), &e), -EPROTO);
}

/* [M-89] */
static void a_long_error_text_is_cut_between_characters(void **state)
{
    static char text[2000];
    static char out[MCP_ERROR_LEN + MCP_ERROR_TEXT_MAX];
    struct mcp_error e = MCP_ERROR_MAKE(MCP_INTERNAL, 0, 0, str_make(text, sizeof(text)));

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + MCP_ERROR_TEXT_MAX - 1, "\xC3\xA9", 2);
    assert_int_equal(mcp_error_len(&e), MCP_ERROR_LEN + MCP_ERROR_TEXT_MAX - 1);
    mcp_error_pack(out, &e);
    assert_int_equal(mcp_error_parse(str_make(out, mcp_error_len(&e)), &e), 0);
    assert_int_equal(e.text.len, MCP_ERROR_TEXT_MAX - 1);
}

/* [M-91] */
static void an_unknown_code_is_described_like_unknown(void **state)
{
    (void)state;
    assert_string_equal(mcp_code_info(33)->name, "OVERLOADED");
    assert_int_equal(mcp_code_info(33)->class, MCP_CLASS_TRANSIENT);
    assert_int_equal(mcp_code_info(MCP_TOO_LARGE)->status, 413);
    assert_string_equal(mcp_code_info(17)->name, "UNKNOWN");
    assert_string_equal(mcp_code_info(65535)->name, "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_golden_header_is_read_and_written_byte_for_byte),
        cmocka_unit_test(a_frame_in_pieces_waits_for_its_last_byte),
        cmocka_unit_test(another_version_is_refused_at_its_first_byte),
        cmocka_unit_test(a_length_over_the_maximum_is_refused_at_the_header),
        cmocka_unit_test(each_type_has_its_direction_seqid_bits_and_length),
        cmocka_unit_test(an_error_on_a_call_only_goes_to_the_client),
        cmocka_unit_test(a_credit_frame_holds_whole_entries),
        cmocka_unit_test(reserved_types_are_errors_and_unknown_ones_are_counted),
        cmocka_unit_test(newer_survives_the_wrap),
        cmocka_unit_test(credit_is_absolute_and_never_goes_backwards),
        cmocka_unit_test(credit_goes_on_after_four_gibibytes),
        cmocka_unit_test(one_byte_beyond_the_limit_is_noticed),
        cmocka_unit_test(an_update_comes_at_half_a_window),
        cmocka_unit_test(an_incomplete_message_is_granted_more_before_it_is_taken),
        cmocka_unit_test(more_than_was_received_cannot_be_released),
        cmocka_unit_test(the_golden_error_is_read_and_written_byte_for_byte),
        cmocka_unit_test(an_error_of_wrong_length_is_refused),
        cmocka_unit_test(a_long_error_text_is_cut_between_characters),
        cmocka_unit_test(an_unknown_code_is_described_like_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
