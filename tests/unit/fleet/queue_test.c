/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/queue.h"

static void put(struct queue *q, struct queue_waiter *w, uint64_t model, bool is_first)
{
    assert_int_equal(queue_put(q, w, model, is_first), 0);
}

static void remove_all(struct queue *q, struct queue_waiter *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        queue_remove(q, &w[i]);
    assert_int_equal(q->n_waiting, 0);
    assert_true(list_is_empty(&q->lines));
}

static void first_come_is_first_served(void **state)
{
    struct queue_waiter w[3] = {0};
    struct queue q;

    (void)state;
    queue_init(&q, (struct queue_limits){10, 1000});
    for (int i = 0; i < 3; i++)
        put(&q, &w[i], 1, true);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(queue_head(queue_find(&q, 1)), &w[i]);
        queue_remove(&q, &w[i]);
    }
    assert_null(queue_find(&q, 1));
}

static void who_comes_back_stands_in_front(void **state)
{
    struct queue_waiter w[2] = {0};
    struct queue q;

    (void)state;
    queue_init(&q, (struct queue_limits){1, 1000});
    put(&q, &w[0], 1, true);
    put(&q, &w[1], 1, false); /* it was counted when it came first */
    assert_ptr_equal(queue_head(queue_find(&q, 1)), &w[1]);
    remove_all(&q, w, 2);
}

static void each_model_has_a_line_and_a_bound_of_its_own(void **state)
{
    struct queue_waiter w[3] = {0};
    struct queue_waiter more = {0};
    struct queue q;

    (void)state;
    queue_init(&q, (struct queue_limits){2, 1000});
    put(&q, &w[0], 1, true);
    put(&q, &w[1], 1, true);
    assert_int_equal(queue_put(&q, &more, 1, true), QUEUE_FULL);
    assert_null(more.line);
    put(&q, &w[2], 2, true);
    assert_ptr_equal(queue_head(queue_find(&q, 2)), &w[2]);
    remove_all(&q, w, 3);
}

static void bodies_are_bounded_together(void **state)
{
    struct queue_waiter w[2] = {{.n_bytes = 600}, {.n_bytes = 400}};
    struct queue_waiter more = {.n_bytes = 1};
    struct queue q;

    (void)state;
    queue_init(&q, (struct queue_limits){10, 1000});
    put(&q, &w[0], 1, true);
    put(&q, &w[1], 1, true);
    assert_int_equal(queue_put(&q, &more, 1, true), QUEUE_FULL);
    queue_remove(&q, &w[1]);
    put(&q, &more, 1, true);
    queue_remove(&q, &more);
    queue_remove(&q, &more); /* twice is once */
    remove_all(&q, w, 1);
}

static void without_a_queue_nobody_waits(void **state)
{
    struct queue_waiter w = {0};
    struct queue q;

    (void)state;
    queue_init(&q, (struct queue_limits){0, 1000});
    assert_int_equal(queue_put(&q, &w, 1, true), QUEUE_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_is_first_served),
        cmocka_unit_test(who_comes_back_stands_in_front),
        cmocka_unit_test(each_model_has_a_line_and_a_bound_of_its_own),
        cmocka_unit_test(bodies_are_bounded_together),
        cmocka_unit_test(without_a_queue_nobody_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
