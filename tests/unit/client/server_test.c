/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <chasqui/chasqui.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A server whose calls the test answers itself, and a client of it. */
struct fixture {
    chasqui_server *server;
    chasqui_client *client;
    char url[64];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    chasqui_served *call; /* the latest that came */
    unsigned n_requests;
    unsigned n_cancels;
    unsigned n_rooms;
    unsigned n_done;
    unsigned n_ended; /* completions of the client */
    chasqui_error error;
    char body[256];
    bool ends_itself; /* a cancelled call is failed in on_cancel */
};

static void count(struct fixture *f, unsigned *n)
{
    (void)pthread_mutex_lock(&f->lock);
    ++*n;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

static void wait_for(struct fixture *f, const unsigned *n, unsigned least)
{
    (void)pthread_mutex_lock(&f->lock);
    while (*n < least)
        (void)pthread_cond_wait(&f->changed, &f->lock);
    (void)pthread_mutex_unlock(&f->lock);
}

static void on_request(void *user, chasqui_served *call)
{
    struct fixture *f = user;

    f->call = call;
    count(f, &f->n_requests);
}

static void on_room(void *user, chasqui_served *call)
{
    struct fixture *f = user;

    (void)call;
    count(f, &f->n_rooms);
}

static void on_cancel(void *user, chasqui_served *call)
{
    struct fixture *f = user;

    if (f->ends_itself)
        chasqui_served_fail(call, CHASQUI_CANCELLED, 0, NULL);
    count(f, &f->n_cancels);
}

static void on_done(void *user, chasqui_served *call)
{
    struct fixture *f = user;

    (void)call;
    count(f, &f->n_done);
}

static void on_echo(void *user, chasqui_served *call)
{
    (void)user;
    assert_int_equal(chasqui_served_respond(call, chasqui_served_payload(call)), CHASQUI_OK);
}

static void on_ended(void *user, const chasqui_reply *reply)
{
    struct fixture *f = user;

    f->error = reply->error;
    (void)snprintf(f->body, sizeof(f->body), "%.*s", (int)reply->body.len,
                   reply->body.len > 0 ? (const char *)reply->body.data : "");
    count(f, &f->n_ended);
}

static void add(struct fixture *f, const char *name)
{
    const chasqui_service service = {sizeof(service), name,    on_request, on_room,
                                     on_cancel,       on_done, f};

    assert_int_equal(chasqui_server_add(f->server, &service), CHASQUI_OK);
}

static int setup_with(void **state, const chasqui_server_options *server,
                      const chasqui_options *client)
{
    static struct fixture f;
    chasqui_service echo = {.size = sizeof(echo), .name = "echo", .on_request = on_echo};
    chasqui_error error;

    f = (struct fixture){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    *state = &f;
    assert_int_equal(chasqui_server_new(server, &f.server, &error), CHASQUI_OK);
    assert_int_equal(chasqui_server_add(f.server, &echo), CHASQUI_OK);
    add(&f, "held");
    add(&f, "ollama.show");
    assert_int_equal(chasqui_server_port(f.server), 0);
    assert_int_equal(chasqui_server_listen(f.server, "127.0.0.1:0", &error), CHASQUI_OK);
    (void)snprintf(f.url, sizeof(f.url), "mcp://127.0.0.1:%u", chasqui_server_port(f.server));
    return chasqui_open(f.url, client, &f.client, NULL);
}

static int setup(void **state)
{
    return setup_with(state, NULL, NULL);
}

static int setup_small_window(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .stream_limit = 8192};

    return setup_with(state, NULL, &options);
}

static int setup_plain(void **state)
{
    const chasqui_options options = {.size = sizeof(options), .profile = CHASQUI_PROFILE_PLAIN};

    return setup_with(state, NULL, &options);
}

static int setup_zstd(void **state)
{
    const chasqui_options options = {.size = sizeof(options),
                                     .compression = CHASQUI_COMPRESSION_ZSTD};

    return setup_with(state, NULL, &options);
}

static int setup_key(void **state)
{
    const chasqui_server_options options = {.size = sizeof(options), .key = "open-sesame"};

    return setup_with(state, &options, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    chasqui_close(f->client);
    chasqui_server_free(f->server);
    return 0;
}

static chasqui_call *start(struct fixture *f, const char *service, const char *payload)
{
    const chasqui_request request = {.size = sizeof(request),
                                     .service = service,
                                     .payload = chasqui_text(payload),
                                     .timeout_ms = 60000};
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_ended, .user = f};
    unsigned n = f->n_requests;
    chasqui_call *call;

    assert_int_equal(chasqui_start(f->client, &request, &handler, &call), CHASQUI_OK);
    wait_for(f, &f->n_requests, n + 1);
    return call;
}

static void an_answer_may_come_later_and_from_another_thread(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "held", "what");

    assert_string_equal(chasqui_served_service(f->call), "held");
    assert_string_equal(chasqui_served_payload(f->call).data, "what");
    assert_int_equal(chasqui_served_codec(f->call), CHASQUI_CODEC_JSON);
    assert_in_range(chasqui_served_time_left_ms(f->call), 1, 60000);
    assert_false(chasqui_served_is_cancelled(f->call));
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("this")), CHASQUI_OK);
    wait_for(f, &f->n_ended, 1);
    wait_for(f, &f->n_done, 1);
    assert_int_equal(f->error.code, CHASQUI_OK);
    assert_string_equal(f->body, "this");
    chasqui_call_free(call);
}

