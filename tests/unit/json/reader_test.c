/* SPDX-License-Identifier: MIT */
#include "json/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
/* Both libraries have these names. */
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE   JANSSON_TRUE
#define JSON_FALSE  JANSSON_FALSE
#define JSON_NULL   JANSSON_NULL
#include <jansson.h>
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "base/err.h"
#include "base/rng.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int skip_all(struct str text, size_t *ret_offset)
{
    struct json_reader r;
    int rc;

    json_reader_init(&r, text);
    rc = json_skip(&r, NULL);
    *ret_offset = json_offset(&r);
    return rc;
}

/* Reads all tokens; the result must be the one of json_skip(). */
static int read_all(struct str text)
{
    struct json_reader r;
    struct json_token t = {.type = JSON_NULL};
    size_t skip_offset;
    int rc = 0;

    json_reader_init(&r, text);
    while (rc == 0 && t.type != JSON_END)
        rc = json_next(&r, &t);
    assert_int_equal(skip_all(text, &skip_offset), rc);
    assert_int_equal(json_offset(&r), skip_offset);
    return rc;
}

/* ---- the oracle ---------------------------------------------------------------------------- */

/*
 * Jansson refuses what we accept, as Go does: bytes that are not UTF-8, lone surrogates, U+0000 in
 * a key, numbers beyond its range, and it has a depth limit of its own. It never accepts what we
 * refuse. Behind a top value that is a number or a word it looks one byte further than we do, so
 * only objects and arrays are compared.
 */
static bool is_known_difference(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    return code == json_error_invalid_utf8 || code == json_error_numeric_overflow ||
           code == json_error_null_byte_in_key || code == json_error_stack_overflow ||
           strstr(error->text, "invalid Unicode") != NULL;
}

static json_t *jansson_read(struct str text, json_error_t *error)
{
    return json_loadb(text.s, text.len, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                      error);
}

static json_t *number_of(const struct json_token *t)
{
    char text[400];

    assert_true(t->raw.len < sizeof(text));
    memcpy(text, t->raw.s, t->raw.len);
    text[t->raw.len] = '\0';
    return strpbrk(text, ".eE") != NULL ? json_real(strtod(text, NULL))
                                        : json_integer(strtoll(text, NULL, 10));
}

static json_t *value_of(const struct json_token *t)
{
    struct buf text = BUF_INIT(1 << 20);
    json_t *value = NULL;

    if (t->type == JSON_OBJECT_BEGIN)
        return json_object();
    if (t->type == JSON_ARRAY_BEGIN)
        return json_array();
    if (t->type == JSON_NUMBER)
        return number_of(t);
    if (t->type == JSON_TRUE || t->type == JSON_FALSE)
        return json_boolean(t->type == JSON_TRUE);
    if (t->type == JSON_NULL)
        return json_pack("n");
    assert_int_equal(t->type, JSON_STRING);
    assert_int_equal(json_decode(t, &text), 0);
    value = json_stringn_nocheck(text.data != NULL ? text.data : "", text.len);
    buf_fini(&text);
    return value;
}

static void key_of(const struct json_token *t, char *out, size_t cap)
{
    struct buf text = BUF_INIT(1 << 20);

    assert_int_equal(json_decode(t, &text), 0);
    assert_true(text.len < cap);
    if (text.len > 0)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    buf_fini(&text);
}

/* The tree that our tokens describe, built by Jansson's own functions. */
static json_t *tree_of(struct str bytes)
{
    json_t *stack[JSON_MAX_DEPTH + 1] = {0};
    char key[1024] = "";
    struct json_reader r;
    struct json_token t;
    json_t *value;
    json_t *parent;

    json_reader_init(&r, bytes);
    for (;;) {
        assert_int_equal(json_next(&r, &t), 0);
        if (t.type == JSON_END)
            return stack[0];
        if (t.type == JSON_OBJECT_END || t.type == JSON_ARRAY_END)
            continue;
        if (t.type == JSON_KEY) {
            key_of(&t, key, sizeof(key));
            continue;
        }
        value = value_of(&t);
        parent = t.depth > 0 ? stack[t.depth - 1] : NULL;
        stack[t.depth] = value;
        if (parent != NULL && json_is_object(parent))
            assert_int_equal(json_object_set_new_nocheck(parent, key, value), 0);
        else if (parent != NULL)
            assert_int_equal(json_array_append_new(parent, value), 0);
    }
}

