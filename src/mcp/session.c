/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

#define KIB UINT32_C(1024)
#define MIB (KIB * KIB)

#define CREDIT_TINY 1024 /* updates below it are counted as abuse */

const struct mcp_settings mcp_settings_default = {
    .hello =
        {
            .revision_min = MCP_REVISION,
            .revision_max = MCP_REVISION,
            .features = MCP_FEATURES_BASIC | MCP_FEATURE_BATCH | MCP_FEATURE_LANES,
            .max_frame = MCP_PAYLOAD_MAX,
            .max_inflight = 256,
            .max_message = 64 * MIB,
            .conn_limit = MIB,
            .call_limit = 256 * KIB,
            .idle_s = 300,
            .min_ping_s = 10,
            .codecs = {.s = "\0\1\2", .len = 3},
            .compressions = {.s = "\0", .len = 1},
        },
    .plain_inflight = 128,
    .fragment = 16 * KIB,
    .fragment_min = 1024,
    .partial_max = 64,
    .partial_bytes = 128 * MIB,
    .call_unsent = 256 * KIB,
    .session_unsent = 16 * MIB,
    .control_max = 1000,
    .abuse_burst = 10000,
    .abuse_per_s = 330,
    .first_frame_ns = 5 * NSEC_PER_SEC,
    .half_frame_ns = 10 * NSEC_PER_SEC,
    .partial_ns = 30 * NSEC_PER_SEC,
    .cancel_ns = 30 * NSEC_PER_SEC,
    .stall_ns = 30 * NSEC_PER_SEC,
    .ping_open_ns = 15 * NSEC_PER_SEC,
    .ping_idle_ns = 30 * NSEC_PER_SEC,
    .pong_ns = 10 * NSEC_PER_SEC,
    .linger_ns = 1 * NSEC_PER_SEC,
    .idle_ns = 300 * NSEC_PER_SEC,
};

int mcp_session_init(struct mcp_session *s, enum mcp_role role, const struct mcp_settings *settings,
                     const struct mcp_session_ops *ops, struct mcp_pool *pool, nsec_t now)
{
    /* A client may have used this much before it heard of our limits. */
    assert(role == MCP_CLIENT || (settings->hello.conn_limit >= MCP_EARLY_BYTES &&
                                  settings->hello.max_inflight >= MCP_EARLY_CALLS));

    *s = (struct mcp_session){
        .ops = ops,
        .settings = settings,
        .pool = pool,
        .n_buckets = MCP_INLINE_BUCKETS,
        .rx = mcp_rx_make(settings->hello.conn_limit),
        .tx = {.limit = MCP_EARLY_BYTES},
        .now = now,
        .last_received = now,
        .last_ping = now,
        .last_call = now,
        .starved_since = NSEC_NEVER,
        .calls_due = NSEC_NEVER,
        .end_due = now + settings->first_frame_ns,
        .abuse_at = now,
        .abuse_left = settings->abuse_burst * 1000,
        .next_seq = 1,
        .fragment = MCP_EARLY_FRAME,
        .role = (uint8_t)role,
    };
    s->buckets = s->inline_buckets;
    list_init(&s->calls);
    list_init(&s->small);
    list_init(&s->bulk);
    list_init(&s->held);
    list_init(&s->wakes);
    list_init(&s->partials);
    list_init(&s->credited);
    if (role == MCP_CLIENT && settings->speaks_plain)
        mcp_plain_begin(s);
    else if (role == MCP_CLIENT)
        return mcp_client_hello(s);
    return 0;
}

void mcp_session_fini(struct mcp_session *s)
{
    s->state = MCP_STATE_DEAD;
    mcp_calls_fini(s);
    mcp_out_drop_control(s);
    mcp_batch_drop(s);
}

/*
 * Ends
 */

void mcp_session_flush(struct mcp_session *s)
{
    s->state = MCP_STATE_FLUSH;
    s->end_due = s->now + s->settings->linger_ns;
}

