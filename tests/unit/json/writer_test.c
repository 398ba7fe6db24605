/* SPDX-License-Identifier: MIT */
#include "json/writer.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#define json_null jansson_null /* both libraries have this name */
#include <jansson.h>
#undef json_null

#include "base/rng.h"

#define LIT(literal) \
    { \
        (literal), sizeof(literal) - 1 \
    } /* a struct str in a constant table */
#define N(array) (sizeof(array) / sizeof((array)[0]))

static void commas_stand_where_they_belong(void **state)
{
    struct buf out = BUF_INIT(4096);
    struct json_writer w;

    (void)state;
    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_key(&w, "a");
    json_begin_array(&w);
    json_u64(&w, UINT64_MAX);
    json_i64(&w, INT64_MIN);
    json_double(&w, 1.25, 1);
    json_double(&w, -3, 0);
    json_double(&w, (double)NAN, 2);
    json_bool(&w, true);
    json_begin_object(&w);
    json_end(&w);
    json_begin_array(&w);
    json_end(&w);
    json_null(&w);
    json_end(&w);
    json_key_str(&w, STR("q\""));
    json_raw(&w, STR("{\"x\":1}"));
    json_key(&w, "s");
    json_str(&w, STR_NULL);
    json_end(&w);
    assert_int_equal(json_writer_result(&w), 0);
    assert_true(
        str_eq(buf_str(&out),
               STR("{\"a\":[18446744073709551615,-9223372036854775808,1.2,-3,null,true,{},[],null],"
                   "\"q\\\"\":{\"x\":1},\"s\":\"\"}")));
    buf_fini(&out);
}

static void strings_are_escaped(void **state)
{
    static const struct {
        struct str text;
        struct str json;
    } rows[] = {
        {LIT("plain"), LIT("\"plain\"")},
        {LIT("\"\\/\b\f\n\r\t"), LIT("\"\\\"\\\\/\\b\\f\\n\\r\\t\"")},
        {LIT("\0\x01\x1f\x7f"), LIT("\"\\u0000\\u0001\\u001f\x7f\"")},
        {LIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
         LIT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"")},
        {LIT("a\xff"
             "b"),
         LIT("\"a\xef\xbf\xbd"
             "b\"")},
        {LIT("\xc3"), LIT("\"\xef\xbf\xbd\"")},
        {LIT("\xe2\x82"), LIT("\"\xef\xbf\xbd\xef\xbf\xbd\"")},
        {LIT("\xc0\xaf"), LIT("\"\xef\xbf\xbd\xef\xbf\xbd\"")},                 /* overlong */
        {LIT("\xed\xa0\x80"), LIT("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")}, /* surrogate */
        {LIT("\xf4\x90\x80\x80"),
         LIT("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")}, /* over U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf out = BUF_INIT(4096);
        struct json_writer w;

        json_writer_init(&w, &out);
        json_str(&w, rows[i].text);
        assert_int_equal(json_writer_result(&w), 0);
        if (!str_eq(buf_str(&out), rows[i].json))
            fail_msg("row %zu gave " STR_FMT, i, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
}

static void any_bytes_at_all_become_json_that_jansson_reads(void **state)
{
    struct rng rng = {.state = 7};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct buf out = BUF_INIT(4096);
        struct json_writer w;
        char bytes[40];
        json_t *read;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)rng_next(&rng);
        json_writer_init(&w, &out);
        json_str(&w, str_make(bytes, sizeof(bytes)));
        assert_int_equal(json_writer_result(&w), 0);
        read = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(read);
        json_decref(read);
        buf_fini(&out);
    }
}

static void the_first_failure_sticks(void **state)
{
    struct buf out = BUF_INIT(8);
    struct json_writer w;

    (void)state;
    json_writer_init(&w, &out);
    json_begin_array(&w);
    json_str(&w, STR("too long for it"));
    json_u64(&w, 1);
    json_end(&w);
    assert_int_equal(json_writer_result(&w), -ENOBUFS);
    buf_fini(&out);
}

static void depth_is_bounded(void **state)
{
    struct buf out = BUF_INIT(4096);
    struct json_writer w;

    (void)state;
    json_writer_init(&w, &out);
    for (int i = 0; i < 64; i++)
        json_begin_array(&w);
    for (int i = 0; i < 64; i++)
        json_end(&w);
    assert_int_equal(json_writer_result(&w), 0);
    buf_reset(&out);
    json_writer_init(&w, &out);
    for (int i = 0; i < 65; i++)
        json_begin_array(&w);
    assert_int_equal(json_writer_result(&w), -ENOBUFS);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_where_they_belong),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(any_bytes_at_all_become_json_that_jansson_reads),
        cmocka_unit_test(the_first_failure_sticks),
        cmocka_unit_test(depth_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
