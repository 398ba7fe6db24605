/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/stream.h"

/* One end of a connection; what happened to it. */
struct end {
    struct net_stream stream;
    uint64_t n_read;
    int connect_result; /* 1: not told yet */
    int err;
    unsigned n_rooms;
    bool is_eof;
    bool is_closed;
    bool closes_on_read;
};

struct pair {
    struct net_loop loop;
    struct net_listener listener;
    struct addr at;
    struct end client;
    struct end server;
    bool is_accepted;
};

static struct end *end_of(struct net_stream *s)
{
    return container_of(s, struct end, stream);
}

static void on_connect(struct net_stream *s, int err)
{
    end_of(s)->connect_result = err;
    net_loop_wake(s->loop); /* a task may have called: end the turn */
}

static void on_read(struct net_stream *s, struct str bytes)
{
    struct end *e = end_of(s);

    assert_false(e->is_closed);
    for (size_t i = 0; i < bytes.len; i++, e->n_read++) {
        unsigned shift = (unsigned)(e->n_read % 4) * 8;

        assert_int_equal((uint8_t)bytes.s[i], (uint8_t)(e->n_read / 4 >> shift));
    }
    if (e->closes_on_read)
        net_stream_close(s);
}

static void on_eof(struct net_stream *s)
{
    end_of(s)->is_eof = true;
}

static void on_error(struct net_stream *s, int err)
{
    end_of(s)->err = err;
    net_loop_wake(s->loop);
}

static void on_room(struct net_stream *s)
{
    end_of(s)->n_rooms++;
}

static void on_closed(struct net_stream *s)
{
    assert_false(end_of(s)->is_closed);
    end_of(s)->is_closed = true;
    net_loop_wake(s->loop);
}

static const struct net_stream_ops ops = {
    .name = "test",
    .on_connect = on_connect,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void on_connection(struct net_listener *listener)
{
    struct pair *p = container_of(listener, struct pair, listener);

    assert_int_equal(net_listener_accept(listener, &p->server.stream, &ops), 0);
    p->is_accepted = true;
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));
    int fd;

    *state = p;
    if (p == NULL || net_loop_init(&p->loop) < 0)
        return -1;
    p->client.connect_result = 1;
    assert_int_equal(addr_parse(STR("127.0.0.1:0"), 0, &p->at), 0);
    assert_int_equal(net_listen_fds(&p->at, 1, &fd), 0);
    assert_int_not_equal(p->at.port, 0);
    return net_listener_open(&p->loop, &p->listener, fd, on_connection);
}

static int teardown(void **state)
{
    struct pair *p = *state;

    net_listener_close(&p->listener);
    if (p->client.stream.is_open)
        net_stream_close(&p->client.stream);
    if (p->server.stream.is_open)
        net_stream_close(&p->server.stream);
    net_loop_fini(&p->loop);
    free(p);
    return 0;
}

#define TURN_UNTIL(p, condition) \
    do { \
        while (!(condition)) \
            net_loop_turn(&(p)->loop); \
    } while (0)

static void connect_pair(struct pair *p)
{
    assert_int_equal(net_stream_connect(&p->loop, &p->client.stream, &p->at, &ops), 0);
    assert_int_equal(p->client.connect_result, 1);
    TURN_UNTIL(p, p->client.connect_result <= 0 && p->is_accepted);
    assert_int_equal(p->client.connect_result, 0);
}

static void let_one_turn_pass(struct pair *p)
{
    net_loop_wake(&p->loop);
    net_loop_turn(&p->loop);
}

/* 0, 1, 2, ... as bytes: each says where it belongs. */
static char *make_words(size_t n_bytes)
{
    char *bytes = malloc(n_bytes);

    assert_non_null(bytes);
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (char)(uint8_t)(i / 4 >> (unsigned)(i % 4) * 8);
    return bytes;
}

#define N_PIECES 300 /* more than one writev takes here */
#define PIECE    (32 * 1024 + 7)

