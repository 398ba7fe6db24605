/* SPDX-License-Identifier: MIT */
#include "api/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int read_body(enum api_route_id route, const char *body, struct api_request *request)
{
    return api_request_read(api_route_get(route), str_of(body), request);
}

static void the_model_is_read_as_go_reads_it(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        const char *model;
    } rows[] = {
        {ROUTE_CHAT, "{\"model\":\"llama3.2\"}", "llama3.2"},
        {ROUTE_CHAT, "{\"messages\":[{\"model\":\"inner\"}],\"model\":\"m\"}", "m"},
        {ROUTE_CHAT, "{\"MODEL\":\"m\"}", "m"},
        {ROUTE_CHAT, "{\"\\u006dodel\":\"m\"}", "m"},
        {ROUTE_CHAT, "{\"model\":\"\\u006c\\u004C\"}", "lL"},
        {ROUTE_CHAT, "{\"model\":\"me\\/x\"}", "me/x"},
        {ROUTE_CHAT, "{\"model\":\"a\",\"Model\":\"b\"}", "b"},
        {ROUTE_CHAT, "{\"model\":\"\\u0061\",\"Model\":\"b\"}", "b"},
        {ROUTE_CHAT, "{\"model\":\"a\",\"model\":null}", "a"},
        {ROUTE_CHAT, "{\"model\":\" a \"}", " a "},
        {ROUTE_CHAT, "{\"model\":\"a\"} trailing", "a"},
        {ROUTE_CHAT, "{\"options\":{\"model\":1},\"x\":[[{}]],\"model\":\"a\"}", "a"},
        {ROUTE_SHOW, "{\"name\":\"old\"}", "old"},
        {ROUTE_SHOW, "{\"name\":\"\\u006fld\"}", "old"},
        {ROUTE_SHOW, "{\"name\":\"old\",\"model\":\"\"}", "old"},
        {ROUTE_SHOW, "{\"name\":\"old\",\"model\":\"new\"}", "new"},
        {ROUTE_SHOW, "{\"model\":\"n\\u0065w\",\"name\":\"\\u006fld\"}", "new"},
        {ROUTE_V1_MESSAGES, "{\"max_tokens\":5,\"model\":\"m\"}", "m"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_request request;
        struct model_key key;

        if (read_body(rows[i].route, rows[i].body, &request) != 0)
            fail_msg("%s is refused", rows[i].body);
        if (!str_eq(request.model, str_of(rows[i].model)))
            fail_msg("%s has model " STR_FMT, rows[i].body, STR_ARG(request.model));
        assert_int_equal(model_key_parse(str_of(rows[i].model), &key), 0);
        assert_true(str_eq(model_key_str(&request.key), model_key_str(&key)));
    }
}

static uint64_t options_of(enum api_route_id route, const char *body)
{
    struct api_request request;

    assert_int_equal(read_body(route, body, &request), 0);
    return request.options;
}

static void options_that_make_a_node_load_anew_are_told_apart(void **state)
{
    const uint64_t long_ctx =
        options_of(ROUTE_CHAT, "{\"model\":\"m\",\"options\":{\"num_ctx\":8192}}");

    (void)state;
    assert_int_not_equal(long_ctx, 0);
    assert_int_not_equal(
        long_ctx, options_of(ROUTE_CHAT, "{\"model\":\"m\",\"options\":{\"num_ctx\":4096}}"));
    assert_int_not_equal(
        long_ctx, options_of(ROUTE_CHAT, "{\"model\":\"m\",\"options\":{\"num_gpu\":8192}}"));
    assert_int_equal(long_ctx, options_of(ROUTE_GENERATE,
                                          "{\"options\":{\"seed\":1,\"num_ctx\":1,\"num_ctx\":"
                                          "8192,\"num_gpu\":null},\"model\":\"m\"}"));
    assert_int_not_equal(options_of(ROUTE_CHAT, "{\"model\":\"m\",\"shift\":false}"), 0);
    assert_int_equal(
        options_of(ROUTE_CHAT, "{\"model\":\"m\",\"num_ctx\":1,\"options\":{\"temperature\":0}}"),
        0);
    assert_int_equal(options_of(ROUTE_CHAT, "{\"model\":\"m\",\"options\":[{\"num_ctx\":1}]}"), 0);
    assert_int_equal(options_of(ROUTE_CHAT, "{\"options\":null,\"model\":\"m\"}"), 0);
    assert_int_equal(options_of(ROUTE_V1_CHAT, "{\"options\":{\"num_ctx\":1},\"model\":\"m\"}"), 0);
}

