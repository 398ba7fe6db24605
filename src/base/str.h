/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Slices
 *
 * A struct str points at bytes that somebody else owns; it never owns, and is not NUL-terminated.
 * An empty slice may have any pointer, also NULL.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

struct str {
    const char *s;
    size_t len;
};

#define STR(literal) ((struct str){.s = (literal), .len = sizeof(literal) - 1})
#define STR_INIT(literal) \
    { \
        .s = (literal), .len = sizeof(literal) - 1 \
    } /* in static tables */
#define STR_NULL   ((struct str){0})
#define STR_FMT    "%.*s"
#define STR_ARG(x) (int)(x).len, (x).s

static inline struct str str_of(const char *cstr)
{
    return (struct str){.s = cstr, .len = cstr != NULL ? strlen(cstr) : 0};
}

static inline struct str str_make(const char *s, size_t len)
{
    return (struct str){.s = s, .len = len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

static inline bool str_starts(struct str a, struct str prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.s, prefix.s, prefix.len) == 0);
}

static inline bool str_ends(struct str a, struct str suffix)
{
    return a.len >= suffix.len &&
           (suffix.len == 0 || memcmp(a.s + (a.len - suffix.len), suffix.s, suffix.len) == 0);
}

/* Bytes from @n on; empty when @n is past the end. */
static inline struct str str_from(struct str a, size_t n)
{
    return n >= a.len ? STR_NULL : (struct str){.s = a.s + n, .len = a.len - n};
}

/* The first @n bytes, or all there are. */
static inline struct str str_head(struct str a, size_t n)
{
    return (struct str){.s = a.s, .len = n < a.len ? n : a.len};
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ASCII case folds, other bytes must be equal. */
bool str_same_nocase(const char *a, const char *b, size_t len);

static inline bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && str_same_nocase(a.s, b.s, a.len);
}

/* Offset of @c in @a, or @a.len. */
size_t str_find(struct str a, char c);

/* Offset of the first @needle in @a, or @a.len; an empty needle is found at 0. */
size_t str_search(struct str a, struct str needle);

/* Without spaces, tabs, CR and LF at both ends. */
struct str str_trim(struct str a);

/**
 * str_split() - cut the part before @sep off the front of @rest
 * @rest:  what is left; empty after the last part
 * @sep:   separator byte
 *
 * Return: the part, maybe empty. Loop while rest->len > 0.
 */
struct str str_split(struct str *rest, char sep);

/**
 * str_to_u64() - decimal digits and nothing else
 * Return: 0; -EINVAL no digits or a foreign byte; -ERANGE over UINT64_MAX.
 */
MUST_USE int str_to_u64(struct str a, uint64_t *ret_value);

#define U64_DIGITS_MAX 20

/* Decimal digits of @value into @out, not terminated. Return: how many. */
size_t str_put_u64(uint64_t value, char out[static U64_DIGITS_MAX]);

/* Whether two secrets are equal, in time that depends on their lengths only. */
bool str_eq_secret(struct str a, struct str b);

/* A NUL-terminated heap copy, or NULL without memory. The caller frees it. */
char *str_dup(struct str a);
