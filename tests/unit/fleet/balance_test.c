/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/balance.h"

#define N 8
#define S NSEC_PER_SEC

/*
 * What every strategy keeps to. A crowd of candidates, any of them full or idle, by chance.
 */

struct crowd {
    struct balance_node nodes[N];
    size_t n;
    struct rng rng;
    struct balance_ask ask;
};

static void make_nodes(struct crowd *c, size_t n)
{
    c->n = n;
    for (size_t i = 0; i < n; i++)
        c->nodes[i] = (struct balance_node){.index = (uint16_t)(i + 10),
                                            .weight = 100,
                                            .n_free = 1,
                                            .wait = -1,
                                            .name = i * UINT64_C(0x9e3779b97f4a7c15)};
    c->ask = (struct balance_ask){
        .home = BALANCE_NO_HOME, .bounded_load = 1.25, .load_ns = 5 * S, .rng = &c->rng};
}

static void shake(struct crowd *c)
{
    make_nodes(c, 1 + rng_below(&c->rng, N));
    for (size_t i = 0; i < c->n; i++) {
        struct balance_node *node = &c->nodes[i];

        node->in_flight = (uint32_t)rng_below(&c->rng, 6);
        node->n_free = (uint32_t)rng_below(&c->rng, 3);
        node->weight = 100 * (uint32_t)(1 + rng_below(&c->rng, 3));
        node->turn = rng_next(&c->rng);
        node->is_warm = rng_below(&c->rng, 2) == 1;
        node->wait = rng_below(&c->rng, 2) == 1 ? (nsec_t)rng_below(&c->rng, 10) * S : -1;
        node->n_known = (uint32_t)rng_below(&c->rng, 3);
    }
    c->ask.source = rng_next(&c->rng);
    c->ask.home = (uint16_t)(10 + rng_below(&c->rng, N));
}

static bool has_free(const struct crowd *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->nodes[i].n_free > 0)
            return true;
    return false;
}

static bool has_warm(const struct crowd *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->nodes[i].is_warm)
            return true;
    return false;
}

static size_t pick(struct crowd *c, int strategy)
{
    return balance_get((enum balance_strategy)strategy)->pick(c->nodes, c->n, &c->ask);
}

static void only_a_free_slot_is_given(void **state)
{
    struct crowd c = {.rng = {.state = 1}};

    (void)state;
    for (int s = 0; s < N_BALANCE_STRATEGIES; s++)
        for (int i = 0; i < 2000; i++) {
            size_t at;

            shake(&c);
            at = pick(&c, s);
            if (at != BALANCE_WAIT)
                assert_true(at < c.n && c.nodes[at].n_free > 0);
            else if (s == BALANCE_WARM)
                assert_true(!has_free(&c) || has_warm(&c));
            else
                assert_false(has_free(&c));
        }
}

static void nobody_is_left_out_for_ever(void **state)
{
    struct crowd c = {.rng = {.state = 2}};

    (void)state;
    for (int s = 0; s < N_BALANCE_STRATEGIES; s++) {
        unsigned n[4] = {0};

        make_nodes(&c, 4);
        for (uint64_t turn = 1; turn <= 400; turn++) {
            size_t at;

            c.ask.source = turn; /* another client each time, and each stays for a while */
            at = pick(&c, s);
            assert_true(at < 4);
            n[at]++;
            c.nodes[at].turn = turn;
            c.nodes[at].pass += 0.01;
            c.nodes[at].in_flight++;
            if (turn % 4 == 0)
                for (int i = 0; i < 4; i++)
                    c.nodes[i].in_flight -= c.nodes[i].in_flight > 0;
        }
        for (int i = 0; i < 4; i++)
            assert_in_range(n[i], 20, 200);
    }
}

static void the_order_of_the_candidates_means_nothing(void **state)
{
    struct crowd c = {.rng = {.state = 3}};

    (void)state;
    for (int s = 0; s < N_BALANCE_STRATEGIES; s++) {
        if (s == BALANCE_P2C)
            continue; /* chance decides there */
        for (int i = 0; i < 500; i++) {
            struct crowd turned;
            size_t a;
            size_t b;

            shake(&c);
            turned = c;
            for (size_t k = 0; k < c.n; k++)
                turned.nodes[k] = c.nodes[c.n - 1 - k];
            a = pick(&c, s);
            b = pick(&turned, s);
            assert_int_equal(a == BALANCE_WAIT, b == BALANCE_WAIT);
            if (a != BALANCE_WAIT)
                assert_int_equal(c.nodes[a].index, turned.nodes[b].index);
        }
    }
}

/*
 * What each of them is for.
 */

static void round_robin_takes_turns(void **state)
{
    struct crowd c = {.rng = {.state = 4}};

    (void)state;
    make_nodes(&c, 3);
    for (uint64_t turn = 1; turn <= 9; turn++) {
        size_t at = pick(&c, BALANCE_ROUND_ROBIN);

        assert_int_equal(at, (turn - 1) % 3);
        c.nodes[at].turn = turn;
    }
}

static void shares_are_by_weight(void **state)
{
    struct crowd c = {.rng = {.state = 5}};
    unsigned n[2] = {0};

    (void)state;
    make_nodes(&c, 2);
    c.nodes[1].weight = 300;
    for (uint64_t turn = 1; turn <= 400; turn++) {
        size_t at = pick(&c, BALANCE_WEIGHTED);

        n[at]++;
        c.nodes[at].turn = turn;
        c.nodes[at].pass += 1.0 / c.nodes[at].weight;
    }
    assert_in_range(n[1], 299, 301);
}