void mcp_session_die(struct mcp_session *s, unsigned code)
{
    if (s->state == MCP_STATE_DEAD)
        return;
    s->state = MCP_STATE_DEAD;
    if (s->end_code == MCP_OK)
        s->end_code = (uint16_t)code;
    mcp_out_drop_control(s);
    mcp_calls_end_all(s, MCP_UNAVAILABLE, 0);
}

void mcp_session_refuse(struct mcp_session *s, unsigned code, unsigned flags, const char *text)
{
    struct mcp_error error = mcp_own_error(code, flags, text);

    if (mcp_session_is_over(s))
        return;
    if (s->is_plain) {
        mcp_session_die(s, code);
        return;
    }
    s->end_code = (uint16_t)code;
    mcp_session_flush(s);
    mcp_out_drop_control(s);
    mcp_calls_end_all(s, MCP_UNAVAILABLE, 0);
    mcp_session_answer_error(s, 0, NULL, &error);
}

void mcp_session_fail(struct mcp_session *s, unsigned code, const char *text)
{
    mcp_session_refuse(s, code, 0, text);
}

void mcp_session_answer_error(struct mcp_session *s, uint32_t seq, const struct mcp_ext *ext,
                              const struct mcp_error *error)
{
    struct mcp_out *o;

    if (s->state == MCP_STATE_DEAD)
        return;
    o = mcp_out_new_error(s, seq, ext, error);
    if (o == NULL)
        mcp_session_die(s, MCP_INTERNAL);
    else
        mcp_out_put_control(s, o);
}

void mcp_session_drain(struct mcp_session *s)
{
    if (s->state == MCP_STATE_DRAINING && s->n_listed == 0 && !mcp_session_has_output(s))
        mcp_session_flush(s);
}

void mcp_session_close(struct mcp_session *s, nsec_t now)
{
    s->now = now;
    if (mcp_session_is_over(s))
        return;
    mcp_session_flush(s);
    mcp_calls_end_all(s, MCP_UNAVAILABLE, 0);
}

void mcp_session_eof(struct mcp_session *s, nsec_t now)
{
    s->now = now;
    mcp_session_die(s, s->state == MCP_STATE_START ? MCP_UNAVAILABLE : MCP_OK);
    mcp_calls_tell(s);
}

int mcp_session_goaway(struct mcp_session *s, enum mcp_goaway_reason reason, unsigned grace_s,
                       nsec_t now)
{
    struct mcp_out *o = NULL;
    char *body;

    s->now = now;
    if (mcp_session_is_over(s) || s->is_going || s->role == MCP_CLIENT)
        return 0;
    if (s->is_acked) {
        o = mcp_out_control(s, MCP_GOAWAY, 0, 8);
        if (o == NULL)
            return -ENOMEM;
        body = o->body;
        wire_put_u32(body, s->newest);
        wire_put_u16(body + 4, (uint16_t)reason);
        wire_put_u16(body + 6, (uint16_t)(grace_s < UINT16_MAX ? grace_s : UINT16_MAX));
    }
    s->is_going = true;
    s->state = MCP_STATE_DRAINING;
    s->end_due = now + (nsec_t)grace_s * NSEC_PER_SEC;
    mcp_session_drain(s);
    return 0;
}

/*
 * What both sides understand
 */

void mcp_session_agree(struct mcp_session *s, const struct mcp_hello *theirs)
{
    const struct mcp_hello *ours = &s->settings->hello;

    s->features = (uint16_t)mcp_hello_features(ours, theirs);
    for (unsigned i = MCP_COMPRESSION_GZIP; i <= MCP_COMPRESSION_ZSTD; i++) {
        bool is_common = mcp_hello_has(ours->compressions, (uint8_t)i) &&
                         mcp_hello_has(theirs->compressions, (uint8_t)i);

        if (is_common && (s->features & MCP_FEATURE_COMPRESSION) != 0)
            s->compressions |= (uint8_t)(1u << i);
    }
    s->tx.limit = theirs->conn_limit;
    s->call_limit = theirs->call_limit;
    s->max_message = theirs->max_message;
    s->max_inflight = theirs->max_inflight;
    s->min_ping_s = theirs->min_ping_s;
    s->fragment =
        s->settings->fragment < theirs->max_frame ? s->settings->fragment : theirs->max_frame;
    s->starved_since = NSEC_NEVER;
    s->is_acked = true;
    s->state = MCP_STATE_RUNNING;
    s->last_call = s->now;
}

