/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zip/zip.h"

#define MAX ((size_t)16 * 1024 * 1024)

static const enum zip_algorithm algorithms[] = {ZIP_GZIP, ZIP_ZSTD};

#define for_each_algorithm(a) \
    for (const enum zip_algorithm *a = algorithms; a < algorithms + 2; a++)

static int setup(void **state)
{
    static struct zip z;

    zip_init(&z, MAX);
    *state = &z;
    return 0;
}

static int teardown(void **state)
{
    zip_fini(*state);
    return 0;
}

/* Text with some order in it. */
static struct str text_make(size_t len)
{
    static char text[MAX];
    static const char words[] = "the quick brown fox jumps over the lazy dog, ";
    uint32_t x = 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = (x >> 24) < 40 ? (char)('a' + (x >> 16) % 26) : words[i % (sizeof(words) - 1)];
    }
    return str_make(text, len);
}

static struct str noise_make(size_t len)
{
    static char noise[65536];
    uint32_t x = 7;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        noise[i] = (char)(x >> 24);
    }
    return str_make(noise, len);
}

static void what_is_shrunk_grows_back(void **state)
{
    static const size_t lengths[] = {ZIP_MIN, 5000, 70000, 3000000, MAX};

    for_each_algorithm(a) for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
    {
        struct str raw = text_make(lengths[i]);
        struct str small;
        struct str back;

        assert_int_equal(zip_shrink(*state, *a, raw, &small), 0);
        assert_true(small.len < raw.len - raw.len / 8);
        assert_int_equal(zip_grow(*state, *a, small, (uint32_t)raw.len, &back), 0);
        assert_int_equal(back.len, raw.len);
        assert_memory_equal(back.s, raw.s, raw.len);
    }
}

static void what_is_short_or_would_gain_nothing_is_kept(void **state)
{
    struct str small;

    for_each_algorithm(a)
    {
        assert_int_equal(zip_shrink(*state, *a, text_make(ZIP_MIN - 1), &small), ZIP_KEEP);
        assert_int_equal(zip_shrink(*state, *a, noise_make(60000), &small), ZIP_KEEP);
    }
    assert_int_equal(zip_shrink(*state, ZIP_NONE, text_make(5000), &small), ZIP_KEEP);
}

/* [M-72] [M-73] */
static void any_other_length_than_the_one_told_is_refused(void **state)
{
    struct str raw = text_make(5000);
    struct str small;
    struct str back;

    for_each_algorithm(a)
    {
        assert_int_equal(zip_shrink(*state, *a, raw, &small), 0);
        assert_int_equal(zip_grow(*state, *a, small, 4999, &back), -EPROTO);
        assert_int_equal(zip_grow(*state, *a, small, 5001, &back), -EPROTO);
        assert_int_equal(zip_grow(*state, *a, small, 0, &back), -EPROTO);
        assert_int_equal(zip_grow(*state, *a, small, 5000, &back), 0);
    }
}

static void what_is_cut_longer_or_garbled_is_refused(void **state)
{
    char copy[8192];
    struct str small;
    struct str back;

    for_each_algorithm(a)
    {
        assert_int_equal(zip_shrink(*state, *a, text_make(5000), &small), 0);
        assert_true(small.len < sizeof(copy) - 1);
        memcpy(copy, small.s, small.len);
        for (size_t len = 0; len < small.len; len++)
            assert_int_equal(zip_grow(*state, *a, str_make(copy, len), 5000, &back), -EPROTO);
        copy[small.len] = '\0';
        assert_int_equal(zip_grow(*state, *a, str_make(copy, small.len + 1), 5000, &back), -EPROTO);
        copy[1] ^= 1;
        assert_int_equal(zip_grow(*state, *a, str_make(copy, small.len), 5000, &back), -EPROTO);
        assert_int_equal(zip_grow(*state, *a, noise_make(5000), 5000, &back), -EPROTO);
    }
}

static void a_ratio_that_no_honest_message_has_is_neither_made_nor_taken(void **state)
{
    static const char zeros[1024 * 1024];
    struct str small;
    struct str back;

    for_each_algorithm(a) /* what is made can be taken */
        if (zip_shrink(*state, *a, str_make(zeros, sizeof(zeros)), &small) == 0)
            assert_int_equal(zip_grow(*state, *a, small, sizeof(zeros), &back), 0);
    assert_int_equal(zip_shrink(*state, ZIP_ZSTD, str_make(zeros, sizeof(zeros)), &small),
                     ZIP_KEEP);
    assert_int_equal(zip_grow(*state, ZIP_GZIP, text_make(300), 300 * 256 + 256, &back), -EPROTO);
}

