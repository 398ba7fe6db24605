/* SPDX-License-Identifier: MIT */
#include "api/reason.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void every_reason_has_its_row(void **state)
{
    (void)state;
    for (int i = 0; i < N_REASONS; i++) {
        enum reason reason = (enum reason)i;
        int status = reason_http_status(reason);

        assert_true(strlen(reason_name(reason)) > 0);
        assert_true(strlen(reason_text(reason)) > 0);
        assert_true(status == 0 || status == 200 || (status >= 400 && status < 600));
        assert_true(reason_mcp_code(reason) > 0 || reason == REASON_none);
    }
}

static void names_are_distinct_words(void **state)
{
    (void)state;
    for (int i = 0; i < N_REASONS; i++) {
        const char *name = reason_name((enum reason)i);

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, reason_name((enum reason)j));
    }
}

static void rows_are_those_of_the_table(void **state)
{
    (void)state;
    assert_string_equal(reason_name(REASON_no_model), "no_model");
    assert_int_equal(reason_http_status(REASON_no_model), 404);
    assert_int_equal(reason_mcp_code(REASON_no_model), 5);
    assert_string_equal(reason_text(REASON_no_model), "no node has this model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_its_row),
        cmocka_unit_test(names_are_distinct_words),
        cmocka_unit_test(rows_are_those_of_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
