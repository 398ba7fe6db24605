/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON pull reader
 *
 * Walks one JSON value (RFC 8259) in a byte range, token by token, without a tree, without copying,
 * without recursion. Bytes after the first value are not looked at, as Go's decoder has it. Invalid
 * UTF-8 inside strings is accepted, as Go has it; control characters, bad escapes and bad numbers
 * are not. Depth is bounded by JSON_MAX_DEPTH. Never allocates.
 *
 *     struct json_reader r;
 *     struct json_token t;
 *
 *     json_reader_init(&r, body);
 *     while ((rc = json_next(&r, &t)) == 0 && t.type != JSON_END) ...
 */

#include "base/buf.h"

#define JSON_MAX_DEPTH 512

enum json_type {
    JSON_END, /* the value is complete */
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_token {
    enum json_type type;
    struct str raw;  /* strings and keys: without quotes, escapes as sent; numbers: as sent */
    bool has_escape; /* raw holds a backslash */
    /* containers around this token: 1 for a key of the top object, 0 for the top value itself */
    uint32_t depth;
};

struct json_reader {
    const char *base;
    const char *at;
    const char *end;
    uint32_t depth;
    uint8_t expect; /* private: what may come next */
    uint64_t is_object[JSON_MAX_DEPTH / 64];
};

void json_reader_init(struct json_reader *r, struct str bytes);

/**
 * json_next() - the next token
 *
 * Return: 0; -EX_JSON_SYNTAX; -EX_JSON_TRUNCATED the bytes ended inside the value (also: no value
 * at all);
 * -EX_JSON_DEPTH. After a failure json_offset() is the place.
 */
MUST_USE int json_next(struct json_reader *r, struct json_token *ret_token);

static inline bool json_is_begin(const struct json_token *t)
{
    return t->type == JSON_OBJECT_BEGIN || t->type == JSON_ARRAY_BEGIN;
}

/**
 * json_skip() - pass over the value that is next
 *
 * To be called where a value is expected (behind a key, or where the next array element may begin;
 * -EX_JSON_SYNTAX when none does). Checks syntax as json_next() does. @ret_raw, if not NULL, is the
 * value's text.
 *
 * Return: as json_next().
 */
MUST_USE int json_skip(struct json_reader *r, struct str *ret_raw);

/*
 * Passes over the rest of the container whose begin was read last (or whose content is being read).
 * Return: as json_next().
 */
MUST_USE int json_leave(struct json_reader *r);

enum {
    JSON_LAST = 1,
};

/* Whether the container whose begin was read last has nothing in it; nothing is read. */
bool json_is_empty(const struct json_reader *r);

/**
 * json_element() - whether an array has one more element
 *
 * To be called behind JSON_ARRAY_BEGIN or behind an element. On 0 json_next() or json_skip() takes
 * the element.
 *
 * Return: 0 a value comes; JSON_LAST the end of the array was read; else as json_next().
 */
MUST_USE int json_element(struct json_reader *r);

static inline size_t json_offset(const struct json_reader *r)
{
    return (size_t)(r->at - r->base);
}

/*
 * Offset of the first byte of a token just returned, in the bytes of the reader (of its quote, for
 * a string).
 */
size_t json_token_offset(const struct json_reader *r, const struct json_token *t);

/*
 * Bytes at the front of @text that stand in a JSON string as they are: up to a quote, a backslash or
 * a control character.
 */
size_t json_plain_len(struct str text);

/**
 * json_key_is() - whether Go's encoding/json would store this key in the field called @name
 *
 * Case folds as Go folds (ASCII, and U+017F for s, U+212A for k); escapes are resolved. @name is
 * lower-case ASCII.
 */
bool json_key_is(const struct json_token *key, struct str name);

/**
 * json_decode() - the text of a string or key
 * @t:    JSON_STRING or JSON_KEY
 * @out:  appended to, unchanged on failure; escapes resolved to UTF-8, lone surrogates to U+FFFD,
 *        as Go has it. Bytes that are not UTF-8 are copied as they are
 *
 * Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int json_decode(const struct json_token *t, struct buf *out);

/* A number that is an unsigned integer. Return: 0; -EINVAL; -ERANGE. */
MUST_USE int json_to_u64(const struct json_token *t, uint64_t *ret_value);
