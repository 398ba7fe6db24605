/* SPDX-License-Identifier: MIT */
#include "api/shape.h"

#include "json/reader.h"

void api_shape_begin(struct api_shape *shape, struct str record)
{
    shape->n_strings = 0;
    shape->len = record.len <= API_SHAPE_BYTES ? (uint16_t)record.len : 0;
    if (shape->len > 0)
        memcpy(shape->bytes, record.s, record.len);
}

void api_shape_put(struct api_shape *shape, struct str record, struct str inside, uint16_t tag)
{
    if (shape->len == 0)
        return;
    if (shape->n_strings == API_SHAPE_STRINGS) {
        api_shape_drop(shape);
        return;
    }
    shape->strings[shape->n_strings].at = (uint16_t)(inside.s - record.s);
    shape->strings[shape->n_strings].len = (uint16_t)inside.len;
    shape->strings[shape->n_strings].tag = tag;
    shape->n_strings++;
}

/* Takes [@from, @to) of the shape off the front of @rest. Return: whether it stands there. */
static bool take_same(const struct api_shape *shape, size_t from, size_t to, struct str *rest)
{
    if (rest->len < to - from || memcmp(rest->s, shape->bytes + from, to - from) != 0)
        return false;
    *rest = str_from(*rest, to - from);
    return true;
}

bool api_shape_fits(const struct api_shape *shape, struct str record,
                    struct str ret_strings[static API_SHAPE_STRINGS])
{
    struct str rest = record;
    size_t from = 0;

    if (shape->len == 0)
        return false;
    for (unsigned i = 0; i < shape->n_strings; i++) {
        if (!take_same(shape, from, shape->strings[i].at, &rest))
            return false;
        ret_strings[i] = str_head(rest, json_plain_len(rest));
        rest = str_from(rest, ret_strings[i].len);
        from = (size_t)shape->strings[i].at + shape->strings[i].len;
    }
    /* What stopped a string is the quote that follows it in the shape, or nothing that fits. */
    return take_same(shape, from, shape->len, &rest) && rest.len == 0;
}
