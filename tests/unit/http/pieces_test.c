/* SPDX-License-Identifier: MIT */

/*
 * What a peer meant must not depend on how the network cut it. A small connection reads whole
 * messages, the good and the bad, in one piece, split at every byte, byte by byte and in random
 * pieces; its diary must be the same each time.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "exact.h"
#include "http/h1.h"

static const struct h1_limits limits = {.line_max = 64, .head_max = 256};

struct connection {
    bool reads_requests;
    bool is_in_body;
    int err;
    struct buf unread;
    struct h1_scan scan;
    struct h1_body body;
    struct buf diary;
};

static void note(struct connection *c, const char *what, struct str bytes)
{
    assert_int_equal(buf_put(&c->diary, str_of(what)), 0);
    assert_int_equal(buf_put_char(&c->diary, '<'), 0);
    assert_int_equal(buf_put(&c->diary, bytes), 0);
    assert_int_equal(buf_put_char(&c->diary, '>'), 0);
}

static void note_head(struct connection *c, const struct h1_head *head)
{
    assert_int_equal(buf_printf(&c->diary, "[%d %d %u keep=%d upgrade=%d framing=%d length=%llu]",
                                (int)head->method, (int)head->status, head->minor, head->keep_alive,
                                head->has_upgrade, (int)head->framing,
                                (unsigned long long)head->length),
                     0);
    note(c, "method", head->method_name);
    note(c, "path", head->path);
    note(c, "query", head->query);
    note(c, "host", head->host);
    note(c, "reason", head->reason);
    for (size_t i = 0; i < head->n_fields; i++) {
        note(c, "name", head->fields[i].name);
        note(c, "value", head->fields[i].value);
    }
}

/* Return: 0 a head was read; H1_MORE; -EX_H1_*. */
static int read_head(struct connection *c, struct str unread)
{
    struct h1_head head;
    size_t len;
    int r = h1_scan_head(&c->scan, unread, &limits, &len);

    if (r != 0)
        return r;
    r = c->reads_requests ? h1_parse_request(str_head(unread, len), &head)
                          : h1_parse_response(str_head(unread, len), false, &head);
    if (r < 0)
        return r;
    note_head(c, &head);
    h1_body_init(&c->body, &head);
    c->is_in_body = true;
    buf_take(&c->unread, len);
    return 0;
}

/* Return: 0 the body is complete; H1_MORE; -EX_H1_*. */
static int read_body(struct connection *c, struct str unread)
{
    struct str in = unread;
    struct str data;
    int r;

    while ((r = h1_body_feed(&c->body, &in, &data)) == 0)
        assert_int_equal(buf_put(&c->diary, data), 0);
    buf_take(&c->unread, unread.len - in.len);
    if (r != H1_DONE)
        return r;
    note(c, "done", STR_NULL);
    c->is_in_body = false;
    c->scan = (struct h1_scan){0};
    return 0;
}

static void feed(struct connection *c, struct str piece)
{
    int r = c->err;

    assert_int_equal(buf_put(&c->unread, piece), 0);
    while (r == 0) {
        struct str unread = buf_str(&c->unread);
        char *copy = exact_copy(unread);

        unread.s = copy;
        r = c->is_in_body ? read_body(c, unread) : read_head(c, unread);
        free(copy);
    }
    if (r < 0)
        c->err = r;
}

static void open_connection(struct connection *c, bool reads_requests)
{
    *c = (struct connection){
        .reads_requests = reads_requests,
        .unread = BUF_INIT(1 << 16),
        .diary = BUF_INIT(1 << 16),
    };
}

/* The diary with its last words; the caller closes the buffer. */
static struct buf close_connection(struct connection *c)
{
    struct buf diary = c->diary;
    int r = c->err;