/* A bucket of thousandths, so that slow refills are not lost in rounding. */
void mcp_session_abuse(struct mcp_session *s)
{
    nsec_t passed = s->now - s->abuse_at;
    uint64_t full = (uint64_t)s->settings->abuse_burst * 1000;
    uint64_t left = s->abuse_left;

    if (passed >= NSEC_PER_MSEC) {
        uint64_t ms = (uint64_t)(passed / NSEC_PER_MSEC);

        left = ms > full ? full : left + ms * s->settings->abuse_per_s;
        left = left < full ? left : full;
        s->abuse_at = s->now;
    }
    if (left < 1000) {
        mcp_session_fail(s, MCP_OVERLOADED, "too many frames that do nothing");
        return;
    }
    s->abuse_left = (uint32_t)(left - 1000);
}

void mcp_session_stray(struct mcp_session *s, uint32_t seq)
{
    if (!s->has_newest || mcp_seq_is_newer(seq, s->newest))
        mcp_session_fail(s, MCP_PROTOCOL, "a frame for an id that was never opened");
    else
        mcp_session_abuse(s);
}

static void take_ping(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_out *o;

    mcp_session_abuse(s);
    if (mcp_session_is_over(s))
        return;
    o = mcp_out_control(s, MCP_PONG, 0, f->payload.len);
    if (o == NULL)
        mcp_session_die(s, MCP_INTERNAL);
    else
        (void)wire_put(o->body, f->payload);
}

static void take_pong(struct mcp_session *s)
{
    if (s->n_pongs > 0)
        s->n_pongs--;
    else
        mcp_session_abuse(s);
}

int mcp_session_ping(struct mcp_session *s, const char opaque[static 8])
{
    struct mcp_out *o;

    if (!s->is_acked || mcp_session_is_over(s))
        return -EOPNOTSUPP;
    o = mcp_out_control(s, MCP_PING, 0, 8);
    if (o == NULL)
        return -ENOMEM;
    (void)wire_put(o->body, str_make(opaque, 8));
    if (s->n_pongs < UINT8_MAX)
        s->n_pongs++;
    return 0;
}

static void take_credit_entry(struct mcp_session *s, uint32_t seq, uint32_t limit)
{
    struct mcp_call *call = seq > 0 ? mcp_calls_find(s, seq) : NULL;
    uint32_t gained;

    if (seq > MCP_SEQ_MAX || (call != NULL && s->role == MCP_CLIENT && !call->is_begun)) {
        mcp_session_fail(s, MCP_PROTOCOL, "credit for an id that was never opened");
        return;
    }
    if (seq > 0 && call == NULL) {
        mcp_session_stray(s, seq);
        return;
    }
    gained = mcp_tx_raise(call != NULL ? &call->tx : &s->tx, limit);
    if (gained > 0 && call == NULL)
        s->starved_since = NSEC_NEVER;
    if (gained > 0 && call != NULL)
        mcp_sched_unpark(s, call);
    if (gained < CREDIT_TINY)
        mcp_session_abuse(s);
}

static void take_credit(struct mcp_session *s, const struct mcp_frame *f)
{
    for (size_t at = 0; at < f->payload.len && !mcp_session_is_over(s); at += 8)
        take_credit_entry(s, wire_get_u32(f->payload.s + at), wire_get_u32(f->payload.s + at + 4));
}

/* The peer says why it closes. */
static void take_last_error(struct mcp_session *s, const struct mcp_frame *f)
{
    struct mcp_ext ext;
    struct mcp_error error;
    struct str rest = f->payload;
    bool is_unseen;

    if (((f->flags & MCP_EXT) != 0 && mcp_ext_parse(f->payload, &ext, &rest) == -EINVAL) ||
        mcp_error_parse(rest, &error) < 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "a malformed ERROR");
        return;
    }
    is_unseen = (error.flags & MCP_NOT_PROCESSED) != 0;
    s->end_code = error.code;
    mcp_calls_end_all(s, is_unseen && error.code <= UINT8_MAX ? error.code : MCP_UNAVAILABLE,
                      is_unseen ? MCP_NOT_PROCESSED : 0);
    mcp_session_die(s, error.code);
}

