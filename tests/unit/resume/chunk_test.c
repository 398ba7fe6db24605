/* SPDX-License-Identifier: MIT */
#include "resume/chunk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/err.h"

#define HEAD "data: {\"id\":\"chatcmpl-7\",\"created\":5,\"choices\":"
#define CHAT(content, reason) \
    HEAD "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"" content \
         "\"},\"finish_reason\":" reason "}]"
#define TEXT(content, reason, usage) \
    HEAD "[{\"text\":\"" content "\",\"index\":0,\"finish_reason\":" reason \
         "}],\"model\":\"m\",\"usage\":" usage "}\n\n"

/* A text that says what the members are called. */
#define TRICKY "\\\"finish_reason\\\":null}],\\\"usage\\\":"

static void check(enum api_route_id route, const char *event, const char *with_text,
                  const char *end)
{
    const struct api_usage usage = {.tokens_in = 3, .tokens_out = 4};
    struct buf out = BUF_INIT(4096);
    struct chunk c;

    assert_int_equal(chunk_read(api_route_get(route), str_of(event), &c), 0);
    assert_int_equal(chunk_put_text(&c, STR("a\"\n"), &out), 0);
    assert_string_equal((buf_put_char(&out, '\0') == 0 ? out.data : ""), with_text);
    buf_reset(&out);
    assert_int_equal(chunk_put_end(&c, STR("length"), &usage, &out), 0);
    assert_string_equal((buf_put_char(&out, '\0') == 0 ? out.data : ""), end);
    buf_fini(&out);
}

static void chunks_are_made_after_the_one_that_is_the_pattern(void **state)
{
    (void)state;
    check(ROUTE_V1_CHAT, CHAT(TRICKY, "null") "}\n\n", CHAT("a\\\"\\n", "null") "}\n\n",
          CHAT("", "\"length\"") "}\n\n" HEAD
                                 "[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,"
                                 "\"total_tokens\":7}}\n\ndata: [DONE]\n\n");
    check(ROUTE_V1_COMPLETIONS, TEXT(TRICKY, "null", "{\"total_tokens\":0}"),
          TEXT("a\\\"\\n", "null", "{\"total_tokens\":0}"),
          TEXT("", "\"length\"", "{\"total_tokens\":0}") HEAD
          "[],\"model\":\"m\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,"
          "\"total_tokens\":7}}\n\ndata: [DONE]\n\n");
}

static void without_usage_the_end_is_a_reason_and_done(void **state)
{
    struct buf out = BUF_INIT(4096);
    struct chunk c;

    (void)state;
    assert_int_equal(chunk_read(api_route_get(ROUTE_V1_CHAT), STR(CHAT("x", "null") "}\n\n"), &c),
                     0);
    assert_int_equal(chunk_put_end(&c, STR("stop"), NULL, &out), 0);
    assert_true(str_eq(buf_str(&out), STR(CHAT("", "\"stop\"") "}\n\ndata: [DONE]\n\n")));
    buf_fini(&out);
}

static void what_is_no_chunk_is_no_pattern(void **state)
{
    static const char *const events[] = {
        "",
        "data: [DONE]\n\n",
        HEAD "[]}\n\n",
        CHAT("x", "\"stop\"") "}\n\n",
        "data: {\"usage\":{},\"choices\":[{\"text\":\"x\",\"finish_reason\":null}]}\n\n",
        CHAT("x", "null"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct chunk c;

        if (chunk_read(api_route_get(ROUTE_V1_CHAT), str_of(events[i]), &c) != -EX_RESUME)
            fail_msg("%s", events[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_made_after_the_one_that_is_the_pattern),
        cmocka_unit_test(without_usage_the_end_is_a_reason_and_done),
        cmocka_unit_test(what_is_no_chunk_is_no_pattern),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
