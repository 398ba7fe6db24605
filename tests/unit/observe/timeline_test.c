/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "observe/timeline.h"

#define N_IDS 10000

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void ids_of_a_later_time_sort_behind(void **state)
{
    struct rng rng = {.state = 7};
    char before[REQUEST_ID_LEN + 1] = "";
    char id[REQUEST_ID_LEN + 1];

    (void)state;
    for (nsec_t ms = 1; ms < (INT64_C(1) << 43); ms = ms * 3 / 2 + 1) {
        request_id_make(id, ms * NSEC_PER_MSEC, &rng);
        assert_int_equal(strlen(id), REQUEST_ID_LEN);
        assert_int_equal(strspn(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), REQUEST_ID_LEN);
        assert_true(strcmp(before, id) < 0);
        memcpy(before, id, sizeof(before));
    }
}

static void the_time_stands_in_the_first_ten_characters(void **state)
{
    struct rng rng = {.state = 7};
    char id[REQUEST_ID_LEN + 1];

    (void)state;
    request_id_make(id, INT64_C(1469918176385) * NSEC_PER_MSEC, &rng);
    assert_memory_equal(id, "01ARYZ6S41", 10);
}

static void ids_of_one_moment_are_unique(void **state)
{
    char(*ids)[REQUEST_ID_LEN + 1] = malloc(N_IDS * sizeof(*ids));
    struct rng rng = {.state = 7};

    (void)state;
    assert_non_null(ids);
    for (size_t i = 0; i < N_IDS; i++)
        request_id_make(ids[i], NSEC_PER_SEC, &rng);
    qsort(ids, N_IDS, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < N_IDS; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_a_later_time_sort_behind),
        cmocka_unit_test(the_time_stands_in_the_first_ten_characters),
        cmocka_unit_test(ids_of_one_moment_are_unique),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
