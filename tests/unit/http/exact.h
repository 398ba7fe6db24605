/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inputs for parsers
 *
 * A copy in a heap block of exactly its size, so that a sanitizer sees the first byte read behind
 * it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

/* A row of a table: bytes (with NULs if need be) and what must come of them. */
struct row {
    const char *s;
    size_t len;
    int err;
};

#define ROW(literal, err_) \
    { \
        .s = (literal), .len = sizeof(literal) - 1, .err = (err_) \
    }
#define N_ELEMENTS(array)    (sizeof(array) / sizeof((array)[0]))
#define FOR_EACH_ROW(i, arr) for (size_t i = 0; i < N_ELEMENTS(arr); i++)

static inline char *exact_copy(struct str text)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);

    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.s, text.len);
    return copy;
}

static inline void assert_str(struct str got, const char *wanted)
{
    if (!str_eq(got, str_of(wanted)))
        fail_msg("got \"" STR_FMT "\", wanted \"%s\"", STR_ARG(got), wanted != NULL ? wanted : "");
}
