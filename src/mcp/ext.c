/* SPDX-License-Identifier: MIT */
#include "mcp/ext.h"

#include <assert.h>
#include <errno.h>

#include "mcp/credit.h"
#include "mcp/wire.h"

#define CRITICAL 0x80

/* What a known tag's value must look like; the rest is in put_value(). */
static const struct tag_rule {
    uint8_t tag;
    uint8_t len_min;
    uint8_t len_max;
    uint8_t n_max; /* how often it may come; 0: any */
} tag_rules[] = {
    {MCP_TAG_DEADLINE_MS, 4, 4, 1},
    {MCP_TAG_TRACE, MCP_TRACE_LEN, MCP_TRACE_LEN, 1},
    {MCP_TAG_TRACESTATE, 0, MCP_TLV_MAX, 2},
    {MCP_TAG_STREAM_LIMIT, 4, 4, 1},
    {MCP_TAG_METADATA, 2, MCP_TLV_MAX, 0},
    {MCP_TAG_SESSION, 0, MCP_SESSION_MAX, 1},
    {MCP_TAG_METHOD, 1, MCP_METHOD_MAX, 1},
    {MCP_TAG_TOTAL_LEN, 4, 4, 1},
    {MCP_TAG_CODEC, 1, 1, 1},
    {MCP_TAG_COMPRESSION, 5, 5, 1},
    {MCP_TAG_ORDER_LANE, 2, 2, 1},
};

#define N_TAGS (sizeof(tag_rules) / sizeof(tag_rules[0]))

static size_t find_rule(uint8_t tag)
{
    size_t i = 0;

    while (i < N_TAGS && tag_rules[i].tag != tag)
        i++;
    return i;
}

/* Cuts one TLV off @in. Return: 0; -EINVAL. */
static int take_tlv(struct str *in, uint8_t *ret_tag, struct str *ret_value)
{
    size_t len;

    if (in->len < 2)
        return -EINVAL;
    len = wire_get_u8(in->s + 1);
    if (len > MCP_TLV_MAX || len > in->len - 2)
        return -EINVAL;
    *ret_tag = wire_get_u8(in->s);
    *ret_value = str_make(in->s + 2, len);
    *in = str_make(in->s + 2 + len, in->len - 2 - len);
    return 0;
}

static int set_stream_limit(struct mcp_ext *ext, uint32_t limit)
{
    if (limit < MCP_WINDOW_MIN || limit > MCP_WINDOW_MAX)
        return -EINVAL;
    ext->stream_limit = limit;
    return 0;
}

static int set_method(struct mcp_ext *ext, struct str value)
{
    if (!mcp_is_utf8(value))
        return -EINVAL;
    ext->method = value;
    return 0;
}

static int check_metadata(struct str value)
{
    size_t key_len = wire_get_u8(value.s);

    return key_len == 0 || key_len > value.len - 1 ? -EINVAL : 0;
}

/* The size of @value is right. Return: 0; -EINVAL. */
static int put_value(struct mcp_ext *ext, enum mcp_tag tag, struct str value, unsigned nth)
{
    switch (tag) {
    case MCP_TAG_DEADLINE_MS:
        ext->has_deadline = true;
        ext->deadline_ms = wire_get_u32(value.s);
        return 0;
    case MCP_TAG_TRACE:
        ext->trace = value.s;
        return 0;
    case MCP_TAG_TRACESTATE:
        ext->tracestate[nth] = value;
        return 0;
    case MCP_TAG_STREAM_LIMIT:
        return set_stream_limit(ext, wire_get_u32(value.s));
    case MCP_TAG_METADATA:
        return check_metadata(value);
    case MCP_TAG_SESSION:
        ext->session = value;
        return 0;
    case MCP_TAG_METHOD:
        return set_method(ext, value);
    case MCP_TAG_TOTAL_LEN:
        ext->has_total_len = true;
        ext->total_len = wire_get_u32(value.s);
        return 0;
    case MCP_TAG_CODEC:
        ext->codec = wire_get_u8(value.s);
        return 0;
    case MCP_TAG_COMPRESSION:
        ext->has_compression = true;
        ext->compression = wire_get_u8(value.s);
        ext->raw_len = wire_get_u32(value.s + 1);
        return 0;
    case MCP_TAG_ORDER_LANE:
        ext->order_lane = wire_get_u16(value.s);
        return 0;
    default:
        return 0;
    }
}