/* Return: as zip_unpack_next(); ZIP_END it came to @raw. */
static int unpack(struct zip *z, enum zip_algorithm algorithm, struct str body, struct str raw)
{
    struct str piece;
    size_t at = 0;
    int r = zip_unpack_begin(z, algorithm, body);

    while (r == 0) {
        r = zip_unpack_next(z, &piece);
        if (r != 0)
            break;
        assert_true(piece.len <= ZIP_PIECE && at + piece.len <= raw.len);
        assert_true(piece.len == 0 || memcmp(raw.s + at, piece.s, piece.len) == 0);
        at += piece.len;
    }
    if (r == ZIP_END)
        assert_int_equal(at, raw.len);
    return r;
}

static void a_message_of_unknown_length_comes_in_pieces(void **state)
{
    static const size_t lengths[] = {ZIP_MIN, ZIP_PIECE - 1, ZIP_PIECE, ZIP_PIECE + 1, 3000000};

    for_each_algorithm(a) for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
    {
        struct str raw = text_make(lengths[i]);
        struct str small;

        assert_int_equal(zip_shrink(*state, *a, raw, &small), 0);
        assert_int_equal(unpack(*state, *a, small, raw), ZIP_END);
    }
}

static void pieces_of_what_is_cut_longer_or_garbled_end_in_an_error(void **state)
{
    char copy[8192];
    struct str raw = text_make(5000);
    struct str small;

    for_each_algorithm(a)
    {
        assert_int_equal(zip_shrink(*state, *a, raw, &small), 0);
        assert_true(small.len < sizeof(copy) - 1);
        memcpy(copy, small.s, small.len);
        for (size_t len = 0; len < small.len; len++)
            assert_int_equal(unpack(*state, *a, str_make(copy, len), raw), -EPROTO);
        copy[small.len] = '\0';
        assert_int_equal(unpack(*state, *a, str_make(copy, small.len + 1), raw), -EPROTO);
        assert_int_equal(unpack(*state, *a, str_make(copy, small.len), raw), ZIP_END);
        copy[1] ^= 1;
        assert_int_equal(unpack(*state, *a, str_make(copy, small.len), raw), -EPROTO);
    }
    /* a window over 8 MiB */
    assert_int_equal(
        unpack(*state, ZIP_ZSTD, str_make("\x28\xb5\x2f\xfd\x00\x69\x09\x00\x00x", 10), STR("x")),
        -EPROTO);
}

/* Puts @n gzip members of @raw, one behind the other. Return: the length of one. */
static size_t put_members(struct zip *z, struct str raw, size_t n, struct buf *out)
{
    struct str small;

    assert_int_equal(zip_shrink(z, ZIP_GZIP, raw, &small), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_put(out, small), 0);
    return small.len;
}

static void gzip_members_behind_one_another_are_one_message(void **state)
{
    struct buf body = BUF_INIT(1 << 20);
    struct str raw = text_make(ZIP_PIECE + 1 + ZIP_MIN);
    struct str half = str_head(raw, ZIP_PIECE + 1);
    struct str small;
    size_t first;

    first = put_members(*state, half, 1, &body);
    assert_int_equal(zip_shrink(*state, ZIP_GZIP, str_from(raw, half.len), &small), 0);
    assert_int_equal(buf_put(&body, small), 0);
    assert_int_equal(unpack(*state, ZIP_GZIP, buf_str(&body), raw), ZIP_END);
    for (size_t len = first + 1; len < body.len; len++)
        assert_int_equal(unpack(*state, ZIP_GZIP, str_head(buf_str(&body), len), raw), -EPROTO);
    buf_fini(&body);
}

static void zstd_frames_behind_one_another_are_refused(void **state)
{
    struct buf body = BUF_INIT(1 << 20);
    struct str raw = text_make(5000);
    struct str small;

    assert_int_equal(zip_shrink(*state, ZIP_ZSTD, raw, &small), 0);
    assert_int_equal(buf_put(&body, small), 0);
    assert_int_equal(buf_put(&body, small), 0);
    assert_int_equal(unpack(*state, ZIP_ZSTD, buf_str(&body), raw), -EPROTO);
    buf_fini(&body);
}

