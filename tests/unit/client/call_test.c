/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static void assert_reply(const chasqui_reply *reply, const char *text)
{
    assert_int_equal(reply->error.code, CHASQUI_OK);
    assert_int_equal(reply->body.len, strlen(text));
    assert_string_equal(reply->body.data, text);
}

static void an_echo_comes_back(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("Hi"), &reply),
                     CHASQUI_OK);
    assert_reply(&reply, "Hi");
    chasqui_reply_free(&reply);
    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text(""), &reply), CHASQUI_OK);
    assert_reply(&reply, "");
    chasqui_reply_free(&reply);
}

static void a_long_payload_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    size_t len = 5 * 1024 * 1024 + 7;
    char *bytes = malloc(len);
    chasqui_reply reply;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 2654435761u >> 24);
    assert_int_equal(
        chasqui_send_request(f->client, "echo", chasqui_bytes_make(bytes, len), &reply),
        CHASQUI_OK);
    assert_int_equal(reply.body.len, len);
    assert_memory_equal(reply.body.data, bytes, len);
    chasqui_reply_free(&reply);
    free(bytes);
}

static void an_error_says_code_class_text_and_whether_work_had_begun(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "fail", chasqui_text("9 0"), &reply),
                     CHASQUI_FAILED_PRECONDITION);
    assert_int_equal(reply.error.error_class, CHASQUI_CLASS_CALLER);
    assert_int_equal(reply.error.flags, 0);
    assert_int_equal(reply.error.origin, CHASQUI_ORIGIN_NODE);
    assert_int_equal(reply.error.retry_after_ms, -1);
    assert_string_equal(reply.error.text, "as you wish");
    chasqui_reply_free(&reply);
    assert_int_equal(chasqui_send_request(f->client, "nowhere", chasqui_text(""), &reply),
                     CHASQUI_UNIMPLEMENTED);
    assert_int_equal(reply.error.flags, CHASQUI_NOT_PROCESSED);
    chasqui_reply_free(&reply);
}

static void what_cannot_be_asked_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    chasqui_request bad[] = {ask("", "x"),     ask(NULL, "x"),   ask("a b", "x"),
                             ask("echo", "x"), ask("echo", "x"), ask("echo", "x")};
    char name[200];
    chasqui_reply reply;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    bad[3].class_name = "no such class";
    bad[4].service = name;
    bad[5].size = 3;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chasqui_send(f->client, &bad[i], &reply), CHASQUI_INVALID_ARGUMENT);
        assert_int_equal(chasqui_start(f->client, &bad[i], NULL, NULL), CHASQUI_INVALID_ARGUMENT);
        chasqui_reply_free(&reply);
    }
    assert_int_equal(atomic_load(&f->server.n_requests), 0);
}

static void answers_come_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct seen slow = SEEN_INIT;
    struct seen quick = SEEN_INIT;
    chasqui_request request = ask("hang", "");
    chasqui_handler handler = seen_handler(&slow);
    chasqui_call *call;

    assert_int_equal(chasqui_start(f->client, &request, &handler, &call), CHASQUI_OK);
    wait_for(&f->server.n_hanging, 1);
    request = ask("echo", "quick");
    handler = seen_handler(&quick);
    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    seen_wait_done(&quick, 1);
    assert_string_equal(quick.body, "quick");
    assert_int_equal(slow.n_done, 0);
    chasqui_call_cancel(call);
    seen_wait_done(&slow, 1);
    chasqui_call_free(call);
}

struct own_thread {
    chasqui_client *client;
    struct seen seen;
    pthread_t thread;
    int nested;
    int started;
};

static void on_done_look_around(void *user, const chasqui_reply *reply)
{
    struct own_thread *o = user;
    chasqui_request request = ask("echo", "again");
    chasqui_handler handler = seen_handler(&o->seen);
    chasqui_reply nested;

    o->thread = pthread_self();
    o->nested = chasqui_send_request(o->client, "echo", chasqui_text(""), &nested);
    chasqui_reply_free(&nested);
    o->started = chasqui_start(o->client, &request, &handler, NULL);
    seen_on_done(&o->seen, reply);
}

