/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "call/pool.h"

#define S     NSEC_PER_SEC
#define START (5000 * S)

/* Three members, busy. */
static void make(struct pool *p, struct pool_member m[static 3], uint32_t max_idle, nsec_t timeout)
{
    pool_init(p, max_idle, timeout);
    for (int i = 0; i < 3; i++)
        pool_join(p, &m[i], NSEC_NEVER);
}

static void an_empty_pool_has_none_to_take(void **state)
{
    struct pool p;

    (void)state;
    pool_init(&p, 4, 60 * S);
    assert_null(pool_take(&p));
    assert_null(pool_expired(&p, NSEC_NEVER));
    assert_int_equal(pool_next_expiry(&p), NSEC_NEVER);
}

static void the_newest_is_taken_first(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 4, 60 * S);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_put(&p, &m[i], START + i * S), 0);
    assert_int_equal(p.n_idle, 3);
    assert_int_equal(p.n_busy, 0);
    assert_ptr_equal(pool_take(&p), &m[2]);
    assert_ptr_equal(pool_take(&p), &m[1]);
    assert_int_equal(pool_put(&p, &m[2], START + 9 * S), 0);
    assert_ptr_equal(pool_take(&p), &m[2]);
    assert_ptr_equal(pool_take(&p), &m[0]);
    assert_null(pool_take(&p));
    assert_int_equal(p.n_busy, 3);
}

static void the_surplus_is_not_kept(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 2, 60 * S);
    assert_int_equal(pool_put(&p, &m[0], START), 0);
    assert_int_equal(pool_put(&p, &m[1], START), 0);
    assert_int_equal(pool_put(&p, &m[2], START), POOL_FULL);
    assert_int_equal(p.n_busy, 1);
    pool_leave(&p, &m[2]);
    assert_int_equal(p.n_busy, 0);
    assert_int_equal(p.n_idle, 2);
}

static void a_pool_of_zero_keeps_none(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 0, 60 * S);
    assert_int_equal(pool_put(&p, &m[0], START), POOL_FULL);
}

static void the_oldest_expires_first_and_exactly_in_time(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 4, 60 * S);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_put(&p, &m[i], START + i * S), 0);
    assert_int_equal(pool_next_expiry(&p), START + 60 * S);
    assert_null(pool_expired(&p, START + 60 * S - 1));
    assert_ptr_equal(pool_expired(&p, START + 60 * S), &m[0]);
    pool_leave(&p, &m[0]);
    assert_null(pool_expired(&p, START + 60 * S));
    assert_int_equal(pool_next_expiry(&p), START + 61 * S);
}

static void without_a_timeout_none_expires(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 4, NSEC_NEVER);
    assert_int_equal(pool_put(&p, &m[0], START), 0);
    assert_int_equal(pool_next_expiry(&p), NSEC_NEVER);
    assert_null(pool_expired(&p, NSEC_NEVER - 1));
}

static void a_member_leaves_from_the_middle(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 4, 60 * S);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_put(&p, &m[i], START + i * S), 0);
    pool_leave(&p, &m[1]);
    assert_int_equal(p.n_idle, 2);
    assert_ptr_equal(pool_take(&p), &m[2]);
    assert_ptr_equal(pool_take(&p), &m[0]);
    assert_null(pool_take(&p));
}

static void one_that_is_too_old_is_not_kept_and_an_idle_one_expires_by_age(void **state)
{
    struct pool_member m[2];
    struct pool p;

    (void)state;
    pool_init(&p, 4, NSEC_NEVER);
    pool_join(&p, &m[0], START + 10 * S);
    pool_join(&p, &m[1], START + 20 * S);
    assert_int_equal(pool_put(&p, &m[0], START + 10 * S), POOL_OLD);
    assert_int_equal(pool_put(&p, &m[1], START + 11 * S), 0);
    assert_int_equal(pool_next_expiry(&p), START + 20 * S);
    assert_null(pool_expired(&p, START + 20 * S - 1));
    assert_ptr_equal(pool_expired(&p, START + 20 * S), &m[1]);
}

static void the_fewest_stay_however_long_they_idle(void **state)
{
    struct pool_member m[3];
    struct pool p;

    (void)state;
    make(&p, m, 4, 60 * S);
    p.min_idle = 2;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_put(&p, &m[i], START + i * S), 0);
    assert_ptr_equal(pool_expired(&p, START + 1000 * S), &m[0]);
    pool_leave(&p, &m[0]);
    assert_null(pool_expired(&p, START + 1000 * S));
    assert_int_equal(pool_next_expiry(&p), NSEC_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_pool_has_none_to_take),
        cmocka_unit_test(the_newest_is_taken_first),
        cmocka_unit_test(the_surplus_is_not_kept),
        cmocka_unit_test(a_pool_of_zero_keeps_none),
        cmocka_unit_test(the_oldest_expires_first_and_exactly_in_time),
        cmocka_unit_test(without_a_timeout_none_expires),
        cmocka_unit_test(a_member_leaves_from_the_middle),
        cmocka_unit_test(one_that_is_too_old_is_not_kept_and_an_idle_one_expires_by_age),
        cmocka_unit_test(the_fewest_stay_however_long_they_idle),
    };

    return cmocka_run_group_tests_name("call/pool", tests, NULL, NULL);
}
