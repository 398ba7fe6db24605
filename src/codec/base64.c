/* SPDX-License-Identifier: MIT */
#include "codec/base64.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *out, struct str bytes)
{
    const uint8_t *s = (const uint8_t *)bytes.s;

    for (size_t at = 0; at < bytes.len; at += 3, out += 4) {
        size_t n = bytes.len - at < 3 ? bytes.len - at : 3;
        uint32_t group = (uint32_t)s[at] << 16;

        if (n > 1)
            group |= (uint32_t)s[at + 1] << 8;
        if (n > 2)
            group |= s[at + 2];
        out[0] = alphabet[group >> 18];
        out[1] = alphabet[group >> 12 & 63];
        out[2] = n > 1 ? alphabet[group >> 6 & 63] : '=';
        out[3] = n > 2 ? alphabet[group & 63] : '=';
    }
}

/* 0..63, or above for a foreign byte. */
static uint32_t digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Four digits of which the last @n_pad are padding. Bits that padding leaves over must be 0. */
static int decode_group(uint8_t *out, const char *s, size_t n_pad)
{
    uint32_t group = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < 4 - n_pad ? digit_value(s[i]) : 0;

        if (value > 63)
            return -EINVAL;
        group = group << 6 | value;
    }
    if ((group & ((UINT32_C(1) << 8 * n_pad) - 1)) != 0)
        return -EINVAL;
    for (size_t i = 0; i < 3 - n_pad; i++)
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    return 0;
}

int base64_decode(uint8_t *out, struct str text, size_t *ret_len)
{
    size_t n_pad = str_ends(text, STR("==")) ? 2 : str_ends(text, STR("=")) ? 1 : 0;
    size_t len = base64_decoded_max(text.len);

    if (text.len % 4 != 0)
        return -EINVAL;
    for (size_t at = 0; at < text.len; at += 4, out += 3)
        if (decode_group(out, text.s + at, at + 4 == text.len ? n_pad : 0) < 0)
            return -EINVAL;
    *ret_len = len - n_pad;
    return 0;
}
