/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

int mcp_client_hello(struct mcp_session *s)
{
    struct mcp_hello hello = s->settings->hello;
    struct mcp_out *o = mcp_out_control(s, MCP_HELLO, 0, mcp_hello_len(&hello));

    if (o == NULL)
        return -ENOMEM;
    hello.max_inflight = 0; /* a client takes no calls */
    mcp_hello_pack(o->body, &hello);
    return 0;
}

/*
 * Opening
 */

/* What the peer does not take. Before the ACK that is not known. */
static int check_peer(const struct mcp_session *s, const struct mcp_ext *ext, size_t body_len)
{
    if (!s->is_acked)
        return 0;
    if (body_len > s->max_message || ext->raw_len > s->max_message)
        return -EMSGSIZE;
    if (ext->compression != MCP_COMPRESSION_NONE && (s->compressions & 1u << ext->compression) == 0)
        return -EOPNOTSUPP;
    if (ext->order_lane != 0 && (s->features & MCP_FEATURE_LANES) == 0)
        return -EOPNOTSUPP;
    return 0;
}

static bool is_busy(const struct mcp_session *s)
{
    uint32_t max = s->is_acked   ? s->max_inflight
                   : s->is_plain ? s->settings->plain_inflight
                                 : MCP_EARLY_CALLS;

    return mcp_session_is_over(s) || s->is_going || s->n_listed >= max;
}

static uint32_t take_seq(struct mcp_session *s)
{
    uint32_t seq;

    do {
        seq = s->next_seq;
        s->next_seq = seq == MCP_SEQ_MAX ? 1 : seq + 1;
    } while (mcp_calls_find(s, seq) != NULL);
    return seq;
}

static int check_request(const struct mcp_session *s, const struct mcp_ext *ext, size_t body_len)
{
    int r = mcp_ext_check(ext);

    if (r < 0)
        return r;
    if (ext->method.len == 0)
        return -EINVAL;
    r = s->is_plain ? mcp_plain_check(ext, body_len) : check_peer(s, ext, body_len);
    if (r < 0)
        return r;
    if (body_len > UINT32_MAX - MCP_EXT_MAX)
        return -EMSGSIZE;
    return s->unsent > s->settings->session_unsent ? -ENOBUFS : 0;
}

static struct mcp_out *new_request(struct mcp_session *s, const struct mcp_ext *ext,
                                   struct str body)
{
    struct mcp_out *o = mcp_out_new(s, MCP_REQUEST, ext, body.len);

    if (o != NULL)
        (void)wire_put(o->body, body);
    return o;
}

int mcp_session_open(struct mcp_session *s, const struct mcp_request *request, nsec_t now,
                     struct mcp_call **ret_call)
{
    struct mcp_ext ext = request->ext;
    struct mcp_call *call;
    struct mcp_out *o;
    int r;

    s->now = now;
    if (is_busy(s))
        return MCP_BUSY;
    ext.has_total_len = false;
    r = check_request(s, &ext, request->body.len);
    if (r < 0)
        return r;
    o = s->is_plain ? mcp_plain_new_request(s, &ext, request->body)
                    : new_request(s, &ext, request->body);
    if (o == NULL)
        return -ENOMEM;
    call = mcp_calls_add(s, take_seq(s));
    if (call == NULL) {
        mcp_out_free(s, o);
        return -ENOMEM;
    }
    call->owner = request->owner;
    call->is_held = true;
    call->lane = ext.order_lane;
    call->compression = ext.compression;
    call->is_early = ext.codec <= MCP_CODEC_JSON && ext.compression == MCP_COMPRESSION_NONE &&
                     ext.order_lane == 0;
    call->tx.limit = s->is_acked ? s->call_limit : MCP_EARLY_FRAME;
    call->rx = mcp_rx_make(ext.stream_limit > 0 ? ext.stream_limit : s->settings->hello.call_limit);
    if (ext.has_deadline)
        mcp_calls_set_due(s, call, now + (nsec_t)ext.deadline_ms * NSEC_PER_MSEC);
    mcp_out_push(s, call, o);
    mcp_gather_hold(s, call);
    *ret_call = call;
    return 0;
}

/*
 * Ending early
 */

/* Nothing goes before the ACK: then take_ack() sends it. */
static void send_cancel(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_out *o;

    mcp_calls_set_due(s, call, NSEC_NEVER);
    if (!s->is_acked || mcp_session_is_over(s))
        return;
    o = mcp_out_control(s, MCP_CANCEL, call->seq, 1);
    if (o == NULL) {
        mcp_session_die(s, MCP_INTERNAL);
        return;
    }
    o->body[0] = (char)call->reason;
    mcp_calls_set_due(s, call, s->now + s->settings->cancel_ns);
}

