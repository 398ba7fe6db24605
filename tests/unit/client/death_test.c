/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

/* Connections that end, cannot be made, or come back. */

#define N_CALLS 1000

static void a_completion_runs_exactly_once_when_the_server_dies(void **state)
{
    struct fixture *f = *state;
    static struct seen seen[N_CALLS];
    chasqui_request request = ask("hang", "");

    for (int i = 0; i < N_CALLS; i++) {
        chasqui_handler handler = seen_handler(&seen[i]);

        seen[i] = (struct seen)SEEN_INIT;
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    }
    wait_for(&f->server.n_hanging, N_CALLS);
    server_kill(&f->server);
    for (int i = 0; i < N_CALLS; i++) {
        seen_wait_done(&seen[i], 1);
        assert_int_equal(seen[i].error.code, CHASQUI_UNAVAILABLE);
        assert_int_equal(seen[i].error.flags & CHASQUI_NOT_PROCESSED, 0);
    }
    assert_int_equal(stats_of(f->client).open_calls, 0);
    chasqui_close(f->client);
    f->client = NULL;
    for (int i = 0; i < N_CALLS; i++)
        assert_int_equal(seen[i].n_done, 1);
}

static void a_dropped_connection_is_opened_again(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(chasqui_send_request(f->client, "drop", chasqui_text(""), &reply),
                         CHASQUI_UNAVAILABLE);
        chasqui_reply_free(&reply);
        assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("x"), &reply),
                         CHASQUI_OK);
        chasqui_reply_free(&reply);
    }
}

static void a_server_that_is_going_away_gets_no_new_calls(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "drain", chasqui_text(""), &reply),
                     CHASQUI_OK);
    chasqui_reply_free(&reply);
    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("x"), &reply),
                     CHASQUI_OK);
    chasqui_reply_free(&reply);
    assert_int_equal(atomic_load(&f->server.n_accepted), 2);
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
    struct addr at = {.host = "127.0.0.1"};
    int fd;

    assert_int_equal(net_listen_fds(&at, 1, &fd), 0);
    (void)close(fd);
    return at.port;
}

static void nobody_at_the_address_is_unavailable_and_not_processed(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .retry_base_ms = 1};
    char url[64];
    chasqui_client *client;
    chasqui_request request = ask("echo", "x");
    chasqui_reply reply;

    (void)state;
    (void)snprintf(url, sizeof(url), "mcp://127.0.0.1:%u", free_port());
    assert_int_equal(chasqui_open(url, &options, &client, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_send(client, &request, &reply), CHASQUI_UNAVAILABLE);
    assert_true((reply.error.flags & CHASQUI_NOT_PROCESSED) != 0);
    assert_string_equal(reply.error.text, "Connection refused");
    assert_int_equal(stats_of(client).retries, 5);
    request.class_name = "order";
    assert_int_equal(chasqui_send(client, &request, &reply), CHASQUI_UNAVAILABLE);
    assert_int_equal(stats_of(client).retries, 5);
    chasqui_close(client);
}

static void a_server_that_comes_late_is_found(void **state)
{
    const chasqui_options options = {.size = sizeof(options),
                                     .retry_base_ms = 1,
                                     .retry_max_ms = 5,
                                     .max_retries = 1000000,
                                     .retry_budget_min = 1000000};
    static struct server server;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("echo", "late");
    chasqui_handler handler = seen_handler(&seen);
    uint16_t port = free_port();
    chasqui_client *client;
    char url[64];

    (void)state;
    (void)snprintf(url, sizeof(url), "mcp://127.0.0.1:%u", port);
    assert_int_equal(chasqui_open(url, &options, &client, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_start(client, &request, &handler, NULL), CHASQUI_OK);
    while (stats_of(client).connect_failures < 3)
        (void)usleep(200);
    server_start_at(&server, port);
    server_run(&server);
    seen_wait_done(&seen, 1);
    assert_int_equal(seen.error.code, CHASQUI_OK);
    chasqui_close(client);
    server_stop(&server);
}

static void a_dead_endpoint_costs_no_call(void **state)
{
    struct fixture *f = *state;
    chasqui_client *client;
    chasqui_request request = ask("echo", "x");
    chasqui_reply reply;
    char urls[128];

    request.class_name = "order"; /* no retries */
    /* The good one takes longer to be found than the dead one to refuse. */
    (void)snprintf(urls, sizeof(urls), "mcp://127.0.0.1:%u, mcp://localhost:%u", free_port(),
                   f->server.port);
    assert_int_equal(chasqui_open(urls, NULL, &client, NULL), CHASQUI_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(chasqui_send(client, &request, &reply), CHASQUI_OK);
        chasqui_reply_free(&reply);
    }
    chasqui_close(client);
}

static void two_endpoints_share_the_calls(void **state)
{
    struct fixture *f = *state;
    static struct server other;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("hang", "");
    chasqui_handler handler = seen_handler(&seen);
    chasqui_client *client;
    char urls[160];
    unsigned n;

    server_start(&other);
    (void)snprintf(urls, sizeof(urls), "%s,%s", other.url, f->server.url);
    assert_int_equal(chasqui_open(urls, NULL, &client, NULL), CHASQUI_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(chasqui_start(client, &request, &handler, NULL), CHASQUI_OK);
    while (atomic_load(&other.n_hanging) + atomic_load(&f->server.n_hanging) < 100)
        (void)usleep(200);
    n = atomic_load(&other.n_hanging);
    assert_in_range(n, 30, 70);
    chasqui_close(client);
    assert_int_equal(seen.n_done, 100);
    server_stop(&other);
}

static void an_idle_connection_is_closed(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("x"), &reply),
                     CHASQUI_OK);
    chasqui_reply_free(&reply);
    wait_for(&f->server.n_conns, 0);
    assert_int_equal(atomic_load(&f->server.n_accepted), 1);
}

static void what_is_no_mcp_server_is_a_failed_connection(void **state)
{
    struct addr at = {.host = "127.0.0.1"};
    const chasqui_options options = {.size = sizeof(options), .connect_timeout_ms = 20};
    chasqui_request request = ask("echo", "x");
    chasqui_client *client;
    chasqui_reply reply;
    char url[64];
    int fd;

    (void)state;
    assert_int_equal(net_listen_fds(&at, 1, &fd), 0); /* connects, and never says a word */
    (void)snprintf(url, sizeof(url), "127.0.0.1:%u", at.port);
    assert_int_equal(chasqui_open(url, &options, &client, NULL), CHASQUI_OK);
    request.class_name = "order";
    request.timeout_ms = 200;
    assert_int_not_equal(chasqui_send(client, &request, &reply), CHASQUI_OK);
    while (stats_of(client).connect_failures == 0)
        (void)usleep(200);
    assert_int_equal(stats_of(client).connects, 0);
    chasqui_close(client);
    (void)close(fd);
}

static int setup_short_idle(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .idle_close_ms = 20};

    return setup_with(state, &options);
}

int main(void)
{
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_completion_runs_exactly_once_when_the_server_dies, setup),
        TEST(a_dropped_connection_is_opened_again, setup),
        TEST(a_server_that_is_going_away_gets_no_new_calls, setup),
        cmocka_unit_test(nobody_at_the_address_is_unavailable_and_not_processed),
        cmocka_unit_test(a_server_that_comes_late_is_found),
        TEST(a_dead_endpoint_costs_no_call, setup),
        TEST(two_endpoints_share_the_calls, setup),
        TEST(an_idle_connection_is_closed, setup_short_idle),
        cmocka_unit_test(what_is_no_mcp_server_is_a_failed_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
