/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/quota.h"

#define N_NODES 2
#define S       NSEC_PER_SEC

/* Two nodes, and two loops that reach both. */
struct world {
    struct quota q;
    struct net_loop loops[2];
    struct quota_member members[2][N_NODES]; /* by loop, by node */
};

static void deliver(struct net_mail *mail)
{
    (void)mail; /* tests look with quota_receive() */
}

static int setup(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof(w));
    *state = &w;
    if (quota_init(&w.q, N_NODES) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (net_loop_init(&w.loops[i]) < 0)
            return -1;
        for (uint16_t k = 0; k < N_NODES; k++) {
            w.members[i][k].mail.deliver = deliver;
            quota_join(&w.q, &w.members[i][k], k, &w.loops[i]);
        }
    }
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 2; i++)
        net_loop_fini(&w->loops[i]);
    quota_fini(&w->q);
    return 0;
}

/* Permits that mail has brought. */
static uint32_t granted(struct quota_member *m)
{
    uint32_t n_granted;
    uint32_t n_wanted;

    quota_receive(m, &n_granted, &n_wanted);
    return n_granted;
}

static uint32_t wanted(struct quota_member *m)
{
    uint32_t n_granted;
    uint32_t n_wanted;

    quota_receive(m, &n_granted, &n_wanted);
    return n_wanted;
}

static void a_node_gets_no_more_than_its_size_over_all_loops(void **state)
{
    struct world *w = *state;

    quota_configure(&w->q, 100, 2);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    assert_int_equal(quota_take(&w->members[1][0], S), 0);
    assert_int_equal(quota_take(&w->members[0][0], S), QUOTA_FULL);
    assert_int_equal(quota_take(&w->members[0][1], S), 0); /* the other node */
    quota_give(&w->members[1][0]);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
}

static void all_nodes_together_get_no_more_than_the_maximum(void **state)
{
    struct world *w = *state;

    quota_configure(&w->q, 2, QUOTA_UNLIMITED);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    assert_int_equal(quota_take(&w->members[1][1], S), 0);
    assert_int_equal(quota_take(&w->members[0][0], S), QUOTA_FULL);
    assert_int_equal(quota_take(&w->members[0][1], S), QUOTA_FULL);
}

static void a_permit_goes_to_who_has_waited_longest_whatever_its_loop(void **state)
{
    struct world *w = *state;
    struct quota_wait first = {0};
    struct quota_wait second = {0};

    quota_configure(&w->q, 100, 1);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    quota_queue(&w->members[1][0], &first);
    quota_queue(&w->members[0][0], &second);
    /* nobody passes by those that wait */
    quota_give(&w->members[0][0]);
    assert_int_equal(quota_take(&w->members[0][0], S), QUOTA_FULL);
    assert_int_equal(granted(&w->members[1][0]), 1);
    assert_int_equal(granted(&w->members[0][0]), 0);
    quota_give(&w->members[1][0]);
    assert_int_equal(granted(&w->members[0][0]), 1);
}

static void who_leaves_the_line_gets_nothing(void **state)
{
    struct world *w = *state;
    struct quota_wait wait = {0};

    quota_configure(&w->q, 100, 1);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    quota_queue(&w->members[0][0], &wait);
    quota_unqueue(&w->members[0][0], &wait);
    quota_unqueue(&w->members[0][0], &wait);
    quota_give(&w->members[0][0]);
    assert_int_equal(granted(&w->members[0][0]), 0);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
}

static void an_idle_connection_of_another_loop_is_asked_for(void **state)
{
    struct world *w = *state;
    struct quota_wait wait = {0};

    quota_configure(&w->q, 100, 1);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    quota_count(&w->members[0][0].n_idle);
    quota_queue(&w->members[1][0], &wait);
    assert_int_equal(wanted(&w->members[0][0]), 1);
}

static void where_all_together_are_too_many_one_of_another_node_is_asked_for(void **state)
{
    struct world *w = *state;
    struct quota_wait wait = {0};

    quota_configure(&w->q, 1, QUOTA_UNLIMITED);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    quota_count(&w->members[0][0].n_idle);
    quota_queue(&w->members[0][1], &wait);
    assert_int_equal(wanted(&w->members[0][0]), 1);
}

