/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/str.h"

struct item {
    char name;
    struct list link;
};

static void assert_order(struct list *head, const char *want)
{
    char got[16] = "";
    size_t n = 0;

    list_for_each (it, head) {
        assert_ptr_equal(it->next->prev, it);
        got[n++] = container_of(it, struct item, link)->name;
    }
    assert_string_equal(got, want);
}

static void members_stand_in_the_order_they_were_put(void **state)
{
    struct list head;
    struct item a = {.name = 'a'};
    struct item b = {.name = 'b'};
    struct item c = {.name = 'c'};

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head));
    list_put_back(&head, &b.link);
    list_put_back(&head, &c.link);
    list_put_front(&head, &a.link);
    assert_order(&head, "abc");
    assert_ptr_equal(list_first(&head), &a.link);
}

static void a_member_can_be_removed_twice(void **state)
{
    struct list head;
    struct item a = {.name = 'a'};
    struct item b = {.name = 'b'};

    (void)state;
    list_init(&head);
    list_put_back(&head, &a.link);
    list_put_back(&head, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    assert_order(&head, "b");
    assert_true(list_is_empty(&a.link));
    list_remove(&b.link);
    assert_true(list_is_empty(&head));
    list_put_back(&head, &a.link);
    assert_order(&head, "a");
}

static void the_loop_survives_the_removal_of_its_member(void **state)
{
    struct list head;
    struct item items[5];

    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 5; i++) {
        items[i].name = (char)('a' + (int)i);
        list_put_back(&head, &items[i].link);
    }
    list_for_each_safe (it, &head) {
        struct item *item = container_of(it, struct item, link);

        if ((item->name - 'a') % 2 == 0)
            list_remove(it);
    }
    assert_order(&head, "bd");
    list_for_each_safe (it, &head)
        list_remove(it);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stand_in_the_order_they_were_put),
        cmocka_unit_test(a_member_can_be_removed_twice),
        cmocka_unit_test(the_loop_survives_the_removal_of_its_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
