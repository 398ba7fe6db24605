/* SPDX-License-Identifier: MIT */
#include "gateway/mcp_body.h"

/* What goes in front of @body, which is replaced by its shorter form; NULL: nothing. Where memory is
 * short it goes as it is. */
static const struct mcp_ext *shrink(struct mcp_conn *c, struct str *body, struct mcp_ext *ext)
{
    uint8_t algorithm = mcp_session_compression(&c->wire.session);
    size_t raw_len = body->len;

    if (zip_shrink(&c->listener->zip, (enum zip_algorithm)algorithm, *body, body) != 0)
        return NULL;
    *ext = (struct mcp_ext){
        .has_compression = true, .compression = algorithm, .raw_len = (uint32_t)raw_len};
    return ext;
}

int mcp_body_chunk(struct mcp_conn *c, struct mcp_call *call, struct str body)
{
    struct mcp_ext ext;
    const struct mcp_ext *block = shrink(c, &body, &ext);

    return mcp_call_chunk(call, block, body);
}

int mcp_body_respond(struct mcp_conn *c, struct mcp_call *call, struct str body)
{
    struct mcp_ext ext;
    const struct mcp_ext *block = shrink(c, &body, &ext);

    return mcp_call_respond(call, block, body);
}

/* Bytes that inflating costs. */
static uint32_t cost_of(const struct mcp_message *message)
{
    return message->ext->compression != MCP_COMPRESSION_NONE ? message->ext->raw_len : 0;
}

int mcp_body_open(struct mcp_conn *c, const struct mcp_message *message, struct str *ret)
{
    uint32_t cost = cost_of(message);
    int r = 0;

    *ret = message->body;
    if (message->ext->compression == MCP_COMPRESSION_NONE)
        return 0;
    r = mcp_session_charge(&c->wire.session, cost);
    if (r < 0)
        return r;
    r = zip_grow(&c->listener->zip, (enum zip_algorithm)message->ext->compression, message->body,
                 message->ext->raw_len, ret);
    if (r < 0)
        mcp_session_discharge(&c->wire.session, cost);
    return r;
}

void mcp_body_close(struct mcp_conn *c, const struct mcp_message *message)
{
    mcp_session_discharge(&c->wire.session, cost_of(message));
}
