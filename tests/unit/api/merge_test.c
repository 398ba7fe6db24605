/* SPDX-License-Identifier: MIT */
#include "api/merge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void assert_merged(enum api_route_id route, const char *const bodies[static 4],
                          const char *want)
{
    static const char *const names[] = {"n1", "n\"2", "n3", "n4"};
    struct buf out = BUF_INIT(1 << 20);
    struct api_part parts[4];
    size_t n = 0;

    for (; n < 4 && bodies[n] != NULL; n++)
        parts[n] = (struct api_part){.node = str_of(names[n]), .body = str_of(bodies[n])};
    assert_int_equal(api_merge(route, parts, n, &out), 0);
    if (!str_eq(buf_str(&out), str_of(want)))
        fail_msg("got " STR_FMT "\nwanted %s", STR_ARG(buf_str(&out)), want);
    buf_fini(&out);
}

static const struct {
    enum api_route_id route;
    const char *bodies[4];
    const char *want;
} merges[] = {
    /* nothing */
    {ROUTE_TAGS, {NULL}, "{\"models\":[]}"},
    {ROUTE_PS, {NULL}, "{\"models\":[]}"},
    {ROUTE_V1_MODELS, {NULL}, "{\"object\":\"list\",\"data\":null}\n"},
    {ROUTE_TAGS, {"{\"models\":[]}", "{\"models\":null}"}, "{\"models\":[]}"},
    {ROUTE_V1_MODELS,
     {"{\"object\":\"list\",\"data\":null}\n"},
     "{\"object\":\"list\",\"data\":null}\n"},
    /* the first of each model */
    {ROUTE_TAGS,
     {"{\"models\":[{\"name\":\"a:latest\",\"size\":1},{\"name\":\"b:x\"}]}",
      "{\"models\":[{\"name\":\"A\",\"size\":2},{\"name\":\"library/b:X\"},{\"name\":\"c\"}]}"},
     "{\"models\":[{\"name\":\"a:latest\",\"size\":1},{\"name\":\"b:x\"},{\"name\":\"c\"}]}"},
    {ROUTE_TAGS,
     {"{\"models\":[{\"model\":\"a\"}]}", "{\"models\":[{\"name\":\"\\u0061\"}]}"},
     "{\"models\":[{\"model\":\"a\"}]}"},
    {ROUTE_V1_MODELS,
     {"{\"object\":\"list\",\"data\":[{\"id\":\"a:latest\",\"object\":\"model\"}]}",
      "{\"data\":[{\"id\":\"a:latest\"},{\"id\":\"b\"}],\"object\":\"list\"}"},
     "{\"object\":\"list\",\"data\":[{\"id\":\"a:latest\",\"object\":\"model\"},{\"id\":\"b\"}]}"
     "\n"},
    /* all, with their node */
    {ROUTE_PS,
     {"{\"models\":[{\"name\":\"a\"}]}",
      "{\"models\":[{\"name\":\"a\",\"details\":{\"families\":null}}]}"},
     "{\"models\":[{\"name\":\"a\",\"node\":\"n1\"},{\"name\":\"a\",\"details\":{\"families\":null}"
     ",\"node\":\"n\\\"2\"}]}"},
    {ROUTE_PS,
     {"{\"models\":[{ \"name\" : \"a\" } ]}"},
     "{\"models\":[{ \"name\" : \"a\" ,\"node\":\"n1\"}]}"},
    /* a part that is not what it should be is left out, whole */
    {ROUTE_TAGS,
     {"", "{\"models\":[{\"name\":\"a\"},{\"name\":\"b\"}", "<html>502</html>",
      "{\"models\":[{\"name\":\"c\"}]}"},
     "{\"models\":[{\"name\":\"c\"}]}"},
    {ROUTE_TAGS,
     {"{\"models\":{\"name\":\"a\"}}", "[{\"name\":\"a\"}]", "{\"data\":[{\"name\":\"a\"}]}",
      "{\"error\":\"x\"}"},
     "{\"models\":[]}"},
    {ROUTE_TAGS,
     {"{\"models\":[{\"name\":\"a\"}],}", "{\"models\":[{\"name\":\"a\"}]", "null", "7"},
     "{\"models\":[]}"},
    /* and so is an element */
    {ROUTE_TAGS,
     {"{\"models\":[1,\"a\",null,[],{},{\"name\":5},{\"name\":\"\"},{\"digest\":\"x\"},{\"name\":"
      "\"a\"}]}"},
     "{\"models\":[{\"name\":\"a\"}]}"},
    {ROUTE_TAGS,
     {"{\"models\":[{\"details\":{\"name\":\"x\"},\"name\":\"a\"}]}"},
     "{\"models\":[{\"details\":{\"name\":\"x\"},\"name\":\"a\"}]}"},
    /* names that are none are kept apart by their spelling */
    {ROUTE_TAGS,
     {"{\"models\":[{\"name\":\"a b\"},{\"name\":\"a c\"},{\"name\":\"a b\"}]}"},
     "{\"models\":[{\"name\":\"a b\"},{\"name\":\"a c\"}]}"},
};

static void listings_become_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(merges); i++)
        assert_merged(merges[i].route, merges[i].bodies, merges[i].want);
}

