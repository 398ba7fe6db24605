/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

void mcp_server_hello(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_hello theirs;
    struct mcp_hello ack = s->settings->hello;
    struct mcp_out *o;
    int code;

    if (mcp_frame_check(f, MCP_SERVER) < 0 || mcp_hello_parse(f->payload, false, &theirs) < 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "a malformed HELLO");
        return;
    }
    code = s->ops->on_hello != NULL ? s->ops->on_hello(s, &theirs) : 0;
    if (code != 0) {
        mcp_session_refuse(s, (unsigned)code, MCP_NOT_PROCESSED, "refused");
        return;
    }
    ack.features = mcp_hello_features(&ack, &theirs);
    ack.revision_max = MCP_REVISION;
    o = mcp_out_control(s, MCP_HELLO_ACK, 0, mcp_hello_len(&ack));
    if (o == NULL) {
        mcp_session_die(s, MCP_INTERNAL);
        return;
    }
    mcp_hello_pack(o->body, &ack);
    mcp_session_agree(s, &theirs);
}

/*
 * Ends
 */

void mcp_server_abort(struct mcp_session *s, struct mcp_call *call, const struct mcp_error *error,
                      enum mcp_cancel reason)
{
    struct mcp_error e = *error;

    if (!call->is_begun)
        e.flags |= MCP_NOT_PROCESSED;
    if (call->has_chunks)
        e.flags |= MCP_PARTIAL;
    /* What is under way of its request arrives yet, and is no abuse. */
    if (call->in.is_open)
        s->late_bytes += call->rx.limit - call->rx.received;
    mcp_calls_unlist(s, call);
    mcp_out_drop(s, call);
    if (s->is_plain) {
        if (mcp_plain_say(s, call->seq, mcp_code_info(e.code)->status, e.text, STR_NULL) < 0)
            mcp_session_die(s, MCP_INTERNAL);
    } else {
        mcp_session_answer_error(s, call->seq, NULL, &e);
    }
    if (call->is_held && !call->is_cancelled) {
        call->reason = (uint8_t)reason;
        mcp_calls_wake(s, call, MCP_WAKE_CANCEL);
    }
    call->is_cancelled = true;
    mcp_calls_drop(s, call);
}

static void abort_with(struct mcp_session *s, struct mcp_call *call, unsigned code,
                       const char *text)
{
    struct mcp_error error = mcp_own_error(code, 0, text);

    mcp_server_abort(s, call, &error,
                     code == MCP_DEADLINE_EXCEEDED ? MCP_CANCEL_DEADLINE : MCP_CANCEL_APPLICATION);
}

void mcp_server_due(struct mcp_session *s, struct mcp_call *call)
{
    abort_with(s, call, MCP_DEADLINE_EXCEEDED, "the deadline has passed");
}

static void shed_partials(struct mcp_session *s)
{
    struct mcp_call *victim;

    while ((victim = mcp_receive_excess(s)) != NULL)
        abort_with(s, victim, MCP_OVERLOADED, "too much of requests is incomplete");
}

/*
 * Requests
 */

static void deliver(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    call->is_held = true;
    call->is_begun = true;
    s->ops->on_request(s, call, m);
}

void mcp_server_start(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_message m;
    struct mcp_ext ext;
    struct mcp_in in = mcp_receive_take(s, call, &ext, &m);

    call->is_waiting = false;
    s->request_memory = in.data;
    deliver(s, call, &m);
    (void)mcp_pool_resize(s->pool, mcp_session_keep_request(s), 0);
}

/* Complete in one frame. In a lane behind others its bytes must be kept. */
static void take_whole(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    if (mcp_calls_is_first_in_lane(s, call)) {
        deliver(s, call, m);
        return;
    }
    if (mcp_receive_keep(s, call, m) != MCP_OK) {
        abort_with(s, call, MCP_OVERLOADED, "no memory for the request");
        return;
    }
    call->is_waiting = true;
    shed_partials(s);
}

/* Why a new call is answered with an ERROR at once: 0, or the code. */
static unsigned refusal(const struct mcp_session *s, const struct mcp_frame *f, int ext_result,
                        const struct mcp_ext *ext, struct str body, const char **ret_text)
{
    *ret_text = "the server is going away";
    if (s->is_going)
        return MCP_UNAVAILABLE;
    *ret_text = "too many calls at once";
    if (s->n_calls >= s->settings->hello.max_inflight)
        return MCP_OVERLOADED;
    *ret_text = "a malformed extension block";
    if (ext_result == -EINVAL)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "an extension that is not supported";
    if (ext_result != 0)
        return MCP_UNIMPLEMENTED;
    *ret_text = "METHOD is missing";
    if (ext->method.len == 0)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "the deadline has passed";
    if (ext->has_deadline && ext->deadline_ms == 0)
        return MCP_DEADLINE_EXCEEDED;
    return mcp_receive_check_first(s, f, ext, body, ret_text);
}

static void refuse(struct mcp_session *s, const struct mcp_frame *f, unsigned code,
                   const char *text)
{
    struct mcp_error error = mcp_own_error(code, MCP_NOT_PROCESSED, text);

    if ((f->flags & MCP_MORE) != 0)
        s->late_bytes += s->settings->hello.call_limit - (uint32_t)f->payload.len;
    mcp_session_answer_error(s, f->seq, NULL, &error);
}

