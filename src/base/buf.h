/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Growing byte buffer
 *
 * Owns its bytes, grows by doubling, and never beyond the maximum given at init. A failed put
 * changes nothing.
 */

#include <stdarg.h>

#include "base/str.h"

struct buf {
    char *data; /* len bytes in use, cap available; NULL while cap is 0 */
    size_t len;
    size_t cap;
    size_t max;
};

#define BUF_INIT(max_) ((struct buf){.max = (max_)})

/* Frees the bytes; the buffer is empty and usable again. */
void buf_fini(struct buf *b);

static inline void buf_reset(struct buf *b)
{
    b->len = 0;
}

static inline struct str buf_str(const struct buf *b)
{
    return str_make(b->data, b->len);
}

/* Makes room for @n more bytes. Return: 0, -ENOBUFS beyond the maximum, -ENOMEM. */
MUST_USE int buf_reserve(struct buf *b, size_t n);

/*
 * Appends; @bytes must not lie in @b itself. buf_printf() needs room for one byte more than it
 * adds. Return: as buf_reserve().
 */
MUST_USE int buf_put(struct buf *b, struct str bytes);
MUST_USE int buf_put_char(struct buf *b, char c);
MUST_USE int buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);

/* Drops the first @n bytes, n <= len. */
void buf_take(struct buf *b, size_t n);
