/* SPDX-License-Identifier: MIT */
#include "api/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/error_body.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define USAGE_END \
    "\"total_duration\":10,\"load_duration\":1,\"prompt_eval_count\":26,\"prompt_eval_duration\":" \
    "2," \
    "\"eval_count\":290,\"eval_duration\":3"

static enum api_answer_state state_after(enum api_route_id route, bool is_sse, const char *record)
{
    struct api_answer a;

    api_answer_init(&a, api_route_get(route));
    api_answer_record(&a, is_sse, str_of(record));
    assert_int_equal(a.n_records, 1);
    return a.state;
}

static const struct {
    enum api_route_id route;
    bool is_sse;
    const char *record;
    enum api_answer_state state;
} records[] = {
    /* NDJSON */
    {ROUTE_GENERATE, false, "{\"model\":\"m\",\"response\":\"x\",\"done\":false}\n",
     API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "{\"model\":\"m\",\"response\":\"\",\"done\":true}\n",
     API_ANSWER_COMPLETE},
    {ROUTE_GENERATE, false, "{ \"done\" : true , \"x\" : 1 }\r\n", API_ANSWER_COMPLETE},
    {ROUTE_GENERATE, false, "{\"response\":\"\\\"done\\\":true\",\"done\":false}\n",
     API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "{\"response\":\"\\\"done\\\":false\",\"done\":true}\n",
     API_ANSWER_COMPLETE},
    {ROUTE_GENERATE, false, "{\"done\":\"true\"}\n", API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "{\"done\":true", API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "{\"done\":true,}", API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "[{\"done\":true}]", API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "true", API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "", API_ANSWER_OPEN},
    {ROUTE_GENERATE, false, "data: [DONE]\n\n", API_ANSWER_OPEN},
    {ROUTE_CHAT, false,
     "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{"
     "\"name\":\"f\","
     "\"arguments\":{\"done\":true,\"error\":\"x\"}}}]},\"done\":false}\n",
     API_ANSWER_OPEN},
    {ROUTE_CHAT, false, "{\"message\":{\"content\":\"\",\"done\":true},\"done\":false}\n",
     API_ANSWER_OPEN},
    {ROUTE_CHAT, false,
     "{\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":{\"done\":false}}}]},\"done\":"
     "true}\n",
     API_ANSWER_COMPLETE},
    {ROUTE_CHAT, false, "{\"message\":[[[[[[[[[[{\"done\":true}]]]]]]]]]],\"done\":false}\n",
     API_ANSWER_OPEN},
    {ROUTE_CHAT, false, "{\"error\":\"model runner has unexpectedly stopped\"}\n",
     API_ANSWER_ERROR},
    {ROUTE_CHAT, false, "{\"error\":{\"code\":500}}\n", API_ANSWER_ERROR},
    {ROUTE_CHAT, false, "{\"error\":\"x\",\"done\":true}\n", API_ANSWER_ERROR},
    {ROUTE_CHAT, false, "{\"error\":null,\"done\":true}\n", API_ANSWER_COMPLETE},
    {ROUTE_CHAT, false, "{\"message\":{\"content\":\"\\\"error\\\":\\\"x\\\"\"},\"done\":false}\n",
     API_ANSWER_OPEN},
    /* OpenAI */
    {ROUTE_V1_CHAT, true, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n",
     API_ANSWER_OPEN},
    {ROUTE_V1_CHAT, true, "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}\n\n",
     API_ANSWER_OPEN},
    {ROUTE_V1_CHAT, true, "data: [DONE]\n\n", API_ANSWER_COMPLETE},
    {ROUTE_V1_CHAT, true, "data:[DONE]\r\n\r\n", API_ANSWER_COMPLETE},
    {ROUTE_V1_COMPLETIONS, true, ": comment\ndata: [DONE]", API_ANSWER_COMPLETE},
    {ROUTE_V1_CHAT, true, "[DONE]\n\n", API_ANSWER_OPEN},
    {ROUTE_V1_CHAT, true, "data: {\"error\":{\"message\":\"x\"}}\n\n", API_ANSWER_ERROR},
    {ROUTE_V1_CHAT, true, "data: {\"done\":true}\n\n", API_ANSWER_OPEN},
    {ROUTE_V1_CHAT, true, "event: message_stop\ndata: {}\n\n", API_ANSWER_OPEN},
    /* Anthropic */
    {ROUTE_V1_MESSAGES, true, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     API_ANSWER_COMPLETE},
    {ROUTE_V1_MESSAGES, true, "data: {\"type\":\"message_stop\"}\n\n", API_ANSWER_COMPLETE},
    {ROUTE_V1_MESSAGES, true, "event:message_stop\r\ndata:{}\r\n\r\n", API_ANSWER_COMPLETE},
    {ROUTE_V1_MESSAGES, true,
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"message_stop\"}}\n\n",
     API_ANSWER_OPEN},
    {ROUTE_V1_MESSAGES, true,
     "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"}}\n\n",
     API_ANSWER_ERROR},
    {ROUTE_V1_MESSAGES, true, "data: [DONE]\n\n", API_ANSWER_OPEN},
    /* Responses */
    {ROUTE_V1_RESPONSES, true, "event: response.output_text.delta\ndata: {\"delta\":\"x\"}\n\n",
     API_ANSWER_OPEN},
    {ROUTE_V1_RESPONSES, true,
     "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n", API_ANSWER_COMPLETE},
    {ROUTE_V1_RESPONSES, true, "data: {\"type\":\"response.incomplete\"}\n\n", API_ANSWER_COMPLETE},
    {ROUTE_V1_RESPONSES, true, "data: {\"type\":\"response.failed\",\"response\":{}}\n\n",
     API_ANSWER_ERROR},
    {ROUTE_V1_RESPONSES, true, "event: error\ndata: {\"type\":\"error\",\"message\":\"x\"}\n\n",
     API_ANSWER_ERROR},
    {ROUTE_V1_RESPONSES, true, "event: response.created\ndata: {\"response\":{\"error\":null}}\n\n",
     API_ANSWER_OPEN},
};

