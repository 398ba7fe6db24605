/* SPDX-License-Identifier: MIT */
#pragma once

/* UTF-8 (RFC 3629): what is, and what Go makes of what is not. */

#include "base/str.h"

/* How many bytes at the front of @text are UTF-8. */
size_t text_valid_len(struct str text);

/* Room that text_clean() needs at most. */
static inline size_t text_clean_max(size_t len)
{
    return len * 3;
}

/* Copies @text to @out, each byte that is not part of UTF-8 as U+FFFD. Return: bytes written. */
size_t text_clean(char *out, struct str text);
