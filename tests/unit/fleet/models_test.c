/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fleet/models.h"

static struct str name_of(char text[static 32], unsigned i)
{
    return str_make(text, (size_t)snprintf(text, 32, "model-%u:latest", i));
}

static void an_empty_set_has_nothing(void **state)
{
    struct models m = {0};

    (void)state;
    assert_false(models_has(&m, STR("a"), 1));
    assert_false(models_has(&m, STR_NULL, 0));
    models_fini(&m);
}

static void what_was_put_is_there_and_nothing_else(void **state)
{
    struct models m = {0};

    (void)state;
    assert_int_equal(models_put(&m, STR("a:latest"), 7), 0);
    assert_true(models_has(&m, STR("a:latest"), 7));
    assert_false(models_has(&m, STR("b:latest"), 7));
    assert_false(models_has(&m, STR("a:lates"), 7));
    models_fini(&m);
}

static void a_second_put_changes_nothing(void **state)
{
    struct models m = {0};

    (void)state;
    assert_int_equal(models_put(&m, STR("a"), 7), 0);
    assert_int_equal(models_put(&m, STR("a"), 7), 0);
    assert_int_equal(m.n_models, 1);
    models_fini(&m);
}

/* All in one place of the table, so that it is the text that decides. */
static void equal_hashes_are_told_apart(void **state)
{
    struct models m = {0};
    char text[32];

    (void)state;
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(models_put(&m, name_of(text, i), 0xffff), 0);
    assert_int_equal(m.n_models, 300);
    for (unsigned i = 0; i < 300; i++)
        assert_true(models_has(&m, name_of(text, i), 0xffff));
    assert_false(models_has(&m, name_of(text, 300), 0xffff));
    models_fini(&m);
}

static void beyond_the_maximum_names_are_counted_only(void **state)
{
    const struct hash_key key = hash_key_make();
    struct models m = {0};
    char text[32];

    (void)state;
    for (unsigned i = 0; i < MODELS_MAX + 5; i++) {
        struct str name = name_of(text, i);

        assert_int_equal(models_put(&m, name, hash_bytes(key, name)), 0);
    }
    assert_int_equal(m.n_models, MODELS_MAX);
    assert_int_equal(m.n_ignored, 5);
    assert_true(models_has(&m, name_of(text, 0), hash_bytes(key, name_of(text, 0))));
    assert_false(
        models_has(&m, name_of(text, MODELS_MAX), hash_bytes(key, name_of(text, MODELS_MAX))));
    models_fini(&m);
}

static void what_two_sets_share_is_added(void **state)
{
    struct models m = {0};
    struct models a = {0};
    struct models b = {0};

    (void)state;
    models_add_common(&m, &a, &b);
    assert_int_equal(m.n_models, 0);
    assert_int_equal(models_put(&m, STR("old"), 1), 0);
    assert_int_equal(models_put(&a, STR("x"), 2), 0);
    assert_int_equal(models_put(&a, STR("only-a"), 3), 0);
    assert_int_equal(models_put(&b, STR("x"), 2), 0);
    assert_int_equal(models_put(&b, STR("only-b"), 4), 0);
    models_add_common(&m, &a, &b);
    assert_int_equal(m.n_models, 2);
    assert_true(models_has(&m, STR("old"), 1));
    assert_true(models_has(&m, STR("x"), 2));
    models_fini(&m);
    models_fini(&a);
    models_fini(&b);
}

static void a_model_is_known_by_its_digest(void **state)
{
    struct models m = {0};

    (void)state;
    assert_int_equal(models_digest(&m, STR("a:latest"), 7), 0);
    assert_int_equal(models_put_digest(&m, STR("a:latest"), 7, 42), 0);
    assert_int_equal(models_put(&m, STR("b:latest"), 8), 0);
    assert_int_equal(models_digest(&m, STR("a:latest"), 7), 42);
    assert_int_equal(models_digest(&m, STR("b:latest"), 8), 0);
    assert_int_equal(models_put_digest(&m, STR("a:latest"), 7, 43), 0);
    assert_int_equal(models_digest(&m, STR("a:latest"), 7), 43);
    models_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_has_nothing),
        cmocka_unit_test(a_model_is_known_by_its_digest),
        cmocka_unit_test(what_was_put_is_there_and_nothing_else),
        cmocka_unit_test(a_second_put_changes_nothing),
        cmocka_unit_test(equal_hashes_are_told_apart),
        cmocka_unit_test(what_two_sets_share_is_added),
        cmocka_unit_test(beyond_the_maximum_names_are_counted_only),
    };

    return cmocka_run_group_tests_name("fleet/models", tests, NULL, NULL);
}
