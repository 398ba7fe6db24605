/* SPDX-License-Identifier: MIT */
#include "json/reader.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>

#include "base/err.h"

enum expect {
    EXPECT_VALUE,
    EXPECT_FIRST_ELEMENT, /* or the end of the array */
    EXPECT_FIRST_KEY,     /* or the end of the object */
    EXPECT_COMMA,         /* or the end of the container */
    EXPECT_NOTHING,       /* the top value is complete */
};

void json_reader_init(struct json_reader *r, struct str bytes)
{
    const char *base = bytes.s != NULL ? bytes.s : "";

    *r = (struct json_reader){
        .base = base, .at = base, .end = base + bytes.len, .expect = EXPECT_VALUE};
}

/* ---- scanning ------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * Bit 7 of each byte of @w that text in a string cannot hold as it is: a quote, a backslash, a
 * control character. A borrow may mark a byte above a true one as well, never one below, so the
 * lowest mark is right.
 */
static uint64_t mark_special(uint64_t w)
{
    uint64_t quote = w ^ EACH('"');
    uint64_t backslash = w ^ EACH('\\');
    uint64_t control = (w - EACH(0x20)) & ~w;

    quote = (quote - EACH(1)) & ~quote;
    backslash = (backslash - EACH(1)) & ~backslash;
    return (control | quote | backslash) & EACH(0x80);
}

static bool is_special(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

/*
 * The first special byte of [@at, @end), or @end. Strings are most of what we read: eight bytes a
 * step.
 */
static const char *find_special(const char *at, const char *end)
{
    uint64_t w;

    while (end - at >= 8) {
        memcpy(&w, at, sizeof(w));
        w = mark_special(le64toh(w));
        if (w != 0)
            return at + __builtin_ctzll(w) / 8;
        at += 8;
    }
    while (at < end && !is_special(*at))
        at++;
    return at;
}

size_t json_plain_len(struct str text)
{
    return (size_t)(find_special(text.s, text.s + text.len) - text.s);
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* At a backslash. */
static int scan_escape(struct json_reader *r)
{
    r->at++;
    if (r->at == r->end)
        return -EX_JSON_TRUNCATED;
    if (*r->at != 'u') {
        if (*r->at == '\0' || strchr("\"\\/bfnrt", *r->at) == NULL)
            return -EX_JSON_SYNTAX;
        r->at++;
        return 0;
    }
    r->at++;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end)
            return -EX_JSON_TRUNCATED;
        if (hex_value(*r->at) < 0)
            return -EX_JSON_SYNTAX;
    }
    return 0;
}

/* At the opening quote. */
static int scan_string(struct json_reader *r, struct json_token *t)
{
    const char *start = ++r->at;
    int rc;

    for (;;) {
        r->at = find_special(r->at, r->end);
        if (r->at == r->end)
            return -EX_JSON_TRUNCATED;
        if (*r->at == '"')
            break;
        if (*r->at != '\\')
            return -EX_JSON_SYNTAX;
        t->has_escape = true;
        rc = scan_escape(r);
        if (rc < 0)
            return rc;
    }
    t->raw = str_make(start, (size_t)(r->at - start));
    r->at++;
    return 0;
}

/* One digit or more. */
static int scan_digits(struct json_reader *r)
{
    if (r->at == r->end)
        return -EX_JSON_TRUNCATED;
    if (!is_digit(*r->at))
        return -EX_JSON_SYNTAX;
    while (r->at < r->end && is_digit(*r->at))
        r->at++;
    return 0;
}