static void completions_run_on_the_clients_thread_and_may_begin_calls_but_not_block(void **state)
{
    struct fixture *f = *state;
    struct own_thread o = {.client = f->client, .seen = SEEN_INIT};
    chasqui_request request = ask("echo", "x");
    const chasqui_handler handler = {
        .size = sizeof(handler), .on_done = on_done_look_around, .user = &o};

    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    seen_wait_done(&o.seen, 2);
    assert_false(pthread_equal(o.thread, pthread_self()));
    assert_int_equal(o.nested, CHASQUI_FAILED_PRECONDITION);
    assert_int_equal(o.started, CHASQUI_OK);
    assert_string_equal(o.seen.body, "again");
}

static void *cancel_it(void *call)
{
    chasqui_call_cancel(call);
    chasqui_call_cancel(call);
    return NULL;
}

static void another_thread_cancels_and_the_server_hears_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("hang", "");
    chasqui_handler handler = seen_handler(&seen);
    chasqui_call *call;
    pthread_t thread;

    assert_int_equal(chasqui_start(f->client, &request, &handler, &call), CHASQUI_OK);
    wait_for(&f->server.n_hanging, 1);
    assert_int_equal(pthread_create(&thread, NULL, cancel_it, call), 0);
    seen_wait_done(&seen, 1);
    (void)pthread_join(thread, NULL);
    assert_int_equal(seen.error.code, CHASQUI_CANCELLED);
    wait_for(&f->server.n_cancels, 1);
    assert_int_equal(atomic_load(&f->server.last_cancel), MCP_CANCEL_APPLICATION);
    chasqui_call_cancel(call); /* it has ended: nothing happens */
    chasqui_call_free(call);
    assert_int_equal(seen.n_done, 1);
}

static void time_that_is_over_ends_the_call_at_both_ends(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("hang", "");
    chasqui_reply reply;

    request.timeout_ms = 20;
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_DEADLINE_EXCEEDED);
    assert_int_equal(reply.error.error_class, CHASQUI_CLASS_ENDED);
    chasqui_reply_free(&reply);
    wait_for(&f->server.n_cancels, 1);
    wait_for(&f->server.n_hanging, 0);
}

/*
 * Classes
 */

static long deadline_seen(struct fixture *f, chasqui_request request)
{
    chasqui_reply reply;
    long ms;

    request.service = "deadline";
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_OK);
    ms = strtol(reply.body.data, NULL, 10);
    chasqui_reply_free(&reply);
    return ms;
}

static void each_class_has_its_time(void **state)
{
    static const struct {
        const char *name;
        long ms;
    } rows[] = {{NULL, 3000},       {"request", 3000},  {"query", 2000},    {"order", 5000},
                {"external", 8000}, {"answer", 600000}, {"nightly", 77000}, {"forever", -1}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        chasqui_request request = ask("deadline", "");
        long ms;

        request.class_name = rows[i].name;
        ms = deadline_seen(f, request);
        assert_in_range(ms + 1, rows[i].ms > 0 ? (uintmax_t)rows[i].ms - 900 : 0,
                        (uintmax_t)(rows[i].ms + 1));
    }
}

static void a_class_goes_along_and_the_contexts_is_used_where_none_is_named(void **state)
{
    struct fixture *f = *state;
    chasqui_context *context = chasqui_context_new(NULL);
    chasqui_request request = ask("class", "");
    chasqui_reply reply;

    assert_int_equal(chasqui_context_set_class(context, "order"), CHASQUI_OK);
    request.context = context;
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_OK);
    assert_reply(&reply, "order");
    chasqui_reply_free(&reply);
    request.class_name = "query";
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_OK);
    assert_reply(&reply, "query");
    chasqui_reply_free(&reply);
    chasqui_context_unref(context);
}

/*
 * Retries
 */

static int send_once(struct fixture *f, const char *error, const char *class, unsigned flags)
{
    chasqui_request request = ask("once", error);
    chasqui_reply reply;
    int r;

    atomic_store(&f->server.n_requests, 0);
    request.class_name = class;
    request.flags = flags;
    r = chasqui_send(f->client, &request, &reply);
    chasqui_reply_free(&reply);
    return r;
}