static void an_error_keeps_code_flags_and_text(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "held", "");

    chasqui_served_fail(f->call, CHASQUI_OUT_OF_RANGE, CHASQUI_NO_RETRY, "too far");
    wait_for(f, &f->n_ended, 1);
    assert_int_equal(f->error.code, CHASQUI_OUT_OF_RANGE);
    assert_int_equal(f->error.flags, CHASQUI_NO_RETRY);
    assert_int_equal(f->error.origin, CHASQUI_ORIGIN_NODE);
    assert_string_equal(f->error.text, "too far");
    chasqui_call_free(call);
}

static void what_nobody_serves_is_unimplemented(void **state)
{
    struct fixture *f = *state;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "no.such", chasqui_text(""), &reply),
                     CHASQUI_UNIMPLEMENTED);
    assert_true((reply.error.flags & CHASQUI_NOT_PROCESSED) != 0);
    chasqui_reply_free(&reply);
}

static void services_of_ollama_see_json_whatever_the_codec(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "ollama.show", "{\"model\":\"m\"}");

    assert_string_equal(chasqui_served_payload(f->call).data, "{\"model\":\"m\"}");
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("{\"license\":\"MIT\"}")),
                     CHASQUI_OK);
    wait_for(f, &f->n_ended, 1);
    assert_string_equal(f->body, "{\"license\":\"MIT\"}");
    chasqui_call_free(call);
}

static void an_answer_that_is_no_json_where_it_should_be_fails_the_call(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "ollama.show", "{\"model\":\"m\"}");

    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("[")), CHASQUI_OK);
    wait_for(f, &f->n_ended, 1);
    wait_for(f, &f->n_done, 1);
    assert_int_equal(f->error.code, CHASQUI_INTERNAL);
    chasqui_call_free(call);
}

static void a_cancelled_call_is_ended_all_the_same(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "held", "");

    chasqui_call_cancel(call);
    wait_for(f, &f->n_cancels, 1);
    assert_true(chasqui_served_is_cancelled(f->call));
    assert_int_equal(chasqui_served_record(f->call, chasqui_text("x")), CHASQUI_CANCELLED);
    assert_int_equal(f->n_done, 0);
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("late")), CHASQUI_OK);
    wait_for(f, &f->n_done, 1);
    chasqui_call_free(call);
}

static chasqui_stream *open_stream(struct fixture *f)
{
    const chasqui_request request = {.size = sizeof(request),
                                     .service = "held",
                                     .timeout_ms = CHASQUI_NEVER,
                                     .flags = CHASQUI_STREAM};
    chasqui_stream *stream;

    assert_int_equal(chasqui_stream_open(f->client, &request, &stream), CHASQUI_OK);
    wait_for(f, &f->n_requests, 1);
    return stream;
}

static int write_record(chasqui_served *call)
{
    static const char bytes[8000];

    return chasqui_served_record(call, chasqui_bytes_make(bytes, sizeof(bytes)));
}

static void a_full_stream_has_room_when_its_reader_goes_on(void **state)
{
    struct fixture *f = *state;
    chasqui_stream *stream = open_stream(f);
    chasqui_bytes record;
    unsigned n_read = 0;
    unsigned n = 1;
    int code;

    while ((code = write_record(f->call)) == CHASQUI_OK)
        n++;
    assert_int_equal(code, CHASQUI_SERVED_FULL);
    for (; n_read < n; n_read++)
        assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    wait_for(f, &f->n_rooms, 1);
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("end")), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_END);
    assert_string_equal(chasqui_stream_reply(stream)->body.data, "end");
    chasqui_stream_free(stream);
}

