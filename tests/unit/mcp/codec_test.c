/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "mcp/ext.h"
#include "mcp/frame.h"
#include "mcp/hello.h"
#include "mcp/plain.h"

static struct str payload_of(const char *name)
{
    return str_from(golden_get(name), MCP_HEADER_LEN);
}

static int parse_hex(const char *hex, struct mcp_ext *ext, struct str *body)
{
    static char bytes[4096];

    return mcp_ext_parse(hex_read(hex, bytes, sizeof(bytes)), ext, body);
}

static void the_golden_request_block_is_read_and_written_byte_for_byte(void **state)
{
    struct str payload = payload_of("request");
    struct mcp_ext ext;
    struct str body;
    size_t deadline_at;
    char out[64];

    (void)state;
    assert_int_equal(mcp_ext_parse(payload, &ext, &body), 0);
    assert_true(str_eq(ext.method, STR("echo")));
    assert_true(ext.has_deadline);
    assert_int_equal(ext.deadline_ms, 250);
    assert_memory_equal(ext.trace, "\x4b\xf9\x2f\x35\x77", 5);
    assert_true(str_eq(body, STR("Hi")));
    assert_int_equal(mcp_ext_check(&ext), 0);
    assert_int_equal(mcp_ext_len(&ext), payload.len - 2);
    mcp_ext_pack(out, &ext, &deadline_at);
    assert_memory_equal(out, payload.s, payload.len - 2);
    assert_memory_equal(out + deadline_at, "\0\0\0\xfa", 4);
}

static void the_golden_fragment_block_is_read_and_written_byte_for_byte(void **state)
{
    struct str payload = payload_of("first_fragment");
    struct mcp_ext ext;
    struct str body;
    char out[64];

    (void)state;
    assert_int_equal(mcp_ext_parse(payload, &ext, &body), 0);
    assert_true(ext.has_total_len);
    assert_int_equal(ext.total_len, 70000);
    assert_int_equal(body.len, 4);
    mcp_ext_pack(out, &ext, NULL);
    assert_memory_equal(out, payload.s, payload.len - 4);
}

static void every_field_survives_a_round_trip(void **state)
{
    static const struct mcp_metadata pairs[] = {
        {STR_INIT("class"), STR_INIT("query")},
        {STR_INIT("hops"), STR_INIT("")},
    };
    static const char trace[MCP_TRACE_LEN] = {1, 2, 3};
    struct mcp_ext in = {
        .method = STR("ollama.chat"),
        .has_deadline = true,
        .deadline_ms = 0xFFFFFFFF,
        .trace = trace,
        .tracestate = {STR("a=b"), STR(",c=d")},
        .has_total_len = true,
        .total_len = 77,
        .codec = MCP_CODEC_AVRO,
        .has_compression = true,
        .compression = MCP_COMPRESSION_ZSTD,
        .raw_len = 1234567,
        .order_lane = 65535,
        .stream_limit = 8192,
        .session = STR("me"),
        .metadata = pairs,
        .n_metadata = 2,
    };
    struct mcp_ext ext;
    struct mcp_metadata pair;
    struct str body;
    size_t at = 0;
    char out[512];

    (void)state;
    assert_int_equal(mcp_ext_check(&in), 0);
    mcp_ext_pack(out, &in, NULL);
    assert_int_equal(mcp_ext_parse(str_make(out, mcp_ext_len(&in)), &ext, &body), 0);
    assert_int_equal(body.len, 0);
    assert_true(str_eq(ext.method, in.method));
    assert_int_equal(ext.deadline_ms, in.deadline_ms);
    assert_memory_equal(ext.trace, trace, sizeof(trace));
    assert_true(str_eq(ext.tracestate[0], in.tracestate[0]));
    assert_true(str_eq(ext.tracestate[1], in.tracestate[1]));
    assert_int_equal(ext.total_len, 77);
    assert_int_equal(ext.codec, MCP_CODEC_AVRO);
    assert_int_equal(ext.compression, MCP_COMPRESSION_ZSTD);
    assert_int_equal(ext.raw_len, 1234567);
    assert_int_equal(ext.order_lane, 65535);
    assert_int_equal(ext.stream_limit, 8192);
    assert_true(str_eq(ext.session, in.session));
    assert_true(mcp_ext_next_metadata(&ext, &at, &pair));
    assert_true(str_eq(pair.key, pairs[0].key) && str_eq(pair.value, pairs[0].value));
    assert_true(mcp_ext_next_metadata(&ext, &at, &pair));
    assert_true(str_eq(pair.key, pairs[1].key) && pair.value.len == 0);
    assert_false(mcp_ext_next_metadata(&ext, &at, &pair));
    assert_true(str_eq(mcp_ext_metadata(&ext, STR("class")), STR("query")));
    assert_null(mcp_ext_metadata(&ext, STR("nothing")).s);
}