static void only_what_was_not_processed_is_tried_again(void **state)
{
    static const struct {
        const char *error; /* code and flags */
        const char *class;
        unsigned flags;
        int result;
    } rows[] = {
        {"14 1", NULL, 0, CHASQUI_OK},
        {"33 1", NULL, 0, CHASQUI_OK},
        {"14 0", NULL, 0, CHASQUI_UNAVAILABLE},
        {"36 2", NULL, 0, CHASQUI_BACKEND_LOST},
        {"14 0", NULL, CHASQUI_IDEMPOTENT, CHASQUI_OK},
        {"36 2", "query", 0, CHASQUI_OK},
        {"14 5", NULL, CHASQUI_IDEMPOTENT, CHASQUI_UNAVAILABLE}, /* NO_RETRY */
        {"14 1", "order", 0, CHASQUI_UNAVAILABLE},
        {"3 1", "query", 0, CHASQUI_INVALID_ARGUMENT},
        {"12 1", NULL, 0, CHASQUI_UNIMPLEMENTED},
        {"4 1", NULL, 0, CHASQUI_DEADLINE_EXCEEDED},
        {"13 0", "query", 0, CHASQUI_INTERNAL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int r = send_once(f, rows[i].error, rows[i].class, rows[i].flags);

        if (r != rows[i].result)
            fail_msg("row %zu: %s, not %s", i, chasqui_code_name(r),
                     chasqui_code_name(rows[i].result));
        assert_int_equal(atomic_load(&f->server.n_requests), rows[i].result == CHASQUI_OK ? 2 : 1);
    }
}

static void five_retries_are_the_most_and_the_last_error_is_told(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "fail", chasqui_text("33 3"), &reply),
                     CHASQUI_OVERLOADED);
    assert_int_equal(atomic_load(&f->server.n_requests), 6);
    assert_int_equal(stats_of(f->client).retries, 5);
    assert_true((reply.error.flags & CHASQUI_NOT_PROCESSED) != 0);
    chasqui_reply_free(&reply);
}

static void a_budget_ends_the_retries_of_an_outage(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(chasqui_send_request(f->client, "fail", chasqui_text("33 1"), &reply),
                         CHASQUI_OVERLOADED);
        chasqui_reply_free(&reply);
    }
    assert_int_equal(atomic_load(&f->server.n_requests), 10 + 10);
}

/*
 * Limits
 */

static void one_call_more_than_allowed_is_overload(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("hang", "");
    chasqui_handler handler = seen_handler(&seen);
    chasqui_call *call[3] = {0};
    chasqui_reply reply;

    for (int i = 0; i < 3; i++)
        assert_int_equal(chasqui_start(f->client, &request, &handler, &call[i]), CHASQUI_OK);
    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OVERLOADED);
    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text(""), &reply),
                     CHASQUI_OVERLOADED);
    chasqui_reply_free(&reply);
    for (int i = 0; i < 3; i++) {
        chasqui_call_cancel(call[i]);
        chasqui_call_free(call[i]);
    }
    seen_wait_done(&seen, 3);
    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text(""), &reply), CHASQUI_OK);
    chasqui_reply_free(&reply);
}

static void calls_wait_for_a_place_at_the_server(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("delay", "1");
    chasqui_handler handler = seen_handler(&seen);

    for (int i = 0; i < 300; i++)
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    seen_wait_done(&seen, 300);
    assert_int_equal(seen.n_code[CHASQUI_OK], 300);
    assert_true(atomic_load(&f->server.n_accepted) <= 2);
}

