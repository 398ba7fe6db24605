/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "exact.h"
#include "http/h1.h"

static int scan_with(struct str text, struct h1_limits limits, size_t *ret_len)
{
    struct h1_scan scan = {0};
    char *copy = exact_copy(text);
    int r = h1_scan_head(&scan, str_make(copy, text.len), &limits, ret_len);

    free(copy);
    return r;
}

static int scan(struct str text, size_t *ret_len)
{
    return scan_with(text, H1_LIMITS_DEFAULT, ret_len);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        int r = scan(str_make(rows[i].s, rows[i].len), &len);

        if (r != rows[i].err)
            fail_msg("row %zu: got %d, wanted %d: %s", i, r, rows[i].err, rows[i].s);
    }
}

static void a_head_ends_behind_its_empty_line(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"GET / HTTP/1.1\r\n\r\nbody\n\r", 18},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", 27},
        {"GET / HTTP/1.1\r\nA:\tb\tc\r\n\r\n\r\n\r\n", 26},
        {"\r\nGET / HTTP/1.1\r\n\r\n", 20},
        {"HTTP/1.1 200 OK\r\n\r\n", 19},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    {
        size_t len = 0;

        assert_int_equal(scan(str_of(rows[i].text), &len), 0);
        assert_int_equal(len, rows[i].len);
    }
}

