/* SPDX-License-Identifier: MIT */
#include "resume/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

static void a_request_is_continued_behind_its_prompt_or_asked_again(void **state)
{
    static const struct {
        const char *body;
        enum splice_begin begin;
        const char *next; /* NULL: the same */
    } rows[] = {
        {"{\"raw\":true,\"prompt\":\"ab\",\"stream\":true}", SPLICE_BEHIND,
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"stream\":true}"},
        {"{\"options\":{\"num_predict\":10},\"raw\":true,\"prompt\":\"ab\"}", SPLICE_BEHIND,
         "{\"options\":{\"num_predict\":7},\"raw\":true,\"prompt\":\"abcd\\\"\"}"},
        {"{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":10}}", SPLICE_BEHIND,
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"options\":{\"num_predict\":7}}"},
        {"{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":-1}}", SPLICE_BEHIND,
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"options\":{\"num_predict\":-1}}"},
        /* A limit of 0 would mean none. */
        {"{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":3}}", SPLICE_AGAIN, NULL},
        /* The same request has the same answer, to the last token. */
        {"{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":10,\"seed\":1}}",
         SPLICE_AGAIN, NULL},
        {"{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"num_predict\":10,\"temperature\":0.0}}",
         SPLICE_AGAIN, NULL},
        {"{\"raw\":true,\"prompt\":\"ab\",\"options\":{\"seed\":1}}", SPLICE_BEHIND,
         "{\"raw\":true,\"prompt\":\"abcd\\\"\",\"options\":{\"seed\":1}}"},
        {"{\"raw\":false,\"prompt\":\"ab\"}", SPLICE_AGAIN, NULL},
        {"{\"prompt\":\"ab\"}", SPLICE_AGAIN, NULL},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf out = BUF_INIT(1024);
        struct delivered have;
        struct resume_rule rule;

        have_text(&have, "cd\"", 3);
        resume_read(api_route_get(ROUTE_GENERATE), str_of(rows[i].body), &rule);
        assert_null(rule.why_not);
        assert_int_equal(resume_begin(&rule, &have), rows[i].begin);
        assert_int_equal(resume_put(&rule, str_of(rows[i].body), &have, &out), 0);
        if (!str_eq(buf_str(&out), str_of(rows[i].next != NULL ? rows[i].next : rows[i].body)))
            fail_msg("%s gave " STR_FMT, rows[i].body, STR_ARG(buf_str(&out)));
        buf_fini(&out);
        delivered_fini(&have);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_more_than_text_is_not_continued),
        cmocka_unit_test(a_request_is_continued_behind_its_prompt_or_asked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
