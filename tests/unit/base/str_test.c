/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("got \"" STR_FMT "\", want \"%s\"", STR_ARG(got), want);
}

static void empty_slices_are_equal_whatever_they_point_at(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_eq_nocase(STR_NULL, STR("")));
    assert_true(str_eq_secret(STR_NULL, STR("")));
    assert_true(str_starts(STR_NULL, STR_NULL));
    assert_true(str_ends(STR("abc"), STR_NULL));
    assert_int_equal(str_of(NULL).len, 0);
}

static void prefixes_and_suffixes_must_fit(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("abc")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_false(str_starts(STR("abc"), STR("bc")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("bc"), STR("abc")));
    assert_false(str_ends(STR("abc"), STR("ab")));
}

static void cutting_past_the_end_gives_what_is_there(void **state)
{
    (void)state;
    assert_str(str_from(STR("abc"), 1), "bc");
    assert_str(str_from(STR("abc"), 3), "");
    assert_str(str_from(STR("abc"), SIZE_MAX), "");
    assert_str(str_head(STR("abc"), 2), "ab");
    assert_str(str_head(STR("abc"), SIZE_MAX), "abc");
    assert_int_equal(str_head(STR_NULL, 5).len, 0);
}

static void only_ascii_letters_fold(void **state)
{
    (void)state;
    assert_true(str_eq_nocase(STR("Content-LENGTH"), STR("content-length")));
    assert_true(str_eq_nocase(STR("Transfer-Encoding"), STR("tRANSFER-eNCODING")));
    assert_false(str_eq_nocase(STR("Transfer-Encoding"), STR("Transfer-Encodinf")));
    assert_false(str_eq_nocase(STR("content[length"), STR("content{length")));
    assert_false(str_eq_nocase(STR("a-name\rof many"), STR("a-name-of many")));
    assert_false(str_eq_nocase(STR("abc"), STR("abcd")));
    assert_false(str_eq_nocase(STR("@[`{"), STR("`{@[")));
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
}

static void what_is_not_found_is_at_the_end(void **state)
{
    static const struct {
        const char *text, *needle;
        size_t at;
    } rows[] = {
        {"abcabc", "c", 2}, {"abcabc", "ca", 2}, {"abcabc", "x", 6}, {"", "x", 0},
        {"abc", "", 0},     {"", "", 0},         {"ab", "abc", 2},   {"aab", "ab", 1},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++)
        assert_int_equal(str_search(str_of(rows[i].text), str_of(rows[i].needle)), rows[i].at);
    assert_int_equal(str_find(STR("a:b"), ':'), 1);
    assert_int_equal(str_find(STR("ab"), ':'), 2);
    assert_int_equal(str_find(STR_NULL, ':'), 0);
    assert_int_equal(str_find(STR("a\0b"), 'b'), 2);
}

static void trim_takes_blanks_off_both_ends_only(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t a b \r\n")), "a b");
    assert_str(str_trim(STR(" \r\n\t")), "");
    assert_str(str_trim(STR("")), "");
    assert_str(str_trim(STR("\va\v")), "\va\v");
}

static void split_gives_part_after_part(void **state)
{
    struct str rest = STR("a,,bc,");

    (void)state;
    assert_str(str_split(&rest, ','), "a");
    assert_str(str_split(&rest, ','), "");
    assert_str(str_split(&rest, ','), "bc");
    assert_int_equal(rest.len, 0);
    assert_str(str_split(&rest, ','), "");
}

static void numbers_are_digits_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
        {"1_0", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        uint64_t value = 0;

        assert_int_equal(str_to_u64(str_of(rows[i].text), &value), rows[i].r);
        assert_int_equal(value, rows[i].value);
    }
}

static void secrets_are_equal_only_as_a_whole(void **state)
{
    (void)state;
    assert_true(str_eq_secret(STR("correct horse"), STR("correct horse")));
    assert_false(str_eq_secret(STR("correct horsf"), STR("correct horse")));
    assert_false(str_eq_secret(STR("Correct horse"), STR("correct horse")));
    assert_false(str_eq_secret(STR("abab"), STR("ab")));
    assert_false(str_eq_secret(STR("ab"), STR("abab")));
    assert_false(str_eq_secret(STR("\0"), STR("")));
    assert_false(str_eq_secret(STR(""), STR("a")));
}

static void a_copy_ends_in_nul(void **state)
{
    CLEANUP(freep) char *copy = str_dup(STR("a\0b"));
    CLEANUP(freep) char *empty = str_dup(STR_NULL);

    (void)state;
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(empty, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slices_are_equal_whatever_they_point_at),
        cmocka_unit_test(prefixes_and_suffixes_must_fit),
        cmocka_unit_test(cutting_past_the_end_gives_what_is_there),
        cmocka_unit_test(only_ascii_letters_fold),
        cmocka_unit_test(what_is_not_found_is_at_the_end),
        cmocka_unit_test(trim_takes_blanks_off_both_ends_only),
        cmocka_unit_test(split_gives_part_after_part),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(secrets_are_equal_only_as_a_whole),
        cmocka_unit_test(a_copy_ends_in_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
