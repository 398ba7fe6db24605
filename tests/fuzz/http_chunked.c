/* SPDX-License-Identifier: MIT */

/*
 * A chunked body: the same content, and the same end, however it was cut, and as a second, simpler
 * reader has it who sees whole lines; the content written in chunks of ours reads the same.
 */

#include "base/err.h"
#include "fuzz.h"
#include "http/h1.h"

struct outcome {
    int r;       /* H1_MORE, H1_DONE or an error */
    size_t left; /* bytes behind the body */
    struct buf content;
};

static struct outcome decode(struct str bytes, enum fuzz_cut cut)
{
    const struct h1_head head = {.framing = H1_BODY_CHUNKED};
    struct outcome out = {.r = H1_MORE, .content = BUF_INIT(1u << 20)};
    struct fuzz_pieces pieces = fuzz_cut(bytes, cut);
    struct h1_body body;
    struct str piece;

    h1_body_init(&body, &head);
    while (out.r == H1_MORE && fuzz_next(&pieces, &piece)) {
        struct str exact = fuzz_exact(piece);
        struct str in = exact;
        struct str data;

        while ((out.r = h1_body_feed(&body, &in, &data)) == 0) {
            FUZZ_CHECK(data.len > 0);
            fuzz_put(&out.content, data);
        }
        out.left = pieces.rest.len + in.len;
        fuzz_free(exact);
    }
    FUZZ_CHECK(out.r < 0 || (h1_body_eof(&body) == 0) == (out.r == H1_DONE));
    return out;
}

/* Cuts a line with its CRLF off the front; no CR or LF stands elsewhere in it. */
static struct str take_line(struct str *in)
{
    struct str line = fuzz_take(in, str_search(*in, STR("\r\n")));

    FUZZ_CHECK(str_eq(fuzz_take(in, 2), STR("\r\n")));
    FUZZ_CHECK(str_find(line, '\r') == line.len && str_find(line, '\n') == line.len);
    return line;
}

/* The size in front of the end of the line, or of an extension. */
static uint64_t read_size(struct str line)
{
    struct str digits = str_head(line, str_find(line, ';'));
    uint64_t size = 0;

    FUZZ_CHECK(digits.len >= 1 && digits.len <= 16);
    for (size_t i = 0; i < digits.len; i++) {
        size_t digit = str_find(STR("0123456789abcdef"), ascii_lower(digits.s[i]));

        FUZZ_CHECK(digit < 16);
        size = size << 4 | digit;
    }
    return size;
}

/* A body that was taken, read a second time. */
static void read_again(struct str bytes, const struct outcome *out)
{
    struct str content = buf_str(&out->content);
    uint64_t size;

    while ((size = read_size(take_line(&bytes))) > 0) {
        FUZZ_CHECK(size <= content.len && size <= bytes.len);
        FUZZ_CHECK(str_eq(fuzz_take(&bytes, (size_t)size), fuzz_take(&content, (size_t)size)));
        FUZZ_CHECK(str_eq(fuzz_take(&bytes, 2), STR("\r\n")));
    }
    for (struct str line = take_line(&bytes); line.len > 0; line = take_line(&bytes))
        FUZZ_CHECK(str_find(line, ':') > 0 && str_find(line, ':') < line.len);
    FUZZ_CHECK(content.len == 0 && bytes.len == out->left);
}

static void put_chunk(struct buf *out, struct str data)
{
    char head[H1_CHUNK_HEAD_MAX];

    fuzz_put(out, str_make(head, h1_chunk_head(head, data.len)));
    fuzz_put(out, data);
    fuzz_put(out, STR("\r\n"));
}

static void encode_again(struct str content)
{
    struct buf sent = BUF_INIT(1u << 24);
    struct fuzz_pieces pieces = fuzz_cut(content, FUZZ_RANDOM);
    struct outcome again;
    struct str piece;

    while (fuzz_next(&pieces, &piece))
        put_chunk(&sent, piece);
    fuzz_put(&sent, STR("0\r\n\r\n"));
    again = decode(buf_str(&sent), FUZZ_RANDOM);
    FUZZ_CHECK(again.r == H1_DONE && again.left == 0);
    FUZZ_CHECK(str_eq(buf_str(&again.content), content));
    buf_fini(&again.content);
    buf_fini(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);
    struct outcome whole = decode(bytes, FUZZ_WHOLE);

    for (int cut = FUZZ_WHOLE + 1; cut < N_FUZZ_CUTS; cut++) {
        struct outcome other = decode(bytes, (enum fuzz_cut)cut);

        FUZZ_CHECK(other.r == whole.r && (other.r < 0 || other.left == whole.left));
        FUZZ_CHECK(str_eq(buf_str(&other.content), buf_str(&whole.content)));
        buf_fini(&other.content);
    }
    if (whole.r == H1_DONE)
        read_again(bytes, &whole);
    encode_again(buf_str(&whole.content));
    buf_fini(&whole.content);
    return 0;
}
