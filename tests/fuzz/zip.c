/* SPDX-License-Identifier: MIT */

/*
 * Compressed messages
 *
 * Input: a byte of options, two of a length, then a message. It is inflated, at once and a piece at
 * a time, or is raw and goes there and back. Claims: both ways of inflating see the same message, or
 * none, but that several gzip members are one message a piece at a time and none at once, and that
 * libzstd takes some frames of nothing only a piece at a time; a length that is not told exactly is
 * refused; what is shrunk is shorter and grows back; a struct zip is as good as new after an error.
 */

#include <errno.h>

#include "fuzz.h"
#include "zip/zip.h"

#define KIB      1024u
#define LONGEST  (256 * KIB)
#define RAW_MAX  (64 * KIB)
#define UNPACKED (1024 * KIB) /* more is not asked for */

enum {
    OPT_ZSTD = 1 << 0,
    OPT_RAW = 1 << 1,    /* bytes to be shrunk */
    OPT_BEFORE = 1 << 2, /* they are inflated once before */
};

static bool is_refusal(int r)
{
    return r == -EPROTO || r == -ENOBUFS;
}

/* Return: 0 all of it is in @whole; ZIP_END it is longer than anybody asked for; <0. */
static int unpack(struct zip *z, enum zip_algorithm algorithm, struct str body, struct buf *whole)
{
    struct str piece;
    int r = zip_unpack_begin(z, algorithm, body);

    while (r == 0 && whole->len <= UNPACKED - ZIP_PIECE) {
        r = zip_unpack_next(z, &piece);
        if (r == ZIP_END)
            return 0;
        if (r == 0) {
            FUZZ_CHECK(piece.len <= ZIP_PIECE);
            fuzz_put(whole, piece);
        }
    }
    FUZZ_CHECK(r == 0 || is_refusal(r));
    return r < 0 ? r : ZIP_END;
}

static void inflate_both(struct zip *z, enum zip_algorithm algorithm, struct str body,
                         uint32_t told)
{
    struct buf whole = BUF_INIT(UNPACKED);
    struct str grown;
    int unpacked = unpack(z, algorithm, body, &whole);
    bool is_one = z->unpacking.n_members == 0;
    int r = zip_grow(z, algorithm, body, told, &grown);

    FUZZ_CHECK(r == 0 || is_refusal(r));
    if (r == 0)
        FUZZ_CHECK(is_one && grown.len == told && unpacked == 0 && str_eq(grown, buf_str(&whole)));
    if (unpacked == 0 && whole.len <= LONGEST) {
        r = zip_grow(z, algorithm, body, (uint32_t)whole.len, &grown);
        if (!is_one || (r < 0 && algorithm == ZIP_ZSTD && whole.len == 0))
            FUZZ_CHECK(r == -EPROTO);
        else
            FUZZ_CHECK(r == 0 && str_eq(grown, buf_str(&whole)));
        FUZZ_CHECK(zip_grow(z, algorithm, body, (uint32_t)whole.len + 1, &grown) < 0);
    }
    buf_fini(&whole);
}

/* @len: of the raw message, of which @unit is repeated. */
static void there_and_back(struct zip *z, enum zip_algorithm algorithm, struct str unit, size_t len)
{
    struct buf raw = BUF_INIT(RAW_MAX);
    struct str small;
    struct str back;
    int r;

    while (raw.len < len)
        fuzz_put(&raw, unit.len > 0 ? str_head(unit, len - raw.len) : STR("\0"));
    r = zip_shrink(z, algorithm, buf_str(&raw), &small);
    FUZZ_CHECK(r == 0 || r == ZIP_KEEP);
    if (r == 0) {
        FUZZ_CHECK(small.len < raw.len);
        small = fuzz_exact(small);
        FUZZ_CHECK(zip_grow(z, algorithm, small, (uint32_t)raw.len, &back) == 0);
        FUZZ_CHECK(str_eq(back, buf_str(&raw)));
        inflate_both(z, algorithm, small, (uint32_t)raw.len);
        fuzz_free(small);
    }
    buf_fini(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    uint8_t options = fuzz_u8(&in);
    unsigned low = fuzz_u8(&in);
    uint32_t len = low | (unsigned)fuzz_u8(&in) << 8;
    enum zip_algorithm algorithm = (options & OPT_ZSTD) != 0 ? ZIP_ZSTD : ZIP_GZIP;
    struct str body = fuzz_exact(in);
    struct zip z;

    zip_init(&z, LONGEST);
    if ((options & (OPT_RAW | OPT_BEFORE)) != OPT_RAW)
        inflate_both(&z, algorithm, body, len);
    if ((options & OPT_RAW) != 0)
        there_and_back(&z, algorithm, body, len);
    zip_fini(&z);
    fuzz_free(body);
    return 0;
}
