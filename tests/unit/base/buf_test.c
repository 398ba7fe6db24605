/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void bytes_come_out_as_they_went_in(void **state)
{
    CLEANUP(buf_fini) struct buf b = BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_put_char(&b, 'a'), 0);
        assert_int_equal(buf_put(&b, STR("b\0c")), 0);
        assert_int_equal(buf_put(&b, STR_NULL), 0);
    }
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.data + 3996, "ab\0c", 4);
}

static void a_put_beyond_the_maximum_changes_nothing(void **state)
{
    CLEANUP(buf_fini) struct buf b = BUF_INIT(10);

    (void)state;
    assert_int_equal(buf_put(&b, STR("123456")), 0);
    assert_int_equal(buf_put(&b, STR("12345")), -ENOBUFS);
    assert_int_equal(buf_printf(&b, "%d", 12345), -ENOBUFS);
    assert_true(str_eq(buf_str(&b), STR("123456")));
    assert_int_equal(buf_put(&b, STR("7890")), 0);
    assert_int_equal(buf_put_char(&b, 'x'), -ENOBUFS);
    assert_int_equal(b.cap, 10);
}

static void a_length_that_overflows_is_refused(void **state)
{
    CLEANUP(buf_fini) struct buf b = BUF_INIT(SIZE_MAX);

    (void)state;
    assert_int_equal(buf_put_char(&b, 'x'), 0);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
}

static void printf_leaves_no_nul_in_the_content(void **state)
{
    CLEANUP(buf_fini) struct buf b = BUF_INIT(4096);

    (void)state;
    assert_int_equal(buf_printf(&b, "%s-%03d", "ab", 7), 0);
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    assert_int_equal(buf_put_char(&b, '!'), 0);
    assert_true(str_eq(buf_str(&b), STR("ab-007!")));
    assert_int_equal(buf_printf(&b, "%300d", 1), 0);
    assert_int_equal(b.len, 307);
}

static void take_drops_from_the_front(void **state)
{
    CLEANUP(buf_fini) struct buf b = BUF_INIT(100);

    (void)state;
    buf_take(&b, 0);
    assert_int_equal(buf_put(&b, STR("abcdef")), 0);
    buf_take(&b, 2);
    assert_true(str_eq(buf_str(&b), STR("cdef")));
    buf_take(&b, 0);
    buf_take(&b, 4);
    assert_int_equal(b.len, 0);
}

static void a_finished_buffer_is_usable_again(void **state)
{
    struct buf b = BUF_INIT(5);

    (void)state;
    assert_int_equal(buf_put(&b, STR("12345")), 0);
    buf_reset(&b);
    assert_int_equal(buf_put(&b, STR("67890")), 0);
    buf_fini(&b);
    assert_null(b.data);
    assert_int_equal(buf_put(&b, STR("abcdef")), -ENOBUFS);
    assert_int_equal(buf_put(&b, STR("abcde")), 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(a_put_beyond_the_maximum_changes_nothing),
        cmocka_unit_test(a_length_that_overflows_is_refused),
        cmocka_unit_test(printf_leaves_no_nul_in_the_content),
        cmocka_unit_test(take_drops_from_the_front),
        cmocka_unit_test(a_finished_buffer_is_usable_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
