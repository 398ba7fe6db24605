/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/cookie.h"

#define KEY STR("a key that nobody knows")

/* By openssl dgst -sha256 -hmac. */
static void its_signature_is_hmac_sha256(void **state)
{
    const struct str id = STR("000102030405060708090a0b0c0d0e0f");
    const struct str field =
        STR("chasqui_session=000102030405060708090a0b0c0d0e0f.8f22d2500b3b7dc9b7d0edac4711a56e");

    (void)state;
    assert_true(str_eq(cookie_find(KEY, field), id));
}

static void what_was_made_is_found_among_others(void **state)
{
    char value[COOKIE_VALUE_LEN + 1];
    char other[COOKIE_VALUE_LEN + 1];
    char field[256];
    struct str id;

    (void)state;
    cookie_make(KEY, value);
    cookie_make(KEY, other);
    assert_string_not_equal(value, other);
    (void)snprintf(field, sizeof(field), "a=b; chasqui_session=%s;c=d", value);
    id = cookie_find(KEY, str_of(field));
    assert_true(str_eq(id, str_make(value, COOKIE_ID_LEN)));
}

static void what_somebody_else_signed_is_none(void **state)
{
    char value[COOKIE_VALUE_LEN + 1];
    char field[256];

    (void)state;
    cookie_make(STR("another key"), value);
    (void)snprintf(field, sizeof(field), "chasqui_session=%s", value);
    assert_null(cookie_find(KEY, str_of(field)).s);
    cookie_make(KEY, value);
    for (size_t i = 0; i < COOKIE_VALUE_LEN; i++) {
        (void)snprintf(field, sizeof(field), "chasqui_session=%s", value);
        field[sizeof(COOKIE_NAME) + i] ^= 1;
        assert_null(cookie_find(KEY, str_of(field)).s);
    }
    assert_null(cookie_find(KEY, STR("chasqui_session=")).s);
    assert_null(cookie_find(KEY, STR("")).s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_signature_is_hmac_sha256),
        cmocka_unit_test(what_was_made_is_found_among_others),
        cmocka_unit_test(what_somebody_else_signed_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
