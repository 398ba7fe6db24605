/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/plain.h"
#include "mcp/state.h"

/* A client of the plain profile. */

int mcp_plain_check(const struct mcp_ext *ext, size_t body_len)
{
    const struct mcp_plain_request request = {.service = ext->method, .body = {NULL, body_len}};

    if (ext->codec != MCP_CODEC_JSON || ext->compression != MCP_COMPRESSION_NONE ||
        ext->order_lane != 0)
        return -EOPNOTSUPP;
    return mcp_plain_request_len(&request) > MCP_PAYLOAD_MAX ? -EMSGSIZE : 0;
}

struct mcp_out *mcp_plain_new_request(struct mcp_session *s, const struct mcp_ext *ext,
                                      struct str body)
{
    const struct mcp_plain_request request = {.service = ext->method, .body = body};
    struct mcp_out *o = mcp_out_new(s, MCP_REQUEST, NULL, mcp_plain_request_len(&request));

    if (o != NULL)
        mcp_plain_pack_request(o->body, &request);
    return o;
}

/* Of a request that one too many was in flight for, nothing was done. */
static struct mcp_error error_of(const struct mcp_plain_response *response)
{
    unsigned code = mcp_code_of_status((int)response->status);
    bool is_transient = mcp_code_info(code)->class == MCP_CLASS_TRANSIENT;
    struct mcp_error error = mcp_own_error(code, is_transient ? MCP_TRANSIENT : 0, NULL);

    if (response->status == 429)
        error.flags |= MCP_NOT_PROCESSED;
    error.origin = MCP_ORIGIN_GATEWAY;
    error.text = response->error;
    return error;
}

void mcp_plain_answered(struct mcp_session *s, const struct mcp_frame *f)
{
    const struct mcp_ext ext = {.codec = MCP_CODEC_JSON};
    struct mcp_message m = {.ext = &ext, .cost = (uint32_t)f->payload.len};
    struct mcp_call *call = mcp_calls_find(s, f->seq);
    struct mcp_plain_response response;
    struct mcp_error error;

    if (f->type != MCP_RESPONSE || f->flags != 0 || call == NULL || !call->is_begun ||
        mcp_plain_parse_response(f->payload, &response) < 0) {
        mcp_session_die(s, MCP_PROTOCOL);
        return;
    }
    m.body = response.body;
    error = error_of(&response);
    if (response.status >= 200 && response.status <= 299)
        mcp_client_finish(s, call, &m, NULL);
    else
        mcp_client_finish(s, call, NULL, &error);
}