static void closing_ends_every_call_once(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("hang", "");
    chasqui_handler handler = seen_handler(&seen);
    chasqui_call *call;
    chasqui_client *client;

    assert_int_equal(chasqui_open(f->server.url, NULL, &client, NULL), CHASQUI_OK);
    for (int i = 0; i < 50; i++)
        assert_int_equal(chasqui_start(client, &request, &handler, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_start(client, &request, &handler, &call), CHASQUI_OK);
    chasqui_close(client);
    assert_int_equal(seen.n_done, 51);
    assert_int_equal(seen.n_code[CHASQUI_CANCELLED], 51);
    chasqui_call_cancel(call); /* the handle is still good */
    chasqui_call_free(call);
}

static void on_done_start_again(void *user, const chasqui_reply *reply)
{
    struct own_thread *o = user;
    chasqui_request request = ask("echo", "too late");
    chasqui_handler handler = seen_handler(&o->seen);

    o->started = chasqui_start(o->client, &request, &handler, NULL);
    seen_on_done(&o->seen, reply);
}

static void no_call_begins_on_a_client_that_is_being_closed(void **state)
{
    struct fixture *f = *state;
    struct own_thread o = {.seen = SEEN_INIT};
    chasqui_request request = ask("hang", "");
    const chasqui_handler handler = {
        .size = sizeof(handler), .on_done = on_done_start_again, .user = &o};

    assert_int_equal(chasqui_open(f->server.url, NULL, &o.client, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_start(o.client, &request, &handler, NULL), CHASQUI_OK);
    wait_for(&f->server.n_hanging, 1);
    chasqui_close(o.client);
    assert_int_equal(o.seen.n_done, 1);
    assert_int_equal(o.started, CHASQUI_UNAVAILABLE);
}

static int setup_few_calls(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .max_calls = 3};

    return setup_with(state, &options);
}

static int setup_small_server(void **state)
{
    int r = setup(state);
    struct fixture *f = *state;

    f->server.settings.hello.max_inflight = 40; /* nobody is connected yet */
    return r;
}

static int setup_classes(void **state)
{
    static const chasqui_class_options classes[] = {
        {.size = sizeof(classes[0]), .name = "nightly", .timeout_ms = 77000},
        {.size = sizeof(classes[0]), .name = "forever", .timeout_ms = CHASQUI_NEVER},
    };
    const chasqui_options options = {.size = sizeof(options), .classes = classes, .n_classes = 2};

    return setup_with(state, &options);
}

/* No waiting in tests of retries. */
static int setup_quick_retries(void **state)
{
    const chasqui_options options = {
        .size = sizeof(options), .retry_base_ms = 1, .retry_max_ms = 1};

    return setup_with(state, &options);
}

static int setup_many_retries(void **state)
{
    const chasqui_options options = {
        .size = sizeof(options), .retry_base_ms = 1, .retry_max_ms = 1, .retry_budget_min = 1000};

    return setup_with(state, &options);
}

/* So many small calls at once. Return: frames that carried several of them. */
static uint64_t batches_of(const char *url, const chasqui_batch_options *batch, unsigned n)
{
    const chasqui_options options = {.size = sizeof(options), .batch = batch};
    const chasqui_request request = ask("echo", "small");
    struct seen seen = SEEN_INIT;
    const chasqui_handler handler = seen_handler(&seen);
    chasqui_client *client;
    uint64_t n_batches;

    assert_int_equal(chasqui_open(url, &options, &client, NULL), CHASQUI_OK);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(chasqui_start(client, &request, &handler, NULL), CHASQUI_OK);
    seen_wait_done(&seen, n);
    assert_int_equal(seen.n_code[CHASQUI_OK], n);
    n_batches = stats_of(client).batches;
    chasqui_close(client);
    return n_batches;
}

static void small_calls_go_together_where_it_is_asked_for_and_nowhere_else(void **state)
{
    const chasqui_batch_options batch = {.size = sizeof(batch), .max_calls = 16, .delay_ms = 5};
    struct fixture *f = *state;
    static struct server simple;

    assert_int_equal(batches_of(f->server.url, NULL, 500), 0);
    assert_true(batches_of(f->server.url, &batch, 500) > 0);
    server_start_at(&simple, 0);
    simple.settings.hello.features = MCP_FEATURES_BASIC;
    server_run(&simple);
    assert_int_equal(batches_of(simple.url, &batch, 500), 0);
    server_stop(&simple);
}

static void bad_options_of_batches_are_refused(void **state)
{
    const chasqui_batch_options bad[] = {{.size = 1},
                                         {.size = sizeof(bad[0]), .max_calls = 1},
                                         {.size = sizeof(bad[0]), .max_calls = 257},
                                         {.size = sizeof(bad[0]), .max_bytes = 12289},
                                         {.size = sizeof(bad[0]), .delay_ms = 1001}};
    chasqui_client *client;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const chasqui_options options = {.size = sizeof(options), .batch = &bad[i]};

        assert_int_equal(chasqui_open("mcp://127.0.0.1:1", &options, &client, NULL),
                         CHASQUI_INVALID_ARGUMENT);
    }
}