static void what_is_to_be_read_is_found_in_every_api(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        const char *system;
        const char *content;
    } rows[] = {
        {ROUTE_GENERATE, "{\"model\":\"m\",\"system\":\"s\",\"prompt\":\"p\"}", "\"s\"", "\"p\""},
        {ROUTE_CHAT, "{\"messages\":[{\"a\":1}],\"model\":\"m\"}", "", "[{\"a\":1}]"},
        {ROUTE_V1_CHAT, "{\"messages\":[1],\"model\":\"m\"}", "", "[1]"},
        {ROUTE_V1_COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"p\"}", "", "\"p\""},
        {ROUTE_V1_RESPONSES, "{\"model\":\"m\",\"instructions\":\"s\",\"input\":\"p\"}", "\"s\"",
         "\"p\""},
        {ROUTE_V1_MESSAGES, "{\"model\":\"m\",\"system\":[1],\"messages\":[2]}", "[1]", "[2]"},
        {ROUTE_CHAT, "{\"model\":\"m\",\"messages\":null}", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_request request;

        assert_int_equal(read_body(rows[i].route, rows[i].body, &request), 0);
        assert_true(str_eq(request.system, str_of(rows[i].system)));
        assert_true(str_eq(request.content, str_of(rows[i].content)));
    }
}

static void the_model_can_be_found_in_the_body(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        size_t at;
        size_t len;
    } rows[] = {
        {ROUTE_CHAT, "{\"model\":\"m\"}", 10, 1},
        {ROUTE_CHAT, "{\"model\":\"a\",\"Model\":\"b\"}", 22, 1},
        {ROUTE_CHAT, "{\"model\":\"\\u0061b\"}", 10, 7},
        {ROUTE_SHOW, "{\"name\":\"old\",\"model\":\"\"}", 9, 3},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_request request;

        assert_int_equal(read_body(rows[i].route, rows[i].body, &request), 0);
        assert_ptr_equal(request.model_raw.s, rows[i].body + rows[i].at);
        assert_int_equal(request.model_raw.len, rows[i].len);
    }
}

static void what_a_node_refuses_is_not_routed(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
    } rows[] = {
        {ROUTE_CHAT, ""},
        {ROUTE_CHAT, "null"},
        {ROUTE_CHAT, "[]"},
        {ROUTE_CHAT, "[{\"model\":\"a\"}]"},
        {ROUTE_CHAT, "\"model\""},
        {ROUTE_CHAT, "{}"},
        {ROUTE_CHAT, "{\"model\":\"\"}"},
        {ROUTE_CHAT, "{\"model\":null}"},
        {ROUTE_CHAT, "{\"model\":5}"},
        {ROUTE_CHAT, "{\"model\":{\"model\":\"a\"}}"},
        {ROUTE_CHAT, "{\"model\":[\"a\"]}"},
        {ROUTE_CHAT, "{\"model\":true,\"model\":\"a\"}"},
        {ROUTE_CHAT, "{\"model\":\"no pe\"}"},
        {ROUTE_CHAT, "{\"model\":\"a\\u0000\"}"},
        {ROUTE_CHAT, "{\"model\":\"a\\ud800\"}"},
        {ROUTE_CHAT, "{\"model\":\"a\""},
        {ROUTE_CHAT, "{\"model\":\"a\",}"},
        {ROUTE_CHAT, "{\"model\":\"a\",\"messages\":[}"},
        {ROUTE_CHAT, "{\"model\":\"a\",\"stream\":\"yes\"}"},
        {ROUTE_CHAT, "{\"model\":\"a\",\"stream\":1}"},
        {ROUTE_CHAT, "{\"model\":\"a\",\"\xc5\xbftream\":{}}"},
        {ROUTE_CHAT, "{\"name\":\"a\"}"},
        {ROUTE_SHOW, "{\"model\":\"a\",\"name\":5}"},
        {ROUTE_V1_CHAT, "{\"model\":\"a\",\"stream\":[]}"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_request request;

        if (read_body(rows[i].route, rows[i].body, &request) != API_REQUEST_UNROUTABLE)
            fail_msg("%s is routed", rows[i].body);
        assert_int_equal(request.key.len, 0);
    }
}

