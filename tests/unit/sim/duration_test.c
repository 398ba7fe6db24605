/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/duration.h"

static void durations_are_read_as_go_reads_them(void **state)
{
    static const struct {
        const char *text;
        nsec_t ns;
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"20ms", 20 * NSEC_PER_MSEC},
        {"1.5s", 1500 * NSEC_PER_MSEC},
        {"1h30m", 5400 * NSEC_PER_SEC},
        {"5m", 300 * NSEC_PER_SEC},
        {"-1s", -NSEC_PER_SEC},
        {"7us", 7000},
        {"99999999h", NSEC_NEVER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nsec_t ns;

        assert_int_equal(sim_duration_parse(str_of(rows[i].text), &ns), 0);
        assert_true(ns == rows[i].ns);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    static const struct {
        const char *text;
        int result;
    } rows[] = {
        {"5", SIM_DURATION_NO_UNIT}, {"-1", SIM_DURATION_NO_UNIT}, {"1m5", SIM_DURATION_NO_UNIT},
        {"", SIM_DURATION_BAD},      {"-", SIM_DURATION_BAD},      {"s", SIM_DURATION_BAD},
        {"5x", SIM_DURATION_BAD},    {"1.2.3s", SIM_DURATION_BAD}, {".s", SIM_DURATION_BAD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nsec_t ns;

        assert_int_equal(sim_duration_parse(str_of(rows[i].text), &ns), rows[i].result);
    }
}

static void negative_and_endless_keep_alives_mean_for_ever(void **state)
{
    (void)state;
    assert_true(sim_keep_alive_of(-1) == NSEC_NEVER);
    assert_true(sim_keep_alive_of(NSEC_NEVER - 1) == NSEC_NEVER);
    assert_true(sim_keep_alive_of(0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_as_go_reads_them),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(negative_and_endless_keep_alives_mean_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
