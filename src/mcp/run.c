/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

/*
 * Frames that are made once and then only copied: the many small chunks of a stream. They are never
 * cut, so a run takes no chunk that could be: one longer than the least fragment.
 */

static size_t cap_of(const struct mcp_out *o)
{
    return o->kind == MCP_KIND_RUN ? MCP_RUN_CAP : MCP_SMALL_CAP;
}

bool mcp_run_takes(const struct mcp_session *s, const struct mcp_ext *ext, size_t body_len)
{
    return ext == NULL && body_len <= s->settings->fragment_min && body_len <= s->fragment &&
           body_len <= MCP_RUN_BODY_MAX;
}

/* A small one while nothing waits: most streams never have more than a chunk or two waiting. */
static struct mcp_out *begin_run(struct mcp_session *s, const struct mcp_call *call, size_t len)
{
    enum mcp_kind kind =
        call->first_out == NULL && len <= MCP_SMALL_CAP ? MCP_KIND_SMALL : MCP_KIND_RUN;
    struct mcp_out *o = mcp_pool_get(s->pool, kind);

    if (o != NULL)
        *o = (struct mcp_out){.type = MCP_CHUNK, .kind = (uint8_t)kind};
    return o;
}

int mcp_run_put(struct mcp_session *s, struct mcp_call *call, struct str body)
{
    struct mcp_out *o = call->last_out;
    size_t len = MCP_HEADER_LEN + body.len;
    bool has_room = o != NULL && o->run_len > 0 && cap_of(o) - o->run_len >= len;
    char *at;

    if (!has_room) {
        o = begin_run(s, call, len);
        if (o == NULL)
            return -ENOMEM;
        mcp_out_push(s, call, o);
    }
    at = o->bytes + o->run_len;
    mcp_frame_pack_head(at, MCP_CHUNK, call->seq, body.len);
    (void)wire_put(at + MCP_HEADER_LEN, body);
    o->run_len += (uint16_t)len;
    o->body_len += (uint32_t)body.len;
    call->unsent += (uint32_t)body.len;
    s->unsent += body.len;
    return 0;
}

uint32_t mcp_run_cut(const struct mcp_out *o, uint32_t most, uint32_t *ret_body_len)
{
    uint32_t at = o->run_at;
    uint32_t body_len = 0;

    while (at < o->run_len) {
        uint32_t len = wire_get_u16(o->bytes + at + 6);

        if (len > most - body_len)
            break;
        body_len += len;
        at += MCP_HEADER_LEN + len;
    }
    *ret_body_len = body_len;
    return at - o->run_at;
}
