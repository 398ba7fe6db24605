/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "client/ollama_body.h"
#include "client/ollama_read.h"

static void assert_body(struct buf *body, int r, const char *expected)
{
    assert_int_equal(r, 0);
    assert_int_equal(buf_put_char(body, '\0'), 0);
    assert_string_equal(body->data, expected);
    buf_fini(body);
}

static void silent(void *user, chasqui_bytes text)
{
    (void)user;
    (void)text;
}

static void what_is_not_set_is_not_in_the_body(void **state)
{
    struct buf body = BUF_INIT(4096);
    chasqui_generate_request q = {.size = sizeof(q), .model = "m"};

    (void)state;
    assert_body(&body, client_body_generate(&body, &q), "{\"model\":\"m\",\"stream\":false}");
}

static void everything_has_its_place(void **state)
{
    struct buf body = BUF_INIT(4096);
    chasqui_generate_request q = {.size = sizeof(q),
                                  .model = "m",
                                  .prompt = "say \"hi\"\n",
                                  .suffix = "s",
                                  .system = "y",
                                  .format = "json",
                                  .think = "high",
                                  .keep_alive = "5m",
                                  .options = " {\"seed\":1} ",
                                  .extra = " { \"raw\" : true } ",
                                  .on_text = silent};

    (void)state;
    assert_body(
        &body, client_body_generate(&body, &q),
        "{\"model\":\"m\",\"prompt\":\"say \\\"hi\\\"\\n\",\"suffix\":\"s\",\"system\":\"y\","
        "\"format\":\"json\",\"think\":\"high\",\"keep_alive\":\"5m\","
        "\"options\":{\"seed\":1},\"stream\":true,\"raw\" : true}");
    q = (chasqui_generate_request){.size = sizeof(q),
                                   .model = "m",
                                   .format = "{\"type\":\"object\"}",
                                   .think = "false",
                                   .extra = "{}"};
    assert_body(
        &body, client_body_generate(&body, &q),
        "{\"model\":\"m\",\"format\":{\"type\":\"object\"},\"think\":false,\"stream\":false}");
}

static void a_conversation_with_tools_and_images(void **state)
{
    const chasqui_bytes images[] = {
        chasqui_text("M"), chasqui_text("Ma"), chasqui_text("Man"), {"\xff\xfe\xfd\xfc", 4}};
    const chasqui_message messages[] = {
        {.role = "user", .content = "look", .images = images, .n_images = 4},
        {.role = "assistant", .content = "", .tool_calls = "[{\"function\":{}}]"},
        {.role = "tool", .content = "22", .tool_name = "weather"},
    };
    struct buf body = BUF_INIT(4096);
    chasqui_chat_request q = {
        .size = sizeof(q), .model = "m", .messages = messages, .n_messages = 3, .tools = "[]"};

    (void)state;
    assert_body(&body, client_body_chat(&body, &q),
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"look\","
                "\"images\":[\"TQ==\",\"TWE=\",\"TWFu\",\"//79/A==\"]},"
                "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{}}]},"
                "{\"role\":\"tool\",\"content\":\"22\",\"tool_name\":\"weather\"}],"
                "\"tools\":[],\"stream\":false}");
}