/* The rest of its request is not sent any more: CANCEL says so. */
static void cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    if (call->is_cancelled)
        return;
    call->is_cancelled = true;
    call->reason = (uint8_t)reason;
    mcp_out_drop(s, call);
    send_cancel(s, call);
}

void mcp_call_cancel(struct mcp_call *call, enum mcp_cancel reason, nsec_t now)
{
    struct mcp_session *s = call->session;

    s->now = now;
    if (!call->is_listed || call->is_cancelled || call->is_zombie)
        return;
    if (call->is_begun) {
        cancel(s, call, reason);
        return;
    }
    mcp_calls_unlist(s, call);
    mcp_out_drop(s, call);
    mcp_calls_end(s, call, MCP_CANCELLED, MCP_NOT_PROCESSED, "cancelled before it was sent");
}

void mcp_client_abandon(struct mcp_session *s, struct mcp_call *call, unsigned code,
                        const char *text)
{
    enum mcp_cancel reason =
        code == MCP_DEADLINE_EXCEEDED ? MCP_CANCEL_DEADLINE : MCP_CANCEL_APPLICATION;

    if (!call->is_zombie)
        mcp_calls_end(s, call, code, call->is_begun ? 0 : MCP_NOT_PROCESSED, text);
    call->is_zombie = true;
    mcp_receive_drop(s, call);
    if (call->is_begun) {
        cancel(s, call, reason);
        return;
    }
    mcp_calls_unlist(s, call);
    mcp_out_drop(s, call);
    mcp_calls_drop(s, call);
}

void mcp_client_due(struct mcp_session *s, struct mcp_call *call)
{
    if (call->is_cancelled)
        mcp_session_fail(s, MCP_PROTOCOL, "a cancelled call got no terminal frame");
    else
        mcp_client_abandon(s, call, MCP_DEADLINE_EXCEEDED, "the deadline has passed");
}

void mcp_call_take(struct mcp_call *call, uint32_t cost)
{
    mcp_rx_release(&call->rx, cost);
    mcp_receive_credit(call->session, call);
}

/*
 * Answers
 */

void mcp_client_finish(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m,
                       const struct mcp_error *error)
{
    bool is_told = !call->is_held || call->is_zombie;

    mcp_calls_unlist(s, call);
    mcp_out_drop(s, call);
    if (!is_told)
        s->ops->on_end(s, call, m, error);
    call->is_held = false;
    mcp_calls_drop(s, call);
    mcp_gather_ease(s);
}

/* A whole CHUNK or RESPONSE. */
static void deliver(struct mcp_session *s, struct mcp_call *call, unsigned type,
                    const struct mcp_message *m)
{
    if (type == MCP_RESPONSE) {
        mcp_client_finish(s, call, m, NULL);
        return;
    }
    if (m->body.len == 0)
        mcp_session_abuse(s);
    if (mcp_session_is_over(s))
        return;
    if (call->is_cancelled)
        mcp_call_take(call, m->cost);
    else
        s->ops->on_chunk(s, call, m);
}

/* The call ends here; where the wrong frame was terminal, there as well. */
static void give_up(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f,
                    unsigned code, const char *text)
{
    struct mcp_error error = mcp_own_error(code, 0, text);

    error.origin = MCP_ORIGIN_LOCAL;
    if (f->type == MCP_RESPONSE && (f->flags & MCP_MORE) == 0)
        mcp_client_finish(s, call, NULL, &error);
    else
        mcp_client_abandon(s, call, code, text);
}

static void shed_partials(struct mcp_session *s)
{
    struct mcp_call *victim;

    while ((victim = mcp_receive_excess(s)) != NULL)
        mcp_client_abandon(s, victim, MCP_OVERLOADED, "too much of answers is incomplete");
}

static void take_begin(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f)
{
    struct mcp_ext ext = {0};
    struct str body = f->payload;
    const char *text = "a malformed extension block";
    int r = (f->flags & MCP_EXT) != 0 ? mcp_ext_parse(f->payload, &ext, &body) : 0;
    unsigned code = r == 0 ? MCP_OK : r == -EINVAL ? MCP_INVALID_ARGUMENT : MCP_UNIMPLEMENTED;

    if (code == MCP_OK)
        code = mcp_receive_check_first(s, f, &ext, body, &text);
    if (code == MCP_OK && (f->flags & MCP_MORE) != 0)
        code = mcp_receive_begin(s, call, f, &ext, body);
    if (code != MCP_OK) {
        give_up(s, call, f, code, text);
        return;
    }
    if ((f->flags & MCP_MORE) == 0) {
        struct mcp_message m = {.ext = &ext, .body = body, .cost = (uint32_t)f->payload.len};

        deliver(s, call, f->type, &m);
        return;
    }
    mcp_receive_credit(s, call);
    shed_partials(s);
}

