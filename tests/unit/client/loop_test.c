/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"

/* A client that the caller drives; and what a process does to others. */

static int setup_own_loop(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .flags = CHASQUI_OWN_LOOP};

    return setup_with(state, &options);
}

/* Return: whether the descriptor was readable. */
static bool wait_and_process(chasqui_client *client)
{
    struct pollfd fd = {.fd = chasqui_fd(client), .events = POLLIN};
    int n = poll(&fd, 1, chasqui_next_due(client));

    assert_int_equal(chasqui_process(client), CHASQUI_OK);
    return n > 0;
}

static void completions_run_inside_process_and_nowhere_else(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("echo", "mine");

    for (int i = 0; i < 100; i++)
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    assert_int_equal(seen.n_done, 0);
    (void)usleep(20000);
    assert_int_equal(seen.n_done, 0);
    while (seen.n_done < 100)
        (void)wait_and_process(f->client);
    assert_int_equal(seen.n_code[CHASQUI_OK], 100);
    assert_string_equal(seen.body, "mine");
}

static void *start_one(void *arg)
{
    struct fixture *f = arg;
    chasqui_request request = ask("echo", "from there");

    return chasqui_start(f->client, &request, NULL, NULL) == CHASQUI_OK ? arg : NULL;
}

static void another_thread_makes_the_descriptor_readable(void **state)
{
    struct fixture *f = *state;
    struct pollfd fd = {.fd = chasqui_fd(f->client), .events = POLLIN};
    pthread_t thread;
    void *result;

    assert_int_equal(chasqui_next_due(f->client), -1);
    assert_int_equal(poll(&fd, 1, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, start_one, f), 0);
    assert_int_equal(poll(&fd, 1, -1), 1);
    (void)pthread_join(thread, &result);
    assert_non_null(result);
    while (atomic_load(&f->server.n_requests) == 0 || stats_of(f->client).open_calls > 0)
        (void)wait_and_process(f->client);
}

static void time_outs_need_no_descriptor(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("hang", "");

    request.timeout_ms = 30;
    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    while (seen.n_done == 0)
        (void)wait_and_process(f->client);
    assert_int_equal(seen.error.code, CHASQUI_DEADLINE_EXCEEDED);
}

static void blocking_calls_are_refused_not_stuck(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("echo", "");
    chasqui_stream *stream;
    chasqui_models models;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text(""), &reply),
                     CHASQUI_FAILED_PRECONDITION);
    assert_int_equal(chasqui_stream_open(f->client, &request, &stream),
                     CHASQUI_FAILED_PRECONDITION);
    assert_int_equal(chasqui_tags(f->client, NULL, &models), CHASQUI_FAILED_PRECONDITION);
}

static void closing_tells_every_call(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("hang", "");

    for (int i = 0; i < 10; i++)
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    while (atomic_load(&f->server.n_hanging) < 10)
        (void)chasqui_process(f->client);
    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    chasqui_close(f->client);
    f->client = NULL;
    assert_int_equal(seen.n_done, 11);
    assert_int_equal(seen.n_code[CHASQUI_CANCELLED], 11);
}

static void a_dead_server_raises_no_signal(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("hang", "");
    sigset_t pending;

    assert_int_equal(signal(SIGPIPE, SIG_DFL) == SIG_ERR, 0); /* it would end this process */
    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    while (atomic_load(&f->server.n_hanging) < 1)
        (void)chasqui_process(f->client);
    server_kill(&f->server);
    (void)usleep(20000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    while (seen.n_done < 21)
        (void)wait_and_process(f->client);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
}

/* Descriptors of a program that this one executes. */
static int count_in_child(void)
{
    FILE *ls;
    int n = 0;
    char line[64];
    pid_t child;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        (void)dup2(ends[1], 1);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl("/bin/ls", "ls", "/proc/self/fd", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    ls = fdopen(ends[0], "r");
    while (fgets(line, sizeof(line), ls) != NULL)
        n++;
    (void)fclose(ls);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return n;
}

static void a_child_that_executes_inherits_no_descriptor(void **state)
{
    int before = count_in_child();
    struct fixture *f;
    struct seen seen = SEEN_INIT;
    chasqui_handler handler = seen_handler(&seen);
    chasqui_request request = ask("hang", "");
    chasqui_call *call;

    assert_int_equal(setup(state), 0);
    f = *state;
    assert_int_equal(chasqui_start(f->client, &request, &handler, &call), CHASQUI_OK);
    wait_for(&f->server.n_hanging, 1);
    assert_int_equal(count_in_child(), before);
    chasqui_call_cancel(call);
    chasqui_call_free(call);
    seen_wait_done(&seen, 1);
    (void)teardown(state);
}

int main(void)
{
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(completions_run_inside_process_and_nowhere_else, setup_own_loop),
        TEST(another_thread_makes_the_descriptor_readable, setup_own_loop),
        TEST(time_outs_need_no_descriptor, setup_own_loop),
        TEST(blocking_calls_are_refused_not_stuck, setup_own_loop),
        TEST(closing_tells_every_call, setup_own_loop),
        TEST(a_dead_server_raises_no_signal, setup_own_loop),
        cmocka_unit_test(a_child_that_executes_inherits_no_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
