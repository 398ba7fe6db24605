/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <errno.h>

#include "base/err.h"
#include "base/rng.h"

#define DEPTH_MAX 512 /* of the JSON reader, whose names are jansson's too */

/* A message by hand: fields of text, lengths below 16,384. */
static void put_field(struct buf *out, unsigned id, struct str bytes)
{
    assert_true(id <= 15 && bytes.len < 1 << 14);
    assert_int_equal(buf_put_char(out, (char)(id << 3 | 2)), 0);
    assert_int_equal(buf_put_char(out, (char)((bytes.len & 0x7f) | 0x80)), 0);
    assert_int_equal(buf_put_char(out, (char)(bytes.len >> 7)), 0);
    assert_int_equal(buf_put(out, bytes), 0);
}

/* ---- extra_json ---------------------------------------------------------------------------- */

#define OPTIONS 11

static const struct {
    unsigned id; /* of the field of a GenerateRequest that stands beside it, 0: none */
    struct str field;
    struct str extra;
    int r;
    const char *json;
} extras[] = {
    {0, STR_INIT(""), STR_INIT(""), 0, "{}"},
    {0, STR_INIT(""), STR_INIT("{}"), 0, "{}"},
    {0, STR_INIT(""), STR_INIT(" {\"a\" : 1 , \"b\":[ 2 ]}\n"), 0, "{\"a\":1,\"b\":[ 2 ]}"},
    {0, STR_INIT(""), STR_INIT("{\"a\":1,\"a\":2}"), 0, "{\"a\":1,\"a\":2}"},
    {0, STR_INIT(""), STR_INIT("{\"model\":\"x\"}"), 0, "{\"model\":\"x\"}"},
    {1, STR_INIT("t"), STR_INIT("{\"b\":1}"), 0, "{\"model\":\"t\",\"b\":1}"},
    {1, STR_INIT("t"), STR_INIT("{\"model\":\"x\",\"b\":1,\"model\":2}"), 0,
     "{\"model\":\"t\",\"b\":1}"},
    {1, STR_INIT("t"), STR_INIT("{\"MODEL\":\"x\"}"), 0, "{\"model\":\"t\"}"},
    {1, STR_INIT("t"), STR_INIT("{\"m\\u006fdel\":\"x\"}"), 0, "{\"model\":\"t\"}"},
    {1, STR_INIT(""), STR_INIT("{\"model\":\"x\"}"), 0, "{\"model\":\"\"}"},
    {9, STR_INIT("5"),
     STR_INIT("{\"\xe2\x84\xaa"
              "eep_alive\":\"x\"}"),
     0, "{\"keep_alive\":5}"},
    {OPTIONS, STR_INIT("\x08\x01\x7a\x0b{\"NUM_CTX\":"), STR_INIT("{}"), -EX_JSON_TRUNCATED, NULL},
    {OPTIONS, STR_INIT("\x08\x01\x7a\x0d{\"NUM_CTX\":2}"), STR_INIT("{}"), 0,
     "{\"options\":{\"num_ctx\":1,\"NUM_CTX\":2}}"},
    {OPTIONS, STR_INIT("\x08\x01\x7a\x12{\"num\\u005fctx\":2}"), STR_INIT("{}"), 0,
     "{\"options\":{\"num_ctx\":1}}"},
    {0, STR_INIT(""), STR_INIT("{\"a\":123456789012345678901234567890e99999}"), 0,
     "{\"a\":123456789012345678901234567890e99999}"},
    {0, STR_INIT(""), STR_INIT("[]"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("null"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("\"{}\""), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("{}}"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("{},\"options\":{\"num_ctx\":1"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\":1}\0{\"b\":2}"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\":\"\xff\"}"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\":\"\xed\xa0\x80\"}"), -EX_CODEC, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\":\"\0\"}"), -EX_JSON_SYNTAX, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\""), -EX_JSON_TRUNCATED, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\":1,}"), -EX_JSON_SYNTAX, NULL},
    {0, STR_INIT(""), STR_INIT("{a:1}"), -EX_JSON_SYNTAX, NULL},
    {0, STR_INIT(""), STR_INIT("{\"a\":01}"), -EX_JSON_SYNTAX, NULL},
    {1, STR_INIT("a\0b"), STR_INIT(""), 0, "{\"model\":\"a\\u0000b\"}"},
    {1, STR_INIT("\"\\\n\x7f"), STR_INIT(""), 0, "{\"model\":\"\\\"\\\\\\n\x7f\"}"},
    {1, STR_INIT("\xc0\x80"), STR_INIT(""), -EX_CODEC, NULL},
    {1, STR_INIT("abcdefgh\xe2\x82"), STR_INIT(""), -EX_CODEC, NULL},
    {10, STR_INIT("\xff\0"), STR_INIT(""), 0, "{\"images\":[\"/wA=\"]}"},
    {8, STR_INIT("{\"a\":\xff}"), STR_INIT(""), -EX_CODEC, NULL},
    {8, STR_INIT("{},\"x\":{}"), STR_INIT(""), 0, "{\"format\":\"{},\\\"x\\\":{}\"}"},
    {9, STR_INIT("1,\"x\":2"), STR_INIT(""), 0, "{\"keep_alive\":\"1,\\\"x\\\":2\"}"},
    {9, STR_INIT("NaN"), STR_INIT(""), 0, "{\"keep_alive\":\"NaN\"}"},
    {12, STR_INIT("true "), STR_INIT(""), 0, "{\"think\":\"true \"}"},
    {OPTIONS, STR_INIT("\x11\0\0\0\0\0\0\xf8\x7f"), STR_INIT(""), -EX_CODEC, NULL},
    {OPTIONS, STR_INIT("\x11\0\0\0\0\0\0\xf0\xff"), STR_INIT(""), -EX_CODEC, NULL},
};

