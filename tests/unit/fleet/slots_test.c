/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/slots.h"

#define MS      NSEC_PER_MSEC
#define SERVICE (100 * MS)

static const struct residency x = {1, 0};

/*
 * A node that works on @n_own requests at once, each for SERVICE, and a crowd that always has one
 * more: what the limit is after @n_requests.
 */
struct node {
    struct slots_table t;
    uint32_t n_own;
    nsec_t now;
    struct flight {
        struct slot slot;
        nsec_t begins;
        nsec_t ends;
    } flights[64];
    size_t n_flights;
    nsec_t busy_until[64]; /* of each of its own slots */
};

static void send(struct node *n)
{
    struct flight *f = &n->flights[n->n_flights++];
    uint32_t first = 0;

    assert_int_equal(slots_take(&n->t, SLOTS_AUTO, &x, n->now, &f->slot), 0);
    for (uint32_t i = 1; i < n->n_own; i++)
        if (n->busy_until[i] < n->busy_until[first])
            first = i;
    f->begins = n->busy_until[first] > n->now ? n->busy_until[first] : n->now;
    f->ends = f->begins + SERVICE;
    n->busy_until[first] = f->ends;
}

static void end_earliest(struct node *n, bool is_told)
{
    struct flight *f = &n->flights[0];
    struct slots_told told = {0};

    for (size_t i = 1; i < n->n_flights; i++)
        if (n->flights[i].ends < f->ends ||
            (n->flights[i].ends == f->ends && n->flights[i].slot.n_busy < f->slot.n_busy))
            f = &n->flights[i];
    n->now = f->ends;
    if (is_told)
        told = (struct slots_told){
            .total_ns = (uint64_t)(f->ends - f->slot.taken_at),
            .prompt_ns = SERVICE / 5,
            .eval_ns = SERVICE - SERVICE / 5,
        };
    slots_give(&n->t, &f->slot, &told, n->now);
    *f = n->flights[--n->n_flights];
}

static uint32_t limit_after(uint32_t n_own, unsigned n_requests, bool is_told)
{
    struct node n = {.n_own = n_own, .now = 1};
    unsigned n_sent = 0;
    uint32_t limit;

    while (n_sent < n_requests || n.n_flights > 0) {
        while (n_sent < n_requests && slots_free(&n.t, SLOTS_AUTO, &x) > 0) {
            send(&n);
            n_sent++;
        }
        end_earliest(&n, is_told);
    }
    limit = slots_limit(&n.t, SLOTS_AUTO, &x);
    assert_int_equal(slots_n_held(&n.t), 0);
    slots_fini(&n.t);
    return limit;
}

static void within_twenty_requests_the_slots_of_a_node_are_found(void **state)
{
    (void)state;
    assert_int_equal(limit_after(1, 20, true), 1);
    assert_int_equal(limit_after(2, 20, true), 2);
    assert_int_equal(limit_after(4, 20, true), 4);
}

static void what_was_found_stays_found(void **state)
{
    (void)state;
    for (uint32_t n_own = 1; n_own <= 8; n_own++) {
        uint32_t limit = limit_after(n_own, 1000, true);

        assert_in_range(limit, n_own, n_own + 2); /* a short wait is none; one more is tried */
    }
}

static void a_node_with_many_slots_is_not_held_back_for_long(void **state)
{
    (void)state;
    assert_true(limit_after(32, 100, true) >= 32);
}

static void answers_without_durations_are_taken_on_trust_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(limit_after(1, 200, false), 16);
}