static void who_does_not_heed_full_is_refused_and_may_still_fail(void **state)
{
    struct fixture *f = *state;
    chasqui_stream *stream = open_stream(f);
    chasqui_bytes record;
    int code;

    /* OK may come between: what was full may have gone into the session since */
    do
        code = write_record(f->call);
    while (code == CHASQUI_OK || code == CHASQUI_SERVED_FULL);
    assert_int_equal(code, CHASQUI_OVERLOADED);
    chasqui_served_fail(f->call, CHASQUI_ABORTED, 0, "enough");
    wait_for(f, &f->n_done, 1); /* without the reader */
    while ((code = chasqui_stream_next(stream, &record)) == CHASQUI_OK)
        continue;
    assert_int_equal(code, CHASQUI_ABORTED);
    chasqui_stream_free(stream);
}

static void a_plain_peer_gets_the_records_in_one_piece(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "held", "");

    assert_false(chasqui_served_is_streamed(f->call));
    assert_int_equal(chasqui_served_record(f->call, chasqui_text("one ")), CHASQUI_OK);
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("two")), CHASQUI_OK);
    wait_for(f, &f->n_ended, 1);
    assert_string_equal(f->body, "one two");
    chasqui_call_free(call);
}

static void a_plain_peer_is_told_of_what_is_too_long(void **state)
{
    static char bytes[40000];
    struct fixture *f = *state;
    chasqui_call *call = start(f, "held", "");

    for (int i = 0; i < 3; i++)
        (void)chasqui_served_record(f->call, chasqui_bytes_make(bytes, sizeof(bytes)));
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("two")), CHASQUI_OK);
    wait_for(f, &f->n_ended, 1);
    assert_int_equal(f->error.code, CHASQUI_TOO_LARGE);
    chasqui_call_free(call);
}

static void long_bodies_that_travel_compressed_arrive_as_they_were(void **state)
{
    static char bytes[100000];
    struct fixture *f = *state;
    chasqui_reply reply;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i * i % 23);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(chasqui_send_request(f->client, "echo",
                                              chasqui_bytes_make(bytes, sizeof(bytes)), &reply),
                         CHASQUI_OK);
        assert_int_equal(reply.body.len, sizeof(bytes));
        assert_memory_equal(reply.body.data, bytes, sizeof(bytes));
        chasqui_reply_free(&reply);
    }
}

static void who_does_not_know_the_key_is_not_served(void **state)
{
    struct fixture *f = *state;
    const chasqui_options options = {.size = sizeof(options), .key = "open-sesame"};
    chasqui_client *knows;
    chasqui_reply reply;

    assert_int_equal(chasqui_send_request(f->client, "echo", chasqui_text("Hi"), &reply),
                     CHASQUI_UNAUTHENTICATED);
    chasqui_reply_free(&reply);
    assert_int_equal(chasqui_open(f->url, &options, &knows, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_send_request(knows, "echo", chasqui_text("Hi"), &reply), CHASQUI_OK);
    chasqui_reply_free(&reply);
    chasqui_close(knows);
}

static void *drain(void *arg)
{
    struct fixture *f = arg;

    assert_int_equal(chasqui_server_drain(f->server, 60000), CHASQUI_OK);
    return NULL;
}

static void draining_lets_what_is_in_flight_finish(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call = start(f, "held", "");
    const chasqui_options once = {.size = sizeof(once), .max_retries = CHASQUI_NO_RETRIES};
    chasqui_client *other;
    chasqui_reply reply;
    pthread_t thread;

    assert_int_equal(chasqui_open(f->url, &once, &other, NULL), CHASQUI_OK);
    assert_int_equal(pthread_create(&thread, NULL, drain, f), 0);
    /* new calls are refused from some moment on, and that is before the old one has ended */
    while (chasqui_send_request(other, "echo", chasqui_text("Hi"), &reply) == CHASQUI_OK)
        chasqui_reply_free(&reply);
    assert_int_equal(reply.error.code, CHASQUI_UNAVAILABLE);
    chasqui_reply_free(&reply);
    assert_int_equal(f->n_ended, 0);
    assert_int_equal(chasqui_served_respond(f->call, chasqui_text("done")), CHASQUI_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    wait_for(f, &f->n_ended, 1);
    assert_string_equal(f->body, "done");
    chasqui_call_free(call);
    chasqui_close(other);
}

static void freeing_cancels_and_waits_for_the_ends(void **state)
{
    struct fixture *f = *state;
    chasqui_call *call;

    f->ends_itself = true;
    call = start(f, "held", "");
    chasqui_server_free(f->server);
    f->server = NULL;
    assert_int_equal(f->n_cancels, 1);
    assert_int_equal(f->n_done, 1);
    chasqui_call_free(call);
}

/* Many calls at once, ended by the thread that asks: mail and end cross each other. */
static void calls_that_are_answered_as_they_come_all_end(void **state)
{
    struct fixture *f = *state;
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_ended, .user = f};
    const chasqui_request request = {.size = sizeof(request), .service = "held"};

    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(chasqui_start(f->client, &request, &handler, NULL), CHASQUI_OK);
        wait_for(f, &f->n_requests, i + 1);
        (void)chasqui_served_record(f->call, chasqui_text("x"));
        assert_int_equal(chasqui_served_respond(f->call, chasqui_text("y")), CHASQUI_OK);
    }
    wait_for(f, &f->n_ended, 2000);
    wait_for(f, &f->n_done, 2000);
}

