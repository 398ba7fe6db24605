/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void allocations_are_aligned_and_apart(void **state)
{
    CLEANUP(arena_fini) struct arena a;
    unsigned char *last = NULL;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t n = 0; n < 300; n++) {
        unsigned char *at = arena_alloc(&a, n);

        assert_non_null(at);
        assert_int_equal((uintptr_t)at % alignof(max_align_t), 0);
        memset(at, (int)(n & 0xff), n);
        if (n > 1)
            assert_int_equal(last[n - 2], (n - 1) & 0xff);
        last = at;
    }
}

static void zero_bytes_have_an_address(void **state)
{
    CLEANUP(arena_fini) struct arena a;

    (void)state;
    arena_init(&a, 4096);
    assert_non_null(arena_alloc(&a, 0));
}

static void a_reset_arena_uses_its_first_chunk_again(void **state)
{
    CLEANUP(arena_fini) struct arena a;
    void *first;
    size_t used;

    (void)state;
    arena_init(&a, 1 << 20);
    arena_reset(&a);
    first = arena_alloc(&a, 100);
    used = a.used;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 500));
    arena_reset(&a);
    assert_int_equal(a.used, used);
    assert_ptr_equal(arena_alloc(&a, 100), first);
}

static void a_reset_arena_keeps_no_large_chunk(void **state)
{
    CLEANUP(arena_fini) struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_alloc(&a, 100000));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 100));
}

static void the_maximum_holds(void **state)
{
    CLEANUP(arena_fini) struct arena a;
    size_t n = 0;

    (void)state;
    arena_init(&a, 10000);
    while (arena_alloc(&a, 100) != NULL)
        n++;
    assert_in_range(n, 80, 100);
    assert_true(a.used <= 10000);
    assert_null(arena_alloc(&a, 10001));
}

static void a_small_maximum_can_be_used(void **state)
{
    CLEANUP(arena_fini) struct arena a;

    (void)state;
    arena_init(&a, 100);
    assert_non_null(arena_alloc(&a, 50));
    assert_null(arena_alloc(&a, 50));
    assert_true(a.used <= 100);
}

static void a_size_that_overflows_is_refused(void **state)
{
    CLEANUP(arena_fini) struct arena a;

    (void)state;
    arena_init(&a, SIZE_MAX);
    for (size_t less = 0; less < 31; less++) /* from 31 on it is malloc() that refuses */
        assert_null(arena_alloc(&a, SIZE_MAX - less));
    assert_non_null(arena_alloc(&a, 1));
}

static void something_larger_than_a_chunk_gets_its_own(void **state)
{
    CLEANUP(arena_fini) struct arena a;
    char *big;

    (void)state;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_alloc(&a, 10));
    big = arena_alloc(&a, 100000);
    assert_non_null(big);
    memset(big, 1, 100000);
    assert_non_null(arena_alloc(&a, 10));
}

static void a_copy_ends_in_nul(void **state)
{
    CLEANUP(arena_fini) struct arena a;
    struct str copy;

    (void)state;
    arena_init(&a, 4096);
    copy = arena_dup(&a, STR("ab\0c"));
    assert_int_equal(copy.len, 4);
    assert_memory_equal(copy.s, "ab\0c", 5);
    copy = arena_dup(&a, STR_NULL);
    assert_string_equal(copy.s, "");
    assert_null(arena_dup(&a, str_make("x", 5000)).s);
}

static void a_finished_arena_is_usable_again(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 3000);
    assert_non_null(arena_alloc(&a, 2500));
    arena_fini(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 2500));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(zero_bytes_have_an_address),
        cmocka_unit_test(a_reset_arena_uses_its_first_chunk_again),
        cmocka_unit_test(a_reset_arena_keeps_no_large_chunk),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(a_small_maximum_can_be_used),
        cmocka_unit_test(a_size_that_overflows_is_refused),
        cmocka_unit_test(something_larger_than_a_chunk_gets_its_own),
        cmocka_unit_test(a_copy_ends_in_nul),
        cmocka_unit_test(a_finished_arena_is_usable_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
