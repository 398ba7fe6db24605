/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "exact.h"
#include "http/h1.h"

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct h1_head head;
        char *copy = exact_copy(str_make(rows[i].s, rows[i].len));
        int r = h1_parse_response(str_make(copy, rows[i].len), false, &head);

        free(copy);
        if (r != rows[i].err)
            fail_msg("row %zu: got %d, wanted %d: %s", i, r, rows[i].err, rows[i].s);
    }
}

static struct h1_head read_to(bool to_head, const char *text)
{
    struct h1_head head;
    int r = h1_parse_response(str_of(text), to_head, &head);

    if (r != 0)
        fail_msg("%d for %s", r, text);
    return head;
}

static struct h1_head read_head(const char *text)
{
    return read_to(false, text);
}

#define LINE(line)    line "\r\n\r\n"
#define FIELDS(lines) "HTTP/1.1 200 OK\r\n" lines "\r\n\r\n"

static void an_answer_is_taken_apart(void **state)
{
    struct h1_head head =
        read_head("HTTP/1.1 404 Not\tFound \xc3\xa4\r\nContent-Length: 7\r\nX: y\r\n\r\n");

    (void)state;
    assert_int_equal(head.status, 404);
    assert_str(head.reason, "Not\tFound \xc3\xa4");
    assert_int_equal(head.minor, 1);
    assert_true(head.keep_alive);
    assert_int_equal(head.framing, H1_BODY_LENGTH);
    assert_int_equal(head.length, 7);
    assert_int_equal(head.n_fields, 2);
    assert_str(h1_field_get(&head, STR("x")), "y");
}