    if (r == 0 && c->is_in_body)
        r = h1_body_eof(&c->body);
    assert_int_equal(buf_printf(&diary, " end %d unread %zu", r, c->err == 0 ? c->unread.len : 0),
                     0);
    buf_fini(&c->unread);
    return diary;
}

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST    "POST /api/chat?q HTTP/1.1\r\nHost: a:1\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"
#define FIVE    "Content-Length: 5\r\n\r\n"
#define OK      "HTTP/1.1 200 OK\r\n"
#define LONG    "0123456789012345678901234567890123456789012345678901234567890123"
#define MSG(txt) \
    { \
        .s = (txt), .len = sizeof(txt) - 1 \
    }

static const struct str requests[] = {
    MSG(""),
    MSG("\r\n"),
    MSG(GET "\r\n"),
    MSG("\r\n" GET "\r\n"),
    MSG("\r\n\r\n" GET "\r\n"),
    MSG(GET "\r\n" GET "\r\n"),
    MSG(GET "\r\n\r\n" GET "\r\n"),
    MSG(POST FIVE "hello"),
    MSG(POST FIVE "hello" GET "\r\n"),
    MSG(POST FIVE "hel"),
    MSG(POST "Content-Length: 0\r\n\r\n" GET "\r\n"),
    MSG(POST CHUNKED "5\r\nhello\r\n0\r\n\r\n"),
    MSG(POST CHUNKED "5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nA: b\r\nC:\r\n\r\n" GET "\r\n"),
    MSG(POST CHUNKED "2\r\n\r\n\r\n0\r\n\r\n"),
    MSG(POST CHUNKED "0000000000000001\r\nx\r\n00\r\n\r\n"),
    MSG(POST CHUNKED "5\r\nhel"),
    MSG(POST CHUNKED "5 \r\nhello\r\n"),
    MSG(POST CHUNKED "5\nhello\r\n"),
    MSG(POST CHUNKED "5\r\nhello!\r\n"),
    MSG(POST CHUNKED "5\r\nhello\n0\r\n\r\n"),
    MSG(POST CHUNKED "fffffffffffffffff\r\n"),
    MSG(POST CHUNKED "8000000000000000\r\n"),
    MSG(POST CHUNKED "1;\x01\r\n"),
    MSG(POST CHUNKED "0\r\nA b\r\n\r\n"),
    MSG(POST CHUNKED "0\r\n A: b\r\n\r\n"),
    MSG(POST CHUNKED "0\r\nA: b\n\r\n"),
    MSG(POST CHUNKED "0\r\n\rx"),
    MSG(POST "Transfer-Encoding: chunked\r\n" FIVE "0\r\n\r\n"),
    MSG(POST "Transfer-Encoding: gzip\r\n\r\n"),
    MSG(POST "Content-Length: 5, 5\r\n\r\nhello"),
    MSG(POST "Content-Length: 5\r\n" FIVE "hello"),
    MSG(POST "Expect: 100-continue\r\n" FIVE "hello"),
    MSG(POST "Expect: x\r\n" FIVE "hello"),
    MSG(POST "Connection: close, x\r\nUpgrade: y\r\nx:\t z \t\r\n" FIVE "hello"),
    MSG("GET http://a/b?c HTTP/1.1\r\nHost: A\r\n\r\n"),
    MSG("GET http://a/b?c HTTP/1.1\r\nHost: b\r\n\r\n"),
    MSG("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    MSG("GET / HTTP/1.0\r\n" CHUNKED),
    MSG("GET / HTTP/2.0\r\n\r\n"),
    MSG("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    MSG("GET / HTTP/1.1\r\n\r\n"),
    MSG("GET /\r\n"),
    MSG("GET / HTTP/1.1\n\n"),
    MSG("GET / HTTP/1.1\r\r\n"),
    MSG("GET /\rHTTP/1.1\r\n\r\n"),
    MSG("GET /\x01 HTTP/1.1\r\n\r\n"),
    MSG("GET /# HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    MSG(GET "A: b\r\n c\r\n\r\n"),
    MSG(GET "A: b\nC: d\r\n\r\n"),
    MSG(GET "A: b\rC: d\r\n\r\n"),
    MSG(GET "A: b\0c\r\n\r\n"),
    MSG(GET "A : b\r\n\r\n"),
    MSG(GET "A: b\r\n\rx"),
    MSG("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    MSG("{\"model\":\"x\"}\n"),
    MSG("GET /" LONG " HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET /" LONG "\n HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET /012345678901234567890123456789012345678901234567 HTTP/1.1\n"),
    MSG("GET /0123456789012345678901234567890123456789012345678 HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG("GET /01234567890123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\n\r\n"),
    MSG(GET "A: " LONG LONG LONG LONG "\r\n\r\n"),
    MSG(GET "A: " LONG LONG LONG "0123456789012345678901\r\n\r\n"),
    MSG(GET "A: " LONG LONG LONG "012345678901234567890123456\r\n\r\n"),
    MSG(GET "A: " LONG LONG LONG "0123456789012345678901234567890\r\n\r\n"),
    MSG(GET "A: " LONG LONG LONG "01234567890123456789012345678901\n\r\n"),
};

static const struct str responses[] = {
    MSG(OK FIVE "hello"),
    MSG(OK FIVE "hello" OK FIVE "world"),
    MSG(OK FIVE "hel"),
    MSG(OK "\r\nuntil the end"),
    MSG(OK "\r\n"),
    MSG(OK CHUNKED "5\r\nhello\r\n0\r\n\r\nHTTP/1.1 204 \r\n\r\n" OK CHUNKED "0\r\n\r\n"),
    MSG(OK CHUNKED "5\r\nhello\r\n0\r\n"),
    MSG("HTTP/1.1 100 Continue\r\n\r\n" OK FIVE "hello"),
    MSG("HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n"),
    MSG("HTTP/1.1 304 Not Modified\r\n" FIVE OK "\r\n"),
    MSG("HTTP/1.0 200 OK\r\n\r\n\r\n\r\n"),
    MSG("HTTP/1.1 200\r\n" FIVE "hello"),
    MSG("HTTP/1.1 600 x\r\n\r\n"),
    MSG("HTTP/1.1 200 \x80\tx\r\n" FIVE "hello"),
    MSG("HTTP/1.1 200 O\nK\r\n\r\n"),
    MSG(OK "A: b\r\n\tc\r\n\r\n"),
    MSG(OK "Transfer-Encoding: chunked\r\n" FIVE "0\r\n\r\n"),
    MSG("ICY 200 OK\r\n\r\n"),
    MSG("<html>"),
};

static void check(struct connection *c, const struct buf *wanted, struct str message)
{
    struct buf diary = close_connection(c);

    if (!str_eq(buf_str(&diary), buf_str(wanted)))
        fail_msg("%.40s...: got " STR_FMT "\n   wanted " STR_FMT, message.s,
                 STR_ARG(buf_str(&diary)), STR_ARG(buf_str(wanted)));
    buf_fini(&diary);
}

static struct buf read_in_one_piece(struct str message, bool is_request)
{
    struct connection c;

    open_connection(&c, is_request);
    feed(&c, message);
    return close_connection(&c);
}

/* Each message, whole and in what @cut makes of it in round 0, 1, ... until it says no. */
typedef bool cut_fn(struct connection *c, struct str message, size_t round);

static void check_all(const struct str *messages, size_t n, bool are_requests, cut_fn *cut)
{
    for (size_t i = 0; i < n; i++) {
        struct buf wanted = read_in_one_piece(messages[i], are_requests);
        struct connection c;
        size_t round = 0;

        open_connection(&c, are_requests);
        while (cut(&c, messages[i], round++)) {
            check(&c, &wanted, messages[i]);
            open_connection(&c, are_requests);
        }
        buf_fini(&c.unread);
        buf_fini(&c.diary);
        buf_fini(&wanted);
    }
}

static bool cut_once(struct connection *c, struct str message, size_t round)
{
    if (round > message.len)
        return false;
    feed(c, str_head(message, round));
    feed(c, str_from(message, round));
    return true;
}

static bool cut_everywhere(struct connection *c, struct str message, size_t round)
{
    for (size_t i = 0; i < message.len; i++)
        feed(c, str_make(message.s + i, 1));
    return round == 0;
}

static bool cut_at_random(struct connection *c, struct str message, size_t round)
{
    struct rng rng = {.state = round};

    while (message.len > 0) {
        size_t n = (size_t)rng_below(&rng, 2 + round);

        feed(c, str_head(message, n));
        message = str_from(message, n);
    }
    return round < 20;
}

static void a_message_split_at_any_byte_means_the_same(void **state)
{
    (void)state;
    check_all(requests, N_ELEMENTS(requests), true, cut_once);
    check_all(responses, N_ELEMENTS(responses), false, cut_once);
}

static void a_message_in_single_bytes_means_the_same(void **state)
{
    (void)state;
    check_all(requests, N_ELEMENTS(requests), true, cut_everywhere);
    check_all(responses, N_ELEMENTS(responses), false, cut_everywhere);
}

static void a_message_in_random_pieces_means_the_same(void **state)
{
    (void)state;
    check_all(requests, N_ELEMENTS(requests), true, cut_at_random);
    check_all(responses, N_ELEMENTS(responses), false, cut_at_random);
}

/*
 * One byte of a good message turned into another: mostly errors, none of them may depend on the
 * pieces.
 */
static void a_damaged_message_means_the_same(void **state)
{
    static const char damage[] = "\r\n\t \0:;,#0f\x7f\x80";
    struct rng rng = {.state = 9112};
    char text[300];

    (void)state;
    for (size_t round = 0; round < 1500; round++) {
        const bool is_request = round % 2 == 0;
        const struct str whole = is_request ? requests[rng_below(&rng, N_ELEMENTS(requests))]
                                            : responses[rng_below(&rng, N_ELEMENTS(responses))];
        const struct str message =
            str_make(text, whole.len < sizeof(text) ? whole.len : sizeof(text));
        struct buf wanted;
        struct connection c;

        if (message.len == 0)
            continue;
        memcpy(text, whole.s, message.len);
        text[rng_below(&rng, message.len)] = damage[rng_below(&rng, sizeof(damage) - 1)];
        wanted = read_in_one_piece(message, is_request);
        open_connection(&c, is_request);
        (void)cut_everywhere(&c, message, 0);
        check(&c, &wanted, message);
        open_connection(&c, is_request);
        (void)cut_at_random(&c, message, round % 20);
        check(&c, &wanted, message);
        buf_fini(&wanted);
    }
}

/* The diary itself: were it empty, the tests above would hold for any parser. */
static void the_diary_tells_what_was_read(void **state)
{
    struct buf diary =
        read_in_one_piece(STR(POST CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nG"), true);

    (void)state;
    assert_str(buf_str(&diary),
               "[4 0 1 keep=1 upgrade=0 framing=2 length=0]method<POST>path</api/chat>query<q>"
               "host<a:1>reason<>name<Host>value<a:1>name<Transfer-Encoding>value<chunked>"
               "hello!done<> end 0 unread 1");
    buf_fini(&diary);
    diary = read_in_one_piece(STR(POST CHUNKED "5\r\nhello!"), true);
    assert_true(str_ends(buf_str(&diary), STR("hello end -4114 unread 0")));
    buf_fini(&diary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_diary_tells_what_was_read),
        cmocka_unit_test(a_message_split_at_any_byte_means_the_same),
        cmocka_unit_test(a_message_in_single_bytes_means_the_same),
        cmocka_unit_test(a_message_in_random_pieces_means_the_same),
        cmocka_unit_test(a_damaged_message_means_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