static void begun_answers_prove_their_slots(void **state)
{
    struct slots_table t = {0};
    struct slot slots[4];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(slots_take(&t, SLOTS_AUTO, &x, 1, &slots[i]), 0);
    assert_int_equal(slots_free(&t, SLOTS_AUTO, &x), 0);
    assert_true(slots_wants_begin(&t, SLOTS_AUTO, &slots[0]));
    assert_false(slots_begin(&t, &slots[0]));
    assert_true(slots_begin(&t, &slots[1]));
    assert_false(slots_begin(&t, &slots[1]));
    assert_int_equal(slots_free(&t, SLOTS_AUTO, &x), 2);
    for (int i = 0; i < 2; i++)
        slots_give(&t, &slots[i], NULL, 2);
    assert_int_equal(slots_n_held(&t), 0);
    slots_fini(&t);
}

static void a_given_number_is_kept_to(void **state)
{
    struct slots_table t = {0};
    struct slot a;
    struct slot b;

    (void)state;
    assert_int_equal(slots_free(&t, 2, &x), 2);
    assert_int_equal(slots_take(&t, 2, &x, 1, &a), 0);
    assert_int_equal(slots_take(&t, 2, &x, 1, &b), 0);
    assert_int_equal(slots_free(&t, 2, &x), 0);
    assert_false(slots_wants_begin(&t, 2, &a));
    slots_give(&t, &a, NULL, 2);
    assert_int_equal(slots_free(&t, 2, &x), 1);
    assert_int_equal(slots_free(&t, SLOTS_ANY, &x), SLOTS_ANY);
    slots_give(&t, &b, NULL, 2);
    slots_fini(&t);
}

static void a_model_that_is_busy_is_not_loaded_anew(void **state)
{
    const struct residency longer = {x.model, 7};
    const struct residency other = {2, 7};
    struct slots_table t = {0};
    struct slot a;

    (void)state;
    assert_int_equal(slots_take(&t, 4, &x, 1, &a), 0);
    assert_int_equal(slots_free(&t, 4, &longer), 0);
    assert_int_equal(slots_free(&t, 4, &other), 4);
    assert_int_equal(slots_free(&t, 4, &x), 3);
    slots_give(&t, &a, NULL, 2);
    assert_int_equal(slots_free(&t, 4, &longer), 4);
    slots_fini(&t);
}

static void what_was_cut_off_keeps_its_slot_for_a_while(void **state)
{
    struct slots_table t = {0};
    bool has_freed = false;
    struct slot a;
    nsec_t until;

    (void)state;
    assert_int_equal(slots_take(&t, 1, &x, 1, &a), 0);
    until = slots_keep(&t, &a, 1000);
    assert_true(until > 1000 && until <= 1000 + 5 * NSEC_PER_SEC);
    assert_int_equal(slots_free(&t, 1, &x), 0);
    assert_int_equal(slots_n_held(&t), 0);
    assert_int_equal(slots_settle(&t, until - 1, &has_freed), until);
    assert_false(has_freed);
    assert_int_equal(slots_settle(&t, until, &has_freed), NSEC_NEVER);
    assert_true(has_freed);
    assert_int_equal(slots_free(&t, 1, &x), 1);
    slots_fini(&t);
}

/* The next one, that had to wait all the same for @wait: how long a slot is kept after that. */
static nsec_t linger_after(struct slots_table *t, nsec_t *now, nsec_t wait)
{
    const struct slots_told told = {
        .total_ns = (uint64_t)(SERVICE + wait), .prompt_ns = 1, .eval_ns = SERVICE - 1};
    bool has_freed = false;
    struct slot a;
    nsec_t until;

    assert_int_equal(slots_take(t, SLOTS_AUTO, &x, *now, &a), 0);
    until = slots_keep(t, &a, *now);
    (void)slots_settle(t, until, &has_freed);
    assert_int_equal(slots_take(t, SLOTS_AUTO, &x, until, &a), 0);
    slots_give(t, &a, &told, until + SERVICE + wait);
    *now = until + SERVICE + wait + NSEC_PER_SEC;
    assert_int_equal(slots_take(t, SLOTS_AUTO, &x, *now, &a), 0);
    until = slots_keep(t, &a, *now) - *now;
    (void)slots_settle(t, *now + until, &has_freed);
    return until;
}

