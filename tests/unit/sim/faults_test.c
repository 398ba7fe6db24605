/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "sim/faults.h"

static void check_equal(struct sim_fault got, struct sim_fault expected)
{
    assert_int_equal(got.kind, expected.kind);
    assert_int_equal(got.after, expected.after);
    assert_int_equal(got.count, expected.count);
    assert_int_equal(got.retry_after, expected.retry_after);
}

static void specs_are_read(void **state)
{
    static const struct {
        const char *spec;
        struct sim_fault fault;
    } rows[] = {
        {"none", {.kind = SIM_FAULT_NONE, .count = 1}},
        {"die", {.kind = SIM_FAULT_DIE, .count = 1}},
        {"die:5", {.kind = SIM_FAULT_DIE, .after = 5, .count = 1}},
        {"stall:3:2", {.kind = SIM_FAULT_STALL, .after = 3, .count = 2}},
        {"cut:2", {.kind = SIM_FAULT_CUT, .after = 2, .count = 1}},
        {"503:4", {.kind = SIM_FAULT_BUSY, .count = 4}},
        {"reset:2", {.kind = SIM_FAULT_RESET, .after = 2, .count = 1}},
        {"error:3:2", {.kind = SIM_FAULT_ERROR, .after = 3, .count = 2}},
        {"garbage", {.kind = SIM_FAULT_GARBAGE, .count = 1}},
        {"1xx:3", {.kind = SIM_FAULT_1XX, .count = 3}},
        {"503:4:7", {.kind = SIM_FAULT_BUSY, .count = 4, .retry_after = 7}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sim_fault f;

        assert_int_equal(sim_fault_parse(str_of(rows[i].spec), &f), 0);
        check_equal(f, rows[i].fault);
    }
}

static void bad_specs_are_refused(void **state)
{
    static const char *const rows[] = {"",          "dye:5",  "die:x", "die:1:x",
                                       "die:1:2:3", "die:-1", "504:1", ":5"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sim_fault f;

        assert_int_equal(sim_fault_parse(str_of(rows[i]), &f), -EINVAL);
    }
}

static void json_is_read(void **state)
{
    struct sim_fault f;

    (void)state;
    assert_int_equal(
        sim_fault_parse_json(STR("{\"kind\":\"503\",\"count\":2,\"x\":[1],\"retry_after\":9}"), &f),
        0);
    check_equal(f, (struct sim_fault){.kind = SIM_FAULT_BUSY, .count = 2, .retry_after = 9});
    assert_int_equal(sim_fault_parse_json(STR("{\"kind\":\"die\",\"after\":5}"), &f), 0);
    check_equal(f, (struct sim_fault){.kind = SIM_FAULT_DIE, .after = 5, .count = 1});
}

static void bad_json_is_refused(void **state)
{
    static const char *const rows[] = {
        "", "[]", "{", "{\"kind\":\"dye\"}", "{\"after\":\"5\"}", "{\"after\":-1}"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sim_fault f;

        assert_int_equal(sim_fault_parse_json(str_of(rows[i]), &f), -EINVAL);
    }
}

static void a_fault_strikes_as_often_as_it_says(void **state)
{
    struct sim_fault next = {.kind = SIM_FAULT_STALL, .after = 1, .count = 2};

    (void)state;
    assert_int_equal(sim_fault_take(&next).kind, SIM_FAULT_STALL);
    assert_int_equal(sim_fault_take(&next).kind, SIM_FAULT_STALL);
    assert_int_equal(sim_fault_take(&next).kind, SIM_FAULT_NONE);
}

static void a_refused_connection_is_no_request(void **state)
{
    struct sim_fault next = {.kind = SIM_FAULT_REFUSE, .count = 2};

    (void)state;
    assert_int_equal(sim_fault_take(&next).kind, SIM_FAULT_NONE);
    assert_true(sim_fault_takes_connection(&next));
    assert_true(sim_fault_takes_connection(&next));
    assert_false(sim_fault_takes_connection(&next));
    next = (struct sim_fault){.kind = SIM_FAULT_DIE, .count = 1};
    assert_false(sim_fault_takes_connection(&next));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_are_read),
        cmocka_unit_test(bad_specs_are_refused),
        cmocka_unit_test(json_is_read),
        cmocka_unit_test(bad_json_is_refused),
        cmocka_unit_test(a_fault_strikes_as_often_as_it_says),
        cmocka_unit_test(a_refused_connection_is_no_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
