/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <chasqui/chasqui.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"

/*
 * Over http://: a server that says what its script says, on blocking sockets, a thread a connection
 */

struct script {
    const char *answer; /* to every request */
    const char *loop;   /* and then this for ever; NULL: nothing */
    bool is_cut;        /* and then the end of the connection */
};

struct server {
    pthread_t thread;
    int fd;
    char url[64];
    _Atomic(const struct script *) script;
    atomic_uint n_open;
    atomic_uint n_connections;
    atomic_uint n_requests;
    atomic_ulong n_looped;
    pthread_mutex_t lock;
    char head[4096]; /* of the last request */
    chasqui_client *client;
};

static bool send_all(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* A whole request; bodies of tests are short. Return: whether there was one. */
static bool read_request(struct server *s, int fd)
{
    char head[sizeof(s->head)];
    size_t len = 0;
    size_t body = 0;

    for (;;) {
        ssize_t n = recv(fd, head + len, sizeof(head) - 1 - len, 0);
        const char *field;
        const char *end;

        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
        field = strstr(head, "Content-Length: ");
        if (field != NULL)
            body = strtoul(field + 16, NULL, 10);
        if (end != NULL && (size_t)(end - head) + 4 + body <= len)
            break;
    }
    (void)pthread_mutex_lock(&s->lock);
    memcpy(s->head, head, len + 1);
    (void)pthread_mutex_unlock(&s->lock);
    return true;
}

struct connection {
    struct server *server;
    int fd;
};

static void serve(struct server *s, int fd)
{
    while (read_request(s, fd)) {
        const struct script *script = atomic_load(&s->script);

        atomic_fetch_add(&s->n_requests, 1);
        if (!send_all(fd, script->answer))
            return;
        while (script->loop != NULL && send_all(fd, script->loop))
            atomic_fetch_add(&s->n_looped, strlen(script->loop));
        if (script->is_cut || script->loop != NULL)
            return;
    }
}

static void *connection_main(void *arg)
{
    struct connection *c = arg;

    serve(c->server, c->fd);
    (void)close(c->fd);
    atomic_fetch_sub(&c->server->n_open, 1);
    free(c);
    return NULL;
}

static void *server_main(void *arg)
{
    struct server *s = arg;
    pthread_t thread;
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        struct connection *c = malloc(sizeof(*c));

        *c = (struct connection){s, fd};
        atomic_fetch_add(&s->n_connections, 1);
        atomic_fetch_add(&s->n_open, 1);
        if (pthread_create(&thread, NULL, connection_main, c) != 0)
            abort();
        (void)pthread_detach(thread);
    }
    return NULL;
}

