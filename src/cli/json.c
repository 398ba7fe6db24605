/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

bool cli_json_is_object(struct str value)
{
    struct json_reader r;
    struct json_token t;

    json_reader_init(&r, value);
    return json_next(&r, &t) == 0 && t.type == JSON_OBJECT_BEGIN;
}

struct str cli_json_member(struct str object, struct str name)
{
    struct json_reader r;
    struct json_token key;
    struct str value;

    if (!cli_json_is_object(object))
        return STR_NULL;
    json_reader_init(&r, object);
    if (json_next(&r, &key) < 0)
        return STR_NULL;
    while (json_next(&r, &key) == 0 && key.type == JSON_KEY && json_skip(&r, &value) == 0)
        if (str_eq(key.raw, name))
            return str_eq(value, STR("null")) ? STR_NULL : value;
    return STR_NULL;
}

bool cli_json_begin(struct json_reader *r, struct str array)
{
    struct json_token t;

    json_reader_init(r, array);
    return json_next(r, &t) == 0 && t.type == JSON_ARRAY_BEGIN;
}

int cli_json_next(struct json_reader *r, struct str *ret_element)
{
    int rc = json_element(r);

    return rc == 0 ? json_skip(r, ret_element) : rc;
}

int cli_json_text(struct str value, struct buf *out)
{
    struct json_reader r;
    struct json_token t;

    json_reader_init(&r, value);
    if (json_next(&r, &t) == 0 && t.type == JSON_STRING)
        return json_decode(&t, out);
    return buf_put(out, value);
}

uint64_t cli_json_u64(struct str value)
{
    struct json_reader r;
    struct json_token t;
    uint64_t n;

    json_reader_init(&r, value);
    if (json_next(&r, &t) < 0 || t.type != JSON_NUMBER || json_to_u64(&t, &n) < 0)
        return 0;
    return n;
}
