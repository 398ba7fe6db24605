/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static void an_echo_comes_back(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("Hi"), &reply),
                     CHASQUI_OK);
    assert_int_equal(reply.body.len, 2);
    assert_string_equal(reply.body.data, "Hi");
    chasqui_reply_free(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_echo_comes_back, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
