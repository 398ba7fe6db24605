/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/request.h"

static void check_body(struct bench_settings s, const char *path, const char *body)
{
    struct bench_request q;

    assert_int_equal(bench_request_init(&q, &s), 0);
    assert_true(str_eq(q.attempt.target, str_of(path)));
    assert_true(str_eq(q.attempt.body, str_of(body)));
    bench_request_fini(&q);
}

static void each_api_has_its_body(void **state)
{
    struct bench_settings s = {.model = STR("m"), .prompt = STR("Why \"so\"?"), .is_stream = true};

    (void)state;
    check_body(s, "/api/generate",
               "{\"model\":\"m\",\"prompt\":\"Why \\\"so\\\"?\",\"stream\":true}");
    s.api = BENCH_CHAT;
    s.max_tokens = 7;
    check_body(
        s, "/api/chat",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Why \\\"so\\\"?\"}],"
        "\"stream\":true,\"options\":{\"num_predict\":7}}");
    s.api = BENCH_V1;
    s.is_stream = false;
    check_body(
        s, "/v1/chat/completions",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Why \\\"so\\\"?\"}],"
        "\"stream\":false,\"max_tokens\":7}");
}

static void a_given_body_goes_as_it_is_and_says_whether_it_streams(void **state)
{
    struct bench_settings s = {.body = STR("{ \"model\":\"m\", \"stream\":false }"),
                               .is_stream = true,
                               .key = STR("secret"),
                               .fields = STR("X-A: b\r\n")};
    struct bench_request q;

    (void)state;
    assert_int_equal(bench_request_init(&q, &s), 0);
    assert_true(str_eq(q.attempt.body, s.body));
    assert_false(q.is_stream);
    assert_true(str_search(q.attempt.fields, STR("Content-Length: 31\r\n")) < q.attempt.fields.len);
    assert_true(str_ends(q.attempt.fields, STR("Authorization: Bearer secret\r\nX-A: b\r\n")));
    bench_request_fini(&q);
    s.body = STR("{\"model\":\"m\"}"); /* Ollama's default */
    assert_int_equal(bench_request_init(&q, &s), 0);
    assert_true(q.is_stream);
    bench_request_fini(&q);
}

static void a_body_without_a_model_is_refused(void **state)
{
    static const char *const bodies[] = {"{}", "[1]", "hello", "{\"model\":3}", "{\"model\":\"m\""};

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct bench_settings s = {.body = str_of(bodies[i])};
        struct bench_request q;

        assert_int_equal(bench_request_init(&q, &s), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_api_has_its_body),
        cmocka_unit_test(a_given_body_goes_as_it_is_and_says_whether_it_streams),
        cmocka_unit_test(a_body_without_a_model_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
