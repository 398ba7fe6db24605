/* SPDX-License-Identifier: MIT */
#include "codec/text.h"

#define REPLACEMENT STR("\xef\xbf\xbd")

/* Length of the sequence at the front of @text, 0 when there is none. */
static size_t sequence_len(struct str text)
{
    /*
     * First bytes, and what the second byte may be: overlong forms, surrogates and what lies beyond
     * U+10FFFF show there.
     */
    static const struct row {
        uint8_t first, last, len, second_min, second_max;
    } rows[] = {
        {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
        {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
        {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    const uint8_t *s = (const uint8_t *)text.s;

    for (const struct row *row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
        if (s[0] < row->first || s[0] > row->last)
            continue;
        if (text.len < row->len)
            return 0;
        if (row->len > 1 && (s[1] < row->second_min || s[1] > row->second_max))
            return 0;
        for (size_t i = 2; i < row->len; i++)
            if ((s[i] & 0xc0) != 0x80)
                return 0;
        return row->len;
    }
    return 0;
}

/* Most text is ASCII: eight bytes a step. */
static size_t ascii_len(struct str text)
{
    size_t at = 0;
    uint64_t w;

    for (; text.len - at >= sizeof(w); at += sizeof(w)) {
        memcpy(&w, text.s + at, sizeof(w));
        if ((w & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return at;
}

size_t text_valid_len(struct str text)
{
    size_t at = 0;
    size_t n;

    while (at < text.len) {
        n = ascii_len(str_from(text, at));
        if (n == 0)
            n = sequence_len(str_from(text, at));
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static char *put(char *out, struct str bytes)
{
    if (bytes.len > 0)
        memcpy(out, bytes.s, bytes.len);
    return out + bytes.len;
}

size_t text_clean(char *out, struct str text)
{
    char *at = out;

    while (text.len > 0) {
        size_t n = text_valid_len(text);

        at = put(at, str_head(text, n));
        text = str_from(text, n);
        if (text.len > 0) {
            at = put(at, REPLACEMENT);
            text = str_from(text, 1);
        }
    }
    return (size_t)(at - out);
}
