/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "gateway/forward.h"

#define VIA "1.1 chasqui-00ff"

/* What goes on of a request with @fields. Slices live in @ex's arena. */
static void prepare(struct exchange *ex, const char *request, size_t n_keys)
{
    const struct keys keys = {.n_keys = n_keys};
    struct h1_head head;

    memset(ex, 0, sizeof(*ex));
    arena_init(&ex->arena, 65536);
    assert_int_equal(h1_parse_request(str_of(request), &head), 0);
    ex->tl.method = arena_dup(&ex->arena, head.method_name);
    assert_int_equal(forward_prepare(ex, &head, &keys, VIA), 0);
}

static void assert_str(struct str got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.s, wanted, got.len);
}

#define REQUEST(fields) "POST /api/chat HTTP/1.1\r\nHost: h\r\n" fields "\r\n"

static void what_is_the_clients_goes_on_and_what_is_ours_does_not(void **state)
{
    static const struct {
        const char *request;
        const char *fields; /* without Via */
    } rows[] = {
        {REQUEST(""), ""},
        {REQUEST("Content-Type: application/json\r\n"), "Content-Type: application/json\r\n"},
        {REQUEST("x-EMPTY:\r\n"), "x-EMPTY: \r\n"},
        {REQUEST("A: 1\r\nB: 2\r\nA: 3\r\n"), "A: 1\r\nB: 2\r\nA: 3\r\n"},
        {REQUEST("Content-Length: 5\r\n"), ""},
        {REQUEST("Transfer-Encoding: chunked\r\n"), ""},
        {REQUEST("Connection: close, X-Private\r\nX-Private: 1\r\nX-Other: 2\r\n"),
         "X-Other: 2\r\n"},
        {REQUEST("Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: "
                 "h2c\r\nProxy-Authorization: x\r\n"),
         ""},
        {REQUEST("Expect: 100-continue\r\nContent-Length: 1\r\n"), ""},
        {REQUEST("Accept-Encoding: gzip\r\nAccept: */*\r\n"), "Accept: */*\r\n"},
        {REQUEST("Content-Encoding: gzip\r\nA: b\r\n"), "A: b\r\n"},
        {REQUEST("Accept: text/event-stream\r\n"), "Accept: text/event-stream\r\n"}, /* no route */
        {REQUEST("Origin: http://localhost\r\nReferer: r\r\n"), "Referer: r\r\n"},
        {REQUEST("X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n"), ""},
        {REQUEST("X-Chasqui-Node: a\r\nx-chasqui-anything: b\r\nX-Chasqu: c\r\n"),
         "X-Chasqu: c\r\n"},
        {REQUEST("X_Forwarded_For: 1\r\n"), ""},
        {REQUEST("Access-Control-Request-Method: POST\r\n"), ""},
        {REQUEST("Via: 1.0 other\r\n"), "Via: 1.0 other\r\n"},
        {REQUEST("Authorization: Bearer s\r\nX-Api-Key: s\r\n"),
         "Authorization: Bearer s\r\nX-Api-Key: s\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char wanted[512];
        struct exchange ex;

        prepare(&ex, rows[i].request, 0);
        (void)snprintf(wanted, sizeof(wanted), "%sVia: " VIA "\r\n", rows[i].fields);
        assert_str(ex.request.fields, wanted);
        arena_fini(&ex.arena);
    }
}

static int prepare_fields(size_t n_fields, const char *via)
{
    const struct keys keys = {0};
    struct h1_head head = {.n_fields = n_fields};
    struct exchange ex;
    int r;

    for (size_t i = 0; i < n_fields; i++)
        head.fields[i] = (struct h1_field){.name = STR("A"), .value = STR("b")};
    head.fields[0] = (struct h1_field){.name = STR("Via"), .value = str_of(via)};
    memset(&ex, 0, sizeof(ex));
    arena_init(&ex.arena, 65536);
    r = forward_prepare(&ex, &head, &keys, VIA);
    arena_fini(&ex.arena);
    return r;
}

static void the_first_gateway_keeps_room_for_those_behind(void **state)
{
    const size_t most = H1_MAX_FIELDS - FORWARD_HOPS_MAX - 3;

    (void)state;
    assert_int_equal(prepare_fields(most, "1.1 other"), 0);
    assert_int_equal(prepare_fields(most + 1, "1.1 other"), -EX_H1_HEAD_TOO_LARGE);
    assert_int_equal(prepare_fields(most + 1, "1.1 chasqui-11"), 0);
}

static void our_keys_do_not_reach_a_node(void **state)
{
    struct exchange ex;

    (void)state;
    prepare(&ex, REQUEST("authorization: Bearer s\r\nX-API-Key: s\r\nA: 1\r\n"), 1);
    assert_str(ex.request.fields, "A: 1\r\nVia: " VIA "\r\n");
    arena_fini(&ex.arena);
}

static void the_target_goes_on_as_it_was_sent(void **state)
{
    static const struct {
        const char *line;
        const char *target;
    } rows[] = {
        {"GET /api/tags HTTP/1.1\r\nHost: h\r\n\r\n", "/api/tags"},
        {"GET /api/tags? HTTP/1.1\r\nHost: h\r\n\r\n", "/api/tags?"},
        {"GET /v1/models?a=%20b&c HTTP/1.1\r\nHost: h\r\n\r\n", "/v1/models?a=%20b&c"},
        {"GET http://h/api/ps?x HTTP/1.1\r\nHost: h\r\n\r\n", "/api/ps?x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct exchange ex;

        prepare(&ex, rows[i].line, 0);
        assert_str(ex.request.target, rows[i].target);
        assert_str(ex.request.method, "GET");
        assert_false(ex.request.is_head);
        arena_fini(&ex.arena);
    }
}

static void there_is_room_for_the_longest_length_behind_the_fields(void **state)
{
    struct exchange ex;
    char *end;

    (void)state;
    prepare(&ex, REQUEST("A: 1\r\n"), 0);
    end = (char *)(uintptr_t)ex.request.fields.s + ex.request.fields.len;
    memset(end, 'x', EXCHANGE_LENGTH_FIELD_MAX);
    assert_str(ex.request.target, "/api/chat"); /* lies behind it */
    arena_fini(&ex.arena);
}

static void a_head_that_exceeds_the_memory_of_its_exchange_is_refused(void **state)
{
    const struct keys keys = {0};
    struct exchange ex = {0};
    struct h1_head head;

    (void)state;
    arena_init(&ex.arena, 64);
    assert_int_equal(h1_parse_request(str_of(REQUEST("A: 1\r\n")), &head), 0);
    assert_true(forward_prepare(&ex, &head, &keys, VIA) < 0);
    arena_fini(&ex.arena);
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"

static void the_trace_id_is_taken_from_a_whole_traceparent_only(void **state)
{
    static const struct {
        const char *request;
        const char *id;
    } rows[] = {
        {REQUEST("traceparent: 00-" TRACE "-b7ad6b7169203331-01\r\n"), TRACE},
        {REQUEST("traceparent: 00-" TRACE "-b7ad6b7169203331-0\r\n"), ""},
        {REQUEST("traceparent: 00-" TRACE "\r\n"), ""},
        {REQUEST("traceparent: 0\r\n"), ""},
        {REQUEST(""), ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct exchange ex;

        prepare(&ex, rows[i].request, 0);
        assert_str(ex.tl.trace_id, rows[i].id);
        arena_fini(&ex.arena);
    }
}

static void a_request_that_comes_round_again_is_known(void **state)
{
    static const struct {
        const char *request;
        bool is_loop;
    } rows[] = {
        {REQUEST(""), false},
        {REQUEST("Via: " VIA "\r\n"), true},
        {REQUEST("Via: 1.1 a, " VIA ", 1.1 b\r\n"), true},
        {REQUEST("Via: 1.1 a\r\nVIA: " VIA "\r\n"), true},
        {REQUEST("X-Via: " VIA "\r\n"), false},
        {REQUEST("Via: 1.1 chasqui-0000\r\n"), false},
        {REQUEST("Via: 1 chasqui-1, 1 chasqui-2, 1 chasqui-3, 1 chasqui-4, 1 chasqui-5, 1 "
                 "chasqui-6, 1 chasqui-7, 1 chasqui-8\r\n"),
         false},
        {REQUEST("Via: 1 chasqui-1, 1 chasqui-2, 1 chasqui-3, 1 chasqui-4, 1 chasqui-5\r\n"
                 "Via: 1 chasqui-6, 1 chasqui-7, 1 chasqui-8, 1 chasqui-9\r\n"),
         true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct h1_head head;

        assert_int_equal(h1_parse_request(str_of(rows[i].request), &head), 0);
        assert_int_equal(forward_is_loop(&head, STR("chasqui-00ff")), rows[i].is_loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_clients_goes_on_and_what_is_ours_does_not),
        cmocka_unit_test(the_first_gateway_keeps_room_for_those_behind),
        cmocka_unit_test(our_keys_do_not_reach_a_node),
        cmocka_unit_test(the_target_goes_on_as_it_was_sent),
        cmocka_unit_test(there_is_room_for_the_longest_length_behind_the_fields),
        cmocka_unit_test(a_head_that_exceeds_the_memory_of_its_exchange_is_refused),
        cmocka_unit_test(the_trace_id_is_taken_from_a_whole_traceparent_only),
        cmocka_unit_test(a_request_that_comes_round_again_is_known),
    };

    return cmocka_run_group_tests_name("gateway/forward", tests, NULL, NULL);
}
