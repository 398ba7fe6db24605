/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

/*
 * Producers are full from session_unsent on, but hear of it only when they ask next: what each has in
 * hand by then is taken still.
 */
#define BACKSTOP 2

/* A small answer is taken always: there are no more of them than calls in flight. */
#define SMALL_ANSWER_BYTES (16 * 1024)

/* What may be said about an answer; the rest was for the request. */
static int check_answer(const struct mcp_session *s, const struct mcp_ext *ext, size_t body_len)
{
    int r = ext != NULL ? mcp_ext_check(ext) : 0;

    if (r < 0)
        return r;
    if (body_len > s->max_message || (ext != NULL && ext->raw_len > s->max_message))
        return -EMSGSIZE;
    if (ext == NULL)
        return 0;
    if (ext->has_total_len || (ext->compression != MCP_COMPRESSION_NONE &&
                               (s->compressions & 1u << ext->compression) == 0))
        return -EINVAL;
    return 0;
}

/* Whether it may be queued. Return: 0, <0. */
static int check_room(const struct mcp_session *s, unsigned type, const struct mcp_ext *ext,
                      size_t body_len)
{
    int r = check_answer(s, ext, body_len);

    if (r < 0)
        return r;
    return s->unsent / BACKSTOP > s->settings->session_unsent &&
                   (type == MCP_CHUNK || body_len > SMALL_ANSWER_BYTES)
               ? -ENOBUFS
               : 0;
}

static int push(struct mcp_call *call, unsigned type, const struct mcp_ext *ext, struct str body)
{
    struct mcp_session *s = call->session;
    struct mcp_out *o;
    int r = check_room(s, type, ext, body.len);

    if (r < 0)
        return r;
    if (type == MCP_CHUNK && mcp_run_takes(s, ext, body.len))
        return mcp_run_put(s, call, body);
    o = mcp_out_new(s, type, ext, body.len);
    if (o == NULL)
        return -ENOMEM;
    (void)wire_put(o->body, body);
    mcp_out_push(s, call, o);
    return 0;
}

int mcp_call_chunk(struct mcp_call *call, const struct mcp_ext *ext, struct str body)
{
    struct mcp_session *s = call->session;
    int r;

    if (!call->is_listed)
        return -ECANCELED;
    if (s->is_plain)
        return -EOPNOTSUPP;
    r = push(call, MCP_CHUNK, ext, body);
    if (r < 0)
        return r;
    if (s->unsent > s->settings->session_unsent)
        s->is_crowded = true;
    if (!s->is_crowded && call->unsent <= s->settings->call_unsent)
        return 0;
    call->is_full = true;
    return MCP_FULL;
}

/* The handler is done; where nobody listens any more that is all there is to do. */
static bool let_go(struct mcp_call *call)
{
    call->is_held = false;
    if (call->is_listed)
        return false;
    mcp_calls_drop(call->session, call);
    return true;
}

int mcp_call_respond(struct mcp_call *call, const struct mcp_ext *ext, struct str body)
{
    int r;

    if (call->is_listed) {
        r = call->session->is_plain ? mcp_plain_answer(call, 200, STR_NULL, body)
                                    : push(call, MCP_RESPONSE, ext, body);
        if (r < 0)
            return r;
    }
    (void)let_go(call);
    return 0;
}

int mcp_call_respond_owned(struct mcp_call *call, const struct mcp_ext *ext, struct str body,
                           void *memory)
{
    struct mcp_session *s = call->session;
    struct mcp_out *o;
    int r;

    if (!call->is_listed || s->is_plain || body.len <= MCP_COPY_MAX) {
        r = mcp_call_respond(call, ext, body);
        if (r == 0)
            (void)mcp_pool_resize(s->pool, memory, 0);
        return r;
    }
    r = check_room(s, MCP_RESPONSE, ext, body.len);
    if (r < 0)
        return r;
    o = mcp_out_new_owned(s, MCP_RESPONSE, ext, body, memory);
    if (o == NULL)
        return -ENOMEM;
    mcp_out_push(s, call, o);
    (void)let_go(call);
    return 0;
}

void *mcp_session_keep_request(struct mcp_session *s)
{
    return TAKE(s->request_memory);
}

void mcp_call_fail(struct mcp_call *call, const struct mcp_ext *ext, const struct mcp_error *error)
{
    struct mcp_session *s = call->session;
    struct mcp_error e = *error;

    if (let_go(call))
        return;
    if (s->is_plain) {
        if (mcp_plain_answer(call, mcp_code_info(e.code)->status, e.text, STR_NULL) < 0)
            mcp_session_die(s, MCP_INTERNAL);
        return;
    }
    if (call->has_chunks)
        e.flags |= MCP_PARTIAL;
    call->error_out =
        mcp_out_new_error(s, call->seq, ext != NULL && mcp_ext_check(ext) == 0 ? ext : NULL, &e);
    if (call->error_out == NULL) {
        mcp_session_die(s, MCP_INTERNAL);
        return;
    }
    if (call->first_out != NULL && s->starved_since == NSEC_NEVER) {
        mcp_sched_unpark(s, call);
        return;
    }
    mcp_out_put_control(s, TAKE(call->error_out));
    mcp_out_drop(s, call);
    mcp_calls_unlist(s, call);
    mcp_calls_drop(s, call);
}