static void what_is_asked_for_wrongly_is_refused(void **state)
{
    chasqui_server_options options = {.size = sizeof(options), .max_calls = 31};
    chasqui_service service = {.size = sizeof(service), .name = "x", .on_request = on_request};
    chasqui_server *server = NULL;
    chasqui_error error;

    (void)state;
    assert_int_equal(chasqui_server_new(&options, &server, &error), CHASQUI_INVALID_ARGUMENT);
    assert_string_equal(error.text, "bad option: max_calls");
    options = (chasqui_server_options){.size = 3};
    assert_int_equal(chasqui_server_new(&options, &server, NULL), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_server_new(NULL, &server, NULL), CHASQUI_OK);
    assert_int_equal(chasqui_server_add(server, &service), CHASQUI_OK);
    assert_int_equal(chasqui_server_add(server, &service), CHASQUI_ALREADY_EXISTS);
    service.name = "";
    assert_int_equal(chasqui_server_add(server, &service), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_server_drain(server, 0), CHASQUI_FAILED_PRECONDITION);
    assert_int_equal(chasqui_server_listen(server, "::::", NULL), CHASQUI_INVALID_ARGUMENT);
    assert_int_equal(chasqui_server_listen(server, "127.0.0.1:0", NULL), CHASQUI_OK);
    assert_int_equal(chasqui_server_listen(server, "127.0.0.1:0", NULL),
                     CHASQUI_FAILED_PRECONDITION);
    service.name = "y";
    assert_int_equal(chasqui_server_add(server, &service), CHASQUI_FAILED_PRECONDITION);
    chasqui_server_free(server);
    chasqui_server_free(NULL);
}

int main(void)
{
#define WITH(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(an_answer_may_come_later_and_from_another_thread, setup),
        WITH(an_error_keeps_code_flags_and_text, setup),
        WITH(what_nobody_serves_is_unimplemented, setup),
        WITH(services_of_ollama_see_json_whatever_the_codec, setup),
        WITH(an_answer_that_is_no_json_where_it_should_be_fails_the_call, setup),
        WITH(a_cancelled_call_is_ended_all_the_same, setup),
        WITH(a_full_stream_has_room_when_its_reader_goes_on, setup_small_window),
        WITH(who_does_not_heed_full_is_refused_and_may_still_fail, setup_small_window),
        WITH(a_plain_peer_gets_the_records_in_one_piece, setup_plain),
        WITH(a_plain_peer_is_told_of_what_is_too_long, setup_plain),
        WITH(long_bodies_that_travel_compressed_arrive_as_they_were, setup_zstd),
        WITH(who_does_not_know_the_key_is_not_served, setup_key),
        WITH(draining_lets_what_is_in_flight_finish, setup),
        WITH(freeing_cancels_and_waits_for_the_ends, setup),
        WITH(calls_that_are_answered_as_they_come_all_end, setup),
        cmocka_unit_test(what_is_asked_for_wrongly_is_refused),
    };
#undef WITH

    return cmocka_run_group_tests(tests, NULL, NULL);
}