static void more_than_the_socket_takes_arrives_whole_and_in_order(void **state)
{
    struct pair *p = *state;
    const size_t total = (size_t)N_PIECES * PIECE;
    char *bytes = make_words(total);
    struct str pieces[N_PIECES];

    connect_pair(p);
    for (size_t i = 0; i < N_PIECES; i++)
        pieces[i] = str_make(bytes + i * PIECE, PIECE);
    assert_int_equal(net_stream_write(&p->client.stream, pieces, N_PIECES), 0);
    free(bytes); /* what was not sent has been copied */
    assert_true(net_stream_unsent(&p->client.stream) > 0);
    assert_int_equal(p->client.n_rooms, 0);
    for (int i = 0; i < 5; i++)
        let_one_turn_pass(p);
    assert_int_equal(p->client.n_rooms, 0); /* nobody reads yet */
    net_stream_read_start(&p->server.stream);
    TURN_UNTIL(p, p->client.n_rooms > 0 && p->server.n_read == total);
    assert_int_equal(net_stream_unsent(&p->client.stream), 0);
}

/* Writes @bytes from @at on in pieces of 10 to 1,000, every third one at once, the others later. */
static void write_mixed(struct net_stream *s, const char *bytes, size_t total)
{
    size_t at = 0;

    for (int i = 0; at < total; i++) {
        size_t n = (size_t)(i * 37 % 990 + 10);
        struct str piece = str_make(bytes + at, n < total - at ? n : total - at);

        if (i % 3 == 2)
            assert_int_equal(net_stream_write(s, &piece, 1), 0);
        else
            assert_int_equal(net_stream_write_later(s, &piece, 1), 0);
        at += piece.len;
    }
}

static void later_output_leaves_at_the_end_of_the_turn(void **state)
{
    struct pair *p = *state;
    char *bytes = make_words(100);
    const struct str piece = str_make(bytes, 100);

    connect_pair(p);
    net_stream_read_start(&p->server.stream);
    assert_int_equal(net_stream_write_later(&p->client.stream, &piece, 1), 0);
    assert_non_null(p->client.stream.held);
    free(bytes); /* it has been copied */
    TURN_UNTIL(p, p->server.n_read == 100);
    assert_null(p->client.stream.held);
}

static void nothing_overtakes_what_was_to_leave_later(void **state)
{
    struct pair *p = *state;
    const size_t total = 3 * 1024 * 1024; /* more than the socket takes */
    char *bytes = make_words(total);

    connect_pair(p);
    write_mixed(&p->client.stream, bytes, total);
    free(bytes);
    net_stream_read_start(&p->server.stream);
    TURN_UNTIL(p, p->server.n_read == total);
}

static void later_output_comes_before_the_end(void **state)
{
    struct pair *p = *state;
    char *bytes = make_words(200);
    const struct str pieces[] = {str_make(bytes, 100), str_make(bytes + 100, 100)};

    connect_pair(p);
    net_stream_read_start(&p->server.stream);
    net_stream_read_start(&p->client.stream);
    assert_int_equal(net_stream_write_later(&p->client.stream, &pieces[0], 1), 0);
    net_stream_shutdown(&p->client.stream);
    TURN_UNTIL(p, p->server.is_eof);
    assert_int_equal(p->server.n_read, 100);
    p->server.n_read = 0;
    assert_int_equal(net_stream_write_later(&p->server.stream, &pieces[0], 1), 0);
    net_stream_close(&p->server.stream);
    TURN_UNTIL(p, p->client.is_eof);
    assert_int_equal(p->client.n_read, 100);
    free(bytes);
}

