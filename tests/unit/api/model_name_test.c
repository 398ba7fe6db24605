/* SPDX-License-Identifier: MIT */
#include "api/model_name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void names_of_one_model_have_one_key(void **state)
{
    static const struct {
        const char *name;
        const char *key;
        const char *shortest;
    } rows[] = {
        {"llama3.2", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"},
        {"Llama3.2:Latest", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"},
        {" llama3.2\n", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"},
        {"library/llama3.2", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"},
        {"registry.ollama.ai/library/llama3.2", "registry.ollama.ai/library/llama3.2:latest",
         "llama3.2:latest"},
        {"https://registry.ollama.ai/library/llama3.2:latest",
         "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"},
        {"me/x:7b-q4_K_M", "registry.ollama.ai/me/x:7b-q4_k_m", "me/x:7b-q4_k_m"},
        {"hf.co/Org/Repo-GGUF:Q4_K_M", "hf.co/org/repo-gguf:q4_k_m", "hf.co/org/repo-gguf:q4_k_m"},
        {"localhost:5000/ns/m", "localhost:5000/ns/m:latest", "localhost:5000/ns/m:latest"},
        {"http://localhost:5000/ns/m:t", "localhost:5000/ns/m:t", "localhost:5000/ns/m:t"},
        {"_x:_", "registry.ollama.ai/library/_x:_", "_x:_"},
        {"h/library/m", "h/library/m:latest", "h/library/m:latest"},
        {"gpt-oss:120b-cloud", "registry.ollama.ai/library/gpt-oss:120b-cloud",
         "gpt-oss:120b-cloud"},
        {"gpt-oss:120b:cloud", "registry.ollama.ai/library/gpt-oss:120b-cloud",
         "gpt-oss:120b-cloud"},
        {"gpt-oss:120b:LOCAL", "registry.ollama.ai/library/gpt-oss:120b", "gpt-oss:120b"},
        {"gpt-oss:cloud", "registry.ollama.ai/library/gpt-oss:cloud", "gpt-oss:cloud"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct model_key key;

        assert_int_equal(model_key_parse(str_of(rows[i].name), &key), 0);
        if (!str_eq(model_key_str(&key), str_of(rows[i].key)))
            fail_msg("%s has key " STR_FMT, rows[i].name, STR_ARG(model_key_str(&key)));
        assert_true(str_eq(model_key_short(&key), str_of(rows[i].shortest)));
    }
}

static void what_ollama_refuses_has_no_key(void **state)
{
    static const char *const names[] = {
        "",       " ",       ":",           "/",           "a:",
        ":a",     "/a",      "a/",          "a//b",        "-a",
        ".a",     "a b",     "a$",          "a:b:c",       "a:b/c:d:e",
        "n.s/a",  "a/b/c/d", "caf\xc3\xa9", "a@sha256:00", "a:-t",
        "a:.t",   "a\\b",    "../../x",     "a:x/y/z:",    "x:8b:cloud:local",
        "://a/b",
    };

    (void)state;
    for (size_t i = 0; i < N(names); i++) {
        struct model_key key;

        if (model_key_parse(str_of(names[i]), &key) != -EINVAL)
            fail_msg("%s has a key", names[i]);
    }
}

/* Writes "h.../n.../m...:t..." with parts of these lengths. */
static struct str long_name(char *out, size_t host, size_t namespace, size_t model, size_t tag)
{
    size_t at = 0;

    memset(out, 'x', host + namespace + model + tag + 3);
    at += host;
    out[at++] = '/';
    at += namespace;
    out[at++] = '/';
    at += model;
    out[at++] = ':';
    return str_make(out, at + tag);
}

static void lengths_are_bounded_part_by_part(void **state)
{
    struct model_key key;
    char name[1024];

    (void)state;
    assert_int_equal(model_key_parse(long_name(name, 350, 80, 80, 80), &key), 0);
    assert_int_equal(key.len, 593);
    assert_int_equal(model_key_parse(long_name(name, 351, 80, 80, 80), &key), -EINVAL);
    assert_int_equal(model_key_parse(long_name(name, 350, 81, 80, 80), &key), -EINVAL);
    assert_int_equal(model_key_parse(long_name(name, 350, 80, 81, 80), &key), -EINVAL);
    assert_int_equal(model_key_parse(long_name(name, 350, 80, 80, 81), &key), -EINVAL);
}

static void the_key_of_a_key_is_itself(void **state)
{
    struct model_key key;
    struct model_key again;

    (void)state;
    assert_int_equal(model_key_parse(STR("Me/X"), &key), 0);
    assert_int_equal(model_key_parse(model_key_str(&key), &again), 0);
    assert_true(str_eq(model_key_str(&key), model_key_str(&again)));
    assert_int_equal(model_key_parse(model_key_short(&key), &again), 0);
    assert_true(str_eq(model_key_str(&key), model_key_str(&again)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_one_model_have_one_key),
        cmocka_unit_test(what_ollama_refuses_has_no_key),
        cmocka_unit_test(lengths_are_bounded_part_by_part),
        cmocka_unit_test(the_key_of_a_key_is_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