static bool compare_with_jansson(struct str text)
{
    json_error_t error;
    json_t *theirs = jansson_read(text, &error);
    int ours = read_all(text);
    json_t *tree;

    if (theirs == NULL) {
        if (ours == 0 && !is_known_difference(&error))
            fail_msg("we accept, jansson says %s: " STR_FMT, error.text, STR_ARG(text));
        return false;
    }
    if (ours != 0)
        fail_msg("jansson accepts, we say %s: " STR_FMT, err_text(ours), STR_ARG(text));
    tree = tree_of(text);
    if (!json_equal(tree, theirs))
        fail_msg("the values differ: " STR_FMT, STR_ARG(text));
    json_decref(tree);
    json_decref(theirs);
    return true;
}

#define N_VALID 9 /* that many of the documents are valid */

static const char *const documents[] = {
    "{}",
    "[]",
    " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } ",
    "[0,-0,1,-1,10,0.5,-0.5,1e5,1E5,1e+5,1e-5,1.25e2,9007199254740993]",
    "[true,false,null,[[[[]]]],{\"\":{\"\":{}}}]",
    "[\"\",\"a\",\"\\\"\\\\\\/"
    "\\b\\f\\n\\r\\t\",\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\",\"caf\xc3\xa9 \xf0\x9f\x98\x80\"]",
    "{\"model\":\"llama3.2\",\"messages\":[{\"role\":\"user\",\"content\":\"why is the sky "
    "blue?\\n\"}],"
    "\"stream\":false,\"options\":{\"temperature\":0.25,\"num_ctx\":4096,\"stop\":[\"a\",\"b\"]},"
    "\"keep_alive\":-1}",
    "{\"a\":1,\"a\":2}",
    "[\"a string that is longer than eight bytes, and then some \\\\ \\\" to "
    "find\",\"1234567\",\"12345678\",\"123456789\"]",
    "[1 2]",
    "[1,]",
    "[,1]",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "{1:2}",
    "{\"a\":1]",
    "[1}",
    "[01]",
    "[-]",
    "[+1]",
    "[1.]",
    "[.5]",
    "[1e]",
    "[1e+]",
    "[0x10]",
    "[1_000]",
    "[NaN]",
    "[Infinity]",
    "[nul]",
    "[True]",
    "[truefalse]",
    "['a']",
    "[\"a\nb\"]",
    "[\"\x1f\"]",
    "[\"\x7f\"]",
    "[\"\\x41\"]",
    "[\"\\u12g4\"]",
    "[\"\\u123\"]",
    "[\"\\",
    "[\"abc",
    "[1",
    "{\"a\":{\"b\":[1,2",
    "[1]//",
    "[1/**/]",
    "\xef\xbb\xbf[]",
    "[\xc2\xa0 1]",
    "[\"\\ud800\"]",
    "[\"\\udc00\\ud800\"]",
    "[\"\xff\"]",
    "{\"\\u0000\":1}",
    "[\"\\u0000\"]",
    "[1e400]",
    "[123456789012345678901234567890]",
    "[] trailing",
    "{}}",
    ":",
    "}",
    "]",
    ",",
};

static void reader_and_jansson_accept_the_same_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(documents); i++)
        (void)compare_with_jansson(str_of(documents[i]));
}

static void every_prefix_of_a_document_is_truncated(void **state)
{
    const struct str whole = str_of(documents[6]);

    (void)state;
    for (size_t n = 0; n < whole.len; n++)
        assert_int_equal(read_all(str_head(whole, n)), -EX_JSON_TRUNCATED);
    assert_int_equal(read_all(whole), 0);
}

/* Changes, drops or doubles a few bytes of @text in place. Return: the new length. */
static size_t mutate(char *text, size_t len, struct rng *rng)
{
    static const char alphabet[] = "{}[]\",:\\/ubn0123456789.eE+-tfal \n\x01\x80\xc3\xff";

    for (uint64_t n = 1 + rng_below(rng, 3); n > 0 && len > 1; n--) {
        size_t at = (size_t)rng_below(rng, len);
        uint64_t kind = rng_below(rng, 3);

        if (kind == 0) {
            text[at] = alphabet[rng_below(rng, (sizeof(alphabet) - 1))];
        } else if (kind == 1) {
            memmove(text + at, text + at + 1, len - at - 1);
            len--;
        } else {
            memmove(text + at + 1, text + at, len - at);
            text[at] = alphabet[rng_below(rng, (sizeof(alphabet) - 1))];
            len++;
        }
    }
    return len;
}