static struct mcp_call *new_call(struct mcp_session *s, const struct mcp_frame *f,
                                 const struct mcp_ext *ext)
{
    struct mcp_call *call = mcp_calls_add(s, f->seq);

    if (call == NULL)
        return NULL;
    call->lane = ext->order_lane;
    call->tx.limit = ext->stream_limit > 0 ? ext->stream_limit : s->call_limit;
    call->rx = mcp_rx_make(s->settings->hello.call_limit);
    call->rx.received = (uint32_t)f->payload.len;
    if (ext->has_deadline)
        mcp_calls_set_due(s, call, s->now + (nsec_t)ext->deadline_ms * NSEC_PER_MSEC);
    return call;
}

void mcp_server_open(struct mcp_session *s, const struct mcp_frame *f, int ext_result,
                     const struct mcp_ext *ext, struct str body)
{
    struct mcp_message m = {.ext = ext, .body = body, .cost = (uint32_t)f->payload.len};
    struct mcp_call *call;
    const char *text;
    unsigned code;

    mcp_calls_note_newest(s, f->seq);
    if (f->payload.len > s->settings->hello.call_limit) {
        mcp_session_fail(s, MCP_FLOW_CONTROL, "more than the call's credit");
        return;
    }
    code = refusal(s, f, ext_result, ext, body, &text);
    if (code != MCP_OK) {
        refuse(s, f, code, text);
        return;
    }
    call = new_call(s, f, ext);
    if (call == NULL) {
        refuse(s, f, MCP_OVERLOADED, "no memory for the call");
        return;
    }
    if ((f->flags & MCP_MORE) == 0) {
        take_whole(s, call, &m);
        return;
    }
    if (mcp_receive_begin(s, call, f, ext, body) != MCP_OK) {
        abort_with(s, call, MCP_OVERLOADED, "no memory for the request");
        return;
    }
    mcp_receive_credit(s, call);
    shed_partials(s);
}

static void take_rest(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f)
{
    const char *text = NULL;
    bool is_whole = false;
    unsigned code;

    if (!call->in.is_open) {
        mcp_session_fail(s, MCP_PROTOCOL, "a fragment where no message is incomplete");
        return;
    }
    if (mcp_rx_receive(&call->rx, (uint32_t)f->payload.len) < 0) {
        mcp_session_fail(s, MCP_FLOW_CONTROL, "more than the call's credit");
        return;
    }
    code = mcp_receive_more(s, call, f, &text, &is_whole);
    if (code != MCP_OK) {
        abort_with(s, call, code, text);
        return;
    }
    if (!is_whole) {
        mcp_receive_credit(s, call);
        shed_partials(s);
        return;
    }
    call->is_waiting = !mcp_calls_is_first_in_lane(s, call);
    if (!call->is_waiting)
        mcp_server_start(s, call);
}

/*
 * Fragments that were under way when we ended their call. Each counts as one of the least size: what
 * is shorter could go on for ever.
 */
static void take_late(struct mcp_session *s, const struct mcp_frame *f)
{
    bool is_known = s->has_newest && !mcp_seq_is_newer(f->seq, s->newest);
    size_t least = s->settings->fragment_min;
    size_t cost = f->payload.len > least ? f->payload.len : least;

    if (is_known && cost <= s->late_bytes)
        s->late_bytes -= cost;
    else
        mcp_session_stray(s, f->seq);
}

static void take_request(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_call *call = mcp_calls_find(s, f->seq);
    struct mcp_ext ext = {0};
    struct str body = STR_NULL;
    int r;

    if ((f->flags & MCP_EXT) == 0) {
        if (call != NULL)
            take_rest(s, call, f);
        else
            take_late(s, f);
        return;
    }
    if (call != NULL) {
        mcp_session_fail(s, MCP_PROTOCOL, "the id is in use");
        return;
    }
    r = mcp_ext_parse(f->payload, &ext, &body);
    mcp_server_open(s, f, r, &ext, body);
}

static void take_cancel(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_call *call = mcp_calls_find(s, f->seq);
    struct mcp_error error = mcp_own_error(MCP_CANCELLED, 0, "cancelled");
    uint8_t reason = wire_get_u8(f->payload.s);

    if (call == NULL) {
        mcp_session_stray(s, f->seq);
        return;
    }
    if (reason != MCP_CANCEL_DEADLINE && reason != MCP_CANCEL_GONE)
        reason = MCP_CANCEL_APPLICATION;
    mcp_server_abort(s, call, &error, (enum mcp_cancel)reason);
}

void mcp_server_frame(struct mcp_session *s, const struct mcp_frame *f)
{
    switch (f->type) {
    case MCP_REQUEST:
        take_request(s, f);
        return;
    case MCP_CANCEL:
        take_cancel(s, f);
        return;
    case MCP_BATCH:
        mcp_server_batch(s, f);
        return;
    default:
        mcp_session_fail(s, MCP_PROTOCOL, "a second HELLO");
    }
}
