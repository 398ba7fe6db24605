/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/tally.h"

static struct str text_of(const struct tally *t, enum tally_fault fault)
{
    return str_make(t->texts[fault], t->text_lens[fault]);
}

static void the_first_words_of_a_failure_are_kept(void **state)
{
    static struct tally t;

    (void)state;
    tally_put_fault(&t, TALLY_STATUS, 503, STR_NULL);
    tally_put_fault(&t, TALLY_STATUS, 503, STR("full"));
    tally_put_fault(&t, TALLY_STATUS, 404, STR("gone"));
    tally_put_fault(&t, TALLY_RESET, 0, STR("broken"));
    assert_int_equal(tally_n_failed(&t), 4);
    assert_int_equal(t.n_statuses[503], 2);
    assert_int_equal(t.n_statuses[404], 1);
    assert_true(str_eq(text_of(&t, TALLY_STATUS), STR("full")));
    assert_true(str_eq(text_of(&t, TALLY_RESET), STR("broken")));
}

static void a_status_out_of_range_is_counted_as_zero(void **state)
{
    static struct tally t;

    (void)state;
    tally_put_fault(&t, TALLY_STATUS, 600, STR_NULL);
    tally_put_fault(&t, TALLY_STATUS, 999, STR_NULL);
    assert_int_equal(t.n_statuses[0], 2);
}

static void long_words_are_cut(void **state)
{
    static const char words[2 * TALLY_TEXT_MAX] = {'x'};
    static struct tally t;

    (void)state;
    tally_put_fault(&t, TALLY_ERROR, 0, str_make(words, sizeof(words)));
    assert_int_equal(t.text_lens[TALLY_ERROR], TALLY_TEXT_MAX);
}

static void threads_add_up(void **state)
{
    static struct tally a = {.n_good = 1, .n_unsent = 2, .n_ended = 3, .n_tokens = 4, .n_bytes = 5};
    static struct tally b;

    (void)state;
    tally_put_fault(&a, TALLY_STATUS, 500, STR("first"));
    tally_put_fault(&b, TALLY_STATUS, 500, STR("second"));
    tally_put_fault(&b, TALLY_TIMEOUT, 0, STR("late"));
    hist_put(&a.latency, 10);
    hist_put(&b.latency, 20);
    hist_put(&b.speed, 30);
    tally_merge(&a, &b);
    tally_merge(&a, &b);
    assert_int_equal(a.n_good, 1);
    assert_int_equal(a.n_unsent, 2);
    assert_int_equal(a.n_bytes, 5);
    assert_int_equal(tally_n_failed(&a), 5);
    assert_int_equal(a.n_statuses[500], 3);
    assert_true(str_eq(text_of(&a, TALLY_STATUS), STR("first")));
    assert_true(str_eq(text_of(&a, TALLY_TIMEOUT), STR("late")));
    assert_int_equal(a.latency.n, 3);
    assert_int_equal(a.speed.n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_words_of_a_failure_are_kept),
        cmocka_unit_test(a_status_out_of_range_is_counted_as_zero),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(threads_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
