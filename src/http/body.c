/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "http/h1.h"
#include "http/octets.h"

#define CHUNK_DIGITS_MAX 16
#define LINE_MAX_BYTES   4096  /* a chunk-size line with extensions, or a trailer line */
#define EXTRA_MAX_BYTES  32768 /* all extensions and trailers of a body */

/*
 *  SIZE ─';'─► EXTENSION ─CR┐        ┌─────────────── next chunk ───────────────┐
 *    └────────── CR ────────┴► SIZE_LF ─ n > 0 ─► DATA ─► DATA_CR ─► DATA_LF ─► SIZE
 *                                 └ n = 0 ─► TRAILER
 *
 *  TRAILER ─ tchar ─► NAME ─':'─► VALUE ─CR─► VALUE_LF ─► TRAILER
 *    └ CR ─► END_LF ─► COMPLETE
 */
enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    NAME,
    VALUE,
    VALUE_LF,
    END_LF,
    COMPLETE,
};

void h1_body_init(struct h1_body *body, const struct h1_head *head)
{
    *body = (struct h1_body){
        .framing = head->framing,
        .left = head->framing == H1_BODY_LENGTH ? head->length : 0,
        .state = SIZE,
    };
}

static int enter(struct h1_body *body, enum state state)
{
    body->state = (uint8_t)state;
    return 0;
}

static int want(struct h1_body *body, char c, char wanted, enum state next)
{
    if (c == wanted)
        return enter(body, next);
    /* A line that ends otherwise than in CRLF, or content that is longer than its chunk said. */
    return wanted == '\n' || c == '\n' ? -EX_H1_BARE_LF : -EX_H1_CHUNK;
}

/* One more byte of an extension or trailer. */
static int count_extra(struct h1_body *body, int too_long)
{
    if (++body->line_len > LINE_MAX_BYTES)
        return too_long;
    return ++body->extra_len > EXTRA_MAX_BYTES ? -EX_H1_HEAD_TOO_LARGE : 0;
}

static int on_size(struct h1_body *body, char c)
{
    int digit = octets_hex(c);

    if (digit >= 0) {
        if (body->n_digits == CHUNK_DIGITS_MAX || body->left > INT64_MAX >> 4)
            return -EX_H1_CHUNK;
        body->left = body->left << 4 | (unsigned)digit;
        body->n_digits++;
        body->line_len++;
        return 0;
    }
    if (body->n_digits == 0)
        return -EX_H1_CHUNK;
    if (c == ';') {
        enter(body, EXTENSION);
        return count_extra(body, -EX_H1_CHUNK);
    }
    return want(body, c, '\r', SIZE_LF);
}

static int on_extension(struct h1_body *body, char c)
{
    if (octets_is(c, OCTET_VALUE))
        return count_extra(body, -EX_H1_CHUNK);
    return want(body, c, '\r', SIZE_LF);
}

static int on_size_lf(struct h1_body *body, char c)
{
    body->line_len = 0;
    body->n_digits = 0;
    return want(body, c, '\n', body->left > 0 ? DATA : TRAILER);
}

static int on_trailer(struct h1_body *body, char c)
{
    body->line_len = 0;
    if (c == '\r')
        return enter(body, END_LF);
    if (octets_is_blank(c))
        return -EX_H1_FOLD;
    if (!octets_is(c, OCTET_TOKEN))
        return c == '\n' ? -EX_H1_BARE_LF : -EX_H1_FIELD;
    enter(body, NAME);
    return count_extra(body, -EX_H1_HEAD_TOO_LARGE);
}

static int on_name(struct h1_body *body, char c)
{
    if (c == ':')
        enter(body, VALUE);
    else if (!octets_is(c, OCTET_TOKEN))
        return -EX_H1_FIELD;
    return count_extra(body, -EX_H1_HEAD_TOO_LARGE);
}

static int on_value(struct h1_body *body, char c)
{
    if (c == '\r')
        return enter(body, VALUE_LF);
    if (!octets_is(c, OCTET_VALUE))
        return c == '\n' ? -EX_H1_BARE_LF : -EX_H1_FIELD;
    return count_extra(body, -EX_H1_HEAD_TOO_LARGE);
}

/* One byte of framing. A refused byte is not consumed, so a second call says the same. */
static int step(struct h1_body *body, char c)
{
    switch ((enum state)body->state) {
    case SIZE:
        return on_size(body, c);
    case EXTENSION:
        return on_extension(body, c);
    case SIZE_LF:
        return on_size_lf(body, c);
    case DATA_CR:
        return want(body, c, '\r', DATA_LF);
    case DATA_LF:
        return want(body, c, '\n', SIZE);
    case TRAILER:
        return on_trailer(body, c);
    case NAME:
        return on_name(body, c);
    case VALUE:
        return on_value(body, c);
    case VALUE_LF:
        return want(body, c, '\n', TRAILER);
    case END_LF:
        return want(body, c, '\n', COMPLETE);
    case DATA:
    case COMPLETE:
        break;
    }
    return -EX_H1_CHUNK;
}

static void advance(struct str *in, size_t n)
{
    in->s += n;
    in->len -= n;
}

/* Content up to the end of the body or chunk in hand. */
static int take_content(struct h1_body *body, struct str *in, struct str *ret_data)
{
    size_t n = body->left < in->len ? (size_t)body->left : in->len;

    if (n == 0)
        return H1_MORE;
    *ret_data = str_head(*in, n);
    advance(in, n);
    body->left -= n;
    return 0;
}

static int feed_chunked(struct h1_body *body, struct str *in, struct str *ret_data)
{
    while (body->state != COMPLETE) {
        int r;

        if (body->state == DATA && body->left > 0)
            return take_content(body, in, ret_data);
        if (body->state == DATA)
            enter(body, DATA_CR);
        if (in->len == 0)
            return H1_MORE;
        r = step(body, in->s[0]);
        if (r < 0)
            return r;
        advance(in, 1);
    }
    return H1_DONE;
}

int h1_body_feed(struct h1_body *body, struct str *in, struct str *ret_data)
{
    switch (body->framing) {
    case H1_BODY_NONE:
        return H1_DONE;
    case H1_BODY_LENGTH:
        return body->left == 0 ? H1_DONE : take_content(body, in, ret_data);
    case H1_BODY_CHUNKED:
        return feed_chunked(body, in, ret_data);
    case H1_BODY_EOF:
        break;
    }
    body->left = in->len;
    return take_content(body, in, ret_data);
}

int h1_body_eof(const struct h1_body *body)
{
    bool is_cut_off = (body->framing == H1_BODY_LENGTH && body->left > 0) ||
                      (body->framing == H1_BODY_CHUNKED && body->state != COMPLETE);

    return is_cut_off ? -EX_H1_TRUNCATED : 0;
}
