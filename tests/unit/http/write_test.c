/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "exact.h"
#include "http/h1.h"

static void a_status_line_carries_its_phrase(void **state)
{
    struct buf out = BUF_INIT(1000);

    (void)state;
    assert_int_equal(h1_put_status(&out, 200), 0);
    assert_int_equal(h1_put_status(&out, 431), 0);
    assert_int_equal(h1_put_status(&out, 599), 0);
    assert_str(
        buf_str(&out),
        "HTTP/1.1 200 OK\r\nHTTP/1.1 431 Request Header Fields Too Large\r\nHTTP/1.1 599 \r\n");
    buf_fini(&out);
}

static void an_unknown_status_has_no_phrase(void **state)
{
    (void)state;
    assert_string_equal(h1_reason(404), "Not Found");
    assert_string_equal(h1_reason(599), "");
    assert_string_equal(h1_reason(600), "");
    assert_string_equal(h1_reason(99), "");
    assert_string_equal(h1_reason(-1), "");
}

static void a_field_is_name_colon_space_value(void **state)
{
    struct buf out = BUF_INIT(1000);

    (void)state;
    assert_int_equal(h1_put_field(&out, STR("Content-Type"), STR("text/plain")), 0);
    assert_int_equal(h1_put_field(&out, STR("X"), STR_NULL), 0);
    assert_str(buf_str(&out), "Content-Type: text/plain\r\nX: \r\n");
    buf_fini(&out);
}

static void a_put_without_room_changes_nothing(void **state)
{
    struct buf out = BUF_INIT(16);

    (void)state;
    assert_int_equal(h1_put_status(&out, 200), -ENOBUFS);
    assert_int_equal(h1_put_field(&out, STR("A"), STR("0123456789ab")), -ENOBUFS);
    assert_int_equal(out.len, 0);
    assert_int_equal(h1_put_field(&out, STR("A"), STR("0123456789a")), 0);
    assert_int_equal(out.len, 16);
    buf_fini(&out);
}

static void a_chunk_head_is_the_shortest_hex_number(void **state)
{
    static const struct {
        size_t n;
        const char *text;
    } rows[] = {
        {1, "1\r\n"},         {9, "9\r\n"},
        {10, "a\r\n"},        {15, "f\r\n"},
        {16, "10\r\n"},       {255, "ff\r\n"},
        {256, "100\r\n"},     {0xabcdef, "abcdef\r\n"},
        {65536, "10000\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    {
        char out[H1_CHUNK_HEAD_MAX];

        assert_str(str_make(out, h1_chunk_head(out, rows[i].n)), rows[i].text);
    }
}

static void what_we_write_we_read(void **state)
{
    struct buf out = BUF_INIT(1000);
    struct h1_head head;

    (void)state;
    for (int status = 200; status <= 599; status++) {
        buf_reset(&out);
        assert_int_equal(h1_put_status(&out, status), 0);
        assert_int_equal(h1_put_field(&out, STR("Content-Length"), STR("0")), 0);
        assert_int_equal(buf_put(&out, STR("\r\n")), 0);
        assert_int_equal(h1_parse_response(buf_str(&out), false, &head), 0);
        assert_int_equal(head.status, status);
        assert_str(head.reason, h1_reason(status));
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_line_carries_its_phrase),
        cmocka_unit_test(an_unknown_status_has_no_phrase),
        cmocka_unit_test(a_field_is_name_colon_space_value),
        cmocka_unit_test(a_put_without_room_changes_nothing),
        cmocka_unit_test(a_chunk_head_is_the_shortest_hex_number),
        cmocka_unit_test(what_we_write_we_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