static void what_the_socket_takes_at_once_is_not_announced(void **state)
{
    struct pair *p = *state;
    char *bytes = make_words(16);
    const struct str pieces[] = {str_make(bytes, 5), STR_NULL, str_make(bytes + 5, 11)};

    connect_pair(p);
    net_stream_read_start(&p->server.stream);
    assert_int_equal(net_stream_write(&p->client.stream, pieces, 3), 0);
    assert_int_equal(net_stream_unsent(&p->client.stream), 0);
    TURN_UNTIL(p, p->server.n_read == 16);
    assert_int_equal(p->client.n_rooms, 0);
    free(bytes);
}

static void the_end_comes_behind_what_was_queued(void **state)
{
    struct pair *p = *state;
    const size_t total = 8 * 1024 * 1024;
    char *bytes = make_words(total);
    const struct str all = {bytes, total};

    connect_pair(p);
    assert_int_equal(net_stream_write(&p->client.stream, &all, 1), 0);
    net_stream_shutdown(&p->client.stream);
    net_stream_read_start(&p->server.stream);
    TURN_UNTIL(p, p->server.is_eof);
    assert_int_equal(p->server.n_read, total);
    free(bytes);
}

static void a_stream_may_be_closed_in_its_callback(void **state)
{
    struct pair *p = *state;
    const size_t total = 1024 * 1024;
    char *bytes = make_words(total);
    const struct str all = {bytes, total};

    connect_pair(p);
    p->server.closes_on_read = true;
    net_stream_read_start(&p->server.stream);
    assert_int_equal(net_stream_write(&p->client.stream, &all, 1), 0);
    TURN_UNTIL(p, p->server.is_closed);
    assert_true(p->server.n_read <= NET_READ_BUF_BYTES); /* nothing behind the close */
    free(bytes);
}

static void closing_twice_is_closing_once(void **state)
{
    struct pair *p = *state;

    connect_pair(p);
    net_stream_close(&p->client.stream);
    net_stream_close(&p->client.stream);
    net_stream_reset(&p->client.stream);
    assert_false(p->client.is_closed);
    TURN_UNTIL(p, p->client.is_closed);
    let_one_turn_pass(p);
}

static void a_reset_is_an_error_for_the_peer(void **state)
{
    struct pair *p = *state;

    connect_pair(p);
    net_stream_read_start(&p->server.stream);
    net_stream_reset(&p->client.stream);
    TURN_UNTIL(p, p->server.err != 0);
    assert_int_equal(p->server.err, -ECONNRESET);
    assert_false(p->server.is_eof);
}

/* Both are there when the loop looks. */
static void a_reset_right_behind_bytes_is_an_error_and_no_end(void **state)
{
    struct pair *p = *state;
    const struct str bytes = str_make("\0\0\0\0\1\0\0\0", 8);

    connect_pair(p);
    assert_int_equal(net_stream_write(&p->client.stream, &bytes, 1), 0);
    net_stream_reset(&p->client.stream);
    TURN_UNTIL(p, p->client.is_closed);
    net_stream_read_start(&p->server.stream);
    TURN_UNTIL(p, p->server.err != 0 || p->server.is_eof);
    assert_false(p->server.is_eof);
    assert_int_equal(p->server.err, -ECONNRESET);
    assert_int_equal(p->server.n_read, bytes.len);
}

static void a_write_to_a_peer_that_has_gone_is_told_also_without_reading(void **state)
{
    struct pair *p = *state;
    const struct str byte = STR("\0");

    connect_pair(p);
    net_stream_reset(&p->server.stream);
    TURN_UNTIL(p, p->server.is_closed);
    while (p->client.err == 0) {
        assert_int_equal(net_stream_write(&p->client.stream, &byte, 1), 0);
        let_one_turn_pass(p);
    }
    assert_int_equal(net_stream_write(&p->client.stream, &byte, 1), 0);
}

