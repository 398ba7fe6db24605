/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

#define BATCH_MAX  256
#define BATCH_HEAD 4 /* inner type, 0, count */
#define ENTRY_HEAD 6 /* SeqID, length */

/* Cuts one entry off the front. Return: 0; -EPROTO. */
static int take_entry(struct str *in, struct mcp_frame *ret_frame)
{
    size_t len;

    if (in->len < ENTRY_HEAD)
        return -EPROTO;
    len = wire_get_u16(in->s + 4);
    if (len > in->len - ENTRY_HEAD)
        return -EPROTO;
    *ret_frame = (struct mcp_frame){
        .type = MCP_REQUEST,
        .seq = wire_get_u32(in->s),
        .payload = str_make(in->s + ENTRY_HEAD, len),
    };
    *in = str_make(in->s + ENTRY_HEAD + len, in->len - ENTRY_HEAD - len);
    return 0;
}

/* All entries are looked at before the first is begun: a batch is whole, or a connection error. */
static int check_entries(const struct mcp_session *s, struct str in, unsigned count)
{
    uint32_t seqs[BATCH_MAX];

    for (unsigned i = 0; i < count; i++) {
        struct mcp_frame entry;

        if (take_entry(&in, &entry) < 0 || entry.seq == 0 || entry.seq > MCP_SEQ_MAX ||
            mcp_calls_find(s, entry.seq) != NULL)
            return -EPROTO;
        seqs[i] = entry.seq;
        for (unsigned k = 0; k < i; k++) {
            if (seqs[k] == entry.seq)
                return -EPROTO;
        }
    }
    return in.len == 0 ? 0 : -EPROTO;
}

/* With a block that cannot be read, its length field still says where the entries begin. */
static int find_entries(const struct mcp_frame *f, struct mcp_ext *ext, struct str *ret_rest,
                        int *ret_ext_result)
{
    size_t len;

    *ret_rest = f->payload;
    *ret_ext_result = -EINVAL;
    if ((f->flags & MCP_EXT) == 0)
        return 0;
    if (f->payload.len < 2)
        return -EPROTO;
    len = 2 + (size_t)wire_get_u16(f->payload.s);
    if (len > f->payload.len)
        return -EPROTO;
    *ret_ext_result = mcp_ext_parse(f->payload, ext, ret_rest);
    if (ext->has_total_len || ext->has_compression)
        *ret_ext_result = -EINVAL;
    *ret_rest = str_make(f->payload.s + len, f->payload.len - len);
    return 0;
}

void mcp_server_batch(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_ext ext = {0};
    struct str rest;
    unsigned count = 0;
    int ext_result;
    int r = find_entries(f, &ext, &rest, &ext_result);

    if ((s->features & MCP_FEATURE_BATCH) == 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "BATCH was not negotiated");
        return;
    }
    if (r == 0 && rest.len >= BATCH_HEAD && wire_get_u8(rest.s) == MCP_REQUEST &&
        wire_get_u8(rest.s + 1) == 0)
        count = wire_get_u16(rest.s + 2);
    if (count == 0 || count > BATCH_MAX ||
        check_entries(s, str_from(rest, BATCH_HEAD), count) < 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "a malformed BATCH");
        return;
    }
    rest = str_from(rest, BATCH_HEAD);
    for (unsigned i = 0; i < count && !mcp_session_is_over(s); i++) {
        struct mcp_frame entry;

        if (take_entry(&rest, &entry) < 0)
            return;
        mcp_server_open(s, &entry, ext_result, &ext, entry.payload);
    }
}
