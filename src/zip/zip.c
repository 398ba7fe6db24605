/* SPDX-License-Identifier: MIT */
#include "zip/zip.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define GZIP        (15 + 16) /* window of 32 KiB, with gzip's header and trailer */
#define GZIP_LEVEL  1         /* on the path of every message: time before size */
#define GZIP_MEMORY 8
#define ZSTD_LEVEL  1
#define KEPT_MAX    ((size_t)256 * 1024) /* of a buffer, for the next message */

void zip_init(struct zip *z, size_t max)
{
    *z = (struct zip){.shrunk = BUF_INIT(max), .grown = BUF_INIT(max + 1)};
}

void zip_fini(struct zip *z)
{
    if (z->deflater != NULL)
        (void)deflateEnd(z->deflater);
    if (z->inflater != NULL)
        (void)inflateEnd(z->inflater);
    free(z->deflater);
    free(z->inflater);
    (void)ZSTD_freeCCtx(z->zstd_deflater);
    (void)ZSTD_freeDCtx(z->zstd_inflater);
    buf_fini(&z->shrunk);
    buf_fini(&z->grown);
}

/* Room for @n bytes and nothing else. Return: 0, <0. */
static int make_room(struct buf *b, size_t n)
{
    if (b->cap > KEPT_MAX)
        buf_fini(b);
    buf_reset(b);
    return buf_reserve(b, n);
}

/*
 * gzip
 */

/* Of zlib's functions, which take its input as not const. */
static Bytef *bytes_of(struct str s)
{
    return (Bytef *)(uintptr_t)s.s;
}

