/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"
#include "sim/text.h"

#define N_TOKENS   60
#define PROMPT_MAX 8192

/* The first @n tokens behind @prompt, appended to @out. */
static void say(struct str prompt, uint64_t n, struct buf *out)
{
    char token[SIM_TOKEN_MAX];
    struct sim_text t;

    sim_text_begin(&t, 7, prompt);
    while (n-- > 0)
        assert_int_equal(buf_put(out, sim_text_next(&t, token)), 0);
}

static bool is_inside_character(struct str text, size_t at)
{
    return at < text.len && ((unsigned char)text.s[at] & 0xc0) == 0x80;
}

/*
 * Cuts the answer to @prompt at every character and compares what comes then with what was cut off.
 */
static void check_every_cut(struct str prompt)
{
    struct buf answer CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);

    say(prompt, N_TOKENS, &answer);
    for (size_t at = 0; at < answer.len; at++) {
        struct buf again CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);
        struct buf rest CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);

        if (is_inside_character(buf_str(&answer), at))
            continue;
        assert_int_equal(buf_put(&again, prompt), 0);
        assert_int_equal(buf_put(&again, str_head(buf_str(&answer), at)), 0);
        say(buf_str(&again), N_TOKENS, &rest);
        assert_true(rest.len >= answer.len - at);
        assert_memory_equal(rest.data, answer.data + at, answer.len - at);
    }
}

static const char *const prompts[] = {
    "<|user|>\nhi<|end|>\n<|assistant|>\n",
    "<|system|>\nBe brief.<|end|>\n<|user|>\nWhy is the sky blue?<|end|>\n<|assistant|>\n",
    "<|user|>\na<|end|>\n<|assistant|>\nThe runner.<|end|>\n<|user|>\nb<|end|>\n<|assistant|>\n",
    "<|user|>\nsay <|assistant|>\n twice<|end|>\n<|assistant|>\n",
    /* a beginning that is not ours */
    "<|user|>\nhi<|end|>\n<|assistant|>\nCertainly! Here is",
    "<|user|>\nhi<|end|>\n<|assistant|>\nThe",
    "<|user|>\nhi<|end|>\n<|assistant|>\n言",
    /* raw prompts without a mark */
    "",
    "Once upon a time",
    "x <|assistant|> < <| ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
};

static void every_cut_of_every_answer_is_continued_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++)
        check_every_cut(str_of(prompts[i]));
}

static void cuts_behind_prompts_made_of_our_own_words_are_continued_exactly(void **state)
{
    struct rng rng = {.state = 1};

    (void)state;
    for (int round = 0; round < 60; round++) {
        struct buf prompt CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);

        if (round % 2 == 0)
            assert_int_equal(buf_printf(&prompt, "<|user|>\n%d<|end|>\n<|assistant|>\n", round), 0);
        say(STR("other"), rng_below(&rng, 8), &prompt);
        if (prompt.len > 0 && round % 3 == 0)
            prompt.len -= rng_below(&rng, 3);
        check_every_cut(buf_str(&prompt));
    }
}

static void the_same_prompt_has_the_same_text(void **state)
{
    struct buf a CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);
    struct buf b CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);

    (void)state;
    say(STR("p"), N_TOKENS, &a);
    say(STR("p"), N_TOKENS, &b);
    assert_true(str_eq(buf_str(&a), buf_str(&b)));
}

static void other_prompts_and_other_seeds_have_other_texts(void **state)
{
    struct sim_text a;
    struct sim_text b;
    struct sim_text c;

    (void)state;
    sim_text_begin(&a, 1, STR("<|user|>\na<|end|>\n<|assistant|>\n"));
    sim_text_begin(&b, 1, STR("<|user|>\nb<|end|>\n<|assistant|>\n"));
    sim_text_begin(&c, 2, STR("<|user|>\na<|end|>\n<|assistant|>\n"));
    assert_true(a.hash != b.hash);
    assert_true(a.hash != c.hash);
}

static void what_was_said_before_the_last_mark_counts_as_prompt(void **state)
{
    struct sim_text a;
    struct sim_text b;

    (void)state;
    sim_text_begin(&a, 1, STR("<|assistant|>\nx<|end|>\n<|assistant|>\n"));
    sim_text_begin(&b, 1, STR("<|assistant|>\ny<|end|>\n<|assistant|>\n"));
    assert_true(a.hash != b.hash);
    assert_int_equal(a.token, 0);
    assert_int_equal(a.offset, 0);
}

static void a_mark_at_the_very_beginning_is_found(void **state)
{
    struct buf prompt CLEANUP(buf_fini) = BUF_INIT(PROMPT_MAX);
    struct sim_text t;

    (void)state;
    assert_int_equal(buf_put(&prompt, STR(SIM_ASSISTANT)), 0);
    say(STR(SIM_ASSISTANT), 3, &prompt);
    sim_text_begin(&t, 7, buf_str(&prompt));
    assert_int_equal(t.token, 3);
}

static void texts_hold_characters_of_several_bytes(void **state)
{
    struct buf text CLEANUP(buf_fini) = BUF_INIT((size_t)64 * 1024);
    size_t n = 0;

    (void)state;
    say(STR("p"), 500, &text);
    for (size_t i = 0; i < text.len; i++)
        n += is_inside_character(buf_str(&text), i);
    assert_true(n > 50);
}

static void words_are_counted_as_tokens(void **state)
{
    static const struct {
        const char *text;
        uint64_t n;
    } rows[] = {{"", 1}, {"a", 1}, {" a  b\nc ", 3}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(sim_count_tokens(str_of(rows[i].text)), rows[i].n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_every_answer_is_continued_exactly),
        cmocka_unit_test(cuts_behind_prompts_made_of_our_own_words_are_continued_exactly),
        cmocka_unit_test(the_same_prompt_has_the_same_text),
        cmocka_unit_test(other_prompts_and_other_seeds_have_other_texts),
        cmocka_unit_test(what_was_said_before_the_last_mark_counts_as_prompt),
        cmocka_unit_test(a_mark_at_the_very_beginning_is_found),
        cmocka_unit_test(texts_hold_characters_of_several_bytes),
        cmocka_unit_test(words_are_counted_as_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
