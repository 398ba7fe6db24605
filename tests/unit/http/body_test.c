/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "base/err.h"
#include "exact.h"
#include "http/h1.h"

static struct h1_body start(enum h1_framing framing, uint64_t length)
{
    const struct h1_head head = {.framing = framing, .length = length};
    struct h1_body body;

    h1_body_init(&body, &head);
    return body;
}

/* Feeds all of @in. Return: what ended the loop; the content is in @content. */
static int drain(struct h1_body *body, struct str *in, struct buf *content)
{
    struct str data;
    int r;

    for (;;) {
        r = h1_body_feed(body, in, &data);
        if (r != 0)
            return r;
        assert_true(data.len > 0);
        assert_int_equal(buf_put(content, data), 0);
    }
}

/* Feeds a copy of exact size. Return: as drain(); @ret_rest is how many bytes were not consumed. */
static int drain_copy(struct h1_body *body, struct str text, struct buf *content, size_t *ret_rest)
{
    char *copy = exact_copy(text);
    struct str in = str_make(copy, text.len);
    int r = drain(body, &in, content);

    *ret_rest = in.len;
    free(copy);
    return r;
}

static void check_chunked(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct h1_body body = start(H1_BODY_CHUNKED, 0);
        struct buf content = BUF_INIT(1 << 20);
        size_t rest;
        int r = drain_copy(&body, str_make(rows[i].s, rows[i].len), &content, &rest);

        buf_fini(&content);
        if (r != rows[i].err)
            fail_msg("row %zu: got %d, wanted %d: %s", i, r, rows[i].err, rows[i].s);
        assert_int_equal(h1_body_eof(&body), r == H1_DONE ? 0 : -EX_H1_TRUNCATED);
    }
}

