/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "fixture.h"

/*
 * No memory
 *
 * malloc, calloc and realloc of our own code come through here (--wrap); those of the thread that
 * says so fail, one after the other. The client is driven by this thread, so that the server's
 * memory is not touched.
 */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static _Thread_local struct {
    bool is_on;
    unsigned long n_seen;
    unsigned long first; /* that fails */
    unsigned long n;     /* how many fail from there on */
} failing;

static bool fails(void)
{
    if (!failing.is_on)
        return false;
    failing.n_seen++;
    return failing.n_seen >= failing.first && failing.n_seen - failing.first < failing.n;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return n > 0 && fails() ? NULL : __real_realloc(p, n);
}

#define N_CALLS   6
#define N_UNTYPED 4 /* those before are as they are sent */

struct run {
    chasqui_client *client;
    unsigned n_started;
    unsigned n_done[N_CALLS];
    unsigned n_records;
};

struct one {
    struct run *run;
    int i;
};

static void on_record(void *user, chasqui_bytes record)
{
    (void)record;
    ((struct one *)user)->run->n_records++;
}

static void count(const struct one *one)
{
    one->run->n_done[one->i]++;
}

static void on_done(void *user, const chasqui_reply *reply)
{
    (void)reply;
    count(user);
}

static void on_answer(void *user, const chasqui_answer *answer)
{
    (void)answer;
    count(user);
}

static void on_models(void *user, const chasqui_models *models)
{
    (void)models;
    count(user);
}

static void on_text(void *user, chasqui_bytes text)
{
    (void)user;
    (void)text;
}

static int start_typed(const struct run *run, struct one *one, chasqui_context *context)
{
    const chasqui_generate_request request = {
        .size = sizeof(request), .model = "m", .context = context, .on_text = on_text};

    return one->i == N_UNTYPED ? chasqui_start_generate(run->client, &request, on_answer, one, NULL)
                               : chasqui_start_tags(run->client, context, on_models, one, NULL);
}

static void start_untyped(struct run *run, struct one ones[N_CALLS], chasqui_context *context)
{
    static char payload[40000];
    const char *const services[N_UNTYPED] = {"echo", "stream", "echo", "fail"};
    chasqui_handler handler = {.size = sizeof(handler), .on_record = on_record, .on_done = on_done};

    for (int i = 0; i < N_UNTYPED; i++) {
        chasqui_request request = ask(services[i], i == 1 ? "20" : "14 1");

        if (i == 2)
            request.payload = chasqui_bytes_make(payload, sizeof(payload));
        ones[i] = (struct one){run, i};
        handler.user = &ones[i];
        request.context = context;
        request.timeout_ms = 400;
        if (chasqui_start(run->client, &request, &handler, NULL) == CHASQUI_OK)
            run->n_started++;
        else
            run->n_done[i]++; /* nothing more may come */
    }
}

static void start_all(struct run *run, struct one ones[N_CALLS], chasqui_context *context)
{
    start_untyped(run, ones, context);
    for (int i = N_UNTYPED; i < N_CALLS; i++) {
        ones[i] = (struct one){run, i};
        if (start_typed(run, &ones[i], context) != CHASQUI_OK)
            run->n_done[i]++;
    }
}

static unsigned sum_done(const struct run *run)
{
    unsigned n = 0;

    for (int i = 0; i < N_CALLS; i++)
        n += run->n_done[i];
    return n;
}

/* A client, four calls, their ends. Return: whether memory was ever short. */
static bool run_once(const char *url, unsigned long first, unsigned long n)
{
    const chasqui_options options = {.size = sizeof(options),
                                     .flags = CHASQUI_OWN_LOOP,
                                     .codec = CHASQUI_CODEC_JSON,
                                     .retry_base_ms = 1,
                                     .retry_max_ms = 1,
                                     .acquire_timeout_ms = 100};
    struct run run = {0};
    struct one ones[N_CALLS];
    chasqui_context *context;
    int r;

    failing.is_on = true;
    failing.n_seen = 0;
    failing.first = first;
    failing.n = n;
    r = chasqui_open(url, &options, &run.client, NULL);
    if (r != CHASQUI_OK) {
        failing.is_on = false;
        assert_int_equal(r, CHASQUI_RESOURCE_EXHAUSTED);
        return true;
    }
    context = chasqui_context_new(NULL);
    if (context != NULL)
        (void)chasqui_context_set_metadata(context, "k", "v");
    if (context != NULL)
        chasqui_context_set_timeout(context, 400);
    start_all(&run, ones, context);
    chasqui_context_unref(context);
    while (sum_done(&run) < N_CALLS) {
        struct pollfd fd = {.fd = chasqui_fd(run.client), .events = POLLIN};

        (void)poll(&fd, 1, chasqui_next_due(run.client));
        (void)chasqui_process(run.client);
    }
    chasqui_close(run.client);
    failing.is_on = false;
    for (int i = 0; i < N_CALLS; i++)
        assert_int_equal(run.n_done[i], 1);
    return failing.n_seen >= first;
}

static void any_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    unsigned long n = 1;

    while (run_once(f->server.url, n, 1))
        n++;
    assert_true(n > 20); /* something was tried */
}

static void memory_may_be_short_for_a_while(void **state)
{
    struct fixture *f = *state;
    unsigned long n = 1;

    while (run_once(f->server.url, n, 5))
        n++;
}