static void reader_and_jansson_agree_on_mutated_documents(void **state)
{
    struct rng rng = {.state = 2026};
    size_t n_accepted = 0;
    size_t n_compared = 0;

    (void)state;
    for (int round = 0; round < 40000; round++) {
        const char *document = documents[rng_below(&rng, N_VALID)];
        size_t len = strlen(document);
        char *copy = malloc(len + 8);
        char *exact;

        assert_non_null(copy);
        memcpy(copy, document, len);
        len = mutate(copy, len, &rng);
        /* A heap block of just this length lets the address sanitizer see a read past the end. */
        exact = malloc(len);
        assert_non_null(exact);
        memcpy(exact, copy, len);
        if (len > 0 && (exact[0] == '{' || exact[0] == '[')) {
            n_compared++;
            n_accepted += compare_with_jansson(str_make(exact, len));
        }
        free(exact);
        free(copy);
    }
    assert_true(n_accepted > n_compared / 20);
    assert_true(n_accepted < n_compared);
}

/* ---- our own promises ---------------------------------------------------------------------- */

static const struct {
    const char *text;
    int rc;
    size_t offset;
} failures[] = {
    {"", -EX_JSON_TRUNCATED, 0},         {"   ", -EX_JSON_TRUNCATED, 3},
    {"{\"a\" 1}", -EX_JSON_SYNTAX, 5},   {"[1,2,x]", -EX_JSON_SYNTAX, 5},
    {"[\"ab\tc\"]", -EX_JSON_SYNTAX, 4}, {"[12a]", -EX_JSON_SYNTAX, 3},
    {"tru", -EX_JSON_TRUNCATED, 3},      {"trux", -EX_JSON_SYNTAX, 3},
    {"-", -EX_JSON_TRUNCATED, 1},        {"00", -EX_JSON_SYNTAX, 1},
};

static void a_failure_names_its_place(void **state)
{
    size_t offset;

    (void)state;
    for (size_t i = 0; i < N(failures); i++) {
        assert_int_equal(skip_all(str_of(failures[i].text), &offset), failures[i].rc);
        assert_int_equal(offset, failures[i].offset);
    }
}

static void bytes_behind_the_first_value_are_not_looked_at(void **state)
{
    static const char *const texts[] = {"{}garbage", "1 2", "null,", "\"a\"\"", "[]]"};

    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_int_equal(read_all(str_of(texts[i])), 0);
}

static void every_byte_is_seen_at_every_place_of_a_string(void **state)
{
    char text[27]; /* two quotes, and a string long enough for whole words and a rest */

    (void)state;
    for (size_t at = 1; at < sizeof(text) - 1; at++) {
        for (int c = 0; c < 256; c++) {
            size_t offset;
            int want = c < 0x20 ? -EX_JSON_SYNTAX : 0;

            memset(text, c >= 0x80 ? 'a' : 0x80, sizeof(text));
            text[0] = '"';
            text[sizeof(text) - 1] = '"';
            text[at] = (char)c;
            if (c == '\\')
                want = at == sizeof(text) - 2 ? -EX_JSON_TRUNCATED : -EX_JSON_SYNTAX;
            assert_int_equal(skip_all(str_make(text, sizeof(text)), &offset), want);
            if (want == 0)
                assert_int_equal(offset, c == '"' ? at + 1 : sizeof(text));
        }
    }
}

static void the_end_is_told_as_often_as_asked(void **state)
{
    struct json_reader r;
    struct json_token t;

    (void)state;
    json_reader_init(&r, STR("7 8"));
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(t.type, JSON_NUMBER);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(json_next(&r, &t), 0);
        assert_int_equal(t.type, JSON_END);
    }
}