/*
 * Frames
 */

static void take_first(struct mcp_session *s, const struct mcp_frame *f)
{
    if (s->role == MCP_CLIENT)
        mcp_client_frame(s, f);
    else if (f->type == MCP_HELLO)
        mcp_server_hello(s, f);
    else
        mcp_plain_frame(s, f);
}

static bool count(struct mcp_session *s, const struct mcp_frame *f)
{
    if (!mcp_frame_is_counted(f->type))
        return true;
    if (mcp_rx_receive(&s->rx, (uint32_t)f->payload.len) < 0) {
        mcp_session_fail(s, MCP_FLOW_CONTROL, "more than the connection's credit");
        return false;
    }
    mcp_rx_release(&s->rx, (uint32_t)f->payload.len);
    return true;
}

static void take_extended(struct mcp_session *s, const struct mcp_frame *f)
{
    if (mcp_frame_check(f, (enum mcp_role)s->role) < 0) {
        mcp_session_fail(s, MCP_PROTOCOL, "a frame that is not allowed");
        return;
    }
    if (!count(s, f))
        return;
    switch (f->type) {
    case MCP_PING:
        take_ping(s, f);
        return;
    case MCP_PONG:
        take_pong(s);
        return;
    case MCP_CREDIT:
        take_credit(s, f);
        return;
    default:
        break;
    }
    if (f->type >= MCP_TYPE_UNKNOWN)
        mcp_session_abuse(s);
    else if (f->type == MCP_ERROR && f->seq == 0)
        take_last_error(s, f);
    else if (s->role == MCP_CLIENT)
        mcp_client_frame(s, f);
    else
        mcp_server_frame(s, f);
}

static void take_frame(struct mcp_session *s, const struct mcp_frame *f)
{
    if (s->is_plain && s->role == MCP_CLIENT)
        mcp_plain_answered(s, f);
    else if (s->is_plain)
        mcp_plain_frame(s, f);
    else if (s->state == MCP_STATE_START && (s->role == MCP_SERVER || f->type != MCP_ERROR))
        take_first(s, f);
    else
        take_extended(s, f);
    if (s->n_control > s->settings->control_max)
        mcp_session_fail(s, MCP_OVERLOADED, "too many control frames are waiting");
    mcp_calls_tell(s);
}

/*
 * Frames that came while the peer made progress start the clock of the half frame behind them anew.
 */
static void note_tail(struct mcp_session *s, size_t used, size_t left)
{
    if (left > 0 && (used > 0 || left != s->tail_len))
        s->tail_since = s->now;
    s->tail_len = (uint32_t)left;
}

static size_t longest(const struct mcp_session *s)
{
    return s->is_plain || s->state == MCP_STATE_START ? MCP_PAYLOAD_MAX
                                                      : s->settings->hello.max_frame;
}

size_t mcp_session_feed(struct mcp_session *s, struct str bytes, nsec_t now)
{
    struct str rest = bytes;
    struct mcp_frame frame;
    int r = 0;

    s->now = now;
    if (bytes.len > s->tail_len) {
        s->last_received = now;
        s->is_pinged = false;
    }
    while (!mcp_session_is_over(s) && (r = mcp_frame_next(&rest, longest(s), &frame)) == 0)
        take_frame(s, &frame);
    if (r == -EMSGSIZE)
        mcp_session_fail(s, MCP_PROTOCOL, "a frame is longer than agreed");
    else if (r < 0)
        mcp_session_die(s, MCP_PROTOCOL);
    mcp_calls_tell(s);
    if (mcp_session_is_over(s))
        rest.len = 0;
    note_tail(s, bytes.len - rest.len, rest.len);
    return bytes.len - rest.len;
}