static void blocking_calls_say_that_there_is_no_memory(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("echo", "x");
    chasqui_stream *stream;
    chasqui_reply reply;
    chasqui_models models;

    failing.is_on = true;
    failing.n_seen = 0;
    failing.first = 1;
    failing.n = 1000;
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_RESOURCE_EXHAUSTED);
    assert_string_equal(reply.error.text, "out of memory");
    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_RESOURCE_EXHAUSTED);
    assert_int_equal(chasqui_tags(f->client, NULL, &models), CHASQUI_RESOURCE_EXHAUSTED);
    assert_null(chasqui_context_new(NULL));
    failing.is_on = false;
    assert_int_equal(chasqui_send(f->client, &request, &reply), CHASQUI_OK);
    chasqui_reply_free(&reply);
}

/*
 * Streams: a client with a thread of its own, whose allocations fail from within it
 */

struct shortage {
    unsigned long first; /* 0: no more */
    unsigned long n_seen;
};

/* On the client's thread. */
static void on_set(void *user, const chasqui_reply *reply)
{
    struct shortage *shortage = user;

    (void)reply;
    shortage->n_seen = failing.n_seen;
    failing.n_seen = 0;
    failing.first = shortage->first;
    failing.n = 1;
    failing.is_on = shortage->first > 0;
}

/* A call that fails also ends there. */
static void set_shortage(chasqui_client *client, struct shortage *shortage)
{
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_set, .user = shortage};
    const chasqui_request request = ask("echo", "");
    chasqui_reply reply;

    assert_int_equal(chasqui_start(client, &request, &handler, NULL), CHASQUI_OK);
    (void)chasqui_send(client, &request, &reply); /* ends behind it: one connection */
    chasqui_reply_free(&reply);
}

static int read_stream(chasqui_client *client)
{
    chasqui_request request = ask("stream", "20");
    chasqui_stream *stream;
    chasqui_bytes record;
    int r;

    request.timeout_ms = 400;
    r = chasqui_stream_open(client, &request, &stream);
    if (r != CHASQUI_OK)
        return r;
    do
        r = chasqui_stream_next(stream, &record);
    while (r == CHASQUI_OK);
    assert_non_null(chasqui_stream_reply(stream));
    chasqui_stream_free(stream);
    return r;
}

static void any_allocation_of_a_stream_may_fail_on_the_clients_thread(void **state)
{
    const chasqui_options options = {.size = sizeof(options),
                                     .connections = 1,
                                     .codec = CHASQUI_CODEC_JSON,
                                     .retry_base_ms = 1,
                                     .retry_max_ms = 1,
                                     .retry_budget_min = 1000};
    struct fixture *f = *state;
    struct shortage shortage = {0};
    unsigned n_failed = 0;
    chasqui_client *client;

    assert_int_equal(chasqui_open(f->server.url, &options, &client, NULL), CHASQUI_OK);
    do {
        shortage.first++;
        set_shortage(client, &shortage);
        n_failed += read_stream(client) != CHASQUI_END;
        set_shortage(client, &(struct shortage){0});
        assert_int_equal(read_stream(client), CHASQUI_END);
    } while (shortage.first < 30);
    assert_true(n_failed > 5);
    chasqui_close(client);
}

static void any_allocation_of_a_stream_may_fail_where_it_is_opened(void **state)
{
    struct fixture *f = *state;
    int r;

    failing.first = 0;
    do {
        failing.is_on = true;
        failing.n_seen = 0;
        failing.first++;
        failing.n = 1;
        r = read_stream(f->client);
        failing.is_on = false;
    } while (r == CHASQUI_RESOURCE_EXHAUSTED);
    assert_int_equal(r, CHASQUI_END);
    assert_true(failing.first > 1);
}

/* One small call of a client that this thread drives. */
static void call_once(chasqui_client *client, struct run *run, struct one *one)
{
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_done, .user = one};
    const chasqui_request request =
        ask("echo", "sixty-four bytes or so of a small unary call, as they come all day");

    run->n_done[0] = 0;
    assert_int_equal(chasqui_start(client, &request, &handler, NULL), CHASQUI_OK);
    while (run->n_done[0] == 0) {
        struct pollfd fd = {.fd = chasqui_fd(client), .events = POLLIN};

        (void)poll(&fd, 1, chasqui_next_due(client));
        (void)chasqui_process(client);
    }
}

static void a_small_call_allocates_nothing_once_warm(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .flags = CHASQUI_OWN_LOOP};
    struct fixture *f = *state;
    struct run run = {0};
    struct one one = {&run, 0};
    chasqui_client *client;

    assert_int_equal(chasqui_open(f->server.url, &options, &client, NULL), CHASQUI_OK);
    for (int i = 0; i < 10; i++)
        call_once(client, &run, &one);
    failing.is_on = true;
    failing.n_seen = 0;
    failing.first = UINT32_MAX;
    failing.n = 0;
    for (int i = 0; i < 100; i++)
        call_once(client, &run, &one);
    failing.is_on = false;
    assert_int_equal(failing.n_seen, 0);
    chasqui_close(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(any_allocation_may_fail),
        TEST(memory_may_be_short_for_a_while),
        TEST(blocking_calls_say_that_there_is_no_memory),
        TEST(any_allocation_of_a_stream_may_fail_on_the_clients_thread),
        TEST(any_allocation_of_a_stream_may_fail_where_it_is_opened),
        TEST(a_small_call_allocates_nothing_once_warm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
