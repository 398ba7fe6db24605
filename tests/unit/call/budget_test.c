/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "call/budget.h"

#define S     NSEC_PER_SEC
#define START (5000 * S)

/* How many retries the budget gives at @now. */
static unsigned drain(struct budget *b, nsec_t now)
{
    unsigned n = 0;

    while (n < 100000 && budget_take(b, now))
        n++;
    return n;
}

static void a_few_retries_are_given_without_requests(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 0.10, 10, START);
    assert_int_equal(drain(&b, START), 10);
    assert_false(budget_take(&b, START + 9 * S));
}

static void retries_are_a_share_of_requests(void **state)
{
    static const struct {
        double share;
        uint32_t min_retries;
        unsigned n_requests;
        unsigned n_retries;
    } rows[] = {
        {0.10, 10, 0, 10},     {0.10, 10, 99, 10}, {0.10, 10, 100, 10},  {0.10, 10, 110, 11},
        {0.10, 10, 1000, 100}, {0.10, 0, 9, 0},    {0.10, 0, 10, 1},     {0.0, 0, 1000, 0},
        {0.0, 3, 1000, 3},     {1.0, 0, 50, 50},   {0.5, 10, 1000, 500},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct budget b;

        budget_init(&b, rows[i].share, rows[i].min_retries, START);
        for (unsigned n = 0; n < rows[i].n_requests; n++)
            budget_request(&b, START);
        assert_int_equal(drain(&b, START), rows[i].n_retries);
    }
}

static void what_is_older_than_the_window_is_forgotten(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 0.10, 10, START);
    for (int i = 0; i < 500; i++)
        budget_request(&b, START);
    assert_int_equal(drain(&b, START + 9 * S), 50);
    /* The requests leave the window, the retries do not yet. */
    assert_int_equal(drain(&b, START + 10 * S), 0);
    assert_int_equal(drain(&b, START + 18 * S), 0);
    assert_int_equal(drain(&b, START + 19 * S), 10);
}

static void hours_of_idleness_leave_a_fresh_budget(void **state)
{
    struct budget b;
    nsec_t later = START + 7 * 3600 * S + 123;

    (void)state;
    budget_init(&b, 0.10, 10, START);
    for (int i = 0; i < 10000; i++)
        budget_request(&b, START + i * S / 1000);
    (void)drain(&b, START + 9 * S);
    assert_int_equal(drain(&b, later), 10);
    for (int i = 0; i < 200; i++)
        budget_request(&b, later + S);
    assert_int_equal(drain(&b, later + S), 10);
}

static void a_jump_over_centuries_is_one_step(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 0.10, 10, 0);
    assert_int_equal(drain(&b, 0), 10);
    assert_int_equal(drain(&b, NSEC_NEVER), 10);
}

static void a_clock_that_steps_back_gives_nothing_twice(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 0.10, 10, START);
    assert_int_equal(drain(&b, START + 5 * S), 10);
    for (int back = 0; back < 100; back++)
        assert_false(budget_take(&b, START - back * S));
    assert_false(budget_take(&b, START + 14 * S));
    assert_true(budget_take(&b, START + 15 * S));
}

/* Every attempt fails and every exchange would retry five times. */
static unsigned outage(struct budget *b, unsigned n_requests, nsec_t from, nsec_t span)
{
    unsigned n_retries = 0;

    for (unsigned i = 0; i < n_requests; i++) {
        nsec_t now = from + span * i / n_requests;

        budget_request(b, now);
        for (int retry = 0; retry < 5 && budget_take(b, now); retry++)
            n_retries++;
    }
    return n_retries;
}

static void an_outage_is_not_multiplied_by_its_retries(void **state)
{
    struct budget b;
    unsigned n_retries;

    (void)state;
    budget_init(&b, 0.10, 10, START);
    n_retries = outage(&b, 1000, START, 10 * S);
    assert_in_range(n_retries, 90, 110);
    n_retries = outage(&b, 360000, START + 10 * S, 3600 * S);
    assert_in_range(n_retries, 30000, 36000 * 115 / 100);
}

static void no_ten_seconds_of_an_outage_exceed_the_share_by_much(void **state)
{
    enum {
        N_SECONDS = 600,
        RATE = 50
    };
    unsigned by_second[N_SECONDS] = {0};
    struct budget b;

    (void)state;
    budget_init(&b, 0.10, 10, START);
    for (unsigned second = 0; second < N_SECONDS; second++)
        by_second[second] = outage(&b, RATE, START + second * S, S);
    for (unsigned from = 0; from + 10 <= N_SECONDS; from++) {
        unsigned n = 0;

        for (unsigned i = 0; i < 10; i++)
            n += by_second[from + i];
        assert_true(n <= RATE); /* a tenth of ten seconds */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_retries_are_given_without_requests),
        cmocka_unit_test(retries_are_a_share_of_requests),
        cmocka_unit_test(what_is_older_than_the_window_is_forgotten),
        cmocka_unit_test(hours_of_idleness_leave_a_fresh_budget),
        cmocka_unit_test(a_jump_over_centuries_is_one_step),
        cmocka_unit_test(a_clock_that_steps_back_gives_nothing_twice),
        cmocka_unit_test(an_outage_is_not_multiplied_by_its_retries),
        cmocka_unit_test(no_ten_seconds_of_an_outage_exceed_the_share_by_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
