/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Base64 (RFC 4648 section 4), with padding, in its one canonical form: what is decoded is encoded
 * to the same text again.
 */

#include "base/str.h"

static inline size_t base64_encoded_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Room that base64_decode() needs at most. */
static inline size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3;
}

/* Writes base64_encoded_len() bytes. */
void base64_encode(char *out, struct str bytes);

/* Return: 0 and the bytes written; -EINVAL not canonical base64. */
MUST_USE int base64_decode(uint8_t *out, struct str text, size_t *ret_len);