static int setup(void **state)
{
    static struct server s;
    struct addr at = {.host = "127.0.0.1"};
    const chasqui_options options = {
        .size = sizeof(options), .key = "k3y", .stream_limit = 64 * 1024, .retry_base_ms = 1};

    s = (struct server){.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(net_listen_fds(&at, 1, &s.fd), 0);
    /* A blocking one, unlike the house's. */
    assert_int_equal(fcntl(s.fd, F_SETFL, 0), 0);
    (void)snprintf(s.url, sizeof(s.url), "http://127.0.0.1:%u/prefix/", at.port);
    assert_int_equal(chasqui_open(s.url, &options, &s.client, NULL), CHASQUI_OK);
    assert_int_equal(pthread_create(&s.thread, NULL, server_main, &s), 0);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct server *s = *state;

    chasqui_close(s->client);
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    while (atomic_load(&s->n_open) > 0)
        (void)usleep(200);
    return close(s->fd);
}

#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
#define JSON_HEAD(status, len) \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nContent-Length: " len "\r\n"

static int send_to(struct server *s, const struct script *script, const char *class,
                   chasqui_reply *reply)
{
    const chasqui_request request = {.size = sizeof(request),
                                     .service = "/api/show",
                                     .payload = chasqui_text("{}"),
                                     .class_name = class};

    atomic_store(&s->script, script);
    return chasqui_send(s->client, &request, reply);
}

static void a_status_becomes_a_code_and_a_body_its_text(void **state)
{
    static const struct {
        struct script script;
        int code;
        unsigned flags;
        const char *text;
    } rows[] = {
        {{.answer = JSON_HEAD("404 Not Found", "18") "\r\n{\"error\":\"no such\"}"},
         CHASQUI_NOT_FOUND,
         0,
         "no such"},
        {{.answer = JSON_HEAD("400 Bad", "32") "\r\n{\"error\":{\"message\":\"bad\\nline\"}}  "},
         CHASQUI_INVALID_ARGUMENT,
         0,
         "bad\nline"},
        {{.answer = JSON_HEAD("401 Who", "0") "\r\n"},
         CHASQUI_UNAUTHENTICATED,
         0,
         "UNAUTHENTICATED"},
        {{.answer = JSON_HEAD("500 Oops", "4") "\r\noops"}, CHASQUI_INTERNAL, 0, "INTERNAL"},
        {{.answer = JSON_HEAD("413 Big", "0") "\r\n"}, CHASQUI_TOO_LARGE, 0, "TOO_LARGE"},
        {{.answer = JSON_HEAD("504 Late", "0") "\r\n"},
         CHASQUI_DEADLINE_EXCEEDED,
         0,
         "DEADLINE_EXCEEDED"},
        {{.answer = JSON_HEAD("502 Gone", "0") "\r\n"},
         CHASQUI_UNAVAILABLE,
         CHASQUI_TRANSIENT,
         "UNAVAILABLE"},
        {{.answer = JSON_HEAD("503 Busy", "0") "\r\n"},
         CHASQUI_OVERLOADED,
         CHASQUI_TRANSIENT | CHASQUI_NOT_PROCESSED,
         "OVERLOADED"},
        {{.answer = "nonsense\r\n\r\n", .is_cut = true},
         CHASQUI_UNAVAILABLE,
         CHASQUI_TRANSIENT,
         "malformed HTTP message"},
    };
    struct server *s = *state;
    chasqui_reply reply;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(send_to(s, &rows[i].script, "order", &reply), rows[i].code);
        assert_int_equal(reply.error.flags, rows[i].flags);
        assert_string_equal(reply.error.text, rows[i].text);
        chasqui_reply_free(&reply);
    }
}

static void what_the_answer_says_about_itself_is_told(void **state)
{
    static const struct script busy = {
        .answer = JSON_HEAD("503 Busy", "0") "Retry-After: 7\r\nX-Request-Id: r-1\r\n\r\n"};
    struct server *s = *state;
    chasqui_bytes id;
    chasqui_reply reply;

    assert_int_equal(send_to(s, &busy, "order", &reply), CHASQUI_OVERLOADED);
    assert_int_equal(reply.error.retry_after_ms, 7000);
    assert_int_equal(chasqui_reply_metadata(&reply, "request-id", &id), CHASQUI_OK);
    assert_int_equal(id.len, 3);
    assert_memory_equal(id.data, "r-1", 3);
    assert_int_equal(chasqui_reply_metadata(&reply, "reason", &id), CHASQUI_NOT_FOUND);
    chasqui_reply_free(&reply);
}

static const struct script good = {.answer = JSON_HEAD("200 OK", "2") "\r\n{}"};

static void key_trace_metadata_and_session_are_fields(void **state)
{
    static const char *const fields[] = {
        "POST /prefix/api/show HTTP/1.1\r\n",
        "\r\nAuthorization: Bearer k3y\r\n",
        "\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "\r\nX-Chasqui-Meta-team: road\r\n",
        "\r\nX-Chasqui-Class: order\r\n",
        "\r\nX-Session-Id: s-1\r\n",
        "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
    };
    struct server *s = *state;
    chasqui_request request = {.size = sizeof(request),
                               .service = "ollama.show",
                               .payload = chasqui_text("{}"),
                               .class_name = "order",
                               .session = "s-1",
                               .context = chasqui_context_new(NULL)};
    chasqui_reply reply;

    (void)chasqui_context_set_traceparent(
        request.context, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    (void)chasqui_context_set_metadata(request.context, "team", "road");
    atomic_store(&s->script, &good);
    assert_int_equal(chasqui_send(s->client, &request, &reply), CHASQUI_OK);
    chasqui_reply_free(&reply);
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        assert_non_null(strstr(s->head, fields[i]));
    (void)pthread_mutex_unlock(&s->lock);
    chasqui_context_unref(request.context);
}

static void what_must_not_happen_twice_gets_a_connection_of_its_own(void **state)
{
    static const char *const classes[] = {"query", "query", "order", "order"};
    static const unsigned n_connections[] = {1, 1, 2, 3};
    struct server *s = *state;
    chasqui_reply reply;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(send_to(s, &good, classes[i], &reply), CHASQUI_OK);
        chasqui_reply_free(&reply);
        assert_int_equal(atomic_load(&s->n_connections), n_connections[i]);
    }
}

