/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <errno.h>

bool str_same_nocase(const char *a, const char *b, size_t len)
{
    size_t i = 0;

    /* Eight at a step as long as they are the same; letters that fold differ in one bit. */
    for (uint64_t x, y; i + sizeof(x) <= len; i += sizeof(x)) {
        memcpy(&x, a + i, sizeof(x));
        memcpy(&y, b + i, sizeof(y));
        if (((x ^ y) & ~UINT64_C(0x2020202020202020)) != 0)
            return false;
        if (x != y)
            break;
    }
    for (; i < len; i++)
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    return true;
}

size_t str_find(struct str a, char c)
{
    const char *at = a.len > 0 ? memchr(a.s, c, a.len) : NULL;

    return at != NULL ? (size_t)(at - a.s) : a.len;
}

size_t str_search(struct str a, struct str needle)
{
    const char *at;

    if (needle.len == 0)
        return 0;
    if (a.len < needle.len)
        return a.len;
    at = memmem(a.s, a.len, needle.s, needle.len);
    return at != NULL ? (size_t)(at - a.s) : a.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str a)
{
    while (a.len > 0 && is_space(a.s[0]))
        a = str_from(a, 1);
    while (a.len > 0 && is_space(a.s[a.len - 1]))
        a.len--;
    return a;
}

struct str str_split(struct str *rest, char sep)
{
    size_t at = str_find(*rest, sep);
    struct str part = str_head(*rest, at);

    *rest = str_from(*rest, at + 1);
    return part;
}

int str_to_u64(struct str a, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (a.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < a.len; i++) {
        if (a.s[i] < '0' || a.s[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(a.s[i] - '0'), &value))
            return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

size_t str_put_u64(uint64_t value, char out[static U64_DIGITS_MAX])
{
    char digits[U64_DIGITS_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

bool str_eq_secret(struct str a, struct str b)
{
    volatile unsigned char diff = a.len != b.len;

    /* Walks the caller's bytes whatever the stored length is, so only that length shows. */
    for (size_t i = 0; i < a.len; i++)
        diff = (unsigned char)(diff | (unsigned char)(a.s[i] ^ (b.len > 0 ? b.s[i % b.len] : 0)));
    return diff == 0;
}

char *str_dup(struct str a)
{
    char *copy = malloc(a.len + 1);

    if (copy == NULL)
        return NULL;
    if (a.len > 0)
        memcpy(copy, a.s, a.len);
    copy[a.len] = '\0';
    return copy;
}