static void the_least_loaded_for_its_weight_is_next(void **state)
{
    struct crowd c = {.rng = {.state = 6}};

    (void)state;
    make_nodes(&c, 2);
    c.nodes[0].in_flight = 2;
    c.nodes[1].in_flight = 3;
    assert_int_equal(pick(&c, BALANCE_LEAST_LOADED), 0);
    c.nodes[1].weight = 200;
    assert_int_equal(pick(&c, BALANCE_LEAST_LOADED), 1);
}

static void two_choices_never_take_the_worst(void **state)
{
    struct crowd c = {.rng = {.state = 7}};

    (void)state;
    make_nodes(&c, 5);
    for (uint32_t i = 0; i < 5; i++)
        c.nodes[i].in_flight = i;
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(pick(&c, BALANCE_P2C), 4);
}

static void a_client_keeps_its_node_when_another_leaves(void **state)
{
    struct crowd c = {.rng = {.state = 8}};
    unsigned n_moved = 0;

    (void)state;
    for (uint64_t source = 1; source <= 1000; source++) {
        uint16_t before;
        size_t at;

        make_nodes(&c, 5);
        c.ask.source = source;
        before = c.nodes[pick(&c, BALANCE_SOURCE_HASH)].index;
        c.n = 4; /* the last one leaves */
        at = pick(&c, BALANCE_SOURCE_HASH);
        if (before != 14)
            assert_int_equal(c.nodes[at].index, before);
        n_moved += before == 14;
    }
    assert_in_range(n_moved, 150, 250);
}

static void no_client_loads_a_node_over_its_bound(void **state)
{
    struct crowd c = {.rng = {.state = 9}};

    (void)state;
    make_nodes(&c, 4);
    c.ask.source = 42; /* all of them one client's */
    for (unsigned i = 0; i < 100; i++) {
        size_t at = pick(&c, BALANCE_SOURCE_HASH);

        c.nodes[at].in_flight++;
        assert_true(c.nodes[at].in_flight <= 1.25 * (i + 1) / 4 + 1);
    }
}

static void a_session_keeps_its_node_until_that_is_overloaded(void **state)
{
    struct crowd c = {.rng = {.state = 10}};

    (void)state;
    make_nodes(&c, 4);
    c.ask.home = c.nodes[2].index;
    for (int i = 0; i < 4; i++)
        c.nodes[i].in_flight = 3;
    assert_int_equal(pick(&c, BALANCE_COOKIE), 2);
    c.nodes[2].in_flight = 8;
    assert_int_not_equal(pick(&c, BALANCE_COOKIE), 2);
    c.nodes[2].in_flight = 3;
    c.nodes[2].n_free = 0;
    assert_int_not_equal(pick(&c, BALANCE_COOKIE), 2);
    c.ask.home = 99; /* it is gone */
    assert_true(pick(&c, BALANCE_COOKIE) < 4);
}

static void the_longest_known_prefix_wins(void **state)
{
    struct crowd c = {.rng = {.state = 11}};

    (void)state;
    make_nodes(&c, 4);
    c.nodes[1].n_known = 3;
    c.nodes[3].n_known = 5;
    assert_int_equal(pick(&c, BALANCE_PREFIX), 3);
    c.nodes[3].in_flight = 9;
    assert_int_equal(pick(&c, BALANCE_PREFIX), 1);
}

static void warm_goes_where_the_model_is(void **state)
{
    struct crowd c = {.rng = {.state = 12}};

    (void)state;
    make_nodes(&c, 3);
    c.nodes[2].is_warm = true;
    c.nodes[2].in_flight = 5;
    assert_int_equal(pick(&c, BALANCE_WARM), 2);
}

static void warm_waits_when_that_is_shorter_than_a_load(void **state)
{
    struct crowd c = {.rng = {.state = 13}};

    (void)state;
    make_nodes(&c, 3);
    c.nodes[2].is_warm = true;
    c.nodes[2].n_free = 0;
    c.nodes[2].wait = 2 * S;
    assert_int_equal(pick(&c, BALANCE_WARM), BALANCE_WAIT);
    c.nodes[2].wait = 6 * S;
    assert_true(pick(&c, BALANCE_WARM) < 2);
    c.nodes[2].wait = -1; /* nobody knows: it may be for ever */
    assert_true(pick(&c, BALANCE_WARM) < 2);
}

static void warm_loads_where_least_has_to_go(void **state)
{
    struct crowd c = {.rng = {.state = 14}};

    (void)state;
    make_nodes(&c, 3);
    c.nodes[0].loaded_bytes = 8;
    c.nodes[1].loaded_bytes = 4;
    c.nodes[2].loaded_bytes = 6;
    assert_int_equal(pick(&c, BALANCE_WARM), 1);
    c.nodes[2].loaded_bytes = 0;
    c.nodes[2].in_flight = 3;
    assert_int_equal(pick(&c, BALANCE_WARM), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_free_slot_is_given),
        cmocka_unit_test(nobody_is_left_out_for_ever),
        cmocka_unit_test(the_order_of_the_candidates_means_nothing),
        cmocka_unit_test(round_robin_takes_turns),
        cmocka_unit_test(shares_are_by_weight),
        cmocka_unit_test(the_least_loaded_for_its_weight_is_next),
        cmocka_unit_test(two_choices_never_take_the_worst),
        cmocka_unit_test(a_client_keeps_its_node_when_another_leaves),
        cmocka_unit_test(no_client_loads_a_node_over_its_bound),
        cmocka_unit_test(a_session_keeps_its_node_until_that_is_overloaded),
        cmocka_unit_test(the_longest_known_prefix_wins),
        cmocka_unit_test(warm_goes_where_the_model_is),
        cmocka_unit_test(warm_waits_when_that_is_shorter_than_a_load),
        cmocka_unit_test(warm_loads_where_least_has_to_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
