/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/context.h"
#include "fixture.h"

static void a_deadline_is_inherited_and_only_shortened(void **state)
{
    chasqui_context *root = chasqui_context_new(NULL);
    chasqui_context *child = chasqui_context_new(root);
    chasqui_context *other = chasqui_context_new(root);

    (void)state;
    assert_int_equal(chasqui_context_time_left(child), -1);
    chasqui_context_set_timeout(child, 50000);
    chasqui_context_set_timeout(child, 90000); /* later: nothing */
    assert_in_range(chasqui_context_time_left(child), 40000, 50000);
    assert_int_equal(chasqui_context_time_left(root), -1);
    assert_int_equal(chasqui_context_time_left(other), -1);
    chasqui_context_set_timeout(root, 20000); /* reaches children that are there already */
    assert_in_range(chasqui_context_time_left(child), 10000, 20000);
    assert_in_range(chasqui_context_time_left(other), 10000, 20000);
    chasqui_context_set_timeout(child, CHASQUI_NEVER);
    assert_in_range(chasqui_context_time_left(child), 10000, 20000);
    chasqui_context_set_timeout(root, 0);
    assert_int_equal(chasqui_context_time_left(child), 0);
    chasqui_context_unref(root);
    chasqui_context_unref(other);
    chasqui_context_unref(child);
}

static void cancelling_reaches_descendants_and_nobody_else(void **state)
{
    chasqui_context *root = chasqui_context_new(NULL);
    chasqui_context *middle = chasqui_context_new(root);
    chasqui_context *leaf = chasqui_context_new(middle);
    chasqui_context *cousin = chasqui_context_new(root);
    chasqui_context *late;

    (void)state;
    chasqui_context_cancel(middle);
    chasqui_context_cancel(middle);
    late = chasqui_context_new(leaf);
    assert_false(chasqui_context_is_cancelled(root));
    assert_false(chasqui_context_is_cancelled(cousin));
    assert_true(chasqui_context_is_cancelled(middle));
    assert_true(chasqui_context_is_cancelled(leaf));
    assert_true(chasqui_context_is_cancelled(late));
    chasqui_context_unref(root);
    chasqui_context_unref(middle);
    chasqui_context_unref(cousin);
    chasqui_context_unref(leaf);
    chasqui_context_unref(late);
}

static void a_chain_of_any_length_is_freed_by_its_last_member(void **state)
{
    chasqui_context *at = chasqui_context_new(NULL);

    (void)state;
    for (int i = 0; i < 20000; i++) {
        chasqui_context *child = chasqui_context_new(at);

        chasqui_context_unref(at);
        at = child;
    }
    chasqui_context_cancel(at);
    chasqui_context_unref(at);
    chasqui_context_unref(NULL);
}

static void what_is_no_traceparent_is_refused(void **state)
{
    static const struct {
        const char *text;
        int result;
    } rows[] = {
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", CHASQUI_OK},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", CHASQUI_INVALID_ARGUMENT},
        {"00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", CHASQUI_INVALID_ARGUMENT},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", CHASQUI_INVALID_ARGUMENT},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", CHASQUI_INVALID_ARGUMENT},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", CHASQUI_INVALID_ARGUMENT},
        {"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", CHASQUI_INVALID_ARGUMENT},
        {"", CHASQUI_INVALID_ARGUMENT},
        {NULL, CHASQUI_INVALID_ARGUMENT},
    };
    chasqui_context *context = chasqui_context_new(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(chasqui_context_set_traceparent(context, rows[i].text), rows[i].result);
    chasqui_context_unref(context);
}

static void metadata_that_could_break_a_header_is_refused(void **state)
{
    chasqui_context *context = chasqui_context_new(NULL);
    char value[200];
    char key[4] = "k00";

    (void)state;
    memset(value, 'v', sizeof(value));
    value[161] = '\0';
    assert_int_equal(chasqui_context_set_metadata(context, "k", "a\r\nb"),
                     CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_context_set_metadata(context, "k", "\xff"), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_context_set_metadata(context, "k", value), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_context_set_metadata(context, "K", "v"), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_context_set_metadata(context, "a: b", "v"), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_context_set_metadata(context, "", "v"), CHASQUI_INVALID_ARGUMENT);
    for (int i = 0; i < 16; i++) {
        key[2] = (char)('a' + i);
        assert_int_equal(chasqui_context_set_metadata(context, key, ""), CHASQUI_OK);
    }
    assert_int_equal(chasqui_context_set_metadata(context, "more", ""), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_context_set_metadata(context, "k0a", "again"), CHASQUI_OK);
    chasqui_context_unref(context);
}

static void a_pair_that_is_set_again_travels_once(void **state)
{
    chasqui_context *root = chasqui_context_new(NULL);
    chasqui_context *child = chasqui_context_new(root);
    struct client_inherited inherited;

    (void)state;
    assert_int_equal(chasqui_context_set_metadata(root, "k", "old"), CHASQUI_OK);
    assert_int_equal(chasqui_context_set_metadata(root, "other", "o"), CHASQUI_OK);
    assert_int_equal(chasqui_context_set_metadata(child, "k", "new"), CHASQUI_OK);
    assert_int_equal(client_context_inherit(child, &inherited), 0);
    assert_int_equal(inherited.n_pairs, 2);
    chasqui_context_unref(root);
    chasqui_context_unref(child);
}

/*
 * With a server
 */

