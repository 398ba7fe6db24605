/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Octet classes (private to this room)
 *
 * What a byte may be in HTTP, as one table look-up, and the search for the byte that ends a run of
 * text. No state.
 */

#include <endian.h>

#include "base/str.h"

enum {
    OCTET_TOKEN = 1 << 0,  /* tchar, RFC 9110 5.6.2 */
    OCTET_TARGET = 1 << 1, /* visible ASCII without '#' */
    OCTET_VALUE = 1 << 2,  /* of a field value: visible ASCII, obs-text, SP, HTAB */
    OCTET_HOST = 1 << 3,   /* of a reg-name, RFC 3986 3.2.2, without '%' and without ',' */
};

extern const uint8_t octets_class[256];

static inline bool octets_is(char c, unsigned classes)
{
    return (octets_class[(unsigned char)c] & classes) != 0;
}

static inline bool octets_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool octets_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Value of a hex digit, or -1. */
static inline int octets_hex(char c)
{
    char low = ascii_lower(c);

    if (octets_is_digit(c))
        return c - '0';
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/**
 * octets_find_ctl() - first control byte (below 0x20, or 0x7f) in @p..@end, or @end
 *
 * Eight bytes at a step. A subtraction borrows only out of a byte that is itself a hit, so the
 * lowest mark is always a true one; the marks above it may be false and are not looked at.
 */
static inline const char *octets_find_ctl(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;

    for (; end - p >= 8; p += 8) {
        uint64_t word;
        uint64_t del;
        uint64_t marks;

        memcpy(&word, p, sizeof(word));
        word = le64toh(word);
        del = word ^ (ones * 0x7f);
        marks = (((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & highs;
        if (marks != 0)
            return p + __builtin_ctzll(marks) / 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    return p;
}

/* The first control byte that is not HTAB: where a field value must end. */
static inline const char *octets_find_value_end(const char *p, const char *end)
{
    for (p = octets_find_ctl(p, end); p < end && *p == '\t';)
        p = octets_find_ctl(p + 1, end);
    return p;
}
