/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/plain.h"
#include "mcp/state.h"

static struct mcp_out *new_answer(struct mcp_session *s, uint32_t seq,
                                  const struct mcp_plain_response *response)
{
    struct mcp_out *o = mcp_out_new(s, MCP_RESPONSE, NULL, mcp_plain_response_len(response));

    if (o == NULL)
        return NULL;
    o->seq = seq;
    mcp_plain_pack_response(o->body, response);
    return o;
}

int mcp_plain_say(struct mcp_session *s, uint32_t seq, unsigned status, struct str error,
                  struct str body)
{
    struct mcp_plain_response response = {.status = status, .error = error, .body = body};
    struct mcp_out *o = new_answer(s, seq, &response);

    if (o == NULL)
        return -ENOMEM;
    mcp_out_put_control(s, o);
    return 0;
}

int mcp_plain_answer(struct mcp_call *call, unsigned status, struct str error, struct str body)
{
    struct mcp_plain_response response = {.status = status, .error = error, .body = body};
    struct mcp_out *o;

    if (mcp_plain_response_len(&response) > MCP_PAYLOAD_MAX)
        response = (struct mcp_plain_response){
            .status = mcp_code_info(MCP_TOO_LARGE)->status,
            .error = STR("the answer is too large for the plain profile"),
        };
    o = new_answer(call->session, call->seq, &response);
    if (o == NULL)
        return -ENOMEM;
    mcp_out_push(call->session, call, o);
    return 0;
}

/* An answer without a call: the session ends when there is no memory even for that. */
static void say(struct mcp_session *s, uint32_t seq, unsigned status, struct str error)
{
    if (mcp_plain_say(s, seq, status, error, STR_NULL) < 0)
        mcp_session_die(s, MCP_INTERNAL);
}

static void take_request(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_plain_request request;
    struct mcp_ext ext = {.codec = MCP_CODEC_JSON};
    struct mcp_message m = {.ext = &ext, .cost = (uint32_t)f->payload.len};
    struct mcp_call *call;

    if (mcp_plain_parse_request(f->payload, &request) < 0) {
        say(s, f->seq, 400, STR("malformed Request"));
        return;
    }
    if (request.service.len == 0) {
        say(s, f->seq, 404, STR("no service is named"));
        return;
    }
    if (s->is_going) {
        say(s, f->seq, 503, STR("the server is going away"));
        return;
    }
    call = s->n_calls < s->settings->plain_inflight ? mcp_calls_add(s, f->seq) : NULL;
    if (call == NULL) {
        say(s, f->seq, 429, STR("too many requests at once"));
        return;
    }
    ext.method = request.service;
    m.body = request.body;
    call->is_held = true;
    call->is_begun = true;
    s->ops->on_request(s, call, &m);
}

void mcp_plain_begin(struct mcp_session *s)
{
    s->is_plain = true;
    s->state = MCP_STATE_RUNNING;
    s->fragment = MCP_PAYLOAD_MAX;
    s->last_call = s->now;
}

/* Why no plain peer is served here: 0, or the status. */
static unsigned refusal(const struct mcp_settings *settings)
{
    if (settings->needs_key)
        return 401;
    return settings->needs_hello ? 426 : 0;
}

void mcp_plain_frame(struct mcp_session *s, const struct mcp_frame *f)
{
    unsigned status = refusal(s->settings);

    if (s->state == MCP_STATE_START)
        mcp_plain_begin(s);
    if (f->type != MCP_REQUEST || f->flags != 0 || mcp_calls_find(s, f->seq) != NULL) {
        mcp_session_die(s, MCP_PROTOCOL);
        return;
    }
    if (status == 0) {
        take_request(s, f);
        return;
    }
    s->end_code = status == 401 ? MCP_UNAUTHENTICATED : MCP_FAILED_PRECONDITION;
    mcp_session_flush(s);
    say(s, f->seq, status,
        status == 401 ? STR("a key is needed, in a HELLO") : STR("HELLO is needed"));
}
