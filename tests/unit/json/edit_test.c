/* SPDX-License-Identifier: MIT */
#include "json/edit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct str slice(struct str text, const char *of)
{
    size_t at = str_search(text, str_of(of));

    assert_true(at < text.len);
    return str_make(text.s + at, strlen(of));
}

static void what_is_not_replaced_stays_byte_for_byte(void **state)
{
    const struct str text = STR("{ \"a\" : \"old\",\t\"b\":12 }\n");
    struct buf out = BUF_INIT(256);
    struct json_edit e;

    (void)state;
    json_edit_init(&e, text, &out);
    json_edit_replace(&e, slice(text, "old"), STR("new"));
    json_edit_replace(&e, slice(text, "12"), STR("7"));
    assert_int_equal(json_edit_finish(&e), 0);
    assert_true(str_eq(buf_str(&out), STR("{ \"a\" : \"new\",\t\"b\":7 }\n")));
    buf_fini(&out);
}

static void a_text_is_escaped(void **state)
{
    const struct str text = STR("{\"a\":\"x\"}");
    struct buf out = BUF_INIT(256);
    struct json_edit e;

    (void)state;
    json_edit_init(&e, text, &out);
    json_edit_replace_text(&e, slice(text, "x"), STR("\"\\\n\xc3\xa9"));
    assert_int_equal(json_edit_finish(&e), 0);
    assert_true(str_eq(buf_str(&out), STR("{\"a\":\"\\\"\\\\\\n\xc3\xa9\"}")));
    buf_fini(&out);
}

static void an_empty_slice_is_a_place_to_insert(void **state)
{
    const struct str text = STR("{\"a\":\"x\"}");
    struct str end = slice(text, "\"}");
    struct buf out = BUF_INIT(256);
    struct json_edit e;

    (void)state;
    json_edit_init(&e, text, &out);
    json_edit_replace_text(&e, str_make(end.s, 0), STR("yz"));
    assert_int_equal(json_edit_finish(&e), 0);
    assert_true(str_eq(buf_str(&out), STR("{\"a\":\"xyz\"}")));
    buf_fini(&out);
}

static void the_first_failure_sticks(void **state)
{
    const struct str text = STR("{\"a\":\"x\"}");
    struct buf out = BUF_INIT(8);
    struct json_edit e;

    (void)state;
    json_edit_init(&e, text, &out);
    json_edit_replace(&e, slice(text, "x"), STR("a long text"));
    assert_true(json_edit_finish(&e) < 0);
    assert_true(out.len <= 8);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_replaced_stays_byte_for_byte),
        cmocka_unit_test(a_text_is_escaped),
        cmocka_unit_test(an_empty_slice_is_a_place_to_insert),
        cmocka_unit_test(the_first_failure_sticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