static void extra_json_adds_members_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(extras); i++) {
        struct buf bytes = BUF_INIT(1 << 12);
        struct buf json = BUF_INIT(1 << 12);

        if (extras[i].id != 0)
            put_field(&bytes, extras[i].id, extras[i].field);
        put_field(&bytes, PROTO_EXTRA_ID, extras[i].extra);
        assert_int_equal(buf_put_char(&json, '.'), 0);
        if (convert(CODEC_GENERATE, CODEC_REQUEST, true, buf_str(&bytes), &json) != extras[i].r)
            fail_msg("row %zu", i);
        /* What stood in the output before stays, in any case. */
        if (!str_starts(buf_str(&json), STR(".")) ||
            !str_eq(str_from(buf_str(&json), 1), str_of(extras[i].json)))
            fail_msg("row %zu: " STR_FMT, i, STR_ARG(buf_str(&json)));
        buf_fini(&bytes);
        buf_fini(&json);
    }
}

static struct str nested(struct buf *text, size_t depth)
{
    assert_int_equal(buf_put(text, STR("{\"a\":")), 0);
    for (size_t i = 0; i < depth; i++)
        assert_int_equal(buf_put_char(text, '['), 0);
    for (size_t i = 0; i < depth; i++)
        assert_int_equal(buf_put_char(text, ']'), 0);
    assert_int_equal(buf_put_char(text, '}'), 0);
    return buf_str(text);
}

static void deep_nesting_ends_at_the_readers_depth(void **state)
{
    static const struct {
        size_t depth;
        int r;
    } rows[] = {{DEPTH_MAX - 1, 0}, {DEPTH_MAX, -EX_JSON_DEPTH}, {5000, -EX_JSON_DEPTH}};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf text = BUF_INIT(1 << 14);
        struct buf bytes = BUF_INIT(1 << 15);
        struct buf out = BUF_INIT(1 << 15);

        put_field(&bytes, PROTO_EXTRA_ID, nested(&text, rows[i].depth));
        assert_int_equal(convert(CODEC_CHAT, CODEC_REQUEST, true, buf_str(&bytes), &out),
                         rows[i].r);
        buf_reset(&out);
        assert_int_equal(convert(CODEC_CHAT, CODEC_REQUEST, false, buf_str(&text), &out),
                         rows[i].r);
        buf_fini(&text);
        buf_fini(&bytes);
        buf_fini(&out);
    }
}

