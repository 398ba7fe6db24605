/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void every_error_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(err_text(-EX_H1_CHUNK), "malformed chunk");
    assert_string_equal(err_text(-ENOENT), "No such file or directory");
    assert_string_equal(err_text(-99999), "unknown error");
}

static void the_class_comes_from_the_table(void **state)
{
    (void)state;
    assert_int_equal(err_class(-EX_H1_SYNTAX), ERR_PEER);
    assert_int_equal(err_class(-EX_JSON_DEPTH), ERR_LIMIT);
    assert_int_equal(err_class(-ENOENT), ERR_LOCAL);
}

static void no_number_stands_twice(void **state)
{
    static const int numbers[] = {
#define ERR(name, number, class_, text) name,
#include "base/err_tbl.h"
#undef ERR
    };

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_text),
        cmocka_unit_test(the_class_comes_from_the_table),
        cmocka_unit_test(no_number_stands_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