static void the_status_line_is_version_status_reason(void **state)
{
    static const struct row rows[] = {
        ROW(LINE("HTTP/1.1 200 OK"), 0),
        ROW(LINE("HTTP/1.0 200 OK"), 0),
        ROW("\r\n" LINE("HTTP/1.1 200 OK"), 0),
        ROW(LINE("HTTP/1.1 200 "), 0),
        ROW(LINE("HTTP/1.1 200"), 0),
        ROW(LINE("HTTP/1.1 200  OK"), 0),
        ROW(LINE("HTTP/1.1 100 Continue"), 0),
        ROW(LINE("HTTP/1.1 599 x"), 0),
        ROW(LINE("HTTP/1.1 600 x"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 999 x"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 099 x"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 000 x"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 20 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 2000 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 0200 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 200OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 2x0 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 +20 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 200\tOK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1  200 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1\t200 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 "), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/2.0 200 OK"), -EX_H1_VERSION),
        ROW(LINE("HTTP/1.2 200 OK"), -EX_H1_VERSION),
        ROW(LINE("HTTP/2 200 OK"), -EX_H1_SYNTAX),
        ROW(LINE("http/1.1 200 OK"), -EX_H1_SYNTAX),
        ROW(LINE("ICY 200 OK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 200 O\x01K"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 200 O\0K"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 200 O\x7fK"), -EX_H1_SYNTAX),
        ROW(LINE("HTTP/1.1 200 O\rK"), -EX_H1_BARE_LF),
        ROW(LINE("HTTP/1.1 200 O\nK"), -EX_H1_BARE_LF),
        ROW(LINE("GET / HTTP/1.1"), -EX_H1_SYNTAX),
        ROW("HTTP/1.1 200 OK\r\n", -EX_H1_SYNTAX),
        ROW("", -EX_H1_SYNTAX),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void a_switch_of_protocols_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW(LINE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c"), -EX_H1_SYNTAX),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void fields_are_read_as_strictly_as_in_a_request(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("a: b"), 0),
        ROW(FIELDS("a : b"), -EX_H1_FIELD),
        ROW(FIELDS(": b"), -EX_H1_FIELD),
        ROW(FIELDS("a"), -EX_H1_FIELD),
        ROW(FIELDS("a: \x01"), -EX_H1_FIELD),
        ROW(FIELDS("a: b\r\n c"), -EX_H1_FOLD),
        ROW(FIELDS(" a: b"), -EX_H1_FIELD),
        ROW(FIELDS("a: b\nc: d"), -EX_H1_BARE_LF),
        ROW(FIELDS("a: b\rc: d"), -EX_H1_BARE_LF),
        ROW(FIELDS("Content-Length: 5\r\nContent-Length: 5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5, 5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: -1"), -EX_H1_LENGTH),
        ROW(FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5"), -EX_H1_FRAMING),
        ROW(FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked"), -EX_H1_FRAMING),
        ROW(FIELDS("Transfer-Encoding: gzip, chunked"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), -EX_H1_CODING),
        ROW(LINE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked"), -EX_H1_FRAMING),
        ROW(LINE("HTTP/1.1 204 No Content\r\nContent-Length: x"), -EX_H1_LENGTH),
        ROW(FIELDS("Host: \r\nHost: a b\r\nExpect: x"), 0), /* mean nothing here */
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void the_body_is_framed_by_status_and_fields(void **state)
{
    static const struct {
        const char *text;
        bool to_head;
        enum h1_framing framing;
        bool keep_alive;
    } rows[] = {
        {FIELDS("Content-Length: 5"), false, H1_BODY_LENGTH, true},
        {FIELDS("Content-Length: 0"), false, H1_BODY_LENGTH, true},
        {FIELDS("Transfer-Encoding: chunked"), false, H1_BODY_CHUNKED, true},
        {FIELDS("Transfer-Encoding: chunked\r\nConnection: close"), false, H1_BODY_CHUNKED, false},
        {FIELDS("X: y"), false, H1_BODY_EOF, false},
        {FIELDS("Connection: keep-alive"), false, H1_BODY_EOF, false},
        {LINE("HTTP/1.0 200 OK"), false, H1_BODY_EOF, false},
        {LINE("HTTP/1.0 200 OK\r\nConnection: keep-alive"), false, H1_BODY_EOF, false},
        {LINE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1"), false,
         H1_BODY_LENGTH, true},
        {LINE("HTTP/1.0 200 OK\r\nContent-Length: 1"), false, H1_BODY_LENGTH, false},
        {FIELDS("Content-Length: 5"), true, H1_BODY_NONE, true},
        {FIELDS("Transfer-Encoding: chunked"), true, H1_BODY_NONE, true},
        {FIELDS("X: y"), true, H1_BODY_NONE, true},
        {LINE("HTTP/1.1 100 Continue"), false, H1_BODY_NONE, true},
        {LINE("HTTP/1.1 103 Early Hints\r\nContent-Length: 9"), false, H1_BODY_NONE, true},
        {LINE("HTTP/1.1 204 No Content"), false, H1_BODY_NONE, true},
        {LINE("HTTP/1.1 204 No Content\r\nContent-Length: 0"), false, H1_BODY_NONE, true},
        {LINE("HTTP/1.1 304 Not Modified\r\nContent-Length: 99"), false, H1_BODY_NONE, true},
        {LINE("HTTP/1.1 500 x"), false, H1_BODY_EOF, false},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    {
        struct h1_head head = read_to(rows[i].to_head, rows[i].text);

        assert_int_equal(head.framing, rows[i].framing);
        assert_int_equal(head.keep_alive, rows[i].keep_alive);
    }
}

static void an_answer_to_head_keeps_its_length(void **state)
{
    struct h1_head head = read_to(true, FIELDS("Content-Length: 5"));

    (void)state;
    assert_true(head.has_length);
    assert_int_equal(head.length, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_apart),
        cmocka_unit_test(the_status_line_is_version_status_reason),
        cmocka_unit_test(a_switch_of_protocols_is_refused),
        cmocka_unit_test(fields_are_read_as_strictly_as_in_a_request),
        cmocka_unit_test(the_body_is_framed_by_status_and_fields),
        cmocka_unit_test(an_answer_to_head_keeps_its_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