static void chunks_are_joined_and_their_framing_is_dropped(void **state)
{
    static const struct {
        const char *text;
        const char *content;
        size_t rest;
    } rows[] = {
        {"0\r\n\r\n", "", 0},
        {"5\r\nhello\r\n0\r\n\r\n", "hello", 0},
        {"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\nHTTP/1.1", "hello world", 8},
        {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0},
        {"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n\r\n", "hello", 2},
        {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0},
        {"1;a=b;c=\"d e\"\r\nx\r\n0;last\r\n\r\n", "x", 0},
        {"1;\r\nx\r\n0\r\n\r\n", "x", 0},
        {"1\r\nx\r\n0\r\nA: b\r\nEmpty:\r\nC:\td \r\n\r\nrest", "x", 4},
        {"0\r\nContent-Length: 5\r\n\r\nrest!", "", 5},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    {
        struct h1_body body = start(H1_BODY_CHUNKED, 0);
        struct buf content = BUF_INIT(1 << 20);
        size_t rest;

        assert_int_equal(drain_copy(&body, str_of(rows[i].text), &content, &rest), H1_DONE);
        assert_str(buf_str(&content), rows[i].content);
        assert_int_equal(rest, rows[i].rest);
        assert_int_equal(h1_body_eof(&body), 0);
        buf_fini(&content);
    }
}

static void a_chunk_size_is_1_to_16_hex_digits(void **state)
{
    static const struct row rows[] = {
        ROW("5", H1_MORE),
        ROW("7fffffffffffffff\r\nx", H1_MORE),
        ROW("\r\n", -EX_H1_CHUNK),
        ROW(";a\r\n", -EX_H1_CHUNK),
        ROW(" 5\r\n", -EX_H1_CHUNK),
        ROW("5 \r\n", -EX_H1_CHUNK),
        ROW("5 ;a\r\n", -EX_H1_CHUNK),
        ROW("5\t;a\r\n", -EX_H1_CHUNK),
        ROW("0x5\r\n", -EX_H1_CHUNK),
        ROW("+5\r\n", -EX_H1_CHUNK),
        ROW("-5\r\n", -EX_H1_CHUNK),
        ROW("5_0\r\n", -EX_H1_CHUNK),
        ROW("g\r\n", -EX_H1_CHUNK),
        ROW("5,5\r\n", -EX_H1_CHUNK),
        ROW("5\0\r\n", -EX_H1_CHUNK),
        ROW("\x80\r\n", -EX_H1_CHUNK),
        ROW("00000000000000005\r\n", -EX_H1_CHUNK),
        ROW("10000000000000000\r\n", -EX_H1_CHUNK),
        ROW("8000000000000000\r\n", -EX_H1_CHUNK),
        ROW("ffffffffffffffff\r\n", -EX_H1_CHUNK),
        ROW("fffffffffffffffff\r\n", -EX_H1_CHUNK),
    };

    (void)state;
    check_chunked(rows, N_ELEMENTS(rows));
}

static void lines_and_content_of_a_chunk_end_in_crlf(void **state)
{
    static const struct row rows[] = {
        ROW("5\nhello\r\n", -EX_H1_BARE_LF),
        ROW("5\r", H1_MORE),
        ROW("5\rhello\r\n", -EX_H1_BARE_LF),
        ROW("5\r\r\nhello\r\n", -EX_H1_BARE_LF),
        ROW("5;a\nhello\r\n", -EX_H1_BARE_LF),
        ROW("5;a\rb\r\nhello\r\n", -EX_H1_BARE_LF),
        ROW("5\r\nhello\n0\r\n\r\n", -EX_H1_BARE_LF),
        ROW("5\r\nhello\r0\r\n\r\n", -EX_H1_BARE_LF),
        ROW("5\r\nhello!\r\n0\r\n\r\n", -EX_H1_CHUNK),
        ROW("5\r\nhello0\r\n\r\n", -EX_H1_CHUNK),
        ROW("5\r\nhello\r\n\r\n0\r\n\r\n", -EX_H1_CHUNK),
        ROW("5\r\nhell\r\n0\r\n\r\n", -EX_H1_BARE_LF), /* the CR was the fifth byte */
        ROW("0\n\n", -EX_H1_BARE_LF),
        ROW("0\r\n\n", -EX_H1_BARE_LF),
        ROW("0\r\n\rx", -EX_H1_BARE_LF),
        ROW("0\r\nA: b\n\r\n", -EX_H1_BARE_LF),
        ROW("0\r\nA: b\rC: d\r\n\r\n", -EX_H1_BARE_LF),
    };

    (void)state;
    check_chunked(rows, N_ELEMENTS(rows));
}

static void an_extension_has_no_control_bytes(void **state)
{
    static const struct row rows[] = {
        ROW("5;a\tb=\"\x80\"", H1_MORE), ROW("5;\0", -EX_H1_CHUNK),
        ROW("5;a\x01", -EX_H1_CHUNK),    ROW("5;a\x7f", -EX_H1_CHUNK),
        ROW("5;a\x1b[2J", -EX_H1_CHUNK),
    };

    (void)state;
    check_chunked(rows, N_ELEMENTS(rows));
}

static void a_trailer_is_a_field_line(void **state)
{
    static const struct row rows[] = {
        ROW("0\r\nA:\r\n\r\n", H1_DONE),
        ROW("0\r\nA\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\n: b\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\nA : b\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\nA\x80: b\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\nA: \x01\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\nA: \0\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\n A: b\r\n\r\n", -EX_H1_FOLD),
        ROW("0\r\nA: b\r\n c\r\n\r\n", -EX_H1_FOLD),
        ROW("0\r\nGET / HTTP/1.1\r\n\r\n", -EX_H1_FIELD),
        ROW("0\r\n{}", -EX_H1_FIELD),
    };

    (void)state;
    check_chunked(rows, N_ELEMENTS(rows));
}

static int feed_text(struct h1_body *body, struct str text)
{
    struct buf content = BUF_INIT(1 << 20);
    size_t rest;
    int r = drain_copy(body, text, &content, &rest);

    buf_fini(&content);
    return r;
}

static void a_chunk_line_has_a_longest(void **state)
{
    char line[4098];
    struct h1_body body = start(H1_BODY_CHUNKED, 0);

    (void)state;
    memset(line, 'x', sizeof(line));
    line[0] = '5';
    line[1] = ';';
    assert_int_equal(feed_text(&body, str_make(line, 4096)), H1_MORE);
    assert_int_equal(feed_text(&body, STR("\r\n")), H1_MORE);
    body = start(H1_BODY_CHUNKED, 0);
    assert_int_equal(feed_text(&body, str_make(line, 4097)), -EX_H1_CHUNK);

    body = start(H1_BODY_CHUNKED, 0);
    line[1] = ':';
    assert_int_equal(feed_text(&body, STR("0\r\n")), H1_MORE);
    assert_int_equal(feed_text(&body, str_make(line, 4096)), H1_MORE);
    assert_int_equal(feed_text(&body, STR("x")), -EX_H1_HEAD_TOO_LARGE);
}

static void extensions_and_trailers_together_have_a_most(void **state)
{
    struct h1_body body = start(H1_BODY_CHUNKED, 0);
    char extension[1024];

    (void)state;
    memset(extension, ';', sizeof(extension));
    for (size_t i = 0; i < 31; i++) {
        assert_int_equal(feed_text(&body, STR("1")), H1_MORE);
        assert_int_equal(feed_text(&body, str_make(extension, sizeof(extension))), H1_MORE);
        assert_int_equal(feed_text(&body, STR("\r\nx\r\n")), H1_MORE);
    }
    memset(extension, 'a', sizeof(extension));
    extension[1] = ':';
    assert_int_equal(feed_text(&body, STR("0\r\n")), H1_MORE);
    assert_int_equal(feed_text(&body, str_make(extension, sizeof(extension))), H1_MORE);
    assert_int_equal(feed_text(&body, STR("\r\n")), H1_MORE);
    assert_int_equal(feed_text(&body, STR("a")), -EX_H1_HEAD_TOO_LARGE);
}

static void a_refused_byte_is_refused_again(void **state)
{
    struct h1_body body = start(H1_BODY_CHUNKED, 0);
    struct str in = STR("5x");
    struct str data;

    (void)state;
    assert_int_equal(h1_body_feed(&body, &in, &data), -EX_H1_CHUNK);
    assert_str(in, "x");
    assert_int_equal(h1_body_feed(&body, &in, &data), -EX_H1_CHUNK);
}

static void content_is_a_slice_of_the_input(void **state)
{
    struct h1_body body = start(H1_BODY_CHUNKED, 0);
    const struct str text = STR("5\r\nhello\r\n");
    struct str in = text;
    struct str data;

    (void)state;
    assert_int_equal(h1_body_feed(&body, &in, &data), 0);
    assert_ptr_equal(data.s, text.s + 3);
    assert_int_equal(data.len, 5);
    assert_int_equal(h1_body_feed(&body, &in, &data), H1_MORE);
    assert_int_equal(in.len, 0);
}

static void a_body_of_known_length_ends_with_its_last_byte(void **state)
{
    struct h1_body body = start(H1_BODY_LENGTH, 5);
    struct str in = STR("helloGET /");
    struct str data;

    (void)state;
    assert_int_equal(h1_body_feed(&body, &in, &data), 0);
    assert_str(data, "hello");
    assert_int_equal(h1_body_feed(&body, &in, &data), H1_DONE);
    assert_str(in, "GET /");

    body = start(H1_BODY_LENGTH, 0);
    in = STR_NULL;
    assert_int_equal(h1_body_feed(&body, &in, &data), H1_DONE);
}

static void a_body_cut_off_is_noticed(void **state)
{
    struct h1_body body = start(H1_BODY_LENGTH, 5);
    struct str in = STR("hell");
    struct str data;

    (void)state;
    assert_int_equal(h1_body_feed(&body, &in, &data), 0);
    assert_int_equal(h1_body_feed(&body, &in, &data), H1_MORE);
    assert_int_equal(h1_body_eof(&body), -EX_H1_TRUNCATED);
    body = start(H1_BODY_CHUNKED, 0);
    assert_int_equal(h1_body_eof(&body), -EX_H1_TRUNCATED);
    assert_int_equal(feed_text(&body, STR("1\r\nx\r\n0\r\n")), H1_MORE);
    assert_int_equal(h1_body_eof(&body), -EX_H1_TRUNCATED);
    assert_int_equal(feed_text(&body, STR("\r\n")), H1_DONE);
    assert_int_equal(h1_body_eof(&body), 0);
}

static void a_body_until_close_takes_all(void **state)
{
    struct h1_body body = start(H1_BODY_EOF, 0);
    struct str in = STR("0\r\n\r\n");
    struct str data;

    (void)state;
    assert_int_equal(h1_body_feed(&body, &in, &data), 0);
    assert_str(data, "0\r\n\r\n");
    assert_int_equal(h1_body_feed(&body, &in, &data), H1_MORE);
    assert_int_equal(h1_body_eof(&body), 0);
}

static void no_body_is_complete_at_once(void **state)
{
    struct h1_body body = start(H1_BODY_NONE, 5);
    struct str in = STR("GET /");
    struct str data;

    (void)state;
    assert_int_equal(h1_body_feed(&body, &in, &data), H1_DONE);
    assert_str(in, "GET /");
    assert_int_equal(h1_body_eof(&body), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined_and_their_framing_is_dropped),
        cmocka_unit_test(a_chunk_size_is_1_to_16_hex_digits),
        cmocka_unit_test(lines_and_content_of_a_chunk_end_in_crlf),
        cmocka_unit_test(an_extension_has_no_control_bytes),
        cmocka_unit_test(a_trailer_is_a_field_line),
        cmocka_unit_test(a_chunk_line_has_a_longest),
        cmocka_unit_test(extensions_and_trailers_together_have_a_most),
        cmocka_unit_test(a_refused_byte_is_refused_again),
        cmocka_unit_test(content_is_a_slice_of_the_input),
        cmocka_unit_test(a_body_of_known_length_ends_with_its_last_byte),
        cmocka_unit_test(a_body_cut_off_is_noticed),
        cmocka_unit_test(a_body_until_close_takes_all),
        cmocka_unit_test(no_body_is_complete_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
