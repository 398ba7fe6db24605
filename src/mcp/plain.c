/* SPDX-License-Identifier: MIT */
#include "mcp/plain.h"

#include <errno.h>

#include "mcp/wire.h"

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
};

#define FIELD_MAX UINT64_C(0x1FFFFFFF)

struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value; /* of a varint */
    struct str bytes;
};

static int take_varint(struct str *in, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 10 && i < in->len; i++) {
        uint8_t b = (uint8_t)in->s[i];

        if (i == 9 && b > 1)
            return -EINVAL;
        value |= (uint64_t)(b & 0x7F) << (7 * i);
        if ((b & 0x80) == 0) {
            *in = str_make(in->s + i + 1, in->len - i - 1);
            *ret_value = value;
            return 0;
        }
    }
    return -EINVAL;
}

static int take_bytes(struct str *in, uint64_t n, struct str *ret_bytes)
{
    if (n > in->len)
        return -EINVAL;
    *ret_bytes = str_make(in->s, (size_t)n);
    *in = str_make(in->s + n, in->len - (size_t)n);
    return 0;
}

/* Groups (wire types 3 and 4) have been dead since 2008 and nest: malformed. */
static int take_field(struct str *in, struct field *ret_field)
{
    uint64_t key;
    uint64_t n = 0;
    int r = take_varint(in, &key);

    if (r < 0)
        return r;
    if (key >> 3 == 0 || key >> 3 > FIELD_MAX)
        return -EINVAL;
    *ret_field = (struct field){.number = (uint32_t)(key >> 3), .wire = (uint32_t)(key & 7)};
    switch (ret_field->wire) {
    case WIRE_VARINT:
        return take_varint(in, &ret_field->value);
    case WIRE_BYTES:
        r = take_varint(in, &n);
        return r < 0 ? r : take_bytes(in, n, &ret_field->bytes);
    case WIRE_FIXED64:
        return take_bytes(in, 8, &ret_field->bytes);
    case WIRE_FIXED32:
        return take_bytes(in, 4, &ret_field->bytes);
    default:
        return -EINVAL;
    }
}

int mcp_plain_parse_request(struct str payload, struct mcp_plain_request *ret_request)
{
    struct mcp_plain_request request = {0};
    struct field f;

    while (payload.len > 0) {
        int r = take_field(&payload, &f);

        if (r < 0)
            return r;
        if (f.number > 2)
            continue;
        if (f.wire != WIRE_BYTES)
            return -EINVAL;
        if (f.number == 1)
            request.service = f.bytes;
        else
            request.body = f.bytes;
    }
    *ret_request = request;
    return 0;
}

int mcp_plain_parse_response(struct str payload, struct mcp_plain_response *ret_response)
{
    struct mcp_plain_response response = {0};
    struct field f;

    while (payload.len > 0) {
        int r = take_field(&payload, &f);

        if (r < 0)
            return r;
        if (f.number > 3)
            continue;
        if (f.wire != (f.number == 1 ? WIRE_VARINT : WIRE_BYTES))
            return -EINVAL;
        if (f.number == 1)
            response.status = (uint32_t)f.value;
        else if (f.number == 2)
            response.error = f.bytes;
        else
            response.body = f.bytes;
    }
    *ret_response = response;
    return 0;
}

static size_t varint_len(uint64_t value)
{
    size_t n = 1;

    for (; value > 0x7F; value >>= 7)
        n++;
    return n;
}

static char *put_varint(char *p, uint64_t value)
{
    for (; value > 0x7F; value >>= 7)
        *p++ = (char)(value | 0x80);
    *p++ = (char)value;
    return p;
}

static size_t bytes_len(struct str bytes)
{
    return bytes.len == 0 ? 0 : 1 + varint_len(bytes.len) + bytes.len;
}

static char *put_bytes(char *p, unsigned number, struct str bytes)
{
    if (bytes.len == 0)
        return p;
    *p++ = (char)(number << 3 | WIRE_BYTES);
    return wire_put(put_varint(p, bytes.len), bytes);
}

size_t mcp_plain_request_len(const struct mcp_plain_request *request)
{
    return bytes_len(request->service) + bytes_len(request->body);
}

void mcp_plain_pack_request(char *out, const struct mcp_plain_request *request)
{
    (void)put_bytes(put_bytes(out, 1, request->service), 2, request->body);
}

size_t mcp_plain_response_len(const struct mcp_plain_response *response)
{
    size_t status = response->status == 0 ? 0 : 1 + varint_len(response->status);

    return status + bytes_len(response->error) + bytes_len(response->body);
}

void mcp_plain_pack_response(char *out, const struct mcp_plain_response *response)
{
    if (response->status != 0) {
        *out++ = 1 << 3 | WIRE_VARINT;
        out = put_varint(out, response->status);
    }
    (void)put_bytes(put_bytes(out, 2, response->error), 3, response->body);
}