static void an_idle_connection_is_kept_handed_on_or_closed(void **state)
{
    struct world *w = *state;
    struct quota_wait wait = {0};

    quota_configure(&w->q, 100, 1);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    assert_int_equal(quota_judge(&w->members[0][0]), QUOTA_KEEP);
    quota_queue(&w->members[0][0], &wait);
    assert_int_equal(quota_judge(&w->members[0][0]), QUOTA_HAND);
    quota_unqueue(&w->members[0][0], &wait);
    quota_queue(&w->members[1][0], &wait);
    assert_int_equal(quota_judge(&w->members[0][0]), QUOTA_CLOSE);
}

static void a_larger_size_lets_those_in_that_wait(void **state)
{
    struct world *w = *state;
    struct quota_wait waits[3] = {0};

    quota_configure(&w->q, 100, 1);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    for (int i = 0; i < 3; i++)
        quota_queue(&w->members[0][0], &waits[i]);
    quota_configure(&w->q, 100, 3);
    assert_int_equal(granted(&w->members[0][0]), 2);
}

static void a_smaller_size_closes_what_becomes_idle(void **state)
{
    struct world *w = *state;

    quota_configure(&w->q, 100, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(quota_take(&w->members[0][0], S), 0);
    quota_configure(&w->q, 100, 2);
    assert_int_equal(quota_judge(&w->members[0][0]), QUOTA_CLOSE);
    quota_give(&w->members[0][0]);
    assert_int_equal(quota_judge(&w->members[0][0]), QUOTA_KEEP);
}

static void a_member_stays_while_mail_is_on_its_way(void **state)
{
    struct world *w = *state;
    struct quota_wait wait = {0};

    quota_configure(&w->q, 100, 1);
    assert_int_equal(quota_take(&w->members[0][0], S), 0);
    quota_queue(&w->members[1][0], &wait);
    quota_give(&w->members[0][0]);
    assert_int_equal(quota_leave(&w->members[1][0]), -EBUSY);
    assert_int_equal(granted(&w->members[1][0]), 1);
    quota_give(&w->members[1][0]);
    assert_int_equal(quota_leave(&w->members[1][0]), 0);
}

static void the_automatic_size_is_rate_times_response_time_within_bounds(void **state)
{
    static const struct {
        double rate;
        double response;
        uint32_t size;
    } rows[] = {
        {0, 0, 10},     {1, 3, 10},  {5, 2, 10},     {5, 2.1, 11},
        {100, 0.3, 30}, {10, 5, 50}, {1000, 60, 50},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(quota_auto_size(rows[i].rate, rows[i].response), rows[i].size);
}

static void the_automatic_size_follows_what_is_asked(void **state)
{
    struct world *w = *state;
    struct quota_member *m = &w->members[0][0];
    struct pool_counters c;

    quota_configure(&w->q, 1000, QUOTA_AUTO);
    quota_look(&w->q, 0, &c);
    assert_int_equal(c.max, 10);
    assert_int_equal(quota_take(m, 10 * S), 0); /* begins to measure */
    /* in one second 40 are asked and done, of half a second each */
    atomic_store(&m->n_asked, 40);
    atomic_store(&m->n_done, 40);
    atomic_store(&m->busy_ns, 20 * S);
    assert_int_equal(quota_take(m, 11 * S), 0);
    quota_look(&w->q, 0, &c);
    assert_int_equal(c.max, 20);
    /* and then nothing */
    assert_int_equal(quota_take(m, 12 * S), 0);
    quota_look(&w->q, 0, &c);
    assert_int_equal(c.max, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_gets_no_more_than_its_size_over_all_loops),
        TEST(all_nodes_together_get_no_more_than_the_maximum),
        TEST(a_permit_goes_to_who_has_waited_longest_whatever_its_loop),
        TEST(who_leaves_the_line_gets_nothing),
        TEST(an_idle_connection_of_another_loop_is_asked_for),
        TEST(where_all_together_are_too_many_one_of_another_node_is_asked_for),
        TEST(an_idle_connection_is_kept_handed_on_or_closed),
        TEST(a_larger_size_lets_those_in_that_wait),
        TEST(a_smaller_size_closes_what_becomes_idle),
        TEST(a_member_stays_while_mail_is_on_its_way),
        cmocka_unit_test(the_automatic_size_is_rate_times_response_time_within_bounds),
        TEST(the_automatic_size_follows_what_is_asked),
    };

    return cmocka_run_group_tests_name("upstream/quota", tests, NULL, NULL);
}
