/* SPDX-License-Identifier: MIT */
#include "http/date.h"

#include "exact.h"

static void a_date_is_read(void **state)
{
    int64_t seconds = -1;

    (void)state;
    assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &seconds), 0);
    assert_int_equal(seconds, 784111777);
    assert_int_equal(http_date_parse(STR("Thu, 01 Jan 1970 00:00:00 GMT"), &seconds), 0);
    assert_int_equal(seconds, 0);
}

static void other_forms_and_zones_are_refused(void **state)
{
    const struct str wrong[] = {
        STR(""),
        STR("Sunday, 06-Nov-94 08:49:37 GMT"),
        STR("Sun Nov  6 08:49:37 1994"),
        STR("Sun, 06 Nov 1994 08:49:37 CET"),
        STR("Sun, 06 Nov 1994 08:49:37 GMT "),
        STR("Sun, 06 Nov 1994 25:49:37 GMT"),
    };
    int64_t seconds = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(http_date_parse(wrong[i], &seconds) < 0);
    assert_int_equal(seconds, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_read),
        cmocka_unit_test(other_forms_and_zones_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
