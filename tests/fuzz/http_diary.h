/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A connection that only reads, and writes a diary of what it understood. However the same bytes
 * were cut into pieces, the diary must be the same.
 */

#include "base/err.h"
#include "fuzz.h"
#include "http/h1.h"

static const struct h1_limits diary_limits = {.line_max = 256, .head_max = 1024};

/* Parses a whole head, and does with it what else the target wants. Return: 0; -EX_H1_*. */
typedef int diary_parse_fn(struct str head, struct h1_head *ret_head);

struct diary {
    diary_parse_fn *parse;
    bool is_in_body;
    int err;
    struct buf unread;
    struct h1_scan scan;
    struct h1_body body;
    struct buf text;
};

static inline void diary_str(struct diary *d, struct str bytes)
{
    FUZZ_CHECK(buf_printf(&d->text, "<%d>", bytes.s != NULL) == 0);
    fuzz_put(&d->text, bytes);
    FUZZ_CHECK(buf_put_char(&d->text, '\n') == 0);
}

static inline void diary_head(struct diary *d, const struct h1_head *head)
{
    FUZZ_CHECK(buf_printf(&d->text,
                          "[%d %d %u keep=%d upgrade=%d expect=%d framing=%d length=%llu]",
                          (int)head->method, (int)head->status, head->minor, head->keep_alive,
                          head->has_upgrade, head->expect_continue, (int)head->framing,
                          (unsigned long long)head->length) == 0);
    diary_str(d, head->method_name);
    diary_str(d, head->path);
    diary_str(d, head->query);
    diary_str(d, head->host);
    diary_str(d, head->reason);
    for (size_t i = 0; i < head->n_fields; i++) {
        diary_str(d, head->fields[i].name);
        diary_str(d, head->fields[i].value);
    }
}

/* Return: 0 a head was read; H1_MORE; -EX_H1_*. */
static inline int diary_read_head(struct diary *d, struct str unread)
{
    struct h1_head head;
    size_t len;
    struct str exact;
    int r = h1_scan_head(&d->scan, unread, &diary_limits, &len);

    if (r != 0)
        return r;
    FUZZ_CHECK(len <= unread.len && len <= diary_limits.head_max);
    exact = fuzz_exact(str_head(unread, len));
    r = d->parse(exact, &head);
    if (r == 0) {
        diary_head(d, &head);
        h1_body_init(&d->body, &head);
        d->is_in_body = true;
        buf_take(&d->unread, len);
    }
    fuzz_free(exact);
    return r;
}

/* Return: 0 the body is complete; H1_MORE; -EX_H1_*. */
static inline int diary_read_body(struct diary *d, struct str unread)
{
    struct str in = unread;
    struct str data;
    int r;

    while ((r = h1_body_feed(&d->body, &in, &data)) == 0) {
        FUZZ_CHECK(data.len > 0 && data.s >= unread.s &&
                   data.s + data.len <= unread.s + unread.len);
        fuzz_put(&d->text, data);
    }
    FUZZ_CHECK(r != H1_MORE || in.len == 0);
    buf_take(&d->unread, unread.len - in.len);
    if (r != H1_DONE)
        return r;
    d->is_in_body = false;
    d->scan = (struct h1_scan){0};
    diary_str(d, STR("done"));
    return 0;
}

static inline void diary_feed(struct diary *d, struct str piece)
{
    int r = d->err;

    fuzz_put(&d->unread, piece);
    while (r == 0) {
        struct str unread = fuzz_exact(buf_str(&d->unread));

        r = d->is_in_body ? diary_read_body(d, unread) : diary_read_head(d, unread);
        fuzz_free(unread);
    }
    if (r < 0)
        d->err = r;
}

/* The diary of @bytes cut in one way; the caller closes the buffer. */
static inline struct buf diary_of(struct str bytes, enum fuzz_cut cut, diary_parse_fn *parse)
{
    struct diary d = {.parse = parse, .unread = BUF_INIT(1u << 20), .text = BUF_INIT(SIZE_MAX / 2)};
    struct fuzz_pieces pieces = fuzz_cut(bytes, cut);
    struct str piece;

    while (fuzz_next(&pieces, &piece))
        diary_feed(&d, piece);
    if (d.err == 0 && d.is_in_body)
        d.err = h1_body_eof(&d.body);
    FUZZ_CHECK(buf_printf(&d.text, "end %d", d.err) == 0);
    buf_fini(&d.unread);
    return d.text;
}

static inline void diary_compare(struct str bytes, diary_parse_fn *parse)
{
    struct buf whole = diary_of(bytes, FUZZ_WHOLE, parse);

    for (int cut = FUZZ_WHOLE + 1; cut < N_FUZZ_CUTS; cut++) {
        struct buf other = diary_of(bytes, (enum fuzz_cut)cut, parse);

        FUZZ_CHECK(str_eq(buf_str(&whole), buf_str(&other)));
        buf_fini(&other);
    }
    buf_fini(&whole);
}