static bool take_char(struct json_reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static int scan_number(struct json_reader *r, struct json_token *t)
{
    const char *start = r->at;
    int rc;

    (void)take_char(r, '-');
    if (take_char(r, '0')) {
        if (r->at < r->end && is_digit(*r->at))
            return -EX_JSON_SYNTAX;
    } else {
        rc = scan_digits(r);
        if (rc < 0)
            return rc;
    }
    if (take_char(r, '.')) {
        rc = scan_digits(r);
        if (rc < 0)
            return rc;
    }
    if (take_char(r, 'e') || take_char(r, 'E')) {
        if (!take_char(r, '+'))
            (void)take_char(r, '-');
        rc = scan_digits(r);
        if (rc < 0)
            return rc;
    }
    t->type = JSON_NUMBER;
    t->raw = str_make(start, (size_t)(r->at - start));
    return 0;
}

static int scan_word(struct json_reader *r, struct json_token *t, enum json_type type,
                     const char *word)
{
    const char *start = r->at;

    for (; *word != '\0'; word++, r->at++) {
        if (r->at == r->end)
            return -EX_JSON_TRUNCATED;
        if (*r->at != *word)
            return -EX_JSON_SYNTAX;
    }
    t->type = type;
    t->raw = str_make(start, (size_t)(r->at - start));
    return 0;
}

/* ---- structure ----------------------------------------------------------------------------- */

static bool in_object(const struct json_reader *r)
{
    uint32_t top = r->depth - 1;

    return r->depth > 0 && (r->is_object[top / 64] >> (top % 64) & 1) != 0;
}

static void value_ended(struct json_reader *r)
{
    r->expect = r->depth > 0 ? EXPECT_COMMA : EXPECT_NOTHING;
}

static int open_container(struct json_reader *r, struct json_token *t, bool is_object)
{
    uint64_t bit = UINT64_C(1) << (r->depth % 64);

    if (r->depth == JSON_MAX_DEPTH)
        return -EX_JSON_DEPTH;
    t->type = is_object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
    t->raw = str_make(r->at++, 1);
    if (is_object)
        r->is_object[r->depth / 64] |= bit;
    else
        r->is_object[r->depth / 64] &= ~bit;
    r->depth++;
    r->expect = is_object ? EXPECT_FIRST_KEY : EXPECT_FIRST_ELEMENT;
    return 0;
}

static int close_container(struct json_reader *r, struct json_token *t)
{
    bool is_object = in_object(r);

    if (*r->at != (is_object ? '}' : ']'))
        return -EX_JSON_SYNTAX;
    t->type = is_object ? JSON_OBJECT_END : JSON_ARRAY_END;
    t->raw = str_make(r->at++, 1);
    r->depth--;
    t->depth = r->depth;
    value_ended(r);
    return 0;
}

static int read_key(struct json_reader *r, struct json_token *t)
{
    int rc;

    if (*r->at != '"')
        return -EX_JSON_SYNTAX;
    t->type = JSON_KEY;
    rc = scan_string(r, t);
    if (rc < 0)
        return rc;
    skip_space(r);
    if (r->at == r->end)
        return -EX_JSON_TRUNCATED;
    if (!take_char(r, ':'))
        return -EX_JSON_SYNTAX;
    r->expect = EXPECT_VALUE;
    return 0;
}

static int read_scalar(struct json_reader *r, struct json_token *t)
{
    switch (*r->at) {
    case '"':
        t->type = JSON_STRING;
        return scan_string(r, t);
    case 't':
        return scan_word(r, t, JSON_TRUE, "true");
    case 'f':
        return scan_word(r, t, JSON_FALSE, "false");
    case 'n':
        return scan_word(r, t, JSON_NULL, "null");
    default:
        if (*r->at != '-' && !is_digit(*r->at))
            return -EX_JSON_SYNTAX;
        return scan_number(r, t);
    }
}

static int read_value(struct json_reader *r, struct json_token *t)
{
    int rc;

    if (*r->at == '{' || *r->at == '[')
        return open_container(r, t, *r->at == '{');
    rc = read_scalar(r, t);
    if (rc == 0)
        value_ended(r);
    return rc;
}

/* Behind a value inside a container: the comma and what it announces, or the end. */
static int read_after_value(struct json_reader *r, struct json_token *t)
{
    if (!take_char(r, ','))
        return close_container(r, t);
    skip_space(r);
    if (r->at == r->end)
        return -EX_JSON_TRUNCATED;
    return in_object(r) ? read_key(r, t) : read_value(r, t);
}

int json_next(struct json_reader *r, struct json_token *ret_token)
{
    struct json_token *t = ret_token;

    *t = (struct json_token){.type = JSON_END, .raw = str_make(r->at, 0), .depth = r->depth};
    if (r->expect == EXPECT_NOTHING)
        return 0;
    skip_space(r);
    if (r->at == r->end)
        return -EX_JSON_TRUNCATED;
    switch ((enum expect)r->expect) {
    case EXPECT_VALUE:
        return read_value(r, t);
    case EXPECT_FIRST_ELEMENT:
        return *r->at == ']' ? close_container(r, t) : read_value(r, t);
    case EXPECT_FIRST_KEY:
        return *r->at == '}' ? close_container(r, t) : read_key(r, t);
    case EXPECT_COMMA:
        return read_after_value(r, t);
    case EXPECT_NOTHING:
        break;
    }
    return 0;
}

int json_leave(struct json_reader *r)
{
    uint32_t outside = r->depth - 1;
    struct json_token t;
    int rc;

    assert(r->depth > 0);

    while (r->depth > outside) {
        rc = json_next(r, &t);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int json_skip(struct json_reader *r, struct str *ret_raw)
{
    struct json_token t;
    const char *start;
    int rc = json_next(r, &t);

    if (rc < 0)
        return rc;
    if (t.type == JSON_KEY || t.type == JSON_OBJECT_END || t.type == JSON_ARRAY_END ||
        t.type == JSON_END)
        return -EX_JSON_SYNTAX;
    start = r->base + json_token_offset(r, &t);
    if (json_is_begin(&t)) {
        rc = json_leave(r);
        if (rc < 0)
            return rc;
    }
    if (ret_raw != NULL)
        *ret_raw = str_make(start, (size_t)(r->at - start));
    return 0;
}

bool json_is_empty(const struct json_reader *r)
{
    struct json_reader ahead = *r;
    struct json_token t;

    return json_next(&ahead, &t) == 0 && (t.type == JSON_ARRAY_END || t.type == JSON_OBJECT_END);
}

int json_element(struct json_reader *r)
{
    struct json_token t;
    bool is_last;

    assert(r->depth > 0 && !in_object(r));
    assert(r->expect == EXPECT_FIRST_ELEMENT || r->expect == EXPECT_COMMA);

    skip_space(r);
    if (r->at == r->end)
        return -EX_JSON_TRUNCATED;
    is_last = *r->at == ']';
    if (is_last)
        return close_container(r, &t) < 0 ? -EX_JSON_SYNTAX : JSON_LAST;
    if (r->expect == EXPECT_COMMA && !take_char(r, ','))
        return -EX_JSON_SYNTAX;
    r->expect = EXPECT_VALUE;
    return 0;
}

size_t json_token_offset(const struct json_reader *r, const struct json_token *t)
{
    size_t at = (size_t)(t->raw.s - r->base);

    return t->type == JSON_STRING || t->type == JSON_KEY ? at - 1 : at;
}

/* ---- text ---------------------------------------------------------------------------------- */

/* Four hex digits, checked when the token was read. */
static uint32_t hex4(const char *s)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)hex_value(s[i]);
    return value;
}

static bool is_surrogate(uint32_t c)
{
    return c >= 0xd800 && c <= 0xdfff;
}

/* Takes "\uXXXX", or two of them that make a pair, off the front of @rest. */
static uint32_t take_unicode_escape(struct str *rest)
{
    uint32_t high = hex4(rest->s + 2);
    uint32_t low;

    *rest = str_from(*rest, 6);
    if (!is_surrogate(high))
        return high;
    if (high < 0xdc00 && str_starts(*rest, STR("\\u"))) {
        low = hex4(rest->s + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *rest = str_from(*rest, 6);
            return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* Takes the escape at the front of @rest off it. */
static uint32_t take_escape(struct str *rest)
{
    static const char letters[] = "bfnrt";
    static const char values[] = "\b\f\n\r\t";
    const char *letter;
    char c = rest->s[1];

    if (c == 'u')
        return take_unicode_escape(rest);
    *rest = str_from(*rest, 2);
    letter = strchr(letters, c);
    return (unsigned char)(letter != NULL ? values[letter - letters] : c);
}

static int put_utf8(struct buf *out, uint32_t c)
{
    char s[4];

    if (c < 0x80)
        return buf_put_char(out, (char)c);
    if (c < 0x800) {
        s[0] = (char)(0xc0 | c >> 6);
        s[1] = (char)(0x80 | (c & 0x3f));
        return buf_put(out, str_make(s, 2));
    }
    if (c < 0x10000) {
        s[0] = (char)(0xe0 | c >> 12);
        s[1] = (char)(0x80 | (c >> 6 & 0x3f));
        s[2] = (char)(0x80 | (c & 0x3f));
        return buf_put(out, str_make(s, 3));
    }
    s[0] = (char)(0xf0 | c >> 18);
    s[1] = (char)(0x80 | (c >> 12 & 0x3f));
    s[2] = (char)(0x80 | (c >> 6 & 0x3f));
    s[3] = (char)(0x80 | (c & 0x3f));
    return buf_put(out, str_make(s, 4));
}

int json_decode(const struct json_token *t, struct buf *out)
{
    struct str rest = t->raw;
    size_t start = out->len;
    int rc = 0;

    while (rest.len > 0 && rc == 0) {
        size_t plain = t->has_escape ? str_find(rest, '\\') : rest.len;

        rc = buf_put(out, str_head(rest, plain));
        rest = str_from(rest, plain);
        if (rc == 0 && rest.len > 0)
            rc = put_utf8(out, take_escape(&rest));
    }
    if (rc < 0)
        out->len = start;
    return rc;
}

/*
 * Takes one character off a key and folds it as far as ASCII letters go; what can fold to none of
 * them gives NUL.
 */
static char take_folded(struct str *rest)
{
    uint32_t c;

    if (rest->s[0] == '\\') {
        c = take_escape(rest);
    } else if (str_starts(*rest, STR("\xc5\xbf"))) {
        c = 0x17f;
        *rest = str_from(*rest, 2);
    } else if (str_starts(*rest, STR("\xe2\x84\xaa"))) {
        c = 0x212a;
        *rest = str_from(*rest, 3);
    } else {
        c = (unsigned char)rest->s[0];
        *rest = str_from(*rest, 1);
    }
    if (c == 0x17f)
        return 's';
    if (c == 0x212a)
        return 'k';
    return c < 0x80 ? ascii_lower((char)c) : '\0';
}

bool json_key_is(const struct json_token *key, struct str name)
{
    struct str rest = key->raw;

    if (str_eq(rest, name))
        return true;
    /* Escapes and the two odd letters only make a key longer. */
    if (rest.len < name.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (rest.len == 0 || take_folded(&rest) != name.s[i])
            return false;
    return rest.len == 0;
}

int json_to_u64(const struct json_token *t, uint64_t *ret_value)
{
    return t->type == JSON_NUMBER ? str_to_u64(t->raw, ret_value) : -EINVAL;
}