static void only_the_node_itself_ends_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(records); i++) {
        enum api_answer_state got =
            state_after(records[i].route, records[i].is_sse, records[i].record);

        if (got != records[i].state)
            fail_msg("state %d after %s", (int)got, records[i].record);
    }
}

static void our_own_error_records_are_seen_as_errors(void **state)
{
    static const enum api_route_id routes[] = {ROUTE_CHAT, ROUTE_V1_CHAT, ROUTE_V1_MESSAGES,
                                               ROUTE_V1_RESPONSES};
    const struct api_error error = {REASON_node_reset, 502, STR("x")};

    (void)state;
    for (size_t i = 0; i < N(routes); i++) {
        const struct api_route *route = api_route_get(routes[i]);
        bool is_sse = route->family != API_OLLAMA;
        struct buf out = BUF_INIT(4096);
        struct api_answer a;

        assert_int_equal(api_put_error_record(&out, route, is_sse, &error), 0);
        api_answer_init(&a, route);
        api_answer_record(&a, is_sse, buf_str(&out));
        assert_int_equal(api_answer_end_stream(&a), API_VERDICT_ERROR);
        buf_fini(&out);
    }
}

static void usage_is_read_in_every_dialect(void **state)
{
    static const struct {
        enum api_route_id route;
        bool is_sse;
        const char *records[4];
    } rows[] = {
        {ROUTE_GENERATE, false, {"{\"response\":\"\",\"done\":true," USAGE_END "}\n"}},
        {ROUTE_CHAT,
         false,
         {"{\"message\":{\"content\":\"a\"},\"done\":false}\n",
          "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"arguments\":{\"eval_"
          "count\":7}}}]},"
          "\"done\":true," USAGE_END "}\n"}},
        {ROUTE_V1_CHAT,
         true,
         {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
          "data: "
          "{\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":290,\"total_"
          "tokens\":316}}\n\n",
          "data: [DONE]\n\n"}},
        {ROUTE_V1_COMPLETIONS,
         true,
         {"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":290}}\n\n",
          "data: "
          "{\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}"
          "\n\n"}},
        {ROUTE_V1_MESSAGES,
         true,
         {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],"
          "\"usage\":{\"input_tokens\":26,\"output_tokens\":0}}}\n\n",
          "event: message_delta\ndata: "
          "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
          "\"usage\":{\"output_tokens\":290}}\n\n",
          "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}},
        {ROUTE_V1_RESPONSES,
         true,
         {"event: response.completed\ndata: "
          "{\"type\":\"response.completed\",\"response\":{\"output\":[{\"usage\":"
          "{\"input_tokens\":1}}],\"usage\":{\"input_tokens\":26,\"output_tokens\":290}}}\n\n"}},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_answer a;

        api_answer_init(&a, api_route_get(rows[i].route));
        for (size_t j = 0; j < 4 && rows[i].records[j] != NULL; j++)
            api_answer_record(&a, rows[i].is_sse, str_of(rows[i].records[j]));
        assert_int_equal(a.usage.tokens_in, 26);
        assert_int_equal(a.usage.tokens_out, 290);
        if (api_route_get(rows[i].route)->family == API_OLLAMA) {
            assert_int_equal(a.usage.total_ns, 10);
            assert_int_equal(a.usage.load_ns, 1);
            assert_int_equal(a.usage.prompt_ns, 2);
            assert_int_equal(a.usage.eval_ns, 3);
        }
    }
}

