/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/affinity.h"

#define S NSEC_PER_SEC

static char text[700 * 1024];

static struct prefix prefix_of(size_t len)
{
    struct prefix p;

    prefix_read(&p, 1, STR_NULL, str_make(text, len));
    return p;
}

static int setup(void **state)
{
    static struct affinity a;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i * 7919 % 26);
    *state = &a;
    return affinity_init(&a);
}

static int teardown(void **state)
{
    affinity_fini(*state);
    return 0;
}

static uint32_t learn(struct affinity *a, const struct prefix *p, uint16_t node)
{
    const struct prefix_known known = affinity_look(a, p);

    affinity_learn(a, p, &known, node, 1);
    return known.n;
}

static void a_session_has_the_node_it_was_at_until_it_is_forgotten(void **state)
{
    struct affinity *a = *state;

    assert_int_equal(affinity_home(a, 5, 60 * S, S), AFFINITY_NO_NODE);
    affinity_put_home(a, 5, 3, S);
    assert_int_equal(affinity_home(a, 5, 60 * S, 2 * S), 3);
    assert_int_equal(affinity_home(a, 5, 60 * S, 61 * S), AFFINITY_NO_NODE);
    affinity_put_home(a, 5, 4, 62 * S);
    assert_int_equal(affinity_home(a, 5, 60 * S, 63 * S), 4);
}

static void a_prompt_that_goes_on_has_the_marks_of_its_beginning(void **state)
{
    const struct prefix shorter = prefix_of(10 * 1024 + 5);
    const struct prefix longer = prefix_of(30 * 1024);

    (void)state;
    assert_int_equal(shorter.n, 10);
    assert_int_equal(longer.n, 19);
    for (uint32_t i = 0; i < shorter.n; i++)
        assert_int_equal(shorter.marks[i], longer.marks[i]);
    assert_int_equal(prefix_of(1023).n, 0);
    assert_int_equal(prefix_of(sizeof(text)).n, PREFIX_MARKS);
}

static void another_model_or_system_prompt_shares_nothing(void **state)
{
    struct prefix a;
    struct prefix b;

    (void)state;
    prefix_read(&a, 1, STR("be brief"), str_make(text, 5000));
    prefix_read(&b, 2, STR("be brief"), str_make(text, 5000));
    assert_int_not_equal(a.marks[0], b.marks[0]);
    prefix_read(&b, 1, STR("be long"), str_make(text, 5000));
    assert_int_not_equal(a.marks[3], b.marks[3]);
}

static void a_long_system_prompt_is_a_mark_of_its_own(void **state)
{
    const struct str system = str_make(text, 3000);
    struct prefix a;
    struct prefix b;

    (void)state;
    prefix_read(&a, 1, system, STR("one question"));
    prefix_read(&b, 1, system, STR("another"));
    assert_int_equal(a.n, 1);
    assert_int_equal(a.marks[0], b.marks[0]);
}

static void what_is_known_of_a_prompt_is_found(void **state)
{
    struct affinity *a = *state;
    const struct prefix shorter = prefix_of(10 * 1024);
    const struct prefix longer = prefix_of(300 * 1024);
    struct prefix_known known;

    assert_int_equal(learn(a, &shorter, 2), 0);
    known = affinity_look(a, &longer);
    assert_int_equal(known.n, 10);
    assert_true(prefix_is_known_by(&known, 2));
    assert_false(prefix_is_known_by(&known, 3));
    assert_int_equal(learn(a, &longer, 2), 10);
    assert_int_equal(learn(a, &longer, 2), longer.n);
}

static void the_latest_nodes_are_remembered(void **state)
{
    struct affinity *a = *state;
    const struct prefix p = prefix_of(4096);
    struct prefix_known known;

    for (uint16_t node = 1; node <= PREFIX_NODES + 1; node++)
        (void)learn(a, &p, node);
    known = affinity_look(a, &p);
    assert_false(prefix_is_known_by(&known, 1));
    for (uint16_t node = 2; node <= PREFIX_NODES + 1; node++)
        assert_true(prefix_is_known_by(&known, node));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_has_the_node_it_was_at_until_it_is_forgotten),
        TEST(a_prompt_that_goes_on_has_the_marks_of_its_beginning),
        TEST(another_model_or_system_prompt_shares_nothing),
        TEST(a_long_system_prompt_is_a_mark_of_its_own),
        TEST(what_is_known_of_a_prompt_is_found),
        TEST(the_latest_nodes_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