static void a_refused_connection_is_told_later_not_at_once(void **state)
{
    struct pair *p = *state;

    net_listener_close(&p->listener);
    let_one_turn_pass(p);
    assert_int_equal(net_stream_connect(&p->loop, &p->client.stream, &p->at, &ops), 0);
    assert_int_equal(p->client.connect_result, 1);
    TURN_UNTIL(p, p->client.connect_result <= 0);
    assert_int_equal(p->client.connect_result, -ECONNREFUSED);
    assert_false(p->client.is_closed);
    net_stream_close(&p->client.stream);
    assert_false(p->client.is_closed);
    TURN_UNTIL(p, p->client.is_closed);
}

static void a_name_is_tried_address_by_address(void **state)
{
    struct pair *p = *state;

    assert_int_equal(addr_parse(STR("localhost"), p->at.port, &p->at), 0);
    connect_pair(p);
}

static void closing_ends_a_connection_that_is_being_opened(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"}; /* trying; resolving */

    for (size_t i = 0; i < 2; i++) {
        struct pair *p = *state;

        p->client = (struct end){.connect_result = 1};
        assert_int_equal(addr_parse(str_of(hosts[i]), p->at.port, &p->at), 0);
        assert_int_equal(net_stream_connect(&p->loop, &p->client.stream, &p->at, &ops), 0);
        net_stream_close(&p->client.stream);
        assert_false(p->client.is_closed);
        TURN_UNTIL(p, p->client.is_closed);
        let_one_turn_pass(p);
        assert_int_equal(p->client.connect_result, 1);
        if (p->is_accepted)
            net_stream_close(&p->server.stream);
        p->is_accepted = false;
    }
}

/* The owner gives up in the very turn in which the refusal comes. */
static void closing_between_a_refusal_and_its_report_gives_one_callback(void **state)
{
    struct pair *p = *state;

    net_listener_close(&p->listener);
    let_one_turn_pass(p);
    for (int n_turns = 0; n_turns < 6; n_turns++) {
        p->client = (struct end){.connect_result = 1};
        assert_int_equal(net_stream_connect(&p->loop, &p->client.stream, &p->at, &ops), 0);
        for (int i = 0; i < n_turns && p->client.connect_result == 1; i++)
            let_one_turn_pass(p);
        net_stream_close(&p->client.stream);
        TURN_UNTIL(p, p->client.is_closed);
        let_one_turn_pass(p);
    }
}

static void a_port_that_is_served_already_is_not_shared(void **state)
{
    struct pair *p = *state;
    struct addr at = p->at;
    int fd;

    assert_int_equal(net_listen_fds(&at, 1, &fd), -EADDRINUSE);
}

static void several_loops_get_the_same_free_port(void **state)
{
    struct addr at;
    int fds[3];

    (void)state;
    assert_int_equal(addr_parse(STR("127.0.0.1:0"), 0, &at), 0);
    assert_int_equal(net_listen_fds(&at, 3, fds), 0);
    assert_int_not_equal(at.port, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(close(fds[i]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(more_than_the_socket_takes_arrives_whole_and_in_order),
        TEST(what_the_socket_takes_at_once_is_not_announced),
        TEST(later_output_leaves_at_the_end_of_the_turn),
        TEST(nothing_overtakes_what_was_to_leave_later),
        TEST(later_output_comes_before_the_end),
        TEST(the_end_comes_behind_what_was_queued),
        TEST(a_stream_may_be_closed_in_its_callback),
        TEST(closing_twice_is_closing_once),
        TEST(a_reset_is_an_error_for_the_peer),
        TEST(a_reset_right_behind_bytes_is_an_error_and_no_end),
        TEST(a_write_to_a_peer_that_has_gone_is_told_also_without_reading),
        TEST(a_refused_connection_is_told_later_not_at_once),
        TEST(a_name_is_tried_address_by_address),
        TEST(closing_ends_a_connection_that_is_being_opened),
        TEST(closing_between_a_refusal_and_its_report_gives_one_callback),
        TEST(a_port_that_is_served_already_is_not_shared),
        cmocka_unit_test(several_loops_get_the_same_free_port),
    };

    return cmocka_run_group_tests_name("net/stream", tests, NULL, NULL);
}