static void stream_is_the_bodys_or_the_routes(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        bool is_stream;
    } rows[] = {
        {ROUTE_CHAT, "{\"model\":\"a\"}", true},
        {ROUTE_CHAT, "{\"model\":\"a\",\"stream\":false}", false},
        {ROUTE_CHAT, "{\"model\":\"a\",\"stream\":null}", true},
        {ROUTE_CHAT, "{\"model\":\"a\",\"stream\":false,\"stream\":null}", false},
        {ROUTE_CHAT, "{\"model\":\"a\",\"stream\":false,\"Stream\":true}", true},
        {ROUTE_CHAT, "{\"model\":\"a\",\"options\":{\"stream\":false}}", true},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"STREAM\":false}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"a\"}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"a\",\"stream\":true}", true},
        {ROUTE_V1_COMPLETIONS, "{\"model\":\"a\",\"stream\":true}", true},
        {ROUTE_V1_RESPONSES, "{\"model\":\"a\",\"stream\":true}", true},
        {ROUTE_V1_MESSAGES, "{\"model\":\"a\",\"stream\":true}", true},
        {ROUTE_EMBED, "{\"model\":\"a\",\"stream\":true}", false},
        {ROUTE_SHOW, "{\"model\":\"a\",\"stream\":\"odd\"}", false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_request request;

        assert_int_equal(read_body(rows[i].route, rows[i].body, &request), 0);
        if (request.is_stream != rows[i].is_stream)
            fail_msg("%s", rows[i].body);
    }
}

static void a_request_without_content_only_loads(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        bool is_load_only;
    } rows[] = {
        {ROUTE_GENERATE, "{\"model\":\"a\"}", true},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"prompt\":\"\"}", true},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"prompt\":null}", true},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"prompt\":\" \"}", false},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"prompt\":\"x\",\"prompt\":\"\"}", true},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"prompt\":\"x\",\"prompt\":null}", false},
        {ROUTE_GENERATE, "{\"model\":\"a\",\"messages\":[1]}", true},
        {ROUTE_CHAT, "{\"model\":\"a\"}", true},
        {ROUTE_CHAT, "{\"model\":\"a\",\"messages\":[ \n]}", true},
        {ROUTE_CHAT, "{\"model\":\"a\",\"messages\":null}", true},
        {ROUTE_CHAT, "{\"model\":\"a\",\"messages\":[{}]}", false},
        {ROUTE_EMBED, "{\"model\":\"a\"}", true},
        {ROUTE_EMBED, "{\"model\":\"a\",\"input\":\"\"}", true},
        {ROUTE_EMBED, "{\"model\":\"a\",\"input\":[]}", true},
        {ROUTE_EMBED, "{\"model\":\"a\",\"input\":[\"\"]}", false},
        {ROUTE_EMBED, "{\"model\":\"a\",\"input\":\"x\"}", false},
        {ROUTE_EMBEDDINGS, "{\"model\":\"a\"}", true},
        {ROUTE_EMBEDDINGS, "{\"model\":\"a\",\"prompt\":\"x\"}", false},
        {ROUTE_SHOW, "{\"model\":\"a\"}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"a\"}", false},
        {ROUTE_V1_COMPLETIONS, "{\"model\":\"a\",\"prompt\":\"\"}", false},
        {ROUTE_V1_EMBEDDINGS, "{\"model\":\"a\",\"input\":[]}", false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_request request;

        assert_int_equal(read_body(rows[i].route, rows[i].body, &request), 0);
        if (request.is_load_only != rows[i].is_load_only)
            fail_msg("%s", rows[i].body);
    }
}

static void an_escaped_name_longer_than_any_is_refused(void **state)
{
    char body[2 * MODEL_KEY_MAX] = "{\"model\":\"\\u0061";
    struct api_request request;
    size_t len = strlen(body);

    (void)state;
    memset(body + len, 'a', MODEL_KEY_MAX);
    memcpy(body + len + MODEL_KEY_MAX, "\"}", 3);
    assert_int_equal(read_body(ROUTE_CHAT, body, &request), API_REQUEST_UNROUTABLE);
}

static void every_prefix_of_a_body_is_unroutable(void **state)
{
    static const char body[] =
        "{\"model\":\"a\",\"stream\":false,\"messages\":[{\"role\":\"user\"}]}";
    struct api_request request;

    (void)state;
    for (size_t n = 0; n < sizeof(body) - 1; n++)
        assert_int_equal(api_request_read(api_route_get(ROUTE_CHAT), str_make(body, n), &request),
                         API_REQUEST_UNROUTABLE);
    assert_int_equal(read_body(ROUTE_CHAT, body, &request), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_read_as_go_reads_it),
        cmocka_unit_test(options_that_make_a_node_load_anew_are_told_apart),
        cmocka_unit_test(what_is_to_be_read_is_found_in_every_api),
        cmocka_unit_test(the_model_can_be_found_in_the_body),
        cmocka_unit_test(what_a_node_refuses_is_not_routed),
        cmocka_unit_test(stream_is_the_bodys_or_the_routes),
        cmocka_unit_test(a_request_without_content_only_loads),
        cmocka_unit_test(an_escaped_name_longer_than_any_is_refused),
        cmocka_unit_test(every_prefix_of_a_body_is_unroutable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
