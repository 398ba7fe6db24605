/* SPDX-License-Identifier: MIT */
#include "mcp/frame.h"

#include <errno.h>

#include "mcp/wire.h"

#define CONTROL (MCP_ON_ZERO | MCP_CONTROL)

static const struct mcp_frame_rule rules[MCP_TYPE_UNKNOWN] = {
    [MCP_REQUEST] = {"REQUEST",
                     MCP_TO_SERVER | MCP_ON_CALL | MCP_MAY_MORE | MCP_MAY_EXT | MCP_COUNTED, 0,
                     MCP_PAYLOAD_MAX},
    [MCP_RESPONSE] = {"RESPONSE",
                      MCP_TO_CLIENT | MCP_ON_CALL | MCP_MAY_MORE | MCP_MAY_EXT | MCP_COUNTED |
                          MCP_TERMINAL,
                      0, MCP_PAYLOAD_MAX},
    [MCP_ERROR] = {"ERROR",
                   MCP_TO_SERVER | MCP_TO_CLIENT | MCP_ON_CALL | MCP_ON_ZERO | MCP_MAY_EXT |
                       MCP_CONTROL | MCP_TERMINAL,
                   10, MCP_PAYLOAD_MAX},
    [MCP_CHUNK] = {"CHUNK", MCP_TO_CLIENT | MCP_ON_CALL | MCP_MAY_MORE | MCP_MAY_EXT | MCP_COUNTED,
                   0, MCP_PAYLOAD_MAX},
    [MCP_CANCEL] = {"CANCEL", MCP_TO_SERVER | MCP_ON_CALL | MCP_CONTROL, 1, 1},
    [MCP_CREDIT] = {"CREDIT", MCP_TO_SERVER | MCP_TO_CLIENT | CONTROL, 8, 64 * 8},
    [MCP_PING] = {"PING", MCP_TO_SERVER | MCP_TO_CLIENT | CONTROL, 8, 8},
    [MCP_PONG] = {"PONG", MCP_TO_SERVER | MCP_TO_CLIENT | CONTROL, 8, 8},
    [MCP_GOAWAY] = {"GOAWAY", MCP_TO_CLIENT | CONTROL, 8, 8 + 256},
    [MCP_HELLO] = {"HELLO", MCP_TO_SERVER | CONTROL, 32, 4096},
    [MCP_HELLO_ACK] = {"HELLO_ACK", MCP_TO_CLIENT | CONTROL, 32, 4096},
    [MCP_BATCH] = {"BATCH", MCP_TO_SERVER | MCP_ON_ZERO | MCP_MAY_EXT | MCP_COUNTED, 4,
                   MCP_PAYLOAD_MAX},
};

int mcp_frame_next(struct str *in, size_t max_len, struct mcp_frame *ret_frame)
{
    size_t len;

    if (in->len == 0)
        return MCP_FRAME_MORE;
    if (wire_get_u8(in->s) != MCP_VERSION)
        return -EPROTONOSUPPORT;
    if (in->len < MCP_HEADER_LEN)
        return MCP_FRAME_MORE;
    len = wire_get_u16(in->s + 6);
    *ret_frame = (struct mcp_frame){
        .type = wire_get_u8(in->s + 1) & MCP_TYPE_MASK,
        .flags = wire_get_u8(in->s + 1) & (MCP_EXT | MCP_MORE),
        .seq = wire_get_u32(in->s + 2),
    };
    if (len > max_len)
        return -EMSGSIZE;
    if (in->len - MCP_HEADER_LEN < len)
        return MCP_FRAME_MORE;
    ret_frame->payload = str_make(in->s + MCP_HEADER_LEN, len);
    *in = str_make(in->s + MCP_HEADER_LEN + len, in->len - MCP_HEADER_LEN - len);
    return 0;
}

const struct mcp_frame_rule *mcp_frame_rule(unsigned type)
{
    return type < MCP_TYPE_UNKNOWN && rules[type].name != NULL ? &rules[type] : NULL;
}

bool mcp_frame_is_counted(unsigned type)
{
    return type >= MCP_TYPE_UNKNOWN || (rules[type].allows & MCP_COUNTED) != 0;
}

static bool seq_fits(const struct mcp_frame *frame, unsigned allows, enum mcp_role receiver)
{
    if (frame->seq > MCP_SEQ_MAX)
        return false;
    if (frame->seq == 0)
        return (allows & MCP_ON_ZERO) != 0;
    /* A client speaks of a call with REQUEST and CANCEL only: its ERROR is about the connection. */
    if (frame->type == MCP_ERROR && receiver == MCP_SERVER)
        return false;
    return (allows & MCP_ON_CALL) != 0;
}

int mcp_frame_check(const struct mcp_frame *frame, enum mcp_role receiver)
{
    unsigned direction = receiver == MCP_SERVER ? MCP_TO_SERVER : MCP_TO_CLIENT;
    const struct mcp_frame_rule *rule;

    if (frame->type >= MCP_TYPE_UNKNOWN)
        return 0;
    rule = mcp_frame_rule(frame->type);
    if (rule == NULL || (rule->allows & direction) == 0 || !seq_fits(frame, rule->allows, receiver))
        return -EPROTO;
    if ((frame->flags & MCP_MORE) != 0 && (rule->allows & MCP_MAY_MORE) == 0)
        return -EPROTO;
    if ((frame->flags & MCP_EXT) != 0 && (rule->allows & MCP_MAY_EXT) == 0)
        return -EPROTO;
    if (frame->payload.len < rule->len_min || frame->payload.len > rule->len_max)
        return -EPROTO;
    if (frame->type == MCP_CREDIT && frame->payload.len % 8 != 0)
        return -EPROTO;
    return 0;
}

void mcp_frame_pack_head(char out[static MCP_HEADER_LEN], unsigned type, uint32_t seq, size_t len)
{
    out[0] = MCP_VERSION;
    out[1] = (char)type;
    wire_put_u32(out + 2, seq);
    wire_put_u16(out + 6, (uint16_t)len);
}