static void take_rest(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f)
{
    const char *text = NULL;
    struct mcp_message m;
    struct mcp_ext ext;
    struct mcp_in in;
    bool is_whole = false;
    unsigned code;

    if (f->type != call->in.type || (f->flags & MCP_EXT) != 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "another frame inside a message");
        return;
    }
    code = mcp_receive_more(s, call, f, &text, &is_whole);
    if (code != MCP_OK) {
        give_up(s, call, f, code, text);
        return;
    }
    if (!is_whole) {
        mcp_receive_credit(s, call);
        shed_partials(s);
        return;
    }
    in = mcp_receive_take(s, call, &ext, &m);
    deliver(s, call, f->type, &m);
    mcp_receive_free(s, &in);
}

static void take_message(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f)
{
    if (mcp_rx_receive(&call->rx, (uint32_t)f->payload.len) < 0) {
        mcp_session_fail(s, MCP_FLOW_CONTROL, "more than the call's credit");
        return;
    }
    if (call->is_zombie) {
        mcp_call_take(call, (uint32_t)f->payload.len);
        if (f->type == MCP_RESPONSE && (f->flags & MCP_MORE) == 0)
            mcp_client_finish(s, call, NULL, NULL);
        return;
    }
    if (call->in.is_open)
        take_rest(s, call, f);
    else
        take_begin(s, call, f);
}

static void take_error(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f)
{
    struct mcp_error error;
    struct mcp_ext ext = {0};
    struct str rest = f->payload;
    int r = (f->flags & MCP_EXT) != 0 ? mcp_ext_parse(f->payload, &ext, &rest) : 0;

    if (r == -EINVAL) {
        error = mcp_own_error(MCP_INVALID_ARGUMENT, 0, "a malformed extension block");
        error.origin = MCP_ORIGIN_LOCAL;
    } else if (mcp_error_parse(rest, &error) < 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "a malformed ERROR");
        return;
    } else if ((f->flags & MCP_EXT) != 0) {
        error.ext = &ext;
    }
    mcp_client_finish(s, call, NULL, &error);
}

static void take_goaway(struct mcp_session *s, const struct mcp_frame *f)
{
    s->is_going = true;
    s->last_seen = wire_get_u32(f->payload.s);
    list_for_each_safe (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->is_listed && !call->is_begun)
            mcp_client_abandon(s, call, MCP_UNAVAILABLE, "the server is going away");
    }
    if (s->ops->on_goaway != NULL)
        s->ops->on_goaway(s, wire_get_u16(f->payload.s + 4), wire_get_u16(f->payload.s + 6));
}

/*
 * The beginning
 */

/* Calls that were opened before the ACK learn what is possible. */
static void settle(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_ext ext = {.order_lane = call->lane, .compression = call->compression};
    size_t body_len = call->first_out != NULL ? call->first_out->body_len : 0;
    int r = check_peer(s, &ext, body_len);

    (void)mcp_tx_raise(&call->tx, s->call_limit);
    if (!call->is_begun && r < 0) {
        mcp_client_abandon(s, call, r == -EMSGSIZE ? MCP_TOO_LARGE : MCP_UNIMPLEMENTED,
                           "the server does not take it");
        return;
    }
    if (call->is_cancelled)
        send_cancel(s, call);
    mcp_sched_unpark(s, call);
}

static void take_ack(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_hello hello;

    if (mcp_frame_check(f, MCP_CLIENT) < 0 || mcp_hello_parse(f->payload, true, &hello) < 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "a malformed HELLO_ACK");
        return;
    }
    mcp_session_agree(s, &hello);
    list_for_each_safe (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->is_listed)
            settle(s, call);
        if (mcp_session_is_over(s))
            return;
    }
    if (s->ops->on_hello != NULL)
        (void)s->ops->on_hello(s, &hello);
}

void mcp_client_frame(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_call *call;

    if (f->type == MCP_HELLO_ACK && s->state == MCP_STATE_START) {
        take_ack(s, f);
        return;
    }
    if (s->state == MCP_STATE_START || f->type == MCP_HELLO_ACK) {
        mcp_session_fail(s, MCP_PROTOCOL, "HELLO_ACK is the first frame, once");
        return;
    }
    if (f->type == MCP_GOAWAY) {
        take_goaway(s, f);
        return;
    }
    call = mcp_calls_find(s, f->seq);
    if (call == NULL)
        mcp_session_stray(s, f->seq);
    else if (!call->is_begun)
        mcp_session_fail(s, MCP_PROTOCOL, "an answer to what was not asked");
    else if (f->type == MCP_ERROR)
        take_error(s, call, f);
    else
        take_message(s, call, f);
}