static void a_thousand_models_stay_a_thousand(void **state)
{
    struct buf body = BUF_INIT(1 << 20);
    struct buf out = BUF_INIT(1 << 20);
    struct api_part parts[2];

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(
            buf_printf(&body, "%s{\"name\":\"m%d\"}", i > 0 ? "," : "{\"models\":[", i), 0);
    assert_int_equal(buf_put(&body, STR("]}")), 0);
    parts[0] = (struct api_part){.body = buf_str(&body)};
    parts[1] = parts[0];
    assert_int_equal(api_merge(ROUTE_TAGS, parts, 2, &out), 0);
    assert_true(str_eq(buf_str(&out), buf_str(&body)));
    buf_fini(&body);
    buf_fini(&out);
}

static void a_merge_that_does_not_fit_changes_nothing(void **state)
{
    const struct api_part part = {.node = STR("n"), .body = STR("{\"models\":[{\"name\":\"a\"}]}")};

    (void)state;
    for (size_t max = 4; max < 30; max++) {
        struct buf out = BUF_INIT(max);

        assert_int_equal(buf_put(&out, STR("kept")), 0);
        assert_int_equal(api_merge(ROUTE_PS, &part, 1, &out), -ENOBUFS);
        assert_true(str_eq(buf_str(&out), STR("kept")));
        buf_fini(&out);
    }
}

/* ---- names --------------------------------------------------------------------------------- */

struct list {
    char text[256];
    int stop_at;
    int n;
};

static int on_model(void *arg, const struct api_model *model)
{
    struct list *list = arg;
    size_t len = strlen(list->text);

    (void)snprintf(list->text + len, sizeof(list->text) - len, STR_FMT "=" STR_FMT ";",
                   STR_ARG(model->name), STR_ARG(model->digest));
    return ++list->n == list->stop_at ? 77 : 0;
}

static void every_model_of_a_listing_is_told(void **state)
{
    static const struct {
        const char *body;
        int rc;
        const char *text;
    } rows[] = {
        {"{\"models\":[{\"name\":\"a\",\"model\":\"a\",\"digest\":\"12\"},{\"name\":\"\\u0062\"}]}",
         0, "a=12;b=;"},
        {"{\"models\":[{\"digest\":\"12\",\"model\":\"a\"}]}", 0, "a=12;"},
        {"{\"models\":null}", 0, ""},
        {"{\"models\":[]}", 0, ""},
        {"{\"x\":[{\"name\":\"z\"}],\"models\":[{\"name\":\"a\"}]}", 0, "a=;"},
        {"{}", -EX_JSON_SYNTAX, ""},
        {"[]", -EX_JSON_SYNTAX, ""},
        {"", -EX_JSON_TRUNCATED, ""},
        {"{\"models\":[{\"name\":\"a\"},", -EX_JSON_TRUNCATED, "a=;"},
        {"{\"models\":[{\"name\":\"a\"}}", -EX_JSON_SYNTAX, "a=;"},
        {"{\"models\":7}", -EX_JSON_SYNTAX, ""},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct list list = {.stop_at = 0};

        assert_int_equal(api_each_model(str_of(rows[i].body), on_model, &list), rows[i].rc);
        assert_string_equal(list.text, rows[i].text);
    }
}

static void the_callback_can_stop(void **state)
{
    struct list list = {.stop_at = 1};

    (void)state;
    assert_int_equal(
        api_each_model(STR("{\"models\":[{\"name\":\"a\"},{\"name\":\"b\"}]}"), on_model, &list),
        77);
    assert_string_equal(list.text, "a=;");
}

static void a_name_longer_than_any_is_left_out(void **state)
{
    struct buf body = BUF_INIT(4096);
    struct list list = {.stop_at = 0};

    (void)state;
    assert_int_equal(buf_printf(&body, "{\"models\":[{\"name\":\"%01000d\"},{\"name\":\"a\"}]}", 0),
                     0);
    assert_int_equal(api_each_model(buf_str(&body), on_model, &list), 0);
    assert_string_equal(list.text, "a=;");
    buf_fini(&body);
}

static void the_version_is_read(void **state)
{
    static const struct {
        const char *body;
        const char *version; /* NULL: refused */
    } rows[] = {
        {"{\"version\":\"0.11.4\"}", "0.11.4"},
        {"{\"x\":{\"version\":1},\"version\":\"0\\u002e1\"}", "0.1"},
        {"{\"version\":\"\"}", ""},
        {"{\"version\":5}", NULL},
        {"{\"version\":\"1\"", "1"},
        {"{\"version\":\"1", NULL},
        {"{}", NULL},
        {"Ollama is running", NULL},
        {"", NULL},
        {"{\"version\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        char out[64] = "unset";
        int rc = api_read_version(str_of(rows[i].body), out);

        assert_int_equal(rc, rows[i].version != NULL ? 0 : -EX_JSON_SYNTAX);
        if (rows[i].version != NULL)
            assert_string_equal(out, rows[i].version);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listings_become_one),
        cmocka_unit_test(a_thousand_models_stay_a_thousand),
        cmocka_unit_test(a_merge_that_does_not_fit_changes_nothing),
        cmocka_unit_test(every_model_of_a_listing_is_told),
        cmocka_unit_test(the_callback_can_stop),
        cmocka_unit_test(a_name_longer_than_any_is_left_out),
        cmocka_unit_test(the_version_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
