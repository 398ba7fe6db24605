/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tests of the codec share: conversions that must succeed, and when two JSON texts say the
 * same.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#define json_null jansson_null /* both libraries have this name */
#include <jansson.h>
#undef json_null

#include "codec/codec.h"
#include "codec/proto.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static inline int convert(enum codec_service_id id, enum codec_part part, bool to_json,
                          struct str in, struct buf *out)
{
    static int (*const convert_fns[2][N_CODEC_PARTS])(enum codec_id, const struct codec_service *,
                                                      struct str, struct arena *, struct buf *) = {
        {codec_request_from_json, codec_record_from_json},
        {codec_request_to_json, codec_record_to_json},
    };
    struct arena scratch;
    int r;

    arena_init(&scratch, 1 << 24);
    r = convert_fns[to_json][part](CODEC_PROTOBUF, codec_service_get(id), in, &scratch, out);
    arena_fini(&scratch);
    return r;
}

/* Numbers are equal as floats in embeddings, else as doubles. */
static inline bool same_value(json_t *a, json_t *b, bool as_float)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a);
        double y = json_number_value(b);

        if (json_is_integer(a) && json_is_integer(b))
            return json_integer_value(a) == json_integer_value(b);
        return as_float ? !(((float)x < (float)y) || ((float)x > (float)y)) : !(x < y || x > y);
    }
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach(a, key, value)
        {
            json_t *other = json_object_get(b, key);

            if (other == NULL ||
                !same_value(value, other, as_float || strcmp(key, "embeddings") == 0))
                return false;
        }
        return json_object_size(a) == json_object_size(b);
    }
    if (json_is_array(a) && json_is_array(b)) {
        json_array_foreach(
            a, i, value) if (i >= json_array_size(b) ||
                             !same_value(value, json_array_get(b, i), as_float)) return false;
        return json_array_size(a) == json_array_size(b);
    }
    return json_equal(a, b) != 0;
}

static inline bool same_json(struct str a, struct str b)
{
    json_t *x = json_loadb(a.s, a.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *y = json_loadb(b.s, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool same = x != NULL && y != NULL && same_value(x, y, false);

    json_decref(x);
    json_decref(y);
    return same;
}
