/* SPDX-License-Identifier: MIT */
#include "mcp/hello.h"

#include <errno.h>

#include "mcp/credit.h"
#include "mcp/wire.h"

enum {
    TLV_CODECS = 1,
    TLV_COMPRESSIONS = 2,
    TLV_AUTH = 3,
    TLV_SOFTWARE = 4,
    TLV_CONNECTION_ID = 6,
};

static const char magic[4] = {'M', 'C', 'P', '1'};

static bool is_window(uint32_t limit)
{
    return limit >= MCP_WINDOW_MIN && limit <= MCP_WINDOW_MAX;
}

static bool is_in_range(const struct mcp_hello *h, bool is_ack)
{
    if (h->revision_min > MCP_REVISION || h->revision_max < MCP_REVISION)
        return false;
    if ((h->features & MCP_FEATURES_BASIC) != MCP_FEATURES_BASIC)
        return false;
    if (h->max_frame < MCP_FRAME_MIN || !is_window(h->conn_limit) || !is_window(h->call_limit))
        return false;
    if (!is_ack)
        return true;
    return h->revision_max == MCP_REVISION && h->conn_limit >= MCP_EARLY_BYTES &&
           h->max_inflight >= MCP_EARLY_CALLS;
}

static struct str *slot_of(struct mcp_hello *h, uint8_t tag)
{
    switch (tag) {
    case TLV_CODECS:
        return &h->codecs;
    case TLV_COMPRESSIONS:
        return &h->compressions;
    case TLV_AUTH:
        return &h->auth;
    case TLV_SOFTWARE:
        return &h->software;
    case TLV_CONNECTION_ID:
        return &h->connection_id;
    default:
        return NULL;
    }
}

static int parse_tlvs(struct str tlvs, struct mcp_hello *h)
{
    while (tlvs.len > 0) {
        struct str *slot;
        size_t len;

        if (tlvs.len < 2 || wire_get_u8(tlvs.s + 1) > tlvs.len - 2)
            return -EPROTO;
        len = wire_get_u8(tlvs.s + 1);
        slot = slot_of(h, wire_get_u8(tlvs.s));
        if (slot != NULL)
            *slot = str_make(tlvs.s + 2, len);
        tlvs = str_make(tlvs.s + 2 + len, tlvs.len - 2 - len);
    }
    return 0;
}

int mcp_hello_parse(struct str payload, bool is_ack, struct mcp_hello *ret_hello)
{
    const char *p = payload.s;
    struct mcp_hello h = {0};

    if (payload.len < MCP_HELLO_LEN || payload.len > MCP_HELLO_MAX ||
        memcmp(p, magic, sizeof(magic)) != 0 || wire_get_u16(p + 6) != 0)
        return -EPROTO;
    h.revision_min = wire_get_u8(p + 4);
    h.revision_max = wire_get_u8(p + 5);
    h.features = wire_get_u32(p + 8);
    h.max_frame = wire_get_u16(p + 12);
    h.max_inflight = wire_get_u16(p + 14);
    h.max_message = wire_get_u32(p + 16);
    h.conn_limit = wire_get_u32(p + 20);
    h.call_limit = wire_get_u32(p + 24);
    h.idle_s = wire_get_u16(p + 28);
    h.min_ping_s = wire_get_u16(p + 30);
    if (!is_in_range(&h, is_ack) || parse_tlvs(str_from(payload, MCP_HELLO_LEN), &h) < 0)
        return -EPROTO;
    *ret_hello = h;
    return 0;
}

static size_t tlv_len(struct str value)
{
    return value.len > 0 ? 2 + value.len : 0;
}

size_t mcp_hello_len(const struct mcp_hello *h)
{
    return MCP_HELLO_LEN + tlv_len(h->codecs) + tlv_len(h->compressions) + tlv_len(h->auth) +
           tlv_len(h->software) + tlv_len(h->connection_id);
}

static char *put_optional(char *p, uint8_t tag, struct str value)
{
    return value.len > 0 ? wire_put_tlv(p, tag, value) : p;
}

void mcp_hello_pack(char *out, const struct mcp_hello *h)
{
    char *p = out + MCP_HELLO_LEN;

    memcpy(out, magic, sizeof(magic));
    out[4] = (char)h->revision_min;
    out[5] = (char)h->revision_max;
    wire_put_u16(out + 6, 0);
    wire_put_u32(out + 8, h->features);
    wire_put_u16(out + 12, h->max_frame);
    wire_put_u16(out + 14, h->max_inflight);
    wire_put_u32(out + 16, h->max_message);
    wire_put_u32(out + 20, h->conn_limit);
    wire_put_u32(out + 24, h->call_limit);
    wire_put_u16(out + 28, h->idle_s);
    wire_put_u16(out + 30, h->min_ping_s);
    p = put_optional(p, TLV_CODECS, h->codecs);
    p = put_optional(p, TLV_COMPRESSIONS, h->compressions);
    p = put_optional(p, TLV_AUTH, h->auth);
    p = put_optional(p, TLV_SOFTWARE, h->software);
    (void)put_optional(p, TLV_CONNECTION_ID, h->connection_id);
}

uint32_t mcp_hello_features(const struct mcp_hello *ours, const struct mcp_hello *theirs)
{
    return ours->features & theirs->features & MCP_FEATURES_ALL;
}

bool mcp_hello_has(struct str values, uint8_t value)
{
    return values.len > 0 && memchr(values.s, value, values.len) != NULL;
}
