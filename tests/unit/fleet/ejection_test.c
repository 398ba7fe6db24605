/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fleet/ejection.h"

#define S     NSEC_PER_SEC
#define START (5000 * S)

/* One letter per second from @from: F failure, S success, '.' nothing.
 * Return: at which letter ejection was first due, or -1. */
static int feed(struct ejection *e, const char *outcomes, nsec_t from)
{
    for (int i = 0; outcomes[i] != '\0'; i++)
        if (outcomes[i] != '.' &&
            ejection_feed(e, outcomes[i] == 'F', from + i * S) == EJECTION_DUE)
            return i;
    return -1;
}

static void a_node_is_due_after_three_in_a_row_or_half_of_five(void **state)
{
    static const struct {
        const char *outcomes;
        int due;
    } rows[] = {
        {"F", -1},
        {"FF", -1},
        {"FFF", 2},
        {"FFSFFS", 4}, /* four of five */
        {"FSFSF", 4},  /* three of five */
        {"FSFS", -1},
        {"SFSFS", -1},
        {"SFSFSF", -1}, /* exactly half */
        {"SFSFSFF", 6}, /* four of seven */
        {"SSSSSSSSFF", -1},
        {"SSSSSSSSFFF", 10},
        {"FFSSSSSSSS", -1},
        {"F........................................F.....................................F",
         80 - 1},
        {"F.......F.......S.......F.......F", -1}, /* the first is over 30 s old: three of four */
        {"F.......F.......S.......F......F", -1},
        {"F......F......S.......F.......F", 30}, /* 30 s: four of five */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ejection e = {0};
        int due = feed(&e, rows[i].outcomes, START);

        if (due != rows[i].due)
            fail_msg("%s: due at %d, not %d", rows[i].outcomes, due, rows[i].due);
    }
}

static void a_success_is_never_due(void **state)
{
    struct ejection e = {0};

    (void)state;
    assert_int_equal(feed(&e, "FSFSF", START), 4);
    assert_int_equal(ejection_feed(&e, false, START + 5 * S), 0);
}

static void it_stays_due_until_the_pool_agrees(void **state)
{
    struct ejection e = {0};

    (void)state;
    assert_int_equal(feed(&e, "FFF", START), 2);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ejection_feed(&e, true, START + 3 * S), EJECTION_DUE);
    assert_false(ejection_is_out(&e, START + 3 * S));
}

static void old_outcomes_are_pushed_out_by_new_ones(void **state)
{
    struct ejection e = {0};

    (void)state;
    for (int i = 0; i < 2 * EJECTION_WINDOW; i++)
        assert_int_equal(ejection_feed(&e, false, START), 0);
    for (int i = 0; i < EJECTION_WINDOW / 2; i++) {
        assert_int_equal(ejection_feed(&e, true, START), 0);
        assert_int_equal(ejection_feed(&e, false, START), 0);
    }
    /* The oldest success goes: 17 of 32 failed. */
    assert_int_equal(ejection_feed(&e, true, START), 0);
    assert_int_equal(ejection_feed(&e, true, START), EJECTION_DUE);
}

static void ejections_grow_to_a_minute(void **state)
{
    static const nsec_t want_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct ejection e = {0};
    struct rng rng = {.state = 1};
    nsec_t now = START;

    (void)state;
    for (size_t i = 0; i < sizeof(want_s) / sizeof(want_s[0]); i++) {
        ejection_eject(&e, now, &rng);
        assert_in_range(e.until - now, want_s[i] * S * 3 / 4, want_s[i] * S);
        assert_int_equal(e.last_ejected, now);
        assert_true(ejection_is_out(&e, now));
        assert_true(ejection_is_out(&e, e.until - 1));
        assert_false(ejection_is_out(&e, e.until));
        now = e.until;
    }
}

static void jitter_uses_its_whole_quarter(void **state)
{
    struct rng rng = {.state = 1};
    nsec_t min = NSEC_NEVER;
    nsec_t max = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct ejection e = {0};

        ejection_eject(&e, START, &rng);
        min = e.until - START < min ? e.until - START : min;
        max = e.until - START > max ? e.until - START : max;
    }
    assert_in_range(min, S * 75 / 100, S * 76 / 100);
    assert_in_range(max, S * 99 / 100, S);
}

static void each_good_minute_takes_one_step_back(void **state)
{
    static const struct {
        nsec_t good_s; /* since the node came back */
        nsec_t want_s; /* after five ejections at once: 1 2 4 8 16 */
    } rows[] = {
        {0, 32}, {59, 32}, {60, 16}, {119, 16}, {120, 8}, {240, 2}, {300, 1}, {86400, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ejection e = {0};
        struct rng rng = {.state = 1};
        nsec_t now = START;

        for (int n = 0; n < 5; n++) {
            ejection_eject(&e, now, &rng);
            now = e.until;
        }
        now += rows[i].good_s * S;
        ejection_eject(&e, now, &rng);
        assert_in_range(e.until - now, rows[i].want_s * S * 3 / 4, rows[i].want_s * S);
    }
}

static void late_answers_do_not_count_against_the_next_chance(void **state)
{
    struct ejection e = {0};
    struct rng rng = {.state = 1};

    (void)state;
    assert_int_equal(feed(&e, "FFF", START), 2);
    ejection_eject(&e, START + 2 * S, &rng);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ejection_feed(&e, true, START + 2 * S), 0);
    assert_int_equal(feed(&e, "FF", e.until), -1);
    assert_int_equal(feed(&e, "F", e.until), 0);
}

static void reset_forgets_outcomes_but_not_the_level(void **state)
{
    struct ejection e = {0};
    struct rng rng = {.state = 1};
    nsec_t until;

    (void)state;
    ejection_eject(&e, START, &rng);
    until = e.until;
    assert_int_equal(feed(&e, "FF", until), -1);
    ejection_reset(&e, until);
    assert_int_equal(feed(&e, "FF", until), -1);
    assert_int_equal(e.until, until);
    ejection_eject(&e, until, &rng);
    assert_true(e.until - until > S);
}

static void a_node_without_a_past_is_in(void **state)
{
    struct ejection e = {0};

    (void)state;
    assert_false(ejection_is_out(&e, 0));
    assert_false(ejection_is_out(&e, START));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_due_after_three_in_a_row_or_half_of_five),
        cmocka_unit_test(a_success_is_never_due),
        cmocka_unit_test(it_stays_due_until_the_pool_agrees),
        cmocka_unit_test(old_outcomes_are_pushed_out_by_new_ones),
        cmocka_unit_test(ejections_grow_to_a_minute),
        cmocka_unit_test(jitter_uses_its_whole_quarter),
        cmocka_unit_test(each_good_minute_takes_one_step_back),
        cmocka_unit_test(late_answers_do_not_count_against_the_next_chance),
        cmocka_unit_test(reset_forgets_outcomes_but_not_the_level),
        cmocka_unit_test(a_node_without_a_past_is_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