static int send_under(struct fixture *f, const char *service, chasqui_context *context,
                      chasqui_reply *reply)
{
    chasqui_request request = ask(service, "");

    request.context = context;
    return chasqui_send(f->client, &request, reply);
}

static void a_call_has_the_earliest_deadline_of_all(void **state)
{
    struct fixture *f = *state;
    chasqui_context *root = chasqui_context_new(NULL);
    chasqui_context *child = chasqui_context_new(root);
    chasqui_reply reply;

    chasqui_context_set_timeout(root, 1000);
    chasqui_context_set_timeout(child, 100000);
    assert_int_equal(send_under(f, "deadline", child, &reply), CHASQUI_OK);
    assert_in_range(strtol(reply.body.data, NULL, 10), 100, 1000);
    chasqui_reply_free(&reply);
    chasqui_context_set_timeout(root, 0);
    assert_int_equal(send_under(f, "deadline", child, &reply), CHASQUI_DEADLINE_EXCEEDED);
    assert_true((reply.error.flags & CHASQUI_NOT_PROCESSED) != 0);
    assert_int_equal(atomic_load(&f->server.n_requests), 1);
    chasqui_context_unref(child);
    chasqui_context_unref(root);
}

static void time_taken_away_ends_calls_that_are_on_their_way(void **state)
{
    struct fixture *f = *state;
    chasqui_context *root = chasqui_context_new(NULL);
    chasqui_context *child = chasqui_context_new(root);
    struct seen seen = SEEN_INIT;
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("hang", "");

    request.context = child;
    request.timeout_ms = CHASQUI_NEVER;
    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    wait_for(&f->server.n_hanging, 1);
    chasqui_context_set_timeout(root, 1);
    seen_wait_done(&seen, 1);
    assert_int_equal(seen.error.code, CHASQUI_DEADLINE_EXCEEDED);
    wait_for(&f->server.n_cancels, 1);
    assert_int_equal(atomic_load(&f->server.last_cancel), MCP_CANCEL_DEADLINE);
    chasqui_context_unref(child);
    chasqui_context_unref(root);
}

static void cancelling_a_context_ends_all_its_calls(void **state)
{
    struct fixture *f = *state;
    chasqui_context *root = chasqui_context_new(NULL);
    struct seen seen = SEEN_INIT;
    static struct seen other = SEEN_INIT; /* told when the client is closed */
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("hang", "");
    chasqui_reply reply;

    for (int i = 0; i < 30; i++) {
        request.context = chasqui_context_new(i % 3 == 0 ? NULL : root);
        handler = seen_handler(i % 3 == 0 ? &other : &seen);
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
        chasqui_context_unref(request.context);
    }
    wait_for(&f->server.n_hanging, 30);
    chasqui_context_cancel(root);
    seen_wait_done(&seen, 20);
    assert_int_equal(seen.n_code[CHASQUI_CANCELLED], 20);
    wait_for(&f->server.n_hanging, 10);
    assert_int_equal(other.n_done, 0);
    /* In future as well. */
    assert_int_equal(send_under(f, "echo", root, &reply), CHASQUI_CANCELLED);
    chasqui_context_unref(root);
}

static void trace_and_metadata_go_along(void **state)
{
    static const unsigned char trace[CHASQUI_TRACE_LEN] = {
        0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e,
        0x0e, 0x47, 0x36, 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7, 0x01};
    struct fixture *f = *state;
    chasqui_context *root = chasqui_context_new(NULL);
    chasqui_context *child = chasqui_context_new(root);
    chasqui_request request = ask("session", "");
    chasqui_reply reply;

    assert_int_equal(chasqui_context_set_traceparent(
                         root, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                     CHASQUI_OK);
    assert_int_equal(chasqui_context_set_metadata(root, "k", "old"), CHASQUI_OK);
    assert_int_equal(send_under(f, "trace", child, &reply), CHASQUI_OK);
    assert_int_equal(reply.body.len, CHASQUI_TRACE_LEN);
    assert_memory_equal(reply.body.data, trace, CHASQUI_TRACE_LEN);
    chasqui_reply_free(&reply);
    assert_int_equal(send_under(f, "meta", child, &reply), CHASQUI_OK);
    assert_string_equal(reply.body.data, "old");
    chasqui_reply_free(&reply);
    assert_int_equal(chasqui_context_set_metadata(child, "k", "new"), CHASQUI_OK);
    assert_int_equal(send_under(f, "meta", child, &reply), CHASQUI_OK);
    assert_string_equal(reply.body.data, "new");
    chasqui_reply_free(&reply);
    request.session = "conversation-7";
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_OK);
    assert_string_equal(reply.body.data, "conversation-7");
    chasqui_reply_free(&reply);
    chasqui_context_unref(root);
    chasqui_context_unref(child);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_is_inherited_and_only_shortened),
        cmocka_unit_test(cancelling_reaches_descendants_and_nobody_else),
        cmocka_unit_test(a_chain_of_any_length_is_freed_by_its_last_member),
        cmocka_unit_test(what_is_no_traceparent_is_refused),
        cmocka_unit_test(metadata_that_could_break_a_header_is_refused),
        cmocka_unit_test(a_pair_that_is_set_again_travels_once),
        TEST(a_call_has_the_earliest_deadline_of_all),
        TEST(time_taken_away_ends_calls_that_are_on_their_way),
        TEST(cancelling_a_context_ends_all_its_calls),
        TEST(trace_and_metadata_go_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
