/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON writer
 *
 * Appends a value to a buffer, with the commas where they belong. The first failure sticks in `err`
 * and later calls do nothing, so callers check once, at the end. Depth is bounded by 64 containers.
 *
 *     struct json_writer w;
 *
 *     json_writer_init(&w, &out);
 *     json_begin_object(&w);
 *     json_key(&w, "model");
 *     json_str(&w, model);
 *     json_end(&w);
 *     return json_writer_result(&w);
 */

#include "base/buf.h"

struct json_writer {
    struct buf *out;
    int err;
    uint8_t depth;
    bool has_value[64 + 1];
    bool is_object[64 + 1];
    bool is_after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_begin_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end(struct json_writer *w);                      /* of the innermost container */
void json_key(struct json_writer *w, const char *name);    /* plain ASCII, no escaping needed */
void json_key_str(struct json_writer *w, struct str name); /* any text */
void json_str(
    struct json_writer *w,
    struct str text); /* escaped: quotes, backslash, controls; invalid UTF-8 becomes U+FFFD */
void json_u64(struct json_writer *w, uint64_t value);
void json_i64(struct json_writer *w, int64_t value);
void json_double(struct json_writer *w, double value,
                 int decimals); /* 0..17 decimals; null for what is not finite */
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, struct str value); /* one whole JSON value, copied as it is */

/* 0, or the first failure (-ENOBUFS, -ENOMEM). */
MUST_USE int json_writer_result(const struct json_writer *w);
