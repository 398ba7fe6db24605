/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static void records_come_in_order_and_the_final_one_is_the_reply(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("stream", "1000");
    chasqui_stream *stream;
    chasqui_bytes record;
    char expected[32];
    int r;

    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
    for (unsigned i = 0; i < 1000; i++) {
        assert_null(chasqui_stream_reply(stream));
        assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
        (void)snprintf(expected, sizeof(expected), "record %u", i);
        assert_string_equal(record.data, expected);
    }
    for (int i = 0; i < 3; i++) {
        r = chasqui_stream_next(stream, &record);
        assert_int_equal(r, CHASQUI_END);
    }
    assert_string_equal(chasqui_stream_reply(stream)->body.data, "end");
    chasqui_stream_free(stream);
}

static void a_callback_gets_every_record_before_the_end(void **state)
{
    struct fixture *f = *state;
    struct seen seen = SEEN_INIT;
    chasqui_request request = ask("stream", "5000");
    chasqui_handler handler = seen_handler(&seen);

    assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
    seen_wait_done(&seen, 1);
    assert_int_equal(seen.n_records, 5000);
    assert_string_equal(seen.body, "end");
}

/* The flood stands when all credit is used: the server's counter does not move any more. */
static unsigned long wait_until_still(struct server *server)
{
    unsigned long before = 0;
    unsigned long now = 1;
    unsigned n_same = 0;

    while (n_same < 50) {
        (void)usleep(2000);
        now = atomic_load(&server->n_flooded);
        n_same = now == before && now > 0 ? n_same + 1 : 0;
        before = now;
    }
    return now;
}

static void a_slow_reader_holds_the_server_back(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("flood", "");
    chasqui_stream *stream;
    chasqui_bytes record;
    unsigned long held;
    chasqui_reply reply;

    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
    held = wait_until_still(&f->server);
    assert_true(held < 64 * 1024 + 300 * 1024); /* stream_limit, and what the server queues */
    /* Others go by. */
    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("x"), &reply),
                     CHASQUI_OK);
    chasqui_reply_free(&reply);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    assert_true(wait_until_still(&f->server) > held);
    chasqui_stream_free(stream);
    wait_for(&f->server.n_cancels, 1);
    assert_int_equal(atomic_load(&f->server.last_cancel), MCP_CANCEL_APPLICATION);
}

static void a_cancelled_stream_says_so_behind_the_records_it_has(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("flood", "");
    chasqui_stream *stream;
    chasqui_bytes record;
    int r;

    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    chasqui_stream_cancel(stream);
    while ((r = chasqui_stream_next(stream, &record)) == CHASQUI_OK)
        continue;
    assert_int_equal(r, CHASQUI_CANCELLED);
    assert_true((chasqui_stream_reply(stream)->error.flags & CHASQUI_PARTIAL) != 0);
    chasqui_stream_free(stream);
}

static void a_stream_may_be_freed_at_any_time(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("flood", "");
    chasqui_stream *stream;
    chasqui_bytes record;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
        for (int k = 0; k < i; k++)
            assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
        chasqui_stream_free(stream);
    }
}

static void a_silent_stream_ends(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("hang", "");
    chasqui_stream *stream;
    chasqui_bytes record;

    request.timeout_ms = CHASQUI_NEVER;
    request.silence_ms = 20;
    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_DEADLINE_EXCEEDED);
    chasqui_stream_free(stream);
    wait_for(&f->server.n_cancels, 1);
}

static void a_stream_that_has_begun_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    chasqui_request request = ask("flood", "");
    chasqui_stream *stream;
    chasqui_bytes record;
    int r;

    request.class_name = "query";
    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    server_kill(&f->server);
    while ((r = chasqui_stream_next(stream, &record)) == CHASQUI_OK)
        continue;
    assert_int_equal(r, CHASQUI_UNAVAILABLE);
    assert_true((chasqui_stream_reply(stream)->error.flags & CHASQUI_PARTIAL) != 0);
    assert_int_equal(stats_of(f->client).retries, 0);
    chasqui_stream_free(stream);
}

static int setup_small_window(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .stream_limit = 64 * 1024};

    return setup_with(state, &options);
}

int main(void)
{
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(records_come_in_order_and_the_final_one_is_the_reply, setup),
        TEST(a_callback_gets_every_record_before_the_end, setup),
        TEST(a_slow_reader_holds_the_server_back, setup_small_window),
        TEST(a_cancelled_stream_says_so_behind_the_records_it_has, setup),
        TEST(a_stream_may_be_freed_at_any_time, setup),
        TEST(a_silent_stream_ends, setup),
        TEST(a_stream_that_has_begun_is_not_tried_again, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
