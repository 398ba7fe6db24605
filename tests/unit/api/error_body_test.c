/* SPDX-License-Identifier: MIT */
#include "api/error_body.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void assert_text(struct buf *out, const char *want)
{
    if (!str_eq(buf_str(out), str_of(want)))
        fail_msg("got " STR_FMT "\nwanted %s", STR_ARG(buf_str(out)), want);
    buf_fini(out);
}

static void each_family_has_its_shape(void **state)
{
    const struct api_error error = {REASON_queue_full, 503, STR("say \"when\"")};
    static const char *const want[] = {
        [API_OLLAMA] = "{\"error\":\"say \\\"when\\\"\"}",
        [API_OPENAI] =
            "{\"error\":{\"message\":\"say \\\"when\\\"\",\"type\":\"api_error\",\"param\":null,"
            "\"code\":\"queue_full\"}}\n",
        [API_ANTHROPIC] = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                          "\"message\":\"say \\\"when\\\"\"}}",
    };

    (void)state;
    for (size_t i = 0; i < N(want); i++) {
        struct buf out = BUF_INIT(4096);

        assert_int_equal(api_put_error(&out, (enum api_family)i, &error), 0);
        assert_text(&out, want[i]);
    }
}

static void the_type_follows_from_the_status(void **state)
{
    static const struct {
        int status;
        const char *openai;
        const char *anthropic;
    } rows[] = {
        {400, "invalid_request_error", "invalid_request_error"},
        {401, "authentication_error", "authentication_error"},
        {403, "permission_error", "permission_error"},
        {404, "not_found_error", "not_found_error"},
        {413, "invalid_request_error", "request_too_large"},
        {415, "invalid_request_error", "invalid_request_error"},
        {429, "rate_limit_error", "rate_limit_error"},
        {500, "api_error", "api_error"},
        {502, "api_error", "api_error"},
        {503, "api_error", "overloaded_error"},
        {529, "api_error", "overloaded_error"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        const struct api_error error = {REASON_internal, rows[i].status, STR("x")};
        struct buf out = BUF_INIT(4096);

        assert_int_equal(api_put_error(&out, API_OPENAI, &error), 0);
        assert_true(str_search(buf_str(&out), str_of(rows[i].openai)) < out.len);
        buf_reset(&out);
        assert_int_equal(api_put_error(&out, API_ANTHROPIC, &error), 0);
        assert_true(str_search(buf_str(&out), str_of(rows[i].anthropic)) < out.len);
        buf_fini(&out);
    }
}

/* Bodies as Ollama 0.11.4 sent them. */
static void a_model_that_is_nowhere_gets_ollamas_own_words(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
    } rows[] = {
        {ROUTE_SHOW, "{\"error\":\"model 'nope' not found\"}"},
        {ROUTE_GENERATE, "{\"error\":\"model 'nope' not found\"}"},
        {ROUTE_CHAT, "{\"error\":\"model \\\"nope\\\" not found, try pulling it first\"}"},
        {ROUTE_EMBED, "{\"error\":\"model \\\"nope\\\" not found, try pulling it first\"}"},
        {ROUTE_EMBEDDINGS, "{\"error\":\"model \\\"nope\\\" not found, try pulling it first\"}"},
        {ROUTE_V1_CHAT,
         "{\"error\":{\"message\":\"model \\\"nope\\\" not found, try pulling it first\","
         "\"type\":\"api_error\",\"param\":null,\"code\":null}}\n"},
        {ROUTE_V1_COMPLETIONS,
         "{\"error\":{\"message\":\"model 'nope' not found\",\"type\":\"api_error\","
         "\"param\":null,\"code\":null}}\n"},
        {ROUTE_V1_EMBEDDINGS,
         "{\"error\":{\"message\":\"model \\\"nope\\\" not found, try pulling it first\","
         "\"type\":\"api_error\",\"param\":null,\"code\":null}}\n"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        const struct api_route *route = api_route_get(rows[i].route);
        struct api_error error = {REASON_no_model, 404, STR_NULL};
        struct buf text = BUF_INIT(4096);
        struct buf out = BUF_INIT(4096);

        assert_int_equal(api_put_no_model_text(&text, route, STR("nope")), 0);
        error.text = buf_str(&text);
        assert_int_equal(api_put_error(&out, route->family, &error), 0);
        assert_text(&out, rows[i].body);
        buf_fini(&text);
    }
}

static void a_record_has_the_framing_of_its_stream(void **state)
{
    static const struct {
        enum api_route_id route;
        bool is_sse;
        const char *record;
    } rows[] = {
        {ROUTE_CHAT, false, "{\"error\":\"a\\nb\"}\n"},
        {ROUTE_V1_CHAT, true,
         "data: "
         "{\"error\":{\"message\":\"a\\nb\",\"type\":\"api_error\",\"param\":null,\"code\":\"node_"
         "reset\"}}\n\n"},
        {ROUTE_V1_MESSAGES, true,
         "event: error\ndata: "
         "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"a\\nb\"}}\n\n"},
        {ROUTE_V1_RESPONSES, true,
         "event: response.failed\ndata: "
         "{\"type\":\"response.failed\",\"response\":{\"object\":\"response\","
         "\"status\":\"failed\",\"error\":{\"code\":\"node_reset\",\"message\":\"a\\nb\"}}}\n\n"},
    };
    const struct api_error error = {REASON_node_reset, 502, STR("a\nb")};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf out = BUF_INIT(4096);

        assert_int_equal(
            api_put_error_record(&out, api_route_get(rows[i].route), rows[i].is_sse, &error), 0);
        assert_text(&out, rows[i].record);
    }
}

static void a_body_that_does_not_fit_changes_nothing(void **state)
{
    const struct api_error error = {REASON_internal, 500, STR("a text that does not fit")};
    const struct api_route *route = api_route_get(ROUTE_V1_CHAT);
    struct buf out = BUF_INIT(20);

    (void)state;
    assert_int_equal(buf_put(&out, STR("kept")), 0);
    assert_int_equal(api_put_error(&out, API_OPENAI, &error), -ENOBUFS);
    assert_int_equal(api_put_error_record(&out, route, true, &error), -ENOBUFS);
    assert_int_equal(api_put_no_model_text(&out, route, STR("nope")), -ENOBUFS);
    assert_text(&out, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_family_has_its_shape),
        cmocka_unit_test(the_type_follows_from_the_status),
        cmocka_unit_test(a_model_that_is_nowhere_gets_ollamas_own_words),
        cmocka_unit_test(a_record_has_the_framing_of_its_stream),
        cmocka_unit_test(a_body_that_does_not_fit_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