static void an_unfinished_head_asks_for_more(void **state)
{
    static const struct row rows[] = {
        ROW("", H1_MORE),
        ROW("G", H1_MORE),
        ROW("\r", H1_MORE),
        ROW("\r\n", H1_MORE),
        ROW("GET / HTTP/1.1", H1_MORE),
        ROW("GET / HTTP/1.1\r", H1_MORE),
        ROW("GET / HTTP/1.1\r\n", H1_MORE),
        ROW("GET / HTTP/1.1\r\n\r", H1_MORE),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n", H1_MORE),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void a_bare_lf_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW("\n", -EX_H1_BARE_LF),
        ROW("\r\n\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\n\n", -EX_H1_BARE_LF),
        ROW("GET /\nX HTTP/1.1\r\n\r\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\r\nHost: a\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\n", -EX_H1_BARE_LF),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void a_bare_cr_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW("\rG", -EX_H1_BARE_LF),
        ROW("\r\r", -EX_H1_BARE_LF),
        ROW("GET /\rX HTTP/1.1\r\n\r\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\r\r\n\r\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", -EX_H1_BARE_LF),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\rx", -EX_H1_BARE_LF),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void only_one_leading_empty_line_is_skipped(void **state)
{
    static const struct row rows[] = {
        ROW("\r\nGET / HTTP/1.1\r\n\r\n", 0),
        ROW("\r\n\r\nGET / HTTP/1.1\r\n\r\n", -EX_H1_SYNTAX),
        ROW("\r\n GET / HTTP/1.1\r\n\r\n", -EX_H1_SYNTAX),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void a_head_begins_with_a_token(void **state)
{
    static const struct row rows[] = {
        ROW("\x16", -EX_H1_SYNTAX), /* TLS */
        ROW("\x16\x03\x01\x02", -EX_H1_SYNTAX),
        ROW("\0", -EX_H1_SYNTAX),
        ROW(" ", -EX_H1_SYNTAX),
        ROW("\t", -EX_H1_SYNTAX),
        ROW("{", -EX_H1_SYNTAX),
        ROW("/", -EX_H1_SYNTAX),
        ROW("\x7f", -EX_H1_SYNTAX),
        ROW("\x80", -EX_H1_SYNTAX),
        ROW("\xff", -EX_H1_SYNTAX),
        ROW("\r\n\x16", -EX_H1_SYNTAX),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void white_space_before_the_first_field_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW("GET / HTTP/1.1\r\n ", -EX_H1_FIELD),
        ROW("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", -EX_H1_FIELD),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void a_control_byte_is_refused_when_it_arrives(void **state)
{
    char text[] = "GET /_ HTTP/1.1\r\nHost: _";
    size_t len;

    (void)state;
    for (int c = 0; c < 256; c++) {
        bool is_control = (c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;

        text[5] = (char)c;
        text[23] = 'a';
        if (c != '\r' && c != '\n')
            assert_int_equal(scan(str_make(text, 24), &len), is_control ? -EX_H1_SYNTAX : H1_MORE);
        text[5] = 'a';
        text[23] = (char)c;
        if (c != '\r' && c != '\n')
            assert_int_equal(scan(str_make(text, 24), &len), is_control ? -EX_H1_FIELD : H1_MORE);
    }
}

static void a_control_byte_is_found_at_every_offset(void **state)
{
    char text[64];
    size_t len;

    (void)state;
    for (size_t n = 1; n < sizeof(text); n++) {
        for (size_t at = 0; at < n; at++) {
            memset(text, at % 2 == 0 ? 'a' : 0x21, n);
            text[0] = 'G';
            text[at] = at % 3 == 0 ? '\x01' : '\x7f';
            assert_int_equal(scan(str_make(text, n), &len), -EX_H1_SYNTAX);
        }
    }
}

static void a_long_start_line_is_refused_at_its_first_byte_too_many(void **state)
{
    const struct h1_limits limits = {.line_max = 14, .head_max = 1000};
    size_t len;

    (void)state;
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\n\r\n"), limits, &len), 0);
    assert_int_equal(scan_with(STR("\r\nGET / HTTP/1.1\r\n\r\n"), limits, &len), 0);
    assert_int_equal(scan_with(STR("GET /aHTTP/1.1"), limits, &len), H1_MORE);
    assert_int_equal(scan_with(STR("GET /a HTTP/1.1"), limits, &len), -EX_H1_LINE_TOO_LONG);
    assert_int_equal(scan_with(STR("GET /a HTTP/1.1\r\n\r\n"), limits, &len), -EX_H1_LINE_TOO_LONG);
    assert_int_equal(scan_with(STR("GET /aHTTP/1.1\t"), limits, &len), -EX_H1_LINE_TOO_LONG);
}

static void a_long_head_is_refused_at_its_first_byte_too_many(void **state)
{
    const struct h1_limits limits = {.line_max = 14, .head_max = 24};
    size_t len;

    (void)state;
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\nA: b\r\n\r\n"), limits, &len), 0);
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\nA: bbbbb"), limits, &len), H1_MORE);
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\nA: bbbbbb"), limits, &len),
                     -EX_H1_HEAD_TOO_LARGE);
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\nA: bbbbb\r"), limits, &len),
                     -EX_H1_HEAD_TOO_LARGE);
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\nA: b\r\n\r\nbody"), limits, &len), 0);
    assert_int_equal(scan_with(STR("GET / HTTP/1.1\r\nA: bc\r\n\r\n"), limits, &len),
                     -EX_H1_HEAD_TOO_LARGE);
}

static void the_limit_that_is_passed_first_counts(void **state)
{
    const struct h1_limits limits = {.line_max = 14, .head_max = 8};
    size_t len;

    (void)state;
    assert_int_equal(scan_with(STR("GET /aaa"), limits, &len), H1_MORE);
    assert_int_equal(scan_with(STR("GET /aaaa"), limits, &len), -EX_H1_HEAD_TOO_LARGE);
    assert_int_equal(scan_with(STR("GET /aaaaaaaaaaaaaaaaaaaa"), limits, &len),
                     -EX_H1_HEAD_TOO_LARGE);
}

static void progress_is_kept_between_calls(void **state)
{
    const struct h1_limits limits = H1_LIMITS_DEFAULT;
    const struct str text = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    struct h1_scan progress = {0};
    size_t len;

    (void)state;
    assert_int_equal(h1_scan_head(&progress, str_head(text, 20), &limits, &len), H1_MORE);
    assert_int_equal(progress.at, 20);
    assert_int_equal(progress.line, 16);
    assert_int_equal(progress.n_lines, 1);
    assert_int_equal(h1_scan_head(&progress, text, &limits, &len), 0);
    assert_int_equal(len, text.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_behind_its_empty_line),
        cmocka_unit_test(an_unfinished_head_asks_for_more),
        cmocka_unit_test(a_bare_lf_is_refused),
        cmocka_unit_test(a_bare_cr_is_refused),
        cmocka_unit_test(only_one_leading_empty_line_is_skipped),
        cmocka_unit_test(a_head_begins_with_a_token),
        cmocka_unit_test(white_space_before_the_first_field_is_refused),
        cmocka_unit_test(a_control_byte_is_refused_when_it_arrives),
        cmocka_unit_test(a_control_byte_is_found_at_every_offset),
        cmocka_unit_test(a_long_start_line_is_refused_at_its_first_byte_too_many),
        cmocka_unit_test(a_long_head_is_refused_at_its_first_byte_too_many),
        cmocka_unit_test(the_limit_that_is_passed_first_counts),
        cmocka_unit_test(progress_is_kept_between_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