static void depth_is_bounded(void **state)
{
    char text[2 * JSON_MAX_DEPTH + 2];
    const size_t max = JSON_MAX_DEPTH;

    (void)state;
    memset(text, '[', max);
    memset(text + max, ']', max);
    assert_int_equal(read_all(str_make(text, 2 * max)), 0);
    memset(text, '[', max + 1);
    memset(text + max + 1, ']', max + 1);
    assert_int_equal(read_all(str_make(text, 2 * max + 2)), -EX_JSON_DEPTH);
}

static void tokens_tell_their_depth_and_offset(void **state)
{
    static const struct {
        enum json_type type;
        uint32_t depth;
        size_t offset;
    } want[] = {
        {JSON_OBJECT_BEGIN, 0, 1}, {JSON_KEY, 1, 2},    {JSON_ARRAY_BEGIN, 1, 6},
        {JSON_NUMBER, 2, 7},       {JSON_STRING, 2, 9}, {JSON_ARRAY_END, 1, 12},
        {JSON_KEY, 1, 14},         {JSON_NULL, 1, 18},  {JSON_OBJECT_END, 0, 22},
        {JSON_END, 0, 23},
    };
    struct json_reader r;
    struct json_token t;

    (void)state;
    json_reader_init(&r, STR(" {\"a\":[1,\"x\"],\"b\":null}"));
    for (size_t i = 0; i < N(want); i++) {
        assert_int_equal(json_next(&r, &t), 0);
        assert_int_equal(t.type, want[i].type);
        assert_int_equal(t.depth, want[i].depth);
        assert_int_equal(json_token_offset(&r, &t), want[i].offset);
    }
}

static void skipping_gives_the_text_of_the_value(void **state)
{
    struct json_reader r;
    struct json_token t;
    struct str raw;

    (void)state;
    json_reader_init(&r, STR("{\"a\": {\"b\":[1,{}]} ,\"c\":\"x\"}"));
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(json_skip(&r, &raw), 0);
    assert_true(str_eq(raw, STR("{\"b\":[1,{}]}")));
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(json_skip(&r, &raw), 0);
    assert_true(str_eq(raw, STR("\"x\"")));
    assert_int_equal(json_skip(&r, &raw), -EX_JSON_SYNTAX);
}

static void elements_are_counted_without_a_tree(void **state)
{
    static const struct {
        const char *text;
        int n; /* or -EX_* */
    } rows[] = {
        {"[]", 0},
        {"[ ]", 0},
        {"[1]", 1},
        {"[1,[2,3],{\"a\":[]} ]", 3},
        {"[1,]", -EX_JSON_SYNTAX},
        {"[1 2]", -EX_JSON_SYNTAX},
        {"[1,", -EX_JSON_TRUNCATED},
        {"[1", -EX_JSON_TRUNCATED},
        {"[,1]", -EX_JSON_SYNTAX},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct json_reader r;
        struct json_token t;
        int n = 0;
        int rc;

        json_reader_init(&r, str_of(rows[i].text));
        assert_int_equal(json_next(&r, &t), 0);
        while ((rc = json_element(&r)) == 0 && (rc = json_skip(&r, NULL)) == 0)
            n++;
        if (rows[i].n < 0) {
            assert_int_equal(rc, rows[i].n);
            continue;
        }
        assert_int_equal(rc, JSON_LAST);
        assert_int_equal(n, rows[i].n);
        assert_int_equal(json_next(&r, &t), 0);
        assert_int_equal(t.type, JSON_END);
    }
}

static void leaving_passes_the_rest_of_a_container(void **state)
{
    struct json_reader r;
    struct json_token t;

    (void)state;
    json_reader_init(&r, STR("[{\"a\":[1,2],\"b\":{}},9]"));
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(json_next(&r, &t), 0);
    assert_int_equal(t.type, JSON_KEY);
    assert_int_equal(json_leave(&r), 0);
    assert_int_equal(json_next(&r, &t), 0);
    assert_true(str_eq(t.raw, STR("9")));
}

static struct json_token first_key(struct json_reader *r, const char *document)
{
    struct json_token t;

    json_reader_init(r, str_of(document));
    assert_int_equal(json_next(r, &t), 0);
    assert_int_equal(json_next(r, &t), 0);
    assert_int_equal(t.type, JSON_KEY);
    return t;
}

