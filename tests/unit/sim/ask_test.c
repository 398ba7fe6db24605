/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/ask.h"
#include "sim/render.h"

struct fixture {
    struct arena arena;
    struct sim_ask ask;
};

static int set_up(void **state)
{
    static struct fixture f;

    arena_init(&f.arena, 1024 * 1024);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_fini(&f->arena);
    return 0;
}

static int parse(struct fixture *f, enum sim_dialect dialect, const char *body)
{
    return sim_ask_parse(dialect, str_of(body), &f->arena, &f->ask);
}

static void a_generate_request_is_read(void **state)
{
    struct fixture *f = *state;
    const struct sim_ask *a = &f->ask;

    assert_int_equal(
        parse(f, SIM_GENERATE,
              "{\"Model\":\"m\",\"prompt\":\"a\\nb\",\"stream\":false,\"raw\":true,\"keep_alive\":"
              "\"1s\",\"x\":{},"
              "\"options\":{\"num_predict\":5,\"seed\":3,\"stop\":[\"u\",\"v\"],\"top_k\":1}}"),
        0);
    assert_true(str_eq(a->model, STR("m")));
    assert_true(str_eq(a->prompt, STR("a\nb")));
    assert_false(a->wants_stream);
    assert_true(a->is_raw);
    assert_true(a->has_keep_alive && a->keep_alive_ns == NSEC_PER_SEC);
    assert_int_equal(a->max_tokens, 5);
    assert_int_equal(a->seed, 3);
    assert_int_equal(a->n_stops, 2);
}

static void members_behind_a_context_are_read(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, SIM_GENERATE, "{\"context\":[1,[2],3],\"prompt\":\"p\"}"), 0);
    assert_true(f->ask.has_context);
    assert_true(str_eq(f->ask.prompt, STR("p")));
}

static void streams_are_the_default_only_in_ollamas_own_api(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, SIM_CHAT, "{}"), 0);
    assert_true(f->ask.wants_stream);
    assert_int_equal(parse(f, SIM_V1_CHAT, "{}"), 0);
    assert_false(f->ask.wants_stream);
}

static void members_of_another_dialect_say_nothing(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, SIM_CHAT, "{\"max_tokens\":3,\"stop\":[\"x\"],\"prompt\":5}"), 0);
    assert_int_equal(f->ask.max_tokens, -1);
    assert_int_equal(f->ask.n_stops, 0);
}

static void refusals_have_gos_words(void **state)
{
    static const struct {
        enum sim_dialect dialect;
        const char *body;
        int status;
        const char *error;
    } rows[] = {
        {SIM_GENERATE, "", 400, "missing request body"},
        {SIM_V1_CHAT, " ", 400, "EOF"},
        {SIM_GENERATE, "{\"model\":}", 400, "invalid character '}' looking for beginning of value"},
        {SIM_GENERATE, "{\"model\":\"ti", 400, "unexpected EOF"},
        {SIM_GENERATE, "[]", 400,
         "json: cannot unmarshal array into Go value of type api.GenerateRequest"},
        {SIM_CHAT, "{\"model\":5}", 400,
         "json: cannot unmarshal number into Go struct field ChatRequest.model of type string"},
        {SIM_CHAT, "{\"messages\":5}", 400,
         "json: cannot unmarshal number into Go struct field ChatRequest.messages of type "
         "[]api.Message"},
        {SIM_CHAT, "{\"messages\":[{\"role\":5}]}", 400,
         "json: cannot unmarshal number into Go struct field ChatRequest.messages.role of type "
         "string"},
        {SIM_GENERATE, "{\"stream\":\"x\"}", 400,
         "json: cannot unmarshal string into Go struct field GenerateRequest.stream of type bool"},
        {SIM_GENERATE, "{\"keep_alive\":\"5\"}", 400, "time: missing unit in duration \"5\""},
        {SIM_GENERATE, "{\"keep_alive\":true}", 400, "Unsupported type: 'bool'"},
        {SIM_GENERATE, "{\"options\":{\"num_predict\":\"x\"}}", 500,
         "option \"num_predict\" must be of type integer"},
        {SIM_GENERATE, "{\"options\":{\"stop\":\"x\"}}", 500,
         "option \"stop\" must be of type array"},
        {SIM_EMBED, "{\"input\":5}", 400, "invalid input type"},
        {SIM_V1_CHAT, "{\"messages\":[{\"content\":5}]}", 400,
         "invalid message content type: float64"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(parse(f, rows[i].dialect, rows[i].body), SIM_ASK_REFUSED);
        assert_string_equal(f->ask.error, rows[i].error);
        assert_int_equal(f->ask.status, rows[i].status);
    }
}

static void check_rendered(struct fixture *f, enum sim_profile profile, const char *expected,
                           const char *echo)
{
    struct buf out CLEANUP(buf_fini) = BUF_INIT(4096);
    struct str got_echo;

    assert_int_equal(sim_render(&f->ask, profile, &out, &got_echo), 0);
    assert_true(str_eq(buf_str(&out), str_of(expected)));
    assert_true(str_eq(got_echo, str_of(echo)));
}

static void a_chat_is_rendered_with_an_open_turn(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        parse(
            f, SIM_V1_CHAT,
            "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
            "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\"},{\"text\":\"b\"}]}]}"),
        0);
    check_rendered(f, SIM_CONTINUE, "<|system|>\ns<|end|>\n<|user|>\nab<|end|>\n<|assistant|>\n",
                   "");
}

static void the_profile_says_what_a_trailing_assistant_message_does(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, SIM_CHAT,
                           "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
                           "\"assistant\",\"content\":\"b \"}]}"),
                     0);
    check_rendered(f, SIM_CONTINUE, "<|user|>\na<|end|>\n<|assistant|>\nb ", "");
    check_rendered(f, SIM_ECHO, "<|user|>\na<|end|>\n<|assistant|>\nb ", "b ");
    check_rendered(f, SIM_TRIM, "<|user|>\na<|end|>\n<|assistant|>\nb", "");
    check_rendered(f, SIM_CLOSED, "<|user|>\na<|end|>\n<|assistant|>\nb <|end|>\n<|assistant|>\n",
                   "");
}

static void a_raw_prompt_is_rendered_as_it_is(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, SIM_GENERATE, "{\"prompt\":\"p\",\"raw\":true}"), 0);
    check_rendered(f, SIM_CONTINUE, "p", "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_generate_request_is_read),
        TEST(members_behind_a_context_are_read),
        TEST(streams_are_the_default_only_in_ollamas_own_api),
        TEST(members_of_another_dialect_say_nothing),
        TEST(refusals_have_gos_words),
        TEST(a_chat_is_rendered_with_an_open_turn),
        TEST(the_profile_says_what_a_trailing_assistant_message_does),
        TEST(a_raw_prompt_is_rendered_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
