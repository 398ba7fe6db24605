/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "fixture.h"

/* Typed calls that do not block, of a client that this thread drives: so it sees where they end. */

static int setup_own_loop(void **state)
{
    const chasqui_options options = {
        .size = sizeof(options), .flags = CHASQUI_OWN_LOOP, .codec = CHASQUI_CODEC_JSON};

    return setup_with(state, &options);
}

struct told {
    unsigned n_done;
    char text[64];
    char thinking[64];
    char tool_calls[64];
    char answer[64];
    char all_tool_calls[64];
    uint64_t tokens;
    chasqui_error error;
};

static void put(char to[64], chasqui_bytes bytes)
{
    size_t len = strlen(to);

    (void)snprintf(to + len, 64 - len, "%.*s|", (int)bytes.len,
                   bytes.len > 0 ? (const char *)bytes.data : "");
}

static void on_text(void *user, chasqui_bytes text)
{
    put(((struct told *)user)->text, text);
}

static void on_thinking(void *user, chasqui_bytes text)
{
    put(((struct told *)user)->thinking, text);
}

static void on_tool_calls(void *user, chasqui_bytes text)
{
    put(((struct told *)user)->tool_calls, text);
}

static void on_answer(void *user, const chasqui_answer *answer)
{
    struct told *told = user;

    told->n_done++;
    told->error = answer->error;
    told->tokens = answer->answer_tokens;
    put(told->answer, answer->text);
    put(told->all_tool_calls, answer->tool_calls);
}

static void on_models(void *user, const chasqui_models *models)
{
    struct told *told = user;

    told->n_done++;
    told->error = models->error;
    put(told->text, chasqui_text(models->n > 0 ? models->models[0].name : ""));
}

static void on_embeddings(void *user, const chasqui_embeddings *embeddings)
{
    struct told *told = user;

    told->n_done++;
    told->error = embeddings->error;
}

static void on_reply(void *user, const chasqui_reply *reply)
{
    struct told *told = user;

    told->n_done++;
    told->error = reply->error;
    put(told->text, reply->body);
}

static void drive(chasqui_client *client, const struct told *told, unsigned n)
{
    while (told->n_done < n) {
        struct pollfd fd = {.fd = chasqui_fd(client), .events = POLLIN};

        (void)poll(&fd, 1, chasqui_next_due(client));
        assert_int_equal(chasqui_process(client), CHASQUI_OK);
    }
}

static chasqui_chat_request chat(const char *model, struct told *told)
{
    return (chasqui_chat_request){.size = sizeof(chasqui_chat_request),
                                  .model = model,
                                  .on_text = on_text,
                                  .user = told,
                                  .on_thinking = on_thinking,
                                  .on_tool_calls = on_tool_calls};
}

static void an_answer_comes_in_pieces_of_its_kinds_and_then_once_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    chasqui_chat_request q = chat("m", &told);

    assert_int_equal(chasqui_start_chat(f->client, &q, on_answer, &told, NULL), CHASQUI_OK);
    assert_int_equal(told.n_done, 0);
    drive(f->client, &told, 1);
    assert_int_equal(told.error.code, CHASQUI_OK);
    assert_string_equal(told.thinking, "hm|");
    assert_string_equal(told.text, "Hel|lo|!|");
    assert_string_equal(told.tool_calls, "{\"a\":1}|{\"b\":2}|");
    assert_string_equal(told.answer, "Hello!|");
    assert_string_equal(told.all_tool_calls, "[{\"a\":1},{\"b\":2}]|");
    assert_int_equal(told.tokens, 3);
}

static void a_record_that_is_none_ends_the_call_and_the_work(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    chasqui_chat_request q = chat("bad", &told);

    assert_int_equal(chasqui_start_chat(f->client, &q, on_answer, &told, NULL), CHASQUI_OK);
    drive(f->client, &told, 1);
    assert_int_equal(told.error.code, CHASQUI_DATA_LOSS);
    wait_for(&f->server.n_cancels, 1);
}

static void a_started_call_can_be_cancelled_by_its_handle(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    const chasqui_generate_request q = {.size = sizeof(q), .model = "bad"};
    chasqui_call *call;

    assert_int_equal(chasqui_start_generate(f->client, &q, on_answer, &told, &call), CHASQUI_OK);
    chasqui_call_cancel(call);
    drive(f->client, &told, 1);
    chasqui_call_free(call);
    assert_int_equal(told.error.code, CHASQUI_CANCELLED);
}

static void lists_and_versions_are_read_before_they_are_told(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};

    assert_int_equal(chasqui_start_tags(f->client, NULL, on_models, &told, NULL), CHASQUI_OK);
    drive(f->client, &told, 1);
    assert_int_equal(chasqui_start_version(f->client, NULL, on_reply, &told, NULL), CHASQUI_OK);
    drive(f->client, &told, 2);
    assert_string_equal(told.text, "m|1.2|");
}

static void what_cannot_be_read_is_told_as_lost(void **state)
{
    const char *const input = "x";
    const chasqui_embed_request q = {
        .size = sizeof(q), .model = "m", .inputs = &input, .n_inputs = 1};
    struct fixture *f = *state;
    struct told told = {0};

    assert_int_equal(chasqui_start_ps(f->client, NULL, on_models, &told, NULL), CHASQUI_OK);
    drive(f->client, &told, 1);
    assert_int_equal(told.error.code, CHASQUI_DATA_LOSS);
    assert_int_equal(chasqui_start_embed(f->client, &q, on_embeddings, &told, NULL), CHASQUI_OK);
    drive(f->client, &told, 2);
    assert_int_equal(told.error.code, CHASQUI_DATA_LOSS);
    assert_int_equal(chasqui_start_show(f->client, NULL, "m", on_reply, &told, NULL), CHASQUI_OK);
    drive(f->client, &told, 3);
    assert_int_equal(told.error.code, CHASQUI_OK);
    assert_string_equal(told.text, "|garbled|");
}

static void a_wrong_request_is_refused_and_nobody_is_told(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    const chasqui_generate_request none = {.size = sizeof(none)};
    const chasqui_generate_request bad = {.size = sizeof(bad), .model = "m", .options = "["};
    const chasqui_embed_request embed = {.size = 1, .model = "m"};

    assert_int_equal(chasqui_start_generate(f->client, &none, on_answer, &told, NULL),
                     CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_start_generate(f->client, &bad, on_answer, &told, NULL),
                     CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_start_embed(f->client, &embed, on_embeddings, &told, NULL),
                     CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_start_show(f->client, NULL, NULL, on_reply, &told, NULL),
                     CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(stats_of(f->client).calls, 0);
    assert_int_equal(told.n_done, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_own_loop, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_in_pieces_of_its_kinds_and_then_once_as_a_whole),
        TEST(a_record_that_is_none_ends_the_call_and_the_work),
        TEST(a_started_call_can_be_cancelled_by_its_handle),
        TEST(lists_and_versions_are_read_before_they_are_told),
        TEST(what_cannot_be_read_is_told_as_lost),
        TEST(a_wrong_request_is_refused_and_nobody_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