/* [M-33] [M-34] [M-35] [M-43] */
static void each_malformed_block_is_an_invalid_argument(void **state)
{
    static const struct {
        const char *what;
        const char *hex;
    } rows[] = {
        {"no length", ""},
        {"half a length", "00"},
        {"length past the payload", "0001"},
        {"half a TLV", "0001 15"},
        {"value past the block", "0003 15 02 61"},
        {"length 255", "0002 15 ff"},
        {"METHOD empty", "0002 81 00"},
        {"METHOD twice", "0006 81 01 61 81 01 61"},
        {"METHOD not UTF-8", "0003 81 01 ff"},
        {"DEADLINE_MS of 3 bytes", "0005 03 03 000001"},
        {"DEADLINE_MS twice", "000c 03 04 00000001 03 04 00000001"},
        {"TRACE short", "0003 04 01 00"},
        {"TRACESTATE three times", "0006 05 00 05 00 05 00"},
        {"TOTAL_LEN of 2 bytes", "0004 8a 02 0001"},
        {"CODEC of 2 bytes", "0004 8b 02 0001"},
        {"CODEC empty", "0002 8b 00"},
        {"COMPRESSION of 1 byte", "0003 8c 01 01"},
        {"ORDER_LANE of 1 byte", "0003 8d 01 01"},
        {"STREAM_LIMIT of 8191", "0006 0e 04 00001fff"},
        {"STREAM_LIMIT of 2^31", "0006 0e 04 80000000"},
        {"METADATA without key length", "0002 13 00"},
        {"METADATA with an empty key", "0004 13 02 00 61"},
        {"METADATA key past the value", "0004 13 02 02 61"},
        {"malformed behind an unknown critical tag", "0004 ff 00 81 00"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mcp_ext ext;
        struct str body;
        int r = parse_hex(rows[i].hex, &ext, &body);

        if (r != -EINVAL)
            fail_msg("%s: %d", rows[i].what, r);
    }
}

/* [M-38] */
static void what_is_well_formed_but_unknown_is_unimplemented(void **state)
{
    static const char *const rows[] = {"0002 ff 00", "0003 8b 01 03", "0007 8c 05 03 00000001",
                                       "0002 80 00"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mcp_ext ext;
        struct str body;

        assert_int_equal(parse_hex(rows[i], &ext, &body), -EOPNOTSUPP);
    }
}

/* [M-37] */
static void unknown_ordinary_tags_are_skipped_also_twice(void **state)
{
    struct mcp_ext ext;
    struct str body;

    (void)state;
    assert_int_equal(parse_hex("000a 06 01 00 06 01 00 7f 00 15 00 48", &ext, &body), 0);
    assert_true(str_eq(body, STR("H")));
}

/* [M-32] */
static void a_block_has_at_most_2048_bytes(void **state)
{
    static char bytes[4096];
    struct mcp_ext ext;
    struct str body;
    size_t at = 2;

    (void)state;
    while (at < 2048) {
        size_t n = 2048 - at < 256 ? 2048 - at - 2 : 200;

        bytes[at] = 0x70;
        bytes[at + 1] = (char)n;
        at += 2 + n;
    }
    assert_int_equal(at, 2048);
    bytes[0] = 2046 >> 8;
    bytes[1] = (char)(2046 & 0xFF);
    assert_int_equal(mcp_ext_parse(str_make(bytes, sizeof(bytes)), &ext, &body), 0);
    bytes[2048] = 0x70;
    bytes[1] = (char)((2046 & 0xFF) + 2);
    bytes[0] = 2048 >> 8;
    bytes[1] = 0;
    assert_int_equal(mcp_ext_parse(str_make(bytes, sizeof(bytes)), &ext, &body), -EINVAL);
}

/* [M-36] */
static void metadata_values_have_at_most_1024_bytes_together(void **state)
{
    static char value[256];
    struct mcp_metadata pairs[5];
    struct mcp_ext in = {.metadata = pairs, .n_metadata = 5};
    struct mcp_ext ext;
    struct str body;
    char out[2048];

    (void)state;
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; i < 5; i++)
        pairs[i] = (struct mcp_metadata){STR("k"), str_make(value, i < 4 ? 248 : 22)};
    assert_int_equal(mcp_ext_check(&in), 0);
    mcp_ext_pack(out, &in, NULL);
    assert_int_equal(mcp_ext_parse(str_make(out, mcp_ext_len(&in)), &ext, &body), 0);
    pairs[4].value.len = 23;
    assert_int_equal(mcp_ext_check(&in), -EMSGSIZE);
    mcp_ext_pack(out, &in, NULL);
    assert_int_equal(mcp_ext_parse(str_make(out, mcp_ext_len(&in)), &ext, &body), -EINVAL);
}

