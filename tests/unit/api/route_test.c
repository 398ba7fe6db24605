/* SPDX-License-Identifier: MIT */
#include "api/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static bool has_arg(const struct api_route *route)
{
    return route->path.len > 1 && str_ends(route->path, STR("/"));
}

static void every_route_is_found_by_its_path(void **state)
{
    (void)state;
    for (int i = 0; i < N_ROUTES; i++) {
        const struct api_route *route = api_route_get((enum api_route_id)i);
        const struct api_route *found = NULL;

        assert_int_equal(route->id, i);
        assert_true(route->methods != 0);
        if (has_arg(route))
            continue;
        assert_int_equal(api_route_find(route->path, &found), 0);
        assert_ptr_equal(found, route);
        assert_int_equal(api_family_of_path(route->path), route->family);
    }
}

static void a_route_with_one_segment_more_is_found_by_any_one(void **state)
{
    static const struct {
        const char *path;
        enum api_route_id route; /* N_ROUTES: none */
        const char *arg;
    } rows[] = {
        {"/v1/models/llama3.2:3b", ROUTE_V1_MODEL, "llama3.2:3b"},
        {"/v1/models/a/b", N_ROUTES, ""},
        {"/v1/models/a%2Fb", N_ROUTES, ""},
        {"/v1/models/.", N_ROUTES, ""},
        {"/api/blobs/..", N_ROUTES, ""},
        {"/api/blobs/sha256:00", ROUTE_BLOB, "sha256:00"},
        {"/api/blobs/", N_ROUTES, ""},
        {"/api/blobs", N_ROUTES, ""},
        {"/api/experimental/web_search", ROUTE_EXPERIMENTAL, "web_search"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        const struct api_route *found = NULL;
        int r = api_route_find(str_of(rows[i].path), &found);

        assert_int_equal(r, rows[i].route == N_ROUTES ? API_ROUTE_NOT_FOUND : 0);
        if (r != 0)
            continue;
        assert_int_equal(found->id, rows[i].route);
        assert_true(str_eq(api_route_arg(found, str_of(rows[i].path)), str_of(rows[i].arg)));
    }
}

static void what_changes_nodes_is_for_admins_and_what_goes_out_is_off(void **state)
{
    static const enum api_route_id off[] = {ROUTE_PUSH, ROUTE_ME, ROUTE_SIGNOUT, ROUTE_USER_KEY,
                                            ROUTE_EXPERIMENTAL};

    (void)state;
    for (int i = 0; i < N_ROUTES; i++) {
        const struct api_route *route = api_route_get((enum api_route_id)i);

        if (route->work == API_MANAGED || route->work == API_BLOB)
            assert_int_not_equal(route->access, API_FOR_ALL);
        assert_int_equal(route->access == API_SWITCHED_OFF, route->switch_name != NULL);
    }
    for (size_t i = 0; i < N(off); i++)
        assert_int_equal(api_route_get(off[i])->access, API_SWITCHED_OFF);
}

static void one_slash_too_many_is_a_redirect(void **state)
{
    (void)state;
    for (int i = 1; i < N_ROUTES; i++) { /* all but the root */
        const struct api_route *route = api_route_get((enum api_route_id)i);
        const struct api_route *found = NULL;
        char path[64];

        if (has_arg(route))
            continue;
        assert_true(route->path.len < sizeof(path) - 1);
        memcpy(path, route->path.s, route->path.len);
        path[route->path.len] = '/';
        assert_int_equal(api_route_find(str_make(path, route->path.len + 1), &found),
                         API_ROUTE_REDIRECT);
        assert_ptr_equal(found, route);
    }
}

static void no_other_spelling_reaches_a_route(void **state)
{
    static const char *const paths[] = {
        "",
        "//",
        "///",
        "//api/tags",
        "/api//tags",
        "/api/tags//",
        "/API/tags",
        "/api/Tags",
        "/api/tag",
        "/api/tagss",
        "/api/%74ags",
        "/api/tags?",
        "api/tags",
        "/api",
        "/api/",
        "/api/./tags",
        "/api/../api/tags",
        "/v1",
        "/v1/",
        "*",
        "/api/pull/x",
        "/api/tags\0",
        "/api/chat/completions",
    };

    (void)state;
    for (size_t i = 0; i < N(paths); i++) {
        const struct api_route *found = NULL;
        struct str path = str_of(paths[i]);

        if (i == N(paths) - 2) /* the NUL is part of the path */
            path.len++;
        if (api_route_find(path, &found) != API_ROUTE_NOT_FOUND)
            fail_msg("%s reaches %s", paths[i], found->path.s);
        assert_null(found);
    }
}

static void streams_by_default_where_ollama_does(void **state)
{
    (void)state;
    for (int i = 0; i < N_ROUTES; i++)
        assert_int_equal(api_route_get((enum api_route_id)i)->streams_by_default,
                         i == ROUTE_GENERATE || i == ROUTE_CHAT || i == ROUTE_PULL ||
                             i == ROUTE_PUSH || i == ROUTE_CREATE);
}

static void the_family_follows_from_the_path(void **state)
{
    static const struct {
        const char *path;
        enum api_family family;
    } rows[] = {
        {"/", API_OLLAMA},
        {"/api/nope", API_OLLAMA},
        {"/v1", API_OPENAI},
        {"/v1/", API_OPENAI},
        {"/v1/nope", API_OPENAI},
        {"/v1/messages", API_ANTHROPIC},
        {"/v10/x", API_OLLAMA},
        {"/v1/messages/count", API_ANTHROPIC},
        {"/v1/messagesx", API_OPENAI},
        {"", API_OLLAMA},
        {"*", API_OLLAMA},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++)
        assert_int_equal(api_family_of_path(str_of(rows[i].path)), rows[i].family);
}

static void allow_lists_the_methods(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(api_allow(H1_GET | H1_HEAD, out), "GET, HEAD");
    assert_string_equal(api_allow(H1_POST, out), "POST");
    assert_string_equal(api_allow(0, out), "");
    assert_string_equal(api_allow(~0u, out), "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_found_by_its_path),
        cmocka_unit_test(a_route_with_one_segment_more_is_found_by_any_one),
        cmocka_unit_test(what_changes_nodes_is_for_admins_and_what_goes_out_is_off),
        cmocka_unit_test(one_slash_too_many_is_a_redirect),
        cmocka_unit_test(no_other_spelling_reaches_a_route),
        cmocka_unit_test(streams_by_default_where_ollama_does),
        cmocka_unit_test(the_family_follows_from_the_path),
        cmocka_unit_test(allow_lists_the_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