static void keys_fold_as_go_folds_them(void **state)
{
    static const struct {
        const char *document;
        const char *name;
        bool is;
    } rows[] = {
        {"{\"model\":1}", "model", true},
        {"{\"MoDeL\":1}", "model", true},
        {"{\"m\\u006fdel\":1}", "model", true},
        {"{\"\\u004dodel\":1}", "model", true},
        {"{\"\xc5\xbftream\":1}", "stream", true},
        {"{\"\\u017Ftream\":1}", "stream", true},
        {"{\"\xe2\x84\xaa"
         "eep_alive\":1}",
         "keep_alive", true},
        {"{\"\\u212aeep_alive\":1}", "keep_alive", true},
        {"{\"model \":1}", "model", false},
        {"{\"mode\":1}", "model", false},
        {"{\"models\":1}", "model", false},
        {"{\"m\\u0000del\":1}", "model", false},
        {"{\"mod\xc3\xa9l\":1}", "model", false},
        {"{\"mod\\ud800l\":1}", "model", false},
        {"{\"model\\n\":1}", "model", false},
        {"{\"\":1}", "model", false},
        {"{\"keep-alive\":1}", "keep_alive", false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct json_reader r;
        struct json_token key = first_key(&r, rows[i].document);

        if (json_key_is(&key, str_of(rows[i].name)) != rows[i].is)
            fail_msg("%s against %s", rows[i].document, rows[i].name);
    }
}

static void lone_surrogates_become_replacement_characters(void **state)
{
    static const struct {
        const char *text;
        const char *decoded;
    } rows[] = {
        {"\"a\\ud800b\"", "a\xef\xbf\xbd"
                          "b"},
        {"\"\\udc00\"", "\xef\xbf\xbd"},
        {"\"\\ud800\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\"\\uD83D\"", "\xef\xbf\xbd"},
        {"\"\xff\\n\"", "\xff\n"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct buf out = BUF_INIT(64);
        struct json_reader r;
        struct json_token t;

        json_reader_init(&r, str_of(rows[i].text));
        assert_int_equal(json_next(&r, &t), 0);
        assert_int_equal(json_decode(&t, &out), 0);
        assert_true(str_eq(buf_str(&out), str_of(rows[i].decoded)));
        buf_fini(&out);
    }
}

static void decoding_into_too_small_a_buffer_changes_nothing(void **state)
{
    struct buf out = BUF_INIT(6);
    struct json_reader r;
    struct json_token t;

    (void)state;
    assert_int_equal(buf_put(&out, STR("ab")), 0);
    json_reader_init(&r, STR("\"cde\\u20ac\""));
    assert_int_equal(json_next(&r, &t), 0);
    assert_true(json_decode(&t, &out) < 0);
    assert_true(str_eq(buf_str(&out), STR("ab")));
    buf_fini(&out);
}

static void only_unsigned_integers_are_unsigned_integers(void **state)
{
    static const struct {
        const char *text;
        bool is_ok;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct json_reader r;
        struct json_token t;
        uint64_t value = 0;

        json_reader_init(&r, str_of(rows[i].text));
        assert_int_equal(json_next(&r, &t), 0);
        assert_int_equal(json_to_u64(&t, &value) == 0, rows[i].is_ok);
        assert_int_equal(value, rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_and_jansson_accept_the_same_documents),
        cmocka_unit_test(every_prefix_of_a_document_is_truncated),
        cmocka_unit_test(reader_and_jansson_agree_on_mutated_documents),
        cmocka_unit_test(a_failure_names_its_place),
        cmocka_unit_test(bytes_behind_the_first_value_are_not_looked_at),
        cmocka_unit_test(every_byte_is_seen_at_every_place_of_a_string),
        cmocka_unit_test(the_end_is_told_as_often_as_asked),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(tokens_tell_their_depth_and_offset),
        cmocka_unit_test(skipping_gives_the_text_of_the_value),
        cmocka_unit_test(elements_are_counted_without_a_tree),
        cmocka_unit_test(leaving_passes_the_rest_of_a_container),
        cmocka_unit_test(keys_fold_as_go_folds_them),
        cmocka_unit_test(lone_surrogates_become_replacement_characters),
        cmocka_unit_test(decoding_into_too_small_a_buffer_changes_nothing),
        cmocka_unit_test(only_unsigned_integers_are_unsigned_integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
