/* SPDX-License-Identifier: MIT */
#include "codec/text.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "codec/base64.h"
#include "codec/number.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void each_byte_that_is_not_utf8_becomes_one_replacement(void **state)
{
    static const struct {
        struct str text;
        size_t valid;
        struct str clean;
    } rows[] = {
        {STR_INIT(""), 0, STR_INIT("")},
        {STR_INIT("a\0b"), 3, STR_INIT("a\0b")},
        {STR_INIT("12345678\xc3\xa9"), 10, STR_INIT("12345678\xc3\xa9")},
        {STR_INIT("1234567\xe2\x82\xac"), 10, STR_INIT("1234567\xe2\x82\xac")},
        {STR_INIT("\xf0\x9f\x98\x80"), 4, STR_INIT("\xf0\x9f\x98\x80")},
        {STR_INIT("\xed\x9f\xbf\xee\x80\x80"), 6, STR_INIT("\xed\x9f\xbf\xee\x80\x80")},
        {STR_INIT("\xf4\x8f\xbf\xbf"), 4, STR_INIT("\xf4\x8f\xbf\xbf")},
        {STR_INIT("a\x80z"), 1, STR_INIT("a\xef\xbf\xbdz")},
        {STR_INIT("\xc0\x80"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbd")},
        {STR_INIT("\xc1\xbf"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbd")},
        {STR_INIT("\xe0\x9f\xbf"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")},
        {STR_INIT("\xed\xa0\x80"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")},
        {STR_INIT("\xf4\x90\x80\x80"), 0,
         STR_INIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")},
        {STR_INIT("\xe2\x82"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbd")},
        {STR_INIT("\xe2\x82z"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbdz")},
        {STR_INIT("\xf5\xff"), 0, STR_INIT("\xef\xbf\xbd\xef\xbf\xbd")},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        assert_int_equal(text_valid_len(rows[i].text), rows[i].valid);
        assert_true(str_eq(str_make(out, text_clean(out, rows[i].text)), rows[i].clean));
    }
}

static void base64_is_canonical_or_refused(void **state)
{
    static const struct str good[] = {STR_INIT(""), STR_INIT("AA=="), STR_INIT("/+8="),
                                      STR_INIT("aGVsbG8gd29ybGQh")};
    static const struct str bad[] = {
        STR_INIT("A"),     STR_INIT("AA"),   STR_INIT("AAA"),     STR_INIT("AB=="),
        STR_INIT("AAB="),  STR_INIT("===="), STR_INIT("A==="),    STR_INIT("AA==AAAA"),
        STR_INIT("AA=A"),  STR_INIT("A-A_"), STR_INIT("AAA "),    STR_INIT("AA\nAAAA"),
        STR_INIT("AAA\0"), STR_INIT("=AAA"), STR_INIT("AAA\xff"),
    };
    uint8_t bytes[32];
    char text[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < N(good); i++) {
        assert_int_equal(base64_decode(bytes, good[i], &len), 0);
        base64_encode(text, str_make((const char *)bytes, len));
        assert_true(str_eq(str_make(text, base64_encoded_len(len)), good[i]));
    }
    for (size_t i = 0; i < N(bad); i++)
        assert_int_equal(base64_decode(bytes, bad[i], &len), -EINVAL);
}

static void an_integer_is_taken_in_its_own_spelling_only(void **state)
{
    static const struct {
        struct str text;
        int r;
        int64_t value;
    } rows[] = {
        {STR_INIT("0"), 0, 0},
        {STR_INIT("-1"), 0, -1},
        {STR_INIT("9223372036854775807"), 0, INT64_MAX},
        {STR_INIT("-9223372036854775808"), 0, INT64_MIN},
        {STR_INIT("9223372036854775808"), -ERANGE, 0},
        {STR_INIT("-9223372036854775809"), -ERANGE, 0},
        {STR_INIT("99999999999999999999999"), -ERANGE, 0},
        {STR_INIT("-0"), -EINVAL, 0},
        {STR_INIT("1.0"), -EINVAL, 0},
        {STR_INIT("1e0"), -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        int64_t value = 0;

        assert_int_equal(number_parse_i64(rows[i].text, &value), rows[i].r);
        assert_true(value == rows[i].value);
    }
}

static void a_fraction_is_printed_as_short_as_it_can_be(void **state)
{
    static const struct {
        struct str text;
        const char *printed; /* NULL: not taken */
    } rows[] = {
        {STR_INIT("0.7"), "0.7"},
        {STR_INIT("0.10"), "0.1"},
        {STR_INIT("1"), "1"},
        {STR_INIT("1.0"), "1"},
        {STR_INIT("-0.0"), "-0.0"},
        {STR_INIT("-0"), NULL},
        {STR_INIT("1E2"), "100"},
        {STR_INIT("0.30000000000000004"), "0.30000000000000004"},
        {STR_INIT("5e-324"), "4.94065645841247e-324"},
        {STR_INIT("1.7976931348623157e308"), "1.7976931348623157e+308"},
        {STR_INIT("1e309"), NULL},
        {STR_INIT("9007199254740993"), NULL},
        {STR_INIT("12345678901234567890"), NULL},
        {STR_INIT("0.1000000000000000055511151231257827021181583404541015625000000000"), NULL},
    };
    char text[NUMBER_TEXT_MAX];
    double value;

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        int r = number_parse_double(rows[i].text, &value);

        assert_int_equal(r == 0, rows[i].printed != NULL);
        if (r == 0)
            assert_true(str_eq(number_print_double(value, text), str_of(rows[i].printed)));
    }
}

/* Any bits: what was printed is taken, and gives the same bits. */
static void numbers_come_back_bit_by_bit(void **state)
{
    struct rng rng = {.state = 1};
    char text[NUMBER_TEXT_MAX];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&rng);
        uint32_t bits32 = (uint32_t)(bits >> 32);
        double d;
        double d2;
        float f;
        float f2;

        memcpy(&d, &bits, sizeof(d));
        memcpy(&f, &bits32, sizeof(f));
        if (i % 4 == 0)
            d = (double)(int64_t)bits;
        if (i % 4 == 1)
            f = (float)(int32_t)bits32;
        if (__builtin_isfinite(d)) {
            assert_int_equal(number_parse_double(number_print_double(d, text), &d2), 0);
            assert_memory_equal(&d, &d2, sizeof(d));
        }
        if (__builtin_isfinite(f)) {
            assert_int_equal(number_parse_float(number_print_float(f, text), &f2), 0);
            assert_memory_equal(&f, &f2, sizeof(f));
        }
    }
}

static void the_locale_does_not_matter(void **state)
{
    char text[NUMBER_TEXT_MAX];
    double value = 0;

    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        skip();
    assert_int_equal(number_parse_double(STR("0.5"), &value), 0);
    assert_true(str_eq(number_print_double(value, text), STR("0.5")));
    (void)setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_that_is_not_utf8_becomes_one_replacement),
        cmocka_unit_test(base64_is_canonical_or_refused),
        cmocka_unit_test(an_integer_is_taken_in_its_own_spelling_only),
        cmocka_unit_test(a_fraction_is_printed_as_short_as_it_can_be),
        cmocka_unit_test(numbers_come_back_bit_by_bit),
        cmocka_unit_test(the_locale_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
