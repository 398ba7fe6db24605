/* SPDX-License-Identifier: MIT */
#include "resume/native.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/err.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int read_of(enum api_route_id route, const char *body, struct native *n)
{
    return native_read(api_route_get(route), str_of(body), n);
}

static void only_what_means_the_same_is_translated(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        bool is_exact;
    } rows[] = {
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
         true},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[]}", true},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[],\"seed\":null,\"user\":\"u\"}", true},
        {ROUTE_V1_CHAT, "{\"model\":\"m\"}", false},
        {ROUTE_V1_CHAT, "{\"messages\":[]}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":null}]}",
         false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}",
         false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"name\":\"n\"}]}",
         false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[],\"seed\":-1}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[],\"Reasoning_Effort\":\"low\"}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[],\"presence_penalty\":1}", false},
        {ROUTE_V1_CHAT, "{\"model\":\"m\",\"messages\":[", false},
        {ROUTE_V1_COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"p\"}", true},
        {ROUTE_V1_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"p\"]}", false},
        {ROUTE_V1_MESSAGES, "{\"model\":\"m\",\"messages\":[]}", false},
        {ROUTE_CHAT, "{\"model\":\"m\",\"messages\":[]}", false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct native n;

        if ((read_of(rows[i].route, rows[i].body, &n) == 0) != rows[i].is_exact)
            fail_msg("%s", rows[i].body);
    }
}

static void the_question_has_its_messages_as_they_are(void **state)
{
    struct buf out = BUF_INIT(1024);
    struct native n;

    (void)state;
    assert_int_equal(read_of(ROUTE_V1_CHAT,
                             "{\"model\":\"m\\u0041\",\"stream\":true,"
                             "\"messages\":[{\"role\":\"user\",\"content\":\"a\\\"b\"}]}",
                             &n),
                     0);
    assert_int_equal(n.route->id, ROUTE_CHAT);
    assert_int_equal(native_put_question(&n, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("{\"model\":\"m\\u0041\",\"messages\":[{\"role\":"
                                          "\"user\",\"content\":\"a\\\"b\"}],"
                                          "\"_debug_render_only\":true,\"stream\":false}")));
    buf_fini(&out);
}

static void the_rest_has_the_options_of_v1_in_the_words_of_api(void **state)
{
    static const struct {
        const char *fields;
        uint64_t limit;
        const char *options;
    } rows[] = {
        {"", 0, "{\"temperature\":1.0,\"top_p\":1.0}"},
        {",\"temperature\":0.5,\"stop\":\"x\"", 0,
         "{\"temperature\":0.5,\"top_p\":1.0,\"stop\":[\"x\"]}"},
        {",\"top_p\":0.2,\"stop\":[\"x\",\"y\"],\"max_tokens\":9", 7,
         "{\"temperature\":1.0,\"top_p\":0.2,\"stop\":[\"x\",\"y\"],\"num_predict\":7}"},
    };
    const struct api_piece piece = {.content = {STR_INIT("cd\""), false}};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf out = BUF_INIT(1024);
        struct delivered have;
        struct native n;
        char body[256];
        char rest[256];

        delivered_init(&have, 1024);
        delivered_add(&have, &piece, STR_NULL);
        (void)snprintf(body, sizeof(body), "{\"model\":\"m\",\"prompt\":\"p\"%s}", rows[i].fields);
        (void)snprintf(rest, sizeof(rest),
                       "{\"model\":\"m\",\"raw\":true,\"stream\":true,\"think\":false,"
                       "\"options\":%s,\"prompt\":\"<u>\\nab<a>cd\\\"\"}",
                       rows[i].options);
        assert_int_equal(read_of(ROUTE_V1_COMPLETIONS, body, &n), 0);
        assert_int_equal(native_put_rest(&n, STR("<u>\nab<a>"), &have, rows[i].limit, &out), 0);
        if (!str_eq(buf_str(&out), str_of(rest)))
            fail_msg("%s gave " STR_FMT, body, STR_ARG(buf_str(&out)));
        buf_fini(&out);
        delivered_fini(&have);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_means_the_same_is_translated),
        cmocka_unit_test(the_question_has_its_messages_as_they_are),
        cmocka_unit_test(the_rest_has_the_options_of_v1_in_the_words_of_api),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
