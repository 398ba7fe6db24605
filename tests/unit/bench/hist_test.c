/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "bench/hist.h"

#define N 20000

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* A value of any size: each power of two is as likely. */
static uint64_t draw(struct rng *rng)
{
    return rng_next(rng) & ((UINT64_C(1) << rng_below(rng, 43)) - 1);
}

static void an_empty_one_says_zero(void **state)
{
    static const struct hist h;

    (void)state;
    assert_int_equal(hist_at(&h, 0.5), 0);
    assert_int_equal(hist_at(&h, 1), 0);
    assert_true(hist_mean(&h) < 1e-9);
}

static void small_values_are_exact(void **state)
{
    struct hist h = {0};

    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        hist_put(&h, i);
    assert_int_equal(hist_at(&h, 0), 1);
    assert_int_equal(hist_at(&h, 0.01), 1);
    assert_int_equal(hist_at(&h, 0.5), 50);
    assert_int_equal(hist_at(&h, 0.99), 99);
    assert_int_equal(hist_at(&h, 1), 100);
    assert_int_equal((int)(hist_mean(&h) * 10), 505);
}

static void a_value_is_read_back_within_the_stated_error(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (int i = 0; i < N; i++) {
        struct hist h = {0};
        uint64_t value = draw(&rng);

        hist_put(&h, value);
        hist_put(&h, HIST_MAX); /* so that the greatest does not bound what is read */
        assert_true(hist_at(&h, 0.5) >= value);
        assert_true((double)(hist_at(&h, 0.5) - value) <= HIST_ERROR * (double)value);
    }
}

static void percentiles_are_those_of_the_sorted_values(void **state)
{
    static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    static uint64_t values[N];
    struct hist h = {0};
    struct rng rng = {2};

    (void)state;
    for (size_t i = 0; i < N; i++) {
        values[i] = draw(&rng);
        hist_put(&h, values[i]);
    }
    qsort(values, N, sizeof(values[0]), compare);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t exact = values[(size_t)(shares[i] * N) - 1];

        assert_true(hist_at(&h, shares[i]) >= exact);
        assert_true((double)(hist_at(&h, shares[i]) - exact) <= HIST_ERROR * (double)exact);
    }
    assert_int_equal(h.least, values[0]);
    assert_int_equal(h.greatest, values[N - 1]);
}

static void what_is_too_great_is_counted_as_the_greatest(void **state)
{
    struct hist h = {0};

    (void)state;
    hist_put(&h, UINT64_MAX);
    hist_put(&h, HIST_MAX);
    assert_int_equal(h.n, 2);
    assert_int_equal(hist_at(&h, 1), HIST_MAX);
}

static void merged_ones_are_as_one_that_saw_everything(void **state)
{
    static struct hist parts[3];
    static struct hist merged;
    static struct hist whole;
    struct rng rng = {3};

    (void)state;
    for (int i = 0; i < N; i++) {
        uint64_t value = draw(&rng);

        hist_put(&whole, value);
        hist_put(&parts[i % 2], value); /* the third stays empty */
    }
    for (int i = 0; i < 3; i++)
        hist_merge(&merged, &parts[i]);
    assert_memory_equal(&merged, &whole, sizeof(whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_says_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(a_value_is_read_back_within_the_stated_error),
        cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
        cmocka_unit_test(what_is_too_great_is_counted_as_the_greatest),
        cmocka_unit_test(merged_ones_are_as_one_that_saw_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