static void how_long_a_node_takes_to_notice_is_learned(void **state)
{
    struct slots_table t = {0};
    nsec_t now = 1;
    nsec_t first;

    (void)state;
    first = linger_after(&t, &now, 500 * MS);
    assert_true(first > 500 * MS);
    assert_int_equal(slots_limit(&t, SLOTS_AUTO, &x), 2); /* the limit is not to blame */
    for (int i = 0; i < 10; i++)
        first = linger_after(&t, &now, 900 * MS);
    assert_int_equal(first, 5 * NSEC_PER_SEC);
    assert_true(linger_after(&t, &now, 0) < 5 * NSEC_PER_SEC);
    slots_fini(&t);
}

static void idle_residencies_make_room_and_busy_ones_do_not(void **state)
{
    struct slots_table t = {0};
    struct slot slots[SLOTS_MAX];
    const struct residency more = {SLOTS_MAX, 0};

    (void)state;
    for (uint64_t i = 0; i < SLOTS_MAX; i++) {
        const struct residency what = {i, 0};

        assert_int_equal(slots_take(&t, 1, &what, (nsec_t)i, &slots[i]), 0);
    }
    assert_int_equal(slots_free(&t, 1, &more), 0);
    assert_true(slots_take(&t, 1, &more, 100, &slots[0]) < 0);
    slots_give(&t, &slots[5], NULL, 100);
    assert_int_equal(slots_take(&t, 1, &more, 100, &slots[5]), 0);
    assert_int_equal(slots[5].index, 5);
    for (int i = 0; i < SLOTS_MAX; i++)
        slots_give(&t, &slots[i], NULL, 100);
    assert_int_equal(slots_n_held(&t), 0);
    slots_fini(&t);
}

static void a_node_that_was_started_anew_is_learned_anew(void **state)
{
    struct node n = {.n_own = 1, .now = 1};

    (void)state;
    for (int i = 0; i < 10; i++) {
        while (slots_free(&n.t, SLOTS_AUTO, &x) > 0)
            send(&n);
        end_earliest(&n, true);
    }
    assert_int_equal(slots_limit(&n.t, SLOTS_AUTO, &x), 1);
    slots_forget(&n.t);
    assert_int_equal(slots_limit(&n.t, SLOTS_AUTO, &x), 2);
    while (n.n_flights > 0)
        end_earliest(&n, true);
    assert_int_equal(slots_n_held(&n.t), 0);
    slots_fini(&n.t);
}

static void service_is_the_median_of_the_latest(void **state)
{
    struct slots_table t = {0};
    struct slot a;

    (void)state;
    for (int i = 0; i < 20; i++) {
        const struct slots_told told = {0};

        assert_int_equal(slots_take(&t, 4, &x, 0, &a), 0);
        slots_give(&t, &a, &told, i % 8 == 0 ? 100 * SERVICE : SERVICE);
    }
    assert_int_equal(slots_service(slots_find(&t, &x)), SERVICE);
    slots_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_twenty_requests_the_slots_of_a_node_are_found),
        cmocka_unit_test(what_was_found_stays_found),
        cmocka_unit_test(a_node_with_many_slots_is_not_held_back_for_long),
        cmocka_unit_test(answers_without_durations_are_taken_on_trust_up_to_a_bound),
        cmocka_unit_test(begun_answers_prove_their_slots),
        cmocka_unit_test(a_given_number_is_kept_to),
        cmocka_unit_test(a_model_that_is_busy_is_not_loaded_anew),
        cmocka_unit_test(what_was_cut_off_keeps_its_slot_for_a_while),
        cmocka_unit_test(how_long_a_node_takes_to_notice_is_learned),
        cmocka_unit_test(idle_residencies_make_room_and_busy_ones_do_not),
        cmocka_unit_test(a_node_that_was_started_anew_is_learned_anew),
        cmocka_unit_test(service_is_the_median_of_the_latest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