static void the_plain_profile_has_no_key(void **state)
{
    const chasqui_options options = {
        .size = sizeof(options), .key = "secret", .profile = CHASQUI_PROFILE_PLAIN};
    chasqui_client *client;
    chasqui_error error;

    (void)state;
    assert_int_equal(chasqui_open("mcp://127.0.0.1:1", &options, &client, &error),
                     CHASQUI_INVALID_ARGUMENT);
    assert_string_equal(error.text, "the plain profile has no key");
}

static void in_the_plain_profile_a_call_that_is_over_ends_here_at_once(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .profile = CHASQUI_PROFILE_PLAIN};
    struct fixture *f = *state;
    chasqui_request request = ask("hang", "");
    chasqui_client *client;
    chasqui_reply reply;

    request.timeout_ms = 20;
    assert_int_equal(chasqui_open(f->server.url, &options, &client, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_send(client, &request, &reply), CHASQUI_DEADLINE_EXCEEDED);
    assert_int_equal(chasqui_send_request(client, "echo", chasqui_text("x"), &reply), CHASQUI_OK);
    assert_int_equal(reply.body.len, 1);
    chasqui_reply_free(&reply);
    assert_int_equal(atomic_load(&f->server.n_cancels), 0);
    chasqui_close(client);
    wait_for(&f->server.n_cancels, 1);
}

static void a_call_waits_for_room_no_longer_than_it_may(void **state)
{
    const chasqui_options options = {
        .size = sizeof(options), .connections = 1, .acquire_timeout_ms = 20};
    struct seen seen = SEEN_INIT;
    const chasqui_handler handler = seen_handler(&seen);
    const chasqui_request hang = ask("hang", "");
    static struct server small;
    chasqui_client *client;
    chasqui_reply reply;

    (void)state;
    server_start_at(&small, 0);
    small.settings.hello.max_inflight = MCP_EARLY_CALLS;
    server_run(&small);
    assert_int_equal(chasqui_open(small.url, &options, &client, NULL), CHASQUI_OK);
    for (unsigned i = 0; i < MCP_EARLY_CALLS; i++)
        assert_int_equal(chasqui_start(client, &hang, &handler, NULL), CHASQUI_OK);
    wait_for(&small.n_hanging, MCP_EARLY_CALLS);
    assert_int_equal(chasqui_send_request(client, "echo", chasqui_text("x"), &reply),
                     CHASQUI_UNAVAILABLE);
    assert_int_equal(reply.error.flags, CHASQUI_NOT_PROCESSED | CHASQUI_TRANSIENT);
    assert_string_equal(reply.error.text, "no connection had room in time");
    chasqui_close(client);
    server_stop(&small);
}

int main(void)
{
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(small_calls_go_together_where_it_is_asked_for_and_nowhere_else, setup),
        TEST(bad_options_of_batches_are_refused, setup),
        TEST(a_call_waits_for_room_no_longer_than_it_may, setup),
        TEST(the_plain_profile_has_no_key, setup),
        TEST(in_the_plain_profile_a_call_that_is_over_ends_here_at_once, setup),
        TEST(an_echo_comes_back, setup),
        TEST(a_long_payload_comes_back_whole, setup),
        TEST(an_error_says_code_class_text_and_whether_work_had_begun, setup),
        TEST(what_cannot_be_asked_is_refused_at_once, setup),
        TEST(answers_come_in_any_order, setup),
        TEST(completions_run_on_the_clients_thread_and_may_begin_calls_but_not_block, setup),
        TEST(another_thread_cancels_and_the_server_hears_it, setup),
        TEST(time_that_is_over_ends_the_call_at_both_ends, setup),
        TEST(each_class_has_its_time, setup_classes),
        TEST(a_class_goes_along_and_the_contexts_is_used_where_none_is_named, setup),
        TEST(only_what_was_not_processed_is_tried_again, setup_many_retries),
        TEST(five_retries_are_the_most_and_the_last_error_is_told, setup_quick_retries),
        TEST(a_budget_ends_the_retries_of_an_outage, setup_quick_retries),
        TEST(one_call_more_than_allowed_is_overload, setup_few_calls),
        TEST(calls_wait_for_a_place_at_the_server, setup_small_server),
        TEST(closing_ends_every_call_once, setup),
        TEST(no_call_begins_on_a_client_that_is_being_closed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
