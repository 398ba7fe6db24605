/* SPDX-License-Identifier: MIT */
#include "resume/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/err.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void what_is_more_than_text_is_not_continued(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        const char *why_not;
    } rows[] = {
        {ROUTE_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\"}", NULL},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"format\":\"json\"}", "its format is constrained"},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"format\":{\"type\":\"object\"}}",
         "its format is constrained"},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"format\":\"\",\"images\":[],\"suffix\":\"\"}", NULL},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"Images\":[\"aGk=\"]}", "it has images"},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"suffix\":\"s\"}", "it has a suffix"},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"context\":[1,2]}", "it has a context"},
        {ROUTE_GENERATE, "{\"prompt\":\"p\",\"logprobs\":true}", "it wants log probabilities"},
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\",\"prompt\":\"q\"}", "it has two prompts"},
        {ROUTE_GENERATE, "{\"prompt\":", "its request is not understood"},
        {ROUTE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", NULL},
        {ROUTE_CHAT, "{\"messages\":[],\"tools\":[{}]}", "it may call tools"},
        {ROUTE_CHAT, "{\"messages\":[{\"content\":\"a\",\"images\":[\"x\"]}]}", "it has images"},
        {ROUTE_CHAT, "{\"messages\":[{\"content\":\"images\",\"images\":null}]}", NULL},
        {ROUTE_V1_CHAT, "{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]}",
         NULL},
        {ROUTE_V1_CHAT, "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"x\"}}]}]}",
         "it has images"},
        {ROUTE_V1_CHAT, "{\"response_format\":{\"type\":\"text\"}}", NULL},
        {ROUTE_V1_CHAT, "{\"response_format\":{\"type\":\"json_object\"}}",
         "its format is constrained"},
        {ROUTE_V1_RESPONSES, "{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_schema\"}}}",
         "its format is constrained"},
        {ROUTE_V1_MESSAGES, "{\"messages\":[{\"content\":[{\"source\":{\"data\":\"x\"}}]}]}",
         "it has images"},
        {ROUTE_SHOW, "{\"model\":\"m\"}", "it is no generation"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct resume_rule rule;

        resume_read(api_route_get(rows[i].route), str_of(rows[i].body), &rule);
        if (rows[i].why_not == NULL
                ? rule.why_not != NULL
                : rule.why_not == NULL || strcmp(rule.why_not, rows[i].why_not) != 0)
            fail_msg("%s: %s", rows[i].body, rule.why_not);
    }
}

static void have_text(struct delivered *d, const char *text, unsigned n_records)
{
    const struct api_piece piece = {.content = {str_of(text), false}};

    delivered_init(d, 1024);
    delivered_add(d, &piece, STR_NULL);
    d->n_texts = n_records;
}

static void the_way_depends_on_request_text_and_node(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        bool is_same_model;
        bool can_render;
        enum resume_way way;
    } rows[] = {
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\"}", true, false, RESUME_BEHIND},
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\"}", false, true, RESUME_AGAIN},
        {ROUTE_GENERATE, "{\"raw\":false,\"prompt\":\"p\"}", true, false, RESUME_AGAIN},
        {ROUTE_GENERATE, "{\"prompt\":\"p\"}", true, true, RESUME_RENDERED},
        {ROUTE_CHAT, "{\"messages\":[]}", true, true, RESUME_RENDERED},
        {ROUTE_CHAT, "{\"messages\":[]}", true, false, RESUME_AGAIN},
        {ROUTE_CHAT, "{\"messages\":[]}", false, true, RESUME_AGAIN},
        {ROUTE_V1_CHAT, "{\"messages\":[]}", true, true, RESUME_AGAIN},
        /* The same request has the same answer: no token has to be cut anew. */
        {ROUTE_CHAT, "{\"messages\":[],\"options\":{\"seed\":1}}", true, true, RESUME_AGAIN},
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\",\"options\":{\"temperature\":0.0}}", true,
         true, RESUME_AGAIN},
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\",\"options\":{\"temperature\":0.1}}", true,
         true, RESUME_BEHIND},
        /* A limit of 0 would mean none. */
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\",\"options\":{\"num_predict\":3}}", true,
         true, RESUME_AGAIN},
        {ROUTE_GENERATE, "{\"raw\":true,\"prompt\":\"p\",\"options\":{\"num_predict\":4}}", true,
         true, RESUME_BEHIND},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        const struct resume_node node = {rows[i].is_same_model, rows[i].can_render};
        struct delivered have;
        struct resume_rule rule;

        have_text(&have, "cd", 3);
        resume_read(api_route_get(rows[i].route), str_of(rows[i].body), &rule);
        assert_null(rule.why_not);
        if (resume_choose(&rule, &have, &node) != rows[i].way)
            fail_msg("%zu: %s", i, rows[i].body);
        delivered_fini(&have);
    }
}