static int parse_tlvs(struct str tlvs, struct mcp_ext *ext)
{
    uint16_t n_seen[N_TAGS] = {0};
    size_t metadata_len = 0;
    bool is_foreign = false;

    while (tlvs.len > 0) {
        struct str value;
        uint8_t tag;
        size_t i;

        if (take_tlv(&tlvs, &tag, &value) < 0)
            return -EINVAL;
        i = find_rule(tag);
        if (i == N_TAGS) {
            is_foreign = is_foreign || (tag & CRITICAL) != 0;
            continue;
        }
        if (value.len < tag_rules[i].len_min || value.len > tag_rules[i].len_max ||
            (tag_rules[i].n_max > 0 && n_seen[i] == tag_rules[i].n_max))
            return -EINVAL;
        if (tag == MCP_TAG_METADATA && (metadata_len += value.len) > MCP_METADATA_MAX)
            return -EINVAL;
        if (put_value(ext, (enum mcp_tag)tag, value, n_seen[i]) < 0)
            return -EINVAL;
        n_seen[i]++;
    }
    return is_foreign ? -EOPNOTSUPP : 0;
}

int mcp_ext_parse(struct str payload, struct mcp_ext *ret_ext, struct str *ret_body)
{
    struct mcp_ext ext = {0};
    size_t len;
    int r;

    if (payload.len < 2)
        return -EINVAL;
    len = wire_get_u16(payload.s);
    if (len > MCP_EXT_MAX - 2 || len > payload.len - 2)
        return -EINVAL;
    ext.tlvs = str_make(payload.s + 2, len);
    r = parse_tlvs(ext.tlvs, &ext);
    if (r == -EINVAL)
        return r;
    *ret_ext = ext;
    *ret_body = str_make(payload.s + 2 + len, payload.len - 2 - len);
    return ext.codec > MCP_CODEC_AVRO || ext.compression > MCP_COMPRESSION_ZSTD ? -EOPNOTSUPP : r;
}

bool mcp_ext_next_metadata(const struct mcp_ext *ext, size_t *at, struct mcp_metadata *ret_pair)
{
    while (*at < ext->tlvs.len) {
        struct str rest = str_from(ext->tlvs, *at);
        struct str value;
        uint8_t tag;
        size_t key_len;

        if (take_tlv(&rest, &tag, &value) < 0)
            return false;
        *at = ext->tlvs.len - rest.len;
        if (tag != MCP_TAG_METADATA)
            continue;
        key_len = wire_get_u8(value.s);
        ret_pair->key = str_make(value.s + 1, key_len);
        ret_pair->value = str_make(value.s + 1 + key_len, value.len - 1 - key_len);
        return true;
    }
    return false;
}

struct str mcp_ext_metadata(const struct mcp_ext *ext, struct str key)
{
    struct mcp_metadata pair;
    size_t at = 0;

    while (mcp_ext_next_metadata(ext, &at, &pair)) {
        if (str_eq(pair.key, key))
            return pair.value;
    }
    return STR_NULL;
}

static size_t tlv_len(struct str value)
{
    return value.len > 0 ? 2 + value.len : 0;
}

size_t mcp_ext_len(const struct mcp_ext *ext)
{
    size_t len = 2 + tlv_len(ext->method) + tlv_len(ext->tracestate[0]) +
                 tlv_len(ext->tracestate[1]) + tlv_len(ext->session);

    len += ext->has_deadline ? 2 + 4 : 0;
    len += ext->trace != NULL ? 2 + MCP_TRACE_LEN : 0;
    len += ext->has_total_len ? MCP_TOTAL_LEN_SIZE : 0;
    len += ext->codec != 0 ? 2 + 1 : 0;
    len += ext->has_compression ? 2 + 5 : 0;
    len += ext->order_lane != 0 ? 2 + 2 : 0;
    len += ext->stream_limit != 0 ? 2 + 4 : 0;
    for (size_t i = 0; i < ext->n_metadata; i++)
        len += 2 + 1 + ext->metadata[i].key.len + ext->metadata[i].value.len;
    return len;
}

