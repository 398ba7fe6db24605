/* SPDX-License-Identifier: MIT */
#include "api/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The shape of {"a":"x","n":1,"b":"y"}, with both strings. */
static struct api_shape make(void)
{
    struct str record = STR("{\"a\":\"x\",\"n\":1,\"b\":\"y\"}\n");
    struct api_shape shape;

    api_shape_begin(&shape, record);
    api_shape_put(&shape, record, str_make(record.s + 6, 1), 7);
    api_shape_put(&shape, record, str_make(record.s + 20, 1), 9);
    return shape;
}

static void other_strings_in_the_same_places_fit(void **state)
{
    struct api_shape shape = make();
    struct str got[API_SHAPE_STRINGS];

    (void)state;
    assert_true(api_shape_fits(
        &shape, STR("{\"a\":\"\",\"n\":1,\"b\":\"longer than it was: \xc3\xa9\"}\n"), got));
    assert_int_equal(got[0].len, 0);
    assert_true(str_eq(got[1], STR("longer than it was: \xc3\xa9")));
    assert_int_equal(shape.strings[0].tag, 7);
    assert_int_equal(shape.strings[1].tag, 9);
}

static void any_other_byte_does_not_fit(void **state)
{
    static const char *const others[] = {
        "",
        "{",
        "{\"a\":\"x",
        "{\"a\":\"x\",\"n\":1,\"b\":\"y\"}",
        "{\"a\":\"x\",\"n\":1,\"b\":\"y\"}\n\n",
        "{\"a\":\"x\",\"n\":2,\"b\":\"y\"}\n",
        "{\"a\":\"x\",\"n\":1,\"c\":\"y\"}\n",
        "{\"a\":\"x\",\"n\":1,\"b\":\"y\",\"done\":true}\n",
        "{\"a\":\"\\\"\",\"n\":1,\"b\":\"y\"}\n",
        "{\"a\":\"x\n\",\"n\":1,\"b\":\"y\"}\n",
        "{\"a\":\"x\",\"n\":1,\"b\":\"y\\n\"}\n",
    };
    struct api_shape shape = make();
    struct str got[API_SHAPE_STRINGS];

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (api_shape_fits(&shape, str_of(others[i]), got))
            fail_msg("fits: %s", others[i]);
}

static void a_record_that_is_too_long_has_no_shape(void **state)
{
    char bytes[API_SHAPE_BYTES + 1];
    struct str got[API_SHAPE_STRINGS];
    struct api_shape shape;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    api_shape_begin(&shape, str_make(bytes, API_SHAPE_BYTES));
    assert_true(api_shape_fits(&shape, str_make(bytes, API_SHAPE_BYTES), got));
    api_shape_begin(&shape, str_make(bytes, sizeof(bytes)));
    assert_false(api_shape_fits(&shape, str_make(bytes, sizeof(bytes)), got));
}

static void one_with_too_many_strings_has_none_either(void **state)
{
    struct str record = STR("\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\n");
    struct str got[API_SHAPE_STRINGS];
    struct api_shape shape;

    (void)state;
    api_shape_begin(&shape, record);
    for (size_t i = 0; i < API_SHAPE_STRINGS; i++)
        api_shape_put(&shape, record, str_make(record.s + 2 * i + 1, 0), 0);
    assert_true(api_shape_fits(&shape, record, got));
    api_shape_put(&shape, record, str_make(record.s + 17, 0), 0);
    assert_false(api_shape_fits(&shape, record, got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_strings_in_the_same_places_fit),
        cmocka_unit_test(any_other_byte_does_not_fit),
        cmocka_unit_test(a_record_that_is_too_long_has_no_shape),
        cmocka_unit_test(one_with_too_many_strings_has_none_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