static void odd_counters_do_not_count(void **state)
{
    struct api_answer a;

    (void)state;
    api_answer_init(&a, api_route_get(ROUTE_CHAT));
    api_answer_record(
        &a, false,
        STR("{\"done\":true,\"eval_count\":-1,\"prompt_eval_count\":\"7\",\"total_duration\":1e3,"
            "\"load_duration\":99999999999999999999999,\"eval_duration\":{\"eval_count\":5}}"));
    assert_int_equal(a.state, API_ANSWER_COMPLETE);
    assert_memory_equal(&a.usage, &(struct api_usage){0}, sizeof(a.usage));
}

static void nothing_counts_behind_the_end(void **state)
{
    struct api_answer a;

    (void)state;
    api_answer_init(&a, api_route_get(ROUTE_CHAT));
    api_answer_record(&a, false, STR("{\"done\":true,\"eval_count\":5}\n"));
    api_answer_record(&a, false, STR("{\"error\":\"x\",\"eval_count\":6}\n"));
    assert_int_equal(a.n_records, 2);
    assert_int_equal(a.usage.tokens_out, 5);
    assert_int_equal(api_answer_end_stream(&a), API_VERDICT_COMPLETE);
}

/* ---- repetition ---------------------------------------------------------------------------- */

static enum api_verdict verdict_after(enum api_route_id route, const char *record, int n)
{
    bool is_sse = api_route_get(route)->family != API_OLLAMA;
    struct api_answer a;

    api_answer_init(&a, api_route_get(route));
    for (int i = 0; i < n; i++)
        api_answer_record(&a, is_sse, str_of(record));
    return api_answer_end_stream(&a);
}

static void thirty_one_equal_texts_are_a_repetition(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *record;
    } rows[] = {
        {ROUTE_GENERATE, "{\"response\":\" the\",\"done\":false}\n"},
        {ROUTE_GENERATE, "{\"response\":\"\",\"thinking\":\"hm\",\"done\":false}\n"},
        {ROUTE_CHAT, "{\"message\":{\"role\":\"assistant\",\"content\":\"the\"},\"done\":false}\n"},
        {ROUTE_V1_CHAT,
         "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"the\"}}]}\n\n"},
        {ROUTE_V1_COMPLETIONS, "data: {\"choices\":[{\"text\":\"the\"}]}\n\n"},
        {ROUTE_V1_MESSAGES,
         "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":"
         "{\"type\":\"text_delta\",\"text\":\"the\"}}\n\n"},
        {ROUTE_V1_RESPONSES,
         "data: {\"type\":\"response.output_text.delta\",\"delta\":\"the\"}\n\n"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        assert_int_equal(verdict_after(rows[i].route, rows[i].record, 30), API_VERDICT_INCOMPLETE);
        assert_int_equal(verdict_after(rows[i].route, rows[i].record, 31), API_VERDICT_REPETITION);
    }
}