int mcp_ext_check(const struct mcp_ext *ext)
{
    size_t metadata_len = 0;

    if (ext->method.len > MCP_METHOD_MAX || !mcp_is_utf8(ext->method) ||
        ext->session.len > MCP_SESSION_MAX || ext->tracestate[0].len > MCP_TLV_MAX ||
        ext->tracestate[1].len > MCP_TLV_MAX)
        return -EINVAL;
    if (ext->codec > MCP_CODEC_AVRO || ext->compression > MCP_COMPRESSION_ZSTD)
        return -EINVAL;
    if (ext->stream_limit != 0 &&
        (ext->stream_limit < MCP_WINDOW_MIN || ext->stream_limit > MCP_WINDOW_MAX))
        return -EINVAL;
    for (size_t i = 0; i < ext->n_metadata; i++) {
        size_t len = 1 + ext->metadata[i].key.len + ext->metadata[i].value.len;

        if (ext->metadata[i].key.len == 0 || len > MCP_TLV_MAX)
            return -EINVAL;
        metadata_len += len;
    }
    /* A fragmented message needs room for TOTAL_LEN, which is not known yet. */
    if (metadata_len > MCP_METADATA_MAX ||
        mcp_ext_len(ext) + (ext->has_total_len ? 0 : MCP_TOTAL_LEN_SIZE) > MCP_EXT_MAX)
        return -EMSGSIZE;
    return 0;
}

static char *put_optional(char *p, uint8_t tag, struct str value)
{
    return value.len > 0 ? wire_put_tlv(p, tag, value) : p;
}

static char *put_u32(char *p, uint8_t tag, uint32_t value)
{
    char bytes[4];

    wire_put_u32(bytes, value);
    return wire_put_tlv(p, tag, str_make(bytes, sizeof(bytes)));
}

static char *put_small(char *p, const struct mcp_ext *ext)
{
    char bytes[5];

    if (ext->codec != 0)
        p = wire_put_tlv(p, MCP_TAG_CODEC, str_make((const char *)&ext->codec, 1));
    if (ext->has_compression) {
        bytes[0] = (char)ext->compression;
        wire_put_u32(bytes + 1, ext->raw_len);
        p = wire_put_tlv(p, MCP_TAG_COMPRESSION, str_make(bytes, 5));
    }
    if (ext->order_lane != 0) {
        wire_put_u16(bytes, ext->order_lane);
        p = wire_put_tlv(p, MCP_TAG_ORDER_LANE, str_make(bytes, 2));
    }
    if (ext->stream_limit != 0)
        p = put_u32(p, MCP_TAG_STREAM_LIMIT, ext->stream_limit);
    return p;
}

static char *put_metadata(char *p, const struct mcp_metadata *pair)
{
    p[0] = (char)MCP_TAG_METADATA;
    p[1] = (char)(1 + pair->key.len + pair->value.len);
    p[2] = (char)pair->key.len;
    return wire_put(wire_put(p + 3, pair->key), pair->value);
}

void mcp_ext_pack(char *out, const struct mcp_ext *ext, size_t *ret_deadline)
{
    size_t deadline_at = 0;
    char *p = put_optional(out + 2, MCP_TAG_METHOD, ext->method);

    if (ext->has_deadline) {
        deadline_at = (size_t)(p - out) + 2;
        p = put_u32(p, MCP_TAG_DEADLINE_MS, ext->deadline_ms);
    }
    if (ext->trace != NULL)
        p = wire_put_tlv(p, MCP_TAG_TRACE, str_make(ext->trace, MCP_TRACE_LEN));
    p = put_optional(p, MCP_TAG_TRACESTATE, ext->tracestate[0]);
    p = put_optional(p, MCP_TAG_TRACESTATE, ext->tracestate[1]);
    if (ext->has_total_len)
        p = put_u32(p, MCP_TAG_TOTAL_LEN, ext->total_len);
    p = put_small(p, ext);
    for (size_t i = 0; i < ext->n_metadata; i++)
        p = put_metadata(p, &ext->metadata[i]);
    p = put_optional(p, MCP_TAG_SESSION, ext->session);
    assert((size_t)(p - out) == mcp_ext_len(ext));
    wire_put_u16(out, (uint16_t)(p - out - 2));
    if (ret_deadline != NULL)
        *ret_deadline = deadline_at;
}

/*
 * Length of the character at the front, 0 when there is none; the first continuation byte has a
 * range of its own.
 */
static size_t utf8_char_len(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (len > n)
        return 0;
    /* overlong */
    if (p[0] == 0xE0)
        low = 0xA0;
    /* surrogates */
    if (p[0] == 0xED)
        high = 0x9F;
    /* overlong */
    if (p[0] == 0xF0)
        low = 0x90;
    /* above U+10FFFF */
    if (p[0] == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

bool mcp_is_utf8(struct str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.s;

    for (size_t i = 0; i < bytes.len;) {
        size_t n = utf8_char_len(p + i, bytes.len - i);

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