static void json_that_is_no_object_is_refused(void **state)
{
    static const struct {
        struct str json;
        int r;
    } rows[] = {
        {STR_INIT("[]"), -EX_CODEC},         {STR_INIT("\"a\""), -EX_CODEC},
        {STR_INIT("null"), -EX_CODEC},       {STR_INIT("1"), -EX_CODEC},
        {STR_INIT(" "), -EX_JSON_TRUNCATED}, {STR_INIT("{\"a\":"), -EX_JSON_TRUNCATED},
        {STR_INIT("}"), -EX_JSON_SYNTAX},    {STR_INIT("{\"model\":\"\n\"}"), -EX_JSON_SYNTAX},
        {STR_INIT("\0"), -EX_JSON_SYNTAX},   {STR_INIT("{\"model\":\"\\u12\"}"), -EX_JSON_SYNTAX},
    };
    struct buf out = BUF_INIT(1 << 10);

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        assert_int_equal(convert(CODEC_CHAT, CODEC_RECORD, false, rows[i].json, &out), rows[i].r);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(convert(CODEC_TAGS, CODEC_REQUEST, false, STR_NULL, &out), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(convert(CODEC_TAGS, CODEC_REQUEST, true, STR_NULL, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("{}")));
    buf_fini(&out);
}

static void bytes_that_are_not_utf8_become_what_go_makes_of_them(void **state)
{
    struct buf bytes = BUF_INIT(1 << 10);
    struct buf json = BUF_INIT(1 << 10);

    (void)state;
    assert_int_equal(
        convert(CODEC_GENERATE, CODEC_REQUEST, false,
                STR("{\"model\":\"a\xff\xfe\",\"prompt\":\"\\ud800\\n\xe2\x82\",\"x\":\"\xc0\"}"),
                &bytes),
        0);
    assert_int_equal(convert(CODEC_GENERATE, CODEC_REQUEST, true, buf_str(&bytes), &json), 0);
    assert_true(str_eq(buf_str(&json),
                       STR("{\"model\":\"a\xef\xbf\xbd\xef\xbf\xbd\",\"prompt\":\"\xef\xbf\xbd\\n"
                           "\xef\xbf\xbd\xef\xbf\xbd\",\"x\":\"\xef\xbf\xbd\"}")));
    buf_fini(&bytes);
    buf_fini(&json);
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void unknown_fields_are_ignored(void **state)
{
    struct buf json = BUF_INIT(1 << 10);

    (void)state;
    assert_int_equal(convert(CODEC_VERSION, CODEC_RECORD, true,
                             STR("\x0a\x01"
                                 "1\xf8\x07\x05\xfa\x07\x02{}\xfd\x07"
                                 "abcd\xf9\x07"
                                 "abcdefgh"),
                             &json),
                     0);
    assert_true(str_eq(buf_str(&json), STR("{\"version\":\"1\"}")));
    buf_fini(&json);
}

static void a_record_is_one_line(void **state)
{
    const struct codec_service *version = codec_service_get(CODEC_VERSION);
    struct buf json = BUF_INIT(1 << 10);
    struct arena scratch;

    (void)state;
    arena_init(&scratch, 1 << 14);
    assert_int_equal(buf_put(&json, STR("\n")), 0);
    assert_int_equal(codec_record_to_json(CODEC_PROTOBUF, version, STR("\x7a\x0d{\"a\":[1,\n\r2]}"),
                                          &scratch, &json),
                     0);
    assert_int_equal(codec_record_to_json(CODEC_JSON, version, STR("{}\n{}"), &scratch, &json), 0);
    assert_int_equal(
        codec_record_to_json(CODEC_JSON, codec_service_get(CODEC_ECHO), STR("\n"), &scratch, &json),
        0);
    assert_true(str_eq(buf_str(&json), STR("\n{\"a\":[1,  2]}{} {}\n")));
    arena_fini(&scratch);
    buf_fini(&json);
}

static void the_last_of_a_field_that_comes_twice_counts(void **state)
{
    struct buf json = BUF_INIT(1 << 10);

    (void)state;
    assert_int_equal(convert(CODEC_VERSION, CODEC_RECORD, true,
                             STR("\x0a\x01"
                                 "1\x0a\x01"
                                 "2"),
                             &json),
                     0);
    assert_true(str_eq(buf_str(&json), STR("{\"version\":\"2\"}")));
    buf_fini(&json);
}

static void malformed_bytes_are_refused(void **state)
{
    static const struct str rows[] = {
        STR_INIT("\x0a"),
        STR_INIT("\x0a\x02"
                 "1"),
        STR_INIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        STR_INIT("\x0b\x0c"),
        STR_INIT("\x00\x00"),
        STR_INIT("\x08\x01"),
        STR_INIT("\xff\xff\xff\xff\xff\xff"),
    };
    struct buf json = BUF_INIT(1 << 10);

    (void)state;
    for (size_t i = 0; i < N(rows); i++)
        if (convert(CODEC_VERSION, CODEC_RECORD, true, rows[i], &json) != -EX_CODEC)
            fail_msg("row %zu", i);
    assert_int_equal(json.len, 0);
    buf_fini(&json);
}

static const struct {
    enum codec_service_id id;
    enum codec_part part;
    struct str json;
} seeds[] = {
    {CODEC_CHAT, CODEC_REQUEST,
     STR_INIT("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"images\":["
              "\"AAAA\"]},{\"t\":[1]}],"
              "\"format\":{\"a\":1},\"keep_alive\":-1,\"options\":{\"num_ctx\":1,\"temperature\":0."
              "5,\"stop\":[\"a\"],"
              "\"y\":2},\"think\":true,\"tools\":[{}]}")},
    {CODEC_EMBED, CODEC_RECORD,
     STR_INIT("{\"model\":\"m\",\"embeddings\":[[0.5,1,-2],[3]],\"total_duration\":5}")},
    {CODEC_GENERATE, CODEC_RECORD,
     STR_INIT("{\"response\":\"x\",\"done\":true,\"context\":[1,2,300],\"eval_count\":7}")},
    {CODEC_TAGS, CODEC_RECORD,
     STR_INIT("{\"models\":[{\"name\":\"a\",\"details\":{\"families\":[\"x\"],\"z\":null}},{}],"
              "\"q\":{\"r\":[[]]}}")},
};

/* Flips, cuts, doubles and overwrites a few bytes. */
static void mutate(struct rng *rng, struct buf *b)
{
    for (uint64_t n = 1 + rng_below(rng, 4); n > 0 && b->len > 0; n--) {
        size_t at = (size_t)rng_below(rng, b->len);

        switch (rng_below(rng, 4)) {
        case 0:
            b->data[at] = (char)(b->data[at] ^ 1 << rng_below(rng, 8));
            break;
        case 1:
            b->data[at] = (char)rng_next(rng);
            break;
        case 2:
            b->len = at;
            break;
        default:
            assert_int_equal(buf_reserve(b, b->len), 0);
            memcpy(b->data + b->len, b->data, b->len);
            b->len += at;
            break;
        }
    }
}

/*
 * What was accepted is JSON that this module can write and read again: the second round is at rest.
 * Duplicates within extra_json move, so the first may not be.
 */
static void check_accepted(size_t i, struct str json)
{
    struct buf bytes = BUF_INIT(1 << 20);
    struct buf again = BUF_INIT(1 << 20);
    struct buf bytes2 = BUF_INIT(1 << 20);

    assert_int_equal(convert(seeds[i].id, seeds[i].part, false, json, &bytes), 0);
    assert_int_equal(convert(seeds[i].id, seeds[i].part, true, buf_str(&bytes), &again), 0);
    assert_int_equal(convert(seeds[i].id, seeds[i].part, false, buf_str(&again), &bytes2), 0);
    assert_true(str_eq(buf_str(&bytes), buf_str(&bytes2)));
    buf_fini(&bytes);
    buf_fini(&again);
    buf_fini(&bytes2);
}

static void mutated_bytes_and_json_are_refused_or_taken_but_never_more(void **state)
{
    struct rng rng = {.state = 4};
    size_t n_taken[2] = {0};

    (void)state;
    for (size_t round = 0; round < 12000; round++) {
        size_t i = round % N(seeds);
        bool to_json = round / N(seeds) % 2 != 0;
        struct buf in = BUF_INIT(1 << 20);
        struct buf out = BUF_INIT(1 << 20);
        struct str exact;

        if (to_json)
            assert_int_equal(convert(seeds[i].id, seeds[i].part, false, seeds[i].json, &in), 0);
        else
            assert_int_equal(buf_put(&in, seeds[i].json), 0);
        mutate(&rng, &in);
        /* A copy without room behind it, for the address sanitizer. */
        exact = str_make(in.len > 0 ? str_dup(buf_str(&in)) : NULL, in.len);
        if (exact.s != NULL) {
            char *copy = malloc(in.len);

            assert_non_null(copy);
            memcpy(copy, in.data, in.len);
            free((void *)(uintptr_t)exact.s);
            exact.s = copy;
        }
        if (convert(seeds[i].id, seeds[i].part, to_json, exact, &out) == 0) {
            n_taken[to_json]++;
            if (to_json)
                check_accepted(i, buf_str(&out));
        } else {
            assert_int_equal(out.len, 0);
        }
        free((void *)(uintptr_t)exact.s);
        buf_fini(&in);
        buf_fini(&out);
    }
    assert_true(n_taken[0] > 100 && n_taken[1] > 100);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void every_maximum_is_kept(void **state)
{
    struct arena scratch;
    const struct codec_service *chat = codec_service_get(CODEC_CHAT);
    struct buf bytes = BUF_INIT(1 << 14);
    struct buf out = BUF_INIT(1 << 20);
    int r = -1;

    (void)state;
    /* 4,000 empty messages are the most memory for the least bytes. */
    for (int i = 0; i < 4000; i++)
        assert_int_equal(buf_put(&bytes, STR("\x12\x00")), 0);
    for (size_t max = 0; max < 1 << 22; max = max * 2 + 16) {
        arena_init(&scratch, max);
        r = codec_request_to_json(CODEC_PROTOBUF, chat, buf_str(&bytes), &scratch, &out);
        assert_true(r == 0 || r == -ENOBUFS);
        arena_fini(&scratch);
        out.len = r == 0 ? out.len : 0;
    }
    assert_int_equal(r, 0);

    arena_init(&scratch, 1 << 22);
    for (size_t max = 0; max < 64; max++) {
        struct buf small = BUF_INIT(max);

        r = codec_request_from_json(CODEC_PROTOBUF, chat,
                                    STR("{\"model\":\"some model\",\"x\":[]}"), &scratch, &small);
        assert_int_equal(r, max < 22 ? -ENOBUFS : 0);
        buf_fini(&small);
        small = BUF_INIT(max);
        r = codec_request_to_json(CODEC_PROTOBUF, chat, STR("\x0a\x0asome model\x7a\x08{\"x\":[]}"),
                                  &scratch, &small);
        assert_int_equal(r, max < 29 ? -ENOBUFS : 0);
        assert_true(r == 0 || small.len == 0);
        buf_fini(&small);
    }
    arena_fini(&scratch);
    buf_fini(&bytes);
    buf_fini(&out);
}

static void small_messages_share_one_chunk_of_scratch(void **state)
{
    const struct codec_service *chat = codec_service_get(CODEC_CHAT);
    struct str token =
        STR("{\"model\":\"m\",\"created_at\":\"2025-11-24T10:00:00.123456789Z\",\"message\":"
            "{\"role\":\"assistant\",\"content\":\" \\u00e9\"},\"done\":false,\"x\":1}");
    struct arena scratch;
    struct arena_chunk *first = NULL;
    struct buf bytes = BUF_INIT(1 << 10);
    struct buf json = BUF_INIT(1 << 10);

    (void)state;
    arena_init(&scratch, 1 << 14);
    for (int i = 0; i < 1000; i++) {
        buf_reset(&bytes);
        buf_reset(&json);
        assert_int_equal(codec_record_from_json(CODEC_PROTOBUF, chat, token, &scratch, &bytes), 0);
        assert_int_equal(
            codec_record_to_json(CODEC_PROTOBUF, chat, buf_str(&bytes), &scratch, &json), 0);
        first = first != NULL ? first : scratch.chunks;
        assert_ptr_equal(scratch.chunks, first);
    }
    arena_fini(&scratch);
    buf_fini(&bytes);
    buf_fini(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extra_json_adds_members_and_nothing_else),
        cmocka_unit_test(deep_nesting_ends_at_the_readers_depth),
        cmocka_unit_test(json_that_is_no_object_is_refused),
        cmocka_unit_test(bytes_that_are_not_utf8_become_what_go_makes_of_them),
        cmocka_unit_test(unknown_fields_are_ignored),
        cmocka_unit_test(a_record_is_one_line),
        cmocka_unit_test(the_last_of_a_field_that_comes_twice_counts),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(mutated_bytes_and_json_are_refused_or_taken_but_never_more),
        cmocka_unit_test(every_maximum_is_kept),
        cmocka_unit_test(small_messages_share_one_chunk_of_scratch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