static void a_text_that_must_be_json_and_is_not_is_refused(void **state)
{
    static const chasqui_generate_request bad[] = {
        {.model = "m", .options = "{\"a\":1"},
        {.model = "m", .options = "[1]"},
        {.model = "m", .options = "{} {}"},
        {.model = "m", .options = ""},
        {.model = "m", .extra = "{\"a\":1}, \"b\""},
        {.model = "m", .extra = "null"},
        {.model = "m", .format = "{"},
        {.model = ""},
        {.model = NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf body = BUF_INIT(4096);

        assert_int_equal(client_body_generate(&body, &bad[i]), -EINVAL);
        buf_fini(&body);
    }
}

/*
 * Answers
 */

static struct client_growing_answer growing_make(void)
{
    return (struct client_growing_answer){.text = BUF_INIT(4096),
                                          .thinking = BUF_INIT(4096),
                                          .tool_calls = BUF_INIT(4096),
                                          .done_reason = BUF_INIT(4096),
                                          .json = BUF_INIT(4096)};
}

static void growing_free(struct client_growing_answer *g)
{
    buf_fini(&g->text);
    buf_fini(&g->thinking);
    buf_fini(&g->tool_calls);
    buf_fini(&g->done_reason);
    buf_fini(&g->json);
}

static void assert_buf(const struct buf *b, const char *expected)
{
    assert_int_equal(b->len, strlen(expected));
    assert_memory_equal(b->data != NULL ? b->data : "", expected, b->len);
}

static void records_add_up(void **state)
{
    static const char *const records[] = {
        "{\"model\":\"m\",\"response\":\"A \\u00e9\",\"done\":false}",
        "{\"message\":{\"role\":\"assistant\",\"content\":\"B\",\"thinking\":\"hm\"}}",
        "{\"message\":{\"content\":\"\",\"tool_calls\":[ {\"function\":{\"name\":\"f\"}} ]}}",
        "{\"message\":{\"tool_calls\":[{\"x\":[1]},2]},\"thinking\":\"!\"}",
        "{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"total_duration\":9,"
        "\"load_duration\":8,\"prompt_eval_count\":7,\"prompt_eval_duration\":6,\"eval_count\":5,"
        "\"eval_duration\":4,\"context\":[1,2,{\"response\":\"deep\"}]}",
    };
    struct client_growing_answer g = growing_make();
    chasqui_answer answer = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
        assert_int_equal(client_read_record(str_of(records[i]), &g, &answer), 0);
    assert_buf(&g.text, "A \xc3\xa9"
                        "B");
    assert_buf(&g.thinking, "hm!");
    assert_buf(&g.tool_calls, "{\"function\":{\"name\":\"f\"}},{\"x\":[1]},2");
    assert_buf(&g.done_reason, "stop");
    assert_int_equal(answer.total_ns, 9);
    assert_int_equal(answer.load_ns, 8);
    assert_int_equal(answer.prompt_tokens, 7);
    assert_int_equal(answer.prompt_ns, 6);
    assert_int_equal(answer.answer_tokens, 5);
    assert_int_equal(answer.answer_ns, 4);
    growing_free(&g);
}

static void members_of_another_type_are_as_good_as_absent(void **state)
{
    struct client_growing_answer g = growing_make();
    chasqui_answer answer = {0};

    (void)state;
    assert_int_equal(
        client_read_record(STR("{\"response\":{\"a\":[1]},\"message\":\"x\",\"eval_count\":-1,"
                               "\"eval_duration\":1.5,\"done_reason\":null,\"thinking\":[\"t\"]}"),
                           &g, &answer),
        0);
    assert_int_equal(g.text.len + g.thinking.len + g.done_reason.len, 0);
    assert_int_equal(answer.answer_tokens + answer.answer_ns, 0);
    growing_free(&g);
}

static void what_is_no_object_is_no_answer(void **state)
{
    static const char *const bad[] = {
        "", "[]", "1", "{", "{\"response\":", "{\"message\":{\"a\":1}"};
    struct client_growing_answer g = growing_make();
    chasqui_embeddings embeddings = {0};
    chasqui_answer answer = {0};
    chasqui_models models = {0};
    struct buf version = BUF_INIT(100);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(client_read_record(str_of(bad[i]), &g, &answer) < 0);
        assert_true(client_read_embeddings(str_of(bad[i]), &embeddings) < 0);
        assert_true(client_read_models(str_of(bad[i]), &models) < 0);
        assert_true(client_read_version(str_of(bad[i]), &version) < 0);
    }
    growing_free(&g);
}

static void vectors_have_one_length(void **state)
{
    chasqui_embeddings e = {0};

    (void)state;
    assert_int_equal(
        client_read_embeddings(
            STR("{\"embeddings\":[[0.5,-1e-3,2],[1,2,3]],\"prompt_eval_count\":4}"), &e),
        0);
    assert_int_equal(e.n, 2);
    assert_int_equal(e.dimension, 3);
    assert_true(e.values[0] > 0.49f && e.values[0] < 0.51f);
    assert_true(e.values[1] < -0.0009f && e.values[1] > -0.0011f);
    assert_true(e.values[5] > 2.9f);
    assert_int_equal(e.tokens, 4);
    chasqui_embeddings_free(&e);
    assert_true(client_read_embeddings(STR("{\"embeddings\":[[1],[1,2]]}"), &e) < 0);
    assert_true(client_read_embeddings(STR("{\"embeddings\":[[\"1\"]]}"), &e) < 0);
    assert_true(client_read_embeddings(STR("{\"embeddings\":[1]}"), &e) < 0);
    assert_null(e.memory);
}

static void models_are_listed_with_their_details(void **state)
{
    chasqui_models m = {0};

    (void)state;
    assert_int_equal(
        client_read_models(STR("{\"models\":[{\"name\":\"a:latest\",\"size\":5,\"digest\":\"d\","
                               "\"modified_at\":\"t\",\"details\":{\"family\":\"llama\","
                               "\"parameter_size\":\"8B\",\"quantization_level\":\"Q4\"}},"
                               "{\"name\":\"b\",\"expires_at\":\"u\",\"size_vram\":4,"
                               "\"context_length\":4096,\"details\":null}]}"),
                           &m),
        0);
    assert_int_equal(m.n, 2);
    assert_string_equal(m.models[0].name, "a:latest");
    assert_string_equal(m.models[0].time, "t");
    assert_string_equal(m.models[0].family, "llama");
    assert_string_equal(m.models[0].quantization, "Q4");
    assert_int_equal(m.models[0].size, 5);
    assert_string_equal(m.models[1].name, "b");
    assert_string_equal(m.models[1].time, "u");
    assert_string_equal(m.models[1].family, "");
    assert_int_equal(m.models[1].size_vram, 4);
    assert_int_equal(m.models[1].context_length, 4096);
    chasqui_models_free(&m);
    assert_int_equal(client_read_models(STR("{\"models\":[]}"), &m), 0);
    assert_int_equal(m.n, 0);
    chasqui_models_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_set_is_not_in_the_body),
        cmocka_unit_test(everything_has_its_place),
        cmocka_unit_test(a_conversation_with_tools_and_images),
        cmocka_unit_test(a_text_that_must_be_json_and_is_not_is_refused),
        cmocka_unit_test(records_add_up),
        cmocka_unit_test(members_of_another_type_are_as_good_as_absent),
        cmocka_unit_test(what_is_no_object_is_no_answer),
        cmocka_unit_test(vectors_have_one_length),
        cmocka_unit_test(models_are_listed_with_their_details),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
