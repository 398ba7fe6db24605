/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/lru.h"
#include "base/rng.h"

static void what_was_put_is_there(void **state)
{
    struct lru l;

    (void)state;
    assert_int_equal(lru_init(&l, 3), 0);
    assert_null(lru_get(&l, 7));
    lru_put(&l, 7, 70, 1);
    lru_put(&l, 7, 71, 2);
    assert_int_equal(lru_get(&l, 7)->value, 71);
    assert_int_equal(lru_get(&l, 7)->at, 2);
    lru_fini(&l);
}

static void what_was_not_put_for_longest_is_forgotten(void **state)
{
    struct lru l;

    (void)state;
    assert_int_equal(lru_init(&l, 3), 0);
    for (uint64_t key = 1; key <= 3; key++)
        lru_put(&l, key, key, 0);
    lru_put(&l, 1, 1, 0);
    lru_put(&l, 4, 4, 0);
    assert_null(lru_get(&l, 2));
    assert_non_null(lru_get(&l, 1));
    assert_non_null(lru_get(&l, 3));
    assert_non_null(lru_get(&l, 4));
    lru_fini(&l);
}

/* Against a plain array of the same bound, with keys that share buckets. */
static void it_agrees_with_a_list(void **state)
{
    struct rng rng = {.state = 1};
    uint64_t keys[16];
    size_t n = 0;
    struct lru l;

    (void)state;
    assert_int_equal(lru_init(&l, 16), 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t key = rng_below(&rng, 40) * 8;
        size_t at = 0;

        while (at < n && keys[at] != key)
            at++;
        assert_int_equal(lru_get(&l, key) != NULL, at < n);
        if (at == 16)
            at = 0; /* the oldest goes */
        if (at < n)
            for (n--; at < n; at++)
                keys[at] = keys[at + 1];
        keys[n++] = key;
        lru_put(&l, key, key, i);
    }
    lru_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_there),
        cmocka_unit_test(what_was_not_put_for_longest_is_forgotten),
        cmocka_unit_test(it_agrees_with_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
