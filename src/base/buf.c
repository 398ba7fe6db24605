/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define BUF_FIRST 256

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = BUF_INIT(b->max);
}

int buf_reserve(struct buf *b, size_t n)
{
    size_t need;
    size_t cap = b->cap > 0 ? b->cap : BUF_FIRST;
    char *data;

    if (__builtin_add_overflow(b->len, n, &need) || need > b->max)
        return -ENOBUFS;
    if (need <= b->cap)
        return 0;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    data = realloc(b->data, cap);
    if (data == NULL)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_put(struct buf *b, struct str bytes)
{
    int r = buf_reserve(b, bytes.len);

    if (r < 0)
        return r;
    if (bytes.len > 0)
        memcpy(b->data + b->len, bytes.s, bytes.len);
    b->len += bytes.len;
    return 0;
}

int buf_put_char(struct buf *b, char c)
{
    return buf_put(b, str_make(&c, 1));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int n;
    int r;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return -EINVAL;
    /* One more for the NUL that vsnprintf insists on; it does not count as content. */
    r = buf_reserve(b, (size_t)n + 1);
    if (r < 0)
        return r;
    va_start(args, format);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
    return 0;
}

void buf_take(struct buf *b, size_t n)
{
    assert(n <= b->len);

    b->len -= n;
    if (b->len > 0 && n > 0)
        memmove(b->data, b->data + n, b->len);
}