static void thirty_blank_texts_in_front_are_a_repetition(void **state)
{
    static const char blank[] = "{\"response\":\" \\n\",\"done\":false}\n";

    (void)state;
    assert_int_equal(verdict_after(ROUTE_GENERATE, blank, 29), API_VERDICT_INCOMPLETE);
    assert_int_equal(verdict_after(ROUTE_GENERATE, blank, 30), API_VERDICT_REPETITION);
}

static void records_without_a_text_are_no_repetition(void **state)
{
    (void)state;
    assert_int_equal(verdict_after(ROUTE_V1_CHAT, "data: {\"choices\":[]}\n\n", 100),
                     API_VERDICT_INCOMPLETE);
    assert_int_equal(verdict_after(ROUTE_CHAT, "not json", 100), API_VERDICT_INCOMPLETE);
}

static void white_space_around_a_text_does_not_make_it_another(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool are_equal;
    } rows[] = {
        {" the", "the", true}, {"\\n", "\\t \\r", true}, {"the\\n\\n", "the", true},
        {"the", "The", false}, {"a b", "ab", false},     {"the\\\\n", "the\\\\", false},
        {"\\\\n", "", false},  {"\\u0041", "A", false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct api_answer a;
        char line[128];

        api_answer_init(&a, api_route_get(ROUTE_GENERATE));
        (void)snprintf(line, sizeof(line), "{\"response\":\"%s\",\"done\":false}", rows[i].a);
        api_answer_record(&a, false, str_of(line));
        a.n_repeats = 1;
        (void)snprintf(line, sizeof(line), "{\"response\":\"%s\",\"done\":false}", rows[i].b);
        api_answer_record(&a, false, str_of(line));
        if ((a.n_repeats == 2) != rows[i].are_equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

static void thinking_that_moves_on_is_no_repetition(void **state)
{
    struct api_answer a;

    (void)state;
    api_answer_init(&a, api_route_get(ROUTE_CHAT));
    for (int i = 0; i < 100; i++) {
        char line[128];

        (void)snprintf(line, sizeof(line),
                       "{\"message\":{\"content\":\"\",\"thinking\":\"%d\"},\"done\":false}", i);
        api_answer_record(&a, false, str_of(line));
    }
    assert_int_equal(api_answer_end_stream(&a), API_VERDICT_INCOMPLETE);
}

/* ---- what a record gives to read --------------------------------------------------------------- */

static void the_texts_of_a_record_are_found_in_every_dialect(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *record;
        const char *content;
        const char *thinking;
        bool has_more;
    } rows[] = {
        {ROUTE_GENERATE, "{\"response\":\"a\\n\",\"done\":false}", "a\\n", "", false},
        {ROUTE_GENERATE, "{\"response\":\"\",\"thinking\":\"b\",\"done\":false}", "", "b", false},
        {ROUTE_GENERATE, "{\"response\":\"a\",\"logprobs\":[{}],\"done\":false}", "a", "", true},
        {ROUTE_GENERATE, "{\"response\":\"a\",\"logprobs\":null,\"done\":false}", "a", "", false},
        {ROUTE_GENERATE, "{\"response\":\"a\",\"logprobs\":[],\"done\":false}", "a", "", false},
        {ROUTE_CHAT, "{\"message\":{\"content\":\"a\",\"thinking\":\"b\"}}", "a", "b", false},
        {ROUTE_CHAT, "{\"message\":{\"content\":\"\",\"tool_calls\":[{}]}}", "", "", true},
        {ROUTE_V1_CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "a", "",
         false},
        {ROUTE_V1_CHAT, "data: {\"choices\":[{\"delta\":{\"reasoning\":\"b\"}}]}\n\n", "", "b",
         false},
        {ROUTE_V1_CHAT, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\n", "", "",
         true},
        {ROUTE_V1_COMPLETIONS, "data: {\"choices\":[{\"text\":\"a\"}]}\n\n", "a", "", false},
        {ROUTE_V1_MESSAGES, "data: {\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n", "a",
         "", false},
        {ROUTE_V1_MESSAGES, "data: {\"delta\":{\"thinking\":\"b\"}}\n\n", "", "b", false},
        {ROUTE_V1_MESSAGES, "data: {\"delta\":{\"partial_json\":\"{\"}}\n\n", "", "", true},
        {ROUTE_V1_RESPONSES, "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
         "a", "", false},
        {ROUTE_V1_RESPONSES,
         "data: {\"delta\":\"b\",\"type\":\"response.reasoning_summary_text.delta\"}\n\n", "", "b",
         false},
        {ROUTE_V1_RESPONSES,
         "data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{\"}\n\n", "{", "",
         true},
        {ROUTE_GENERATE, "no object", "", "", false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        const struct api_route *route = api_route_get(rows[i].route);
        struct api_answer a;

        api_answer_init(&a, route);
        api_answer_record(&a, route->family != API_OLLAMA, str_of(rows[i].record));
        if (!str_eq(a.piece.content.raw, str_of(rows[i].content)) ||
            !str_eq(a.piece.thinking.raw, str_of(rows[i].thinking)) ||
            a.piece.has_more != rows[i].has_more)
            fail_msg("%s", rows[i].record);
    }
}

/* ---- answers that are not streamed --------------------------------------------------------- */

/* Records that are like one another but for a string or two, of which something may depend. */
static const char *const alike[] = {
    "{\"model\":\"m\",\"created_at\":\"1\",\"response\":\"a\",\"done\":false}\n",
    "{\"model\":\"m\",\"created_at\":\"2\",\"response\":\" a \",\"done\":false}\n",
    "{\"model\":\"m\",\"created_at\":\"3\",\"response\":\"\\n\",\"done\":false}\n",
    "{\"model\":\"m\",\"created_at\":\"3\",\"response\":\"\",\"thinking\":\"b\",\"done\":false}\n",
    "{\"model\":\"m\",\"created_at\":\"4\",\"response\":\"c\",\"done\":true}\n",
    "{\"model\":\"m\",\"error\":\"\",\"done\":false}\n",
    "{\"model\":\"m\",\"error\":\"x\",\"done\":false}\n",
    "{\"message\":{\"role\":\"r\",\"content\":\"a\",\"tool_calls\":[{\"x\":\"y\"}]},\"done\":false}"
    "\n",
    "{\"message\":{\"role\":\"r\",\"content\":\"b\",\"tool_calls\":[{\"x\":\"y\"}]},\"done\":false}"
    "\n",
    "{\"eval_count\":3,\"response\":\"a\"}\n",
    "{\"eval_count\":3,\"response\":\"b\"}\n",
    "{\"response\":\"a\",\"done\":false\n",
    "event: e\ndata: {\"type\":\"\",\"delta\":\"a\"}\n\n",
    "event: e\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
    "event: e\ndata: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"a\"}\n\n",
    "event: e\ndata: {\"type\":\"response.failed\",\"delta\":\"a\"}\n\n",
    "event: e\ndata: {\"type\":\"message_stop\",\"delta\":\"a\"}\n\n",
    "event: message_stop\ndata: {\"type\":\"\",\"delta\":\"a\"}\n\n",
    "event: e\ndata: {\"delta\":{\"type\":\"t\",\"partial_json\":\"a\"}}\n\n",
    "event: e\ndata: {\"delta\":{\"type\":\"t\",\"partial_json\":\"b\"}}\n\n",
    "data: [DONE]\n\n",
};

static bool is_same_text(const struct api_text *a, const struct api_text *b)
{
    return str_eq(a->raw, b->raw) && a->has_escape == b->has_escape;
}

static bool is_same(const struct api_answer *a, const struct api_answer *b)
{
    return a->state == b->state && a->n_records == b->n_records && a->n_repeats == b->n_repeats &&
           a->last_text == b->last_text && memcmp(&a->usage, &b->usage, sizeof(a->usage)) == 0 &&
           is_same_text(&a->piece.content, &b->piece.content) &&
           is_same_text(&a->piece.thinking, &b->piece.thinking) &&
           a->piece.has_more == b->piece.has_more;
}

static void the_record_before_does_not_change_what_one_says(void **state)
{
    (void)state;
    for (size_t route = 0; route < N(records); route++) {
        for (size_t i = 0; i < N(alike) * N(alike); i++) {
            const char *second = alike[i % N(alike)];
            struct api_answer a;
            struct api_answer in_full;

            api_answer_init(&a, api_route_get(records[route].route));
            api_answer_record(&a, records[route].is_sse, str_of(alike[i / N(alike)]));
            in_full = a;
            api_shape_drop(&in_full.shape);
            api_answer_record(&a, records[route].is_sse, str_of(second));
            api_answer_record(&in_full, records[route].is_sse, str_of(second));
            if (!is_same(&a, &in_full))
                fail_msg("%sbehind %s", second, alike[i / N(alike)]);
        }
    }
}

static void counters_are_found_at_the_end_of_the_bytes(void **state)
{
    static const struct {
        enum api_route_id route;
        const char *body;
        uint64_t in;
        uint64_t out;
    } rows[] = {
        {ROUTE_GENERATE, "{\"response\":\"x\",\"done\":true," USAGE_END "}", 26, 290},
        {ROUTE_CHAT, "{\"message\":{\"content\":\"\\\"eval_count\\\":7\"},\"eval_count\" : 5}", 0,
         5},
        {ROUTE_CHAT,
         "{\"message\":{\"tool_calls\":[{\"output_tokens\":9,\"eval_count\":8}]},\"eval_count\":5}",
         0, 5},
        {ROUTE_EMBED, "{\"embeddings\":[[0.1]],\"prompt_eval_count\":4}", 4, 0},
        {ROUTE_V1_CHAT,
         "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n", 3, 2},
        {ROUTE_V1_MESSAGES, "{\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}", 3, 2},
        {ROUTE_CHAT, "", 0, 0},
        {ROUTE_CHAT, "\"eval_count\":", 0, 0},
        {ROUTE_CHAT, "eval_count\":5", 0, 0},
        {ROUTE_CHAT, "\"eval_count\":\"5\"", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        for (size_t piece = 1; piece < 700; piece += 97) {
            struct str rest = str_of(rows[i].body);
            struct api_answer a;

            api_answer_init(&a, api_route_get(rows[i].route));
            for (int k = 0; k < 3000; k++)
                api_answer_bytes(&a, STR("padding"));
            for (; rest.len > 0; rest = str_from(rest, piece))
                api_answer_bytes(&a, str_head(rest, piece));
            api_answer_end_bytes(&a);
            assert_int_equal(a.state, API_ANSWER_COMPLETE);
            assert_int_equal(a.usage.tokens_in, rows[i].in);
            assert_int_equal(a.usage.tokens_out, rows[i].out);
        }
    }
}

static void the_tail_is_the_end_of_the_bytes(void **state)
{
    static const size_t pieces[] = {1, 7, 511, 512, 513, 2000};
    char bytes[2000];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 31 % 251);
    for (size_t i = 0; i < N(pieces); i++) {
        struct str rest = str_make(bytes, sizeof(bytes));
        struct api_answer a;

        api_answer_init(&a, api_route_get(ROUTE_CHAT));
        for (; rest.len > 0; rest = str_from(rest, pieces[i]))
            api_answer_bytes(&a, str_head(rest, pieces[i]));
        assert_int_equal(a.tail_len, sizeof(a.tail));
        assert_memory_equal(a.tail, bytes + sizeof(bytes) - sizeof(a.tail), sizeof(a.tail));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_node_itself_ends_an_answer),
        cmocka_unit_test(our_own_error_records_are_seen_as_errors),
        cmocka_unit_test(usage_is_read_in_every_dialect),
        cmocka_unit_test(odd_counters_do_not_count),
        cmocka_unit_test(nothing_counts_behind_the_end),
        cmocka_unit_test(thirty_one_equal_texts_are_a_repetition),
        cmocka_unit_test(thirty_blank_texts_in_front_are_a_repetition),
        cmocka_unit_test(records_without_a_text_are_no_repetition),
        cmocka_unit_test(white_space_around_a_text_does_not_make_it_another),
        cmocka_unit_test(thinking_that_moves_on_is_no_repetition),
        cmocka_unit_test(the_texts_of_a_record_are_found_in_every_dialect),
        cmocka_unit_test(the_record_before_does_not_change_what_one_says),
        cmocka_unit_test(counters_are_found_at_the_end_of_the_bytes),
        cmocka_unit_test(the_tail_is_the_end_of_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
