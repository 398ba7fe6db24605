/* SPDX-License-Identifier: MIT */
#include "json/writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define DEPTH_MAX 64

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static void put(struct json_writer *w, struct str bytes)
{
    if (w->err == 0)
        w->err = buf_put(w->out, bytes);
}

/* What goes in front of a value: nothing behind a key, a comma behind an element. */
static void begin_value(struct json_writer *w)
{
    assert(!w->is_object[w->depth] || w->is_after_key);
    assert(w->depth > 0 || !w->has_value[0]);

    if (!w->is_after_key && w->has_value[w->depth])
        put(w, STR(","));
    w->has_value[w->depth] = true;
    w->is_after_key = false;
}

static void begin_container(struct json_writer *w, bool is_object)
{
    if (w->err != 0)
        return;
    if (w->depth == DEPTH_MAX) {
        w->err = -ENOBUFS;
        return;
    }
    begin_value(w);
    put(w, is_object ? STR("{") : STR("["));
    w->depth++;
    w->is_object[w->depth] = is_object;
    w->has_value[w->depth] = false;
}

void json_begin_object(struct json_writer *w)
{
    begin_container(w, true);
}

void json_begin_array(struct json_writer *w)
{
    begin_container(w, false);
}

void json_end(struct json_writer *w)
{
    if (w->err != 0)
        return;
    assert(w->depth > 0 && !w->is_after_key);
    put(w, w->is_object[w->depth] ? STR("}") : STR("]"));
    w->depth--;
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/*
 * Length of the UTF-8 sequence at the front of @text (RFC 3629), 0 when there is none. Its first
 * byte is not ASCII.
 */
static size_t utf8_len(struct str text)
{
    const unsigned char *s = (const unsigned char *)text.s;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

    if (s[0] < 0xc2 || s[0] > 0xf4 || text.len < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (!is_continuation(s[i]))
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF show in the second byte. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* How many bytes at the front of @text may be copied as they are. */
static size_t plain_len(struct str text)
{
    size_t at = 0;
    size_t n;

    while (at < text.len) {
        unsigned char c = (unsigned char)text.s[at];

        if (c < 0x20 || c == '"' || c == '\\')
            break;
        n = c < 0x80 ? 1 : utf8_len(str_from(text, at));
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

/* One byte that cannot stand in a string as it is. */
static void put_escaped(struct json_writer *w, unsigned char c)
{
    static const char letters[] = "\"\\bfnrt";
    static const char values[] = "\"\\\b\f\n\r\t";
    static const char hex[] = "0123456789abcdef";
    const char *value;

    if (c >= 0x80) {
        put(w, STR("\xef\xbf\xbd"));
        return;
    }
    value = c != '\0' ? strchr(values, c) : NULL;
    if (value != NULL)
        put(w, str_make((const char[]){'\\', letters[value - values]}, 2));
    else
        put(w, str_make((const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
}

static void put_string(struct json_writer *w, struct str text)
{
    put(w, STR("\""));
    while (text.len > 0 && w->err == 0) {
        size_t plain = plain_len(text);

        put(w, str_head(text, plain));
        text = str_from(text, plain);
        if (text.len > 0) {
            put_escaped(w, (unsigned char)text.s[0]);
            text = str_from(text, 1);
        }
    }
    put(w, STR("\""));
}

void json_key_str(struct json_writer *w, struct str name)
{
    if (w->err != 0)
        return;
    assert(w->is_object[w->depth] && !w->is_after_key);

    if (w->has_value[w->depth])
        put(w, STR(","));
    put_string(w, name);
    put(w, STR(":"));
    w->is_after_key = true;
}

void json_key(struct json_writer *w, const char *name)
{
    json_key_str(w, str_of(name));
}

void json_str(struct json_writer *w, struct str text)
{
    if (w->err != 0)
        return;
    begin_value(w);
    put_string(w, text);
}

void json_raw(struct json_writer *w, struct str value)
{
    if (w->err != 0)
        return;
    begin_value(w);
    put(w, value);
}

void json_u64(struct json_writer *w, uint64_t value)
{
    char text[24];
    size_t n = str_put_u64(value, text);

    json_raw(w, str_make(text, n));
}

void json_i64(struct json_writer *w, int64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, value);

    json_raw(w, str_make(text, (size_t)n));
}

void json_double(struct json_writer *w, double value, int decimals)
{
    char text[400]; /* DBL_MAX has 309 digits in front of the point */
    int n;

    if (!isfinite(value)) {
        json_null(w);
        return;
    }
    assert(decimals >= 0 && decimals <= 17);
    n = snprintf(text, sizeof(text), "%.*f", decimals, value);
    json_raw(w, str_make(text, (size_t)n));
}

void json_bool(struct json_writer *w, bool value)
{
    json_raw(w, value ? STR("true") : STR("false"));
}

void json_null(struct json_writer *w)
{
    json_raw(w, STR("null"));
}

int json_writer_result(const struct json_writer *w)
{
    assert(w->err != 0 || (w->depth == 0 && w->has_value[0] && !w->is_after_key));

    return w->err;
}