static void busy_servers_are_asked_again(void **state)
{
    static const struct script busy = {.answer = JSON_HEAD("503 Busy", "0") "\r\n"};
    struct server *s = *state;
    chasqui_reply reply;

    assert_int_equal(send_to(s, &busy, NULL, &reply), CHASQUI_OVERLOADED);
    assert_int_equal(atomic_load(&s->n_requests), 6);
}

static int open_stream(struct server *s, const struct script *script, chasqui_stream **ret)
{
    const chasqui_request request = {.size = sizeof(request),
                                     .service = "ollama.generate",
                                     .payload = chasqui_text("{}"),
                                     .class_name = "answer"};

    atomic_store(&s->script, script);
    return chasqui_stream_open(s->client, &request, ret);
}

static void a_stream_that_is_cut_off_is_partial(void **state)
{
    static const struct script cut = {
        .answer = STREAM_HEAD "\r\n{\"response\":\"a\"}\n{\"response\":\"b\"}\n", .is_cut = true};
    static const struct script error = {.answer = STREAM_HEAD
                                        "\r\n{\"response\":\"a\"}\n{\"error\":\"the node fell\"}\n",
                                        .is_cut = true};
    struct server *s = *state;
    chasqui_stream *stream;
    chasqui_bytes record;

    assert_int_equal(open_stream(s, &cut, &stream), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    assert_string_equal(record.data, "{\"response\":\"b\"}");
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_BACKEND_LOST);
    assert_true((chasqui_stream_reply(stream)->error.flags & CHASQUI_PARTIAL) != 0);
    chasqui_stream_free(stream);
    assert_int_equal(open_stream(s, &error, &stream), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_INTERNAL);
    assert_string_equal(chasqui_stream_reply(stream)->error.text, "the node fell");
    chasqui_stream_free(stream);
}

static unsigned long wait_until_still(struct server *s)
{
    unsigned long before = 0;
    unsigned n_same = 0;

    while (n_same < 50) {
        unsigned long now = atomic_load(&s->n_looped);

        (void)usleep(2000);
        n_same = now == before && now > 0 ? n_same + 1 : 0;
        before = now;
    }
    return before;
}

static void a_slow_reader_holds_the_server_back(void **state)
{
    static const struct script flood = {
        .answer = STREAM_HEAD "\r\n",
        .loop = "{\"response\":\"0123456789012345678901234567890123456789\"}\n"};
    struct server *s = *state;
    chasqui_stream *stream;
    chasqui_bytes record;
    unsigned long held;

    assert_int_equal(open_stream(s, &flood, &stream), CHASQUI_OK);
    held = wait_until_still(s);
    for (int i = 0; i < 200000; i++)
        assert_int_equal(chasqui_stream_next(stream, &record), CHASQUI_OK);
    assert_true(wait_until_still(s) > held);
    chasqui_stream_free(stream);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_status_becomes_a_code_and_a_body_its_text),
        TEST(what_the_answer_says_about_itself_is_told),
        TEST(key_trace_metadata_and_session_are_fields),
        TEST(what_must_not_happen_twice_gets_a_connection_of_its_own),
        TEST(busy_servers_are_asked_again),
        TEST(a_stream_that_is_cut_off_is_partial),
        TEST(a_slow_reader_holds_the_server_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