static void utf8_is_checked_as_rfc_3629_has_it(void **state)
{
    static const struct {
        struct str bytes;
        bool ok;
    } rows[] = {
        {STR_INIT("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), true},
        {STR_INIT("\x80"), false},
        {STR_INIT("\xC0\xAF"), false},
        {STR_INIT("\xE0\x9F\xBF"), false},
        {STR_INIT("\xED\xA0\x80"), false},
        {STR_INIT("\xF0\x8F\xBF\xBF"), false},
        {STR_INIT("\xF4\x90\x80\x80"), false},
        {STR_INIT("\xF5\x80\x80\x80"), false},
        {STR_INIT("\xE2\x82"), false},
        {STR_INIT("\xE2\x82 "), false},
        {STR_INIT(""), true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(mcp_is_utf8(rows[i].bytes), rows[i].ok);
}

static void the_golden_hello_is_read_and_written_byte_for_byte(void **state)
{
    struct str payload = payload_of("hello");
    struct mcp_hello h;
    char out[64];

    (void)state;
    assert_int_equal(mcp_hello_parse(payload, false, &h), 0);
    assert_int_equal(h.features, 0x1F);
    assert_int_equal(h.max_frame, 16384);
    assert_int_equal(h.max_inflight, 0);
    assert_int_equal(h.max_message, 16 << 20);
    assert_int_equal(h.conn_limit, 1 << 20);
    assert_int_equal(h.call_limit, 256 << 10);
    assert_int_equal(h.idle_s, 300);
    assert_int_equal(h.min_ping_s, 10);
    assert_true(mcp_hello_has(h.codecs, 2));
    assert_false(mcp_hello_has(h.codecs, 3));
    assert_int_equal(h.compressions.len, 3);
    assert_int_equal(mcp_hello_len(&h), payload.len);
    mcp_hello_pack(out, &h);
    assert_memory_equal(out, payload.s, payload.len);
}

/* The golden HELLO with one byte changed. */
static int parse_with(size_t at, uint8_t value, bool is_ack)
{
    char bytes[64];
    struct str payload = payload_of("hello");
    struct mcp_hello h;

    memcpy(bytes, payload.s, payload.len);
    bytes[at] = (char)value;
    return mcp_hello_parse(str_make(bytes, payload.len), is_ack, &h);
}

/* [M-44] [M-45] [M-46] [M-47] [M-48] [M-49] */
static void what_a_hello_may_not_say_is_an_error(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t value;
        int r;
    } rows[] = {
        {"magic", 3, '2', -EPROTO},
        {"revisions 2..1", 4, 2, -EPROTO},
        {"revisions 1..0", 5, 0, -EPROTO},
        {"revisions 0..1", 4, 0, 0},
        {"revisions 1..9", 5, 9, 0},
        {"flags", 7, 1, -EPROTO},
        {"no fragments", 11, 0x1E, -EPROTO},
        {"no credit", 11, 0x1D, -EPROTO},
        {"no streams", 11, 0x1B, -EPROTO},
        {"unknown feature", 8, 0x80, 0},
        {"max frame 3840", 12, 0x0F, -EPROTO},
        {"max frame 4096", 12, 0x10, 0},
        {"connection limit over 2^31-1", 20, 0x80, -EPROTO},
        {"connection limit 0", 21, 0, -EPROTO},
        {"call limit 0", 25, 0, -EPROTO},
        {"call limit over 2^31-1", 24, 0x80, -EPROTO},
        {"TLV past the end", 38, 9, -EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int r = parse_with(rows[i].at, rows[i].value, false);

        if (r != rows[i].r)
            fail_msg("%s: %d", rows[i].what, r);
    }
}

/* [M-50] */
static void an_ack_grants_what_may_have_been_used_already(void **state)
{
    (void)state;
    assert_int_equal(parse_with(15, 32, true), 0);
    assert_int_equal(parse_with(15, 31, true), -EPROTO);
    assert_int_equal(parse_with(5, 2, true), -EPROTO);
}

/* [M-51] */
static void features_are_what_both_have(void **state)
{
    struct mcp_hello a = {.features = 0x1F};
    struct mcp_hello b = {.features = 0x80000027};

    (void)state;
    assert_int_equal(mcp_hello_features(&a, &b), 0x07);
}

static void the_plain_vectors_are_read_and_written_byte_for_byte(void **state)
{
    struct str payload = payload_of("plain_request");
    struct mcp_plain_request q;
    struct mcp_plain_response p;
    char out[64];

    (void)state;
    assert_int_equal(mcp_plain_parse_request(payload, &q), 0);
    assert_true(str_eq(q.service, STR("echo")));
    assert_true(str_eq(q.body, STR("Hi")));
    assert_int_equal(mcp_plain_request_len(&q), payload.len);
    mcp_plain_pack_request(out, &q);
    assert_memory_equal(out, payload.s, payload.len);

    payload = payload_of("plain_response");
    assert_int_equal(mcp_plain_parse_response(payload, &p), 0);
    assert_int_equal(p.status, 200);
    assert_int_equal(p.error.len, 0);
    assert_true(str_eq(p.body, STR("Hi")));
    assert_int_equal(mcp_plain_response_len(&p), payload.len);
    mcp_plain_pack_response(out, &p);
    assert_memory_equal(out, payload.s, payload.len);
}

/* [M-6] */
static void malformed_plain_requests_are_refused(void **state)
{
    static const struct {
        const char *hex;
        int r;
    } rows[] = {
        {"", 0},                                 /* both fields empty */
        {"0a", -EINVAL},                         /* no length */
        {"0a 02 61", -EINVAL},                   /* past the end */
        {"08 01", -EINVAL},                      /* service as a varint */
        {"12 01 61 18 05", 0},                   /* unknown varint */
        {"1a 01 61", 0},                         /* unknown bytes */
        {"19 0000000000000000", 0},              /* unknown fixed64 */
        {"1d 00000000", 0},                      /* unknown fixed32 */
        {"1d 000000", -EINVAL},                  /* cut */
        {"1b 1c", -EINVAL},                      /* group */
        {"02 00", -EINVAL},                      /* field 0 */
        {"18 ffffffffffffffffff01", 0},          /* longest varint */
        {"18 ffffffffffffffffff02", -EINVAL},    /* over 64 bits */
        {"18 ffffffffffffffffffff01", -EINVAL},  /* eleven bytes */
        {"0a ffffffffffffffffff01 61", -EINVAL}, /* absurd length */
        {"0a 01 61 0a 01 62", 0},                /* the last one counts */
    };
    char bytes[64];
    struct mcp_plain_request q;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int r = mcp_plain_parse_request(hex_read(rows[i].hex, bytes, sizeof(bytes)), &q);

        if (r != rows[i].r)
            fail_msg("%s: %d", rows[i].hex, r);
    }
    assert_true(str_eq(q.service, STR("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_request_block_is_read_and_written_byte_for_byte),
        cmocka_unit_test(the_golden_fragment_block_is_read_and_written_byte_for_byte),
        cmocka_unit_test(every_field_survives_a_round_trip),
        cmocka_unit_test(each_malformed_block_is_an_invalid_argument),
        cmocka_unit_test(what_is_well_formed_but_unknown_is_unimplemented),
        cmocka_unit_test(unknown_ordinary_tags_are_skipped_also_twice),
        cmocka_unit_test(a_block_has_at_most_2048_bytes),
        cmocka_unit_test(metadata_values_have_at_most_1024_bytes_together),
        cmocka_unit_test(utf8_is_checked_as_rfc_3629_has_it),
        cmocka_unit_test(the_golden_hello_is_read_and_written_byte_for_byte),
        cmocka_unit_test(what_a_hello_may_not_say_is_an_error),
        cmocka_unit_test(an_ack_grants_what_may_have_been_used_already),
        cmocka_unit_test(features_are_what_both_have),
        cmocka_unit_test(the_plain_vectors_are_read_and_written_byte_for_byte),
        cmocka_unit_test(malformed_plain_requests_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