static z_stream *gzip_deflater(struct zip *z)
{
    z_stream *stream = z->deflater;

    if (stream != NULL)
        return deflateReset(stream) == Z_OK ? stream : NULL;
    stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    if (deflateInit2(stream, GZIP_LEVEL, Z_DEFLATED, GZIP, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(stream);
        return NULL;
    }
    z->deflater = stream;
    return stream;
}

static z_stream *gzip_inflater(struct zip *z)
{
    z_stream *stream = z->inflater;

    if (stream != NULL)
        return inflateReset(stream) == Z_OK ? stream : NULL;
    stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    if (inflateInit2(stream, GZIP) != Z_OK) {
        free(stream);
        return NULL;
    }
    z->inflater = stream;
    return stream;
}

static int gzip_shrink(struct zip *z, struct str raw)
{
    z_stream *stream = gzip_deflater(z);

    if (stream == NULL)
        return -ENOMEM;
    stream->next_in = bytes_of(raw);
    stream->avail_in = (uInt)raw.len;
    stream->next_out = (Bytef *)z->shrunk.data;
    stream->avail_out = (uInt)z->shrunk.cap;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return ZIP_KEEP; /* no room: it has not become shorter */
    z->shrunk.len = stream->total_out;
    return 0;
}

/* One byte more than there may be shows that there are too many. */
static int gzip_grow(struct zip *z, struct str body, uint32_t raw_len)
{
    z_stream *stream = gzip_inflater(z);

    if (stream == NULL)
        return -ENOMEM;
    stream->next_in = bytes_of(body);
    stream->avail_in = (uInt)body.len;
    stream->next_out = (Bytef *)z->grown.data;
    stream->avail_out = (uInt)raw_len + 1;
    if (inflate(stream, Z_FINISH) != Z_STREAM_END || stream->total_out != raw_len ||
        stream->avail_in > 0)
        return -EPROTO;
    return 0;
}

/*
 * zstd
 */

static int zstd_shrink(struct zip *z, struct str raw)
{
    size_t n;

    if (z->zstd_deflater == NULL)
        z->zstd_deflater = ZSTD_createCCtx();
    if (z->zstd_deflater == NULL)
        return -ENOMEM;
    n = ZSTD_compressCCtx(z->zstd_deflater, z->shrunk.data, z->shrunk.cap, raw.s, raw.len,
                          ZSTD_LEVEL);
    if (ZSTD_isError(n))
        return ZIP_KEEP;
    z->shrunk.len = n;
    return 0;
}

/*
 * The window that a frame asks for (RFC 8878, 3.1.1.1): the library looks at it only when it has to
 * keep one, so whether a frame passes would depend on how it is read. 0: it is no frame.
 */
static uint64_t zstd_window(struct str body)
{
    static const char magic[] = "\x28\xb5\x2f\xfd";
    const unsigned char *p = (const unsigned char *)body.s;
    uint64_t base;

    if (body.len < 6 || memcmp(p, magic, 4) != 0)
        return 0;
    if ((p[4] & 0x20) != 0) /* single segment: all of it */
        return ZSTD_getFrameContentSize(body.s, body.len);
    base = UINT64_C(1) << (10 + (p[5] >> 3));
    return base + base / 8 * (p[5] & 7);
}

static int zstd_grow(struct zip *z, struct str body, uint32_t raw_len)
{
    uint64_t window = zstd_window(body);

    if (window == 0 || window > ZIP_WINDOW_MAX ||
        ZSTD_findFrameCompressedSize(body.s, body.len) != body.len)
        return -EPROTO;
    if (z->zstd_inflater == NULL)
        z->zstd_inflater = ZSTD_createDCtx();
    if (z->zstd_inflater == NULL)
        return -ENOMEM;
    return ZSTD_decompressDCtx(z->zstd_inflater, z->grown.data, raw_len, body.s, body.len) ==
                   raw_len
               ? 0
               : -EPROTO;
}

/* One member is over. Return: 0 @u->is_whole, or the next one can be read; -EPROTO. */
static int end_member(z_stream *stream, struct zip_unpacking *u)
{
    u->is_whole = u->rest.len == 0;
    if (u->is_whole)
        return 0;
    return ++u->n_members < ZIP_MEMBERS_MAX && inflateReset(stream) == Z_OK ? 0 : -EPROTO;
}

/* Fills z->grown; @u->is_whole: that was the last of it. */
static int gzip_unpack(struct zip *z, struct zip_unpacking *u)
{
    z_stream *stream = z->inflater;
    int r;

    stream->next_in = bytes_of(u->rest);
    stream->avail_in = (uInt)u->rest.len;
    stream->next_out = (Bytef *)z->grown.data;
    stream->avail_out = ZIP_PIECE;
    r = inflate(stream, Z_NO_FLUSH);
    u->rest = str_from(u->rest, u->rest.len - stream->avail_in);
    z->grown.len = ZIP_PIECE - stream->avail_out;
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    if (r == Z_STREAM_END)
        return end_member(stream, u);
    return r == Z_OK && stream->avail_out == 0 ? 0 : -EPROTO;
}

static int zstd_unpack(struct zip *z, struct zip_unpacking *u)
{
    ZSTD_inBuffer in = {u->rest.s, u->rest.len, 0};
    ZSTD_outBuffer out = {z->grown.data, ZIP_PIECE, 0};
    size_t left = ZSTD_decompressStream(z->zstd_inflater, &out, &in);

    if (ZSTD_isError(left))
        return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -EPROTO;
    u->rest = str_from(u->rest, in.pos);
    z->grown.len = out.pos;
    u->is_whole = left == 0;
    return u->is_whole || out.pos == out.size ? 0 : -EPROTO;
}

/*
 * Either
 */

static bool is_absurd(size_t raw_len, size_t len)
{
    return raw_len > ZIP_RATIO_FREE && raw_len / ZIP_RATIO_MAX > len;
}

int zip_shrink(struct zip *z, enum zip_algorithm algorithm, struct str raw, struct str *ret)
{
    size_t most = raw.len - raw.len / 8; /* less gain than an eighth is none */
    int r;

    if (algorithm == ZIP_NONE || raw.len < ZIP_MIN || raw.len > UINT32_MAX / 2)
        return ZIP_KEEP;
    r = make_room(&z->shrunk, most);
    if (r < 0)
        return r;
    r = algorithm == ZIP_GZIP ? gzip_shrink(z, raw) : zstd_shrink(z, raw);
    if (r != 0)
        return r;
    if (z->shrunk.len > most || is_absurd(raw.len, z->shrunk.len))
        return ZIP_KEEP;
    *ret = buf_str(&z->shrunk);
    return 0;
}

int zip_grow(struct zip *z, enum zip_algorithm algorithm, struct str body, uint32_t raw_len,
             struct str *ret)
{
    int r;

    if (is_absurd(raw_len, body.len))
        return -EPROTO;
    r = make_room(&z->grown, (size_t)raw_len + 1);
    if (r < 0)
        return r;
    r = algorithm == ZIP_GZIP ? gzip_grow(z, body, raw_len) : zstd_grow(z, body, raw_len);
    if (r < 0)
        return r;
    z->grown.len = raw_len;
    *ret = buf_str(&z->grown);
    return 0;
}

static int unpack_prepare(struct zip *z, enum zip_algorithm algorithm, struct str body)
{
    uint64_t window;

    if (algorithm == ZIP_GZIP)
        return gzip_inflater(z) != NULL ? 0 : -ENOMEM;
    window = zstd_window(body);
    if (window == 0 || window > ZIP_WINDOW_MAX)
        return -EPROTO;
    if (z->zstd_inflater == NULL)
        z->zstd_inflater = ZSTD_createDCtx();
    if (z->zstd_inflater == NULL)
        return -ENOMEM;
    return ZSTD_isError(ZSTD_DCtx_reset(z->zstd_inflater, ZSTD_reset_session_only)) ? -EPROTO : 0;
}

int zip_unpack_begin(struct zip *z, enum zip_algorithm algorithm, struct str body)
{
    int r = body.len > UINT32_MAX ? -EPROTO : unpack_prepare(z, algorithm, body);

    z->unpacking =
        (struct zip_unpacking){.algorithm = algorithm, .rest = body, .body_len = body.len};
    return r < 0 ? r : make_room(&z->grown, ZIP_PIECE);
}

int zip_unpack_next(struct zip *z, struct str *ret_piece)
{
    struct zip_unpacking *u = &z->unpacking;
    int r;

    if (u->is_whole)
        return ZIP_END;
    r = u->algorithm == ZIP_GZIP ? gzip_unpack(z, u) : zstd_unpack(z, u);
    if (r < 0)
        return r;
    u->raw_len += z->grown.len;
    if (is_absurd(u->raw_len, u->body_len) || (u->is_whole && u->rest.len > 0))
        return -EPROTO;
    *ret_piece = buf_str(&z->grown);
    return 0;
}