static void no_text_goes_on_behind_thinking(void **state)
{
    const struct api_piece piece = {.thinking = {STR_INIT("hm"), false}};
    const struct resume_node node = {true, true};
    struct delivered have;
    struct resume_rule rule;

    (void)state;
    delivered_init(&have, 1024);
    delivered_add(&have, &piece, STR_NULL);
    resume_read(api_route_get(ROUTE_CHAT), STR("{\"messages\":[]}"), &rule);
    assert_int_equal(resume_choose(&rule, &have, &node), RESUME_AGAIN);
    delivered_fini(&have);
}

static void a_body_goes_on_with_what_was_delivered(void **state)
{
    static const struct {
        enum resume_way way;
        const char *body;
        const char *next;
    } rows[] = {
        {RESUME_AGAIN, "{\"prompt\":\"ab\"}", "{\"prompt\":\"ab\"}"},
        {RESUME_BEHIND, "{\"raw\":true,\"prompt\":\"ab\",\"stream\":true}",
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"stream\":true}"},
        {RESUME_BEHIND, "{\"options\":{\"num_predict\":10},\"raw\":true,\"prompt\":\"ab\"}",
         "{\"options\":{\"num_predict\":7},\"raw\":true,\"prompt\":\"abcd\\\"\"}"},
        {RESUME_BEHIND, "{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":10}}",
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"options\":{\"num_predict\":7}}"},
        {RESUME_BEHIND, "{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":-1}}",
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"options\":{\"num_predict\":-1}}"},
        {RESUME_RENDERED, "{\"prompt\":\"ab\",\"options\":{\"num_predict\":10}} ",
         "{\"prompt\":\"ab\",\"options\":{\"num_predict\":7},\"raw\":true,\"stream\":true,"
         "\"think\":false,\"system\":\"\",\"template\":\"\",\"messages\":null,"
         "\"prompt\":\"<u>ab<a>cd\\\"\"} "},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf out = BUF_INIT(1024);
        struct delivered have;
        struct resume_rule rule;

        have_text(&have, "cd\"", 3);
        resume_read(api_route_get(ROUTE_GENERATE), str_of(rows[i].body), &rule);
        assert_int_equal(
            resume_put(&rule, rows[i].way, str_of(rows[i].body), &have, STR("<u>ab<a>"), &out), 0);
        if (!str_eq(buf_str(&out), str_of(rows[i].next)))
            fail_msg("%s gave " STR_FMT, rows[i].body, STR_ARG(buf_str(&out)));
        buf_fini(&out);
        delivered_fini(&have);
    }
}

static void a_node_is_asked_for_its_prompt(void **state)
{
    const struct resume_rule none = {0};
    struct buf out = BUF_INIT(1024);

    (void)state;
    assert_int_equal(resume_put_question(&none, STR("{\"model\":\"m\",\"stream\":true}\n"), &out),
                     0);
    assert_true(str_eq(buf_str(&out), STR("{\"model\":\"m\",\"stream\":true,"
                                          "\"_debug_render_only\":true,\"stream\":false}\n")));
    buf_reset(&out);
    assert_int_equal(
        resume_read_prompt(STR("{\"_debug_info\":{\"rendered_template\":\"<u>\\nab\"}}"), &out), 0);
    assert_true(str_eq(buf_str(&out), STR("<u>\nab")));
    buf_reset(&out);
    /* 0.11 does not know the question, and generates. */
    assert_true(resume_read_prompt(STR("{\"response\":\"rendered_template\"}"), &out) < 0);
    assert_int_equal(resume_read_prompt(
                         STR("{\"_debug_info\":{\"rendered_template\":\"<a><think>\\n\"}}"), &out),
                     -EX_RESUME);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_more_than_text_is_not_continued),
        cmocka_unit_test(the_way_depends_on_request_text_and_node),
        cmocka_unit_test(no_text_goes_on_behind_thinking),
        cmocka_unit_test(a_body_goes_on_with_what_was_delivered),
        cmocka_unit_test(a_node_is_asked_for_its_prompt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