static void more_gzip_members_than_the_maximum_are_refused(void **state)
{
    struct buf body = BUF_INIT(16 << 20);
    struct str raw = text_make(ZIP_MIN);
    struct str piece;
    size_t one = put_members(*state, raw, ZIP_MEMBERS_MAX + 1, &body);
    int r = zip_unpack_begin(*state, ZIP_GZIP, str_head(buf_str(&body), body.len - one));

    while (r == 0)
        r = zip_unpack_next(*state, &piece);
    assert_int_equal(r, ZIP_END);
    r = zip_unpack_begin(*state, ZIP_GZIP, buf_str(&body));
    while (r == 0)
        r = zip_unpack_next(*state, &piece);
    assert_int_equal(r, -EPROTO);
    buf_fini(&body);
}

/* Eight blocks of 128 KiB of one byte each, in 4 bytes each (RFC 8878, 3.1.1.2.2). */
static void pieces_stop_at_a_ratio_that_no_honest_message_has(void **state)
{
    static const char head[] = "\x28\xb5\x2f\xfd\x00\x68";
    static const char zeros[8 * 128 * 1024];
    char frame[6 + 8 * 4];

    memcpy(frame, head, 6);
    for (size_t i = 0; i < 8; i++)
        memcpy(frame + 6 + i * 4, i == 7 ? "\x03\x00\x10\x00" : "\x02\x00\x10\x00", 4);
    assert_int_equal(
        unpack(*state, ZIP_ZSTD, str_make(frame, sizeof(frame)), str_make(zeros, sizeof(zeros))),
        -EPROTO);
}

/* [M-72] Windows of 8 MiB, of an eighth more, and of 2 GiB; and a single segment of 9 MiB. */
static void a_window_over_8_mib_is_refused(void **state)
{
    static const struct {
        const char *frame;
        size_t len;
        int result;
    } rows[] = {
        /* one raw block of 1 byte: header 0x0b (len 1 << 3 | last) 0 0 */
        {"\x28\xb5\x2f\xfd\x00\x68\x09\x00\x00x", 10, 0},
        {"\x28\xb5\x2f\xfd\x00\x69\x09\x00\x00x", 10, -EPROTO},
        {"\x28\xb5\x2f\xfd\x00\xa8\x09\x00\x00x", 10, -EPROTO},
        {"\x28\xb5\x2f\xfd\xa0\x00\x00\x90\x00\x09\x00\x00x", 13, -EPROTO},
        {"\x50\x2a\x4d\x18\x02\x00\x00\x00xx", 10, -EPROTO}, /* a frame to be skipped */
    };
    struct str back;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(zip_grow(*state, ZIP_ZSTD, str_make(rows[i].frame, rows[i].len), 1, &back),
                         rows[i].result);
}

static void the_longest_message_is_a_bound(void **state)
{
    struct zip z;
    struct str small;
    struct str back;

    zip_init(&z, 4096);
    assert_int_equal(zip_shrink(*state, ZIP_GZIP, text_make(4097), &small), 0);
    assert_int_equal(zip_grow(&z, ZIP_GZIP, small, 4097, &back), -ENOBUFS);
    zip_fini(&z);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_shrunk_grows_back),
        TEST(what_is_short_or_would_gain_nothing_is_kept),
        TEST(any_other_length_than_the_one_told_is_refused),
        TEST(what_is_cut_longer_or_garbled_is_refused),
        TEST(a_ratio_that_no_honest_message_has_is_neither_made_nor_taken),
        TEST(a_window_over_8_mib_is_refused),
        TEST(the_longest_message_is_a_bound),
        TEST(a_message_of_unknown_length_comes_in_pieces),
        TEST(pieces_of_what_is_cut_longer_or_garbled_end_in_an_error),
        TEST(gzip_members_behind_one_another_are_one_message),
        TEST(zstd_frames_behind_one_another_are_refused),
        TEST(more_gzip_members_than_the_maximum_are_refused),
        TEST(pieces_stop_at_a_ratio_that_no_honest_message_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
