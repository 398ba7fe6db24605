/* SPDX-License-Identifier: MIT */
#include "mcp/state.h"
#include "mcp/wire.h"

#define SMALL_MAX      4096                     /* payload of a small message */
#define TOTAL_LEN_ROOM (2 + MCP_TOTAL_LEN_SIZE) /* block made of it alone */

enum emitted {
    EMITTED,      /* a frame was written, or the call has nothing to send any more */
    EMIT_PARKED,  /* this call waits for something: it has left the list */
    EMIT_STARVED, /* no connection credit: nobody can send */
    EMIT_FULL,    /* the batch is */
};

static bool is_small(const struct mcp_out *o)
{
    return !o->is_begun && o->ext_len + o->body_len <= SMALL_MAX;
}

void mcp_sched_unlist(struct mcp_call *call)
{
    list_remove(&call->ready);
    call->deficit = 0;
    if (call->is_gathered)
        call->session->n_held--;
    call->is_gathered = false;
}

void mcp_sched_list(struct mcp_session *s, struct mcp_call *call)
{
    list_remove(&call->ready);
    if (call->first_out != NULL)
        list_put_back(is_small(call->first_out) ? &s->small : &s->bulk, &call->ready);
    else if (call->error_out != NULL)
        list_put_back(&s->small, &call->ready);
}

void mcp_sched_unpark(struct mcp_session *s, struct mcp_call *call)
{
    if (list_is_empty(&call->ready))
        mcp_sched_list(s, call);
}

/*
 * Messages
 */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/*
 * Writes TOTAL_LEN behind METHOD, into the room in front of the block. The block grows to the
 * front.
 */
static void add_total_len(struct mcp_out *o)
{
    char *block = o->bytes + MCP_OUT_FRONT;
    uint32_t old_len = o->ext_len > 0 ? o->ext_len : 2;
    char *p = o->ext_len > 0 ? block - MCP_TOTAL_LEN_SIZE : block - TOTAL_LEN_ROOM;
    char total[4];

    if (o->method_len > 0)
        memmove(p + 2, block + 2, o->method_len);
    wire_put_u16(p, (uint16_t)(old_len - 2 + MCP_TOTAL_LEN_SIZE));
    wire_put_u32(total, o->body_len);
    (void)wire_put_tlv(p + 2 + o->method_len, MCP_TAG_TOTAL_LEN, str_make(total, sizeof(total)));
}

static uint32_t cut_ext_len(const struct mcp_out *o)
{
    return (o->ext_len > 0 ? o->ext_len : 2) + MCP_TOTAL_LEN_SIZE;
}

/* What the next frame of a call will be; of a run, the next frames. */
struct cut {
    uint32_t head; /* bytes of the extension block in it */
    uint32_t body;
    uint32_t run; /* bytes of these frames, headers and bodies */
    bool is_more;
};

/**
 * cut_next() - how much of a message may go now
 * Return: EMITTED; EMIT_PARKED; EMIT_STARVED.
 */
static enum emitted cut_next(const struct mcp_session *s, const struct mcp_call *call,
                             const struct mcp_out *o, struct cut *ret)
{
    uint32_t of_call = s->is_plain ? UINT32_MAX : mcp_tx_room(&call->tx);
    uint32_t of_session = s->is_plain ? UINT32_MAX : mcp_tx_room(&s->tx);
    uint32_t most = min_u32(min_u32(of_call, of_session), s->fragment);
    uint32_t head = o->is_begun ? 0 : o->ext_len;
    uint32_t left = o->body_len - o->sent;

    if (o->run_len > 0) {
        ret->run = mcp_run_cut(o, min_u32(of_call, of_session), &ret->body);
        ret->is_more = o->run_at + ret->run < o->run_len;
        if (ret->run > 0)
            return EMITTED;
        return of_session <= of_call ? EMIT_STARVED : EMIT_PARKED;
    }
    if (head + left <= most) {
        *ret = (struct cut){.head = head, .body = left};
        return EMITTED;
    }
    head = o->is_begun ? 0 : cut_ext_len(o);
    if (most >= head + s->settings->fragment_min && s->is_acked) {
        *ret = (struct cut){.head = head, .body = min_u32(most - head, left), .is_more = true};
        return EMITTED;
    }
    return of_session <= of_call ? EMIT_STARVED : EMIT_PARKED;
}

/* @n bytes do not wait any more; @len bytes of payload, with what was added to them, were sent. */
static void count_sent(struct mcp_session *s, struct mcp_call *call, uint32_t n, uint32_t len)
{
    call->unsent -= n;
    s->unsent -= n;
    if (s->is_plain)
        return;
    mcp_tx_use(&call->tx, len);
    mcp_tx_use(&s->tx, len);
}

static void put_frame(struct mcp_session *s, struct mcp_batch *b, struct mcp_call *call,
                      struct mcp_out *o, const struct cut *cut)
{
    size_t len = (size_t)cut->head + cut->body;
    unsigned type = o->type | (cut->head > 0 ? MCP_EXT : 0u) | (cut->is_more ? MCP_MORE : 0u);
    uint32_t left = (o->is_begun ? 0 : o->ext_len) + cut->body;

    mcp_frame_pack_head(mcp_batch_take(b, MCP_HEADER_LEN), type, call->seq, len);
    if (cut->head > o->ext_len)
        add_total_len(o);
    if (cut->head > 0)
        (void)wire_put(mcp_batch_take(b, cut->head),
                       str_make(o->bytes + MCP_OUT_FRONT + o->ext_len - cut->head, cut->head));
    mcp_batch_body(b, o, o->body + o->sent, cut->body);
    o->is_begun = true;
    o->sent += cut->body;
    count_sent(s, call, left, (uint32_t)len);
}

static void put_run(struct mcp_session *s, struct mcp_batch *b, struct mcp_call *call,
                    struct mcp_out *o, const struct cut *cut)
{
    mcp_batch_body(b, o, o->bytes + o->run_at, cut->run);
    o->run_at += (uint16_t)cut->run;
    o->sent += cut->body;
    count_sent(s, call, cut->body, cut->body);
}

void mcp_sched_put_deadline(const struct mcp_session *s, struct mcp_out *o, nsec_t due)
{
    int64_t ms = (due - s->now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;

    if (o->deadline_at > 0)
        wire_put_u32(o->bytes + MCP_OUT_FRONT + o->deadline_at,
                     ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms);
}

/* A client's first frame of a call: may it go, and with which deadline? */
static enum emitted prepare_first(struct mcp_session *s, struct mcp_call *call, struct mcp_out *o)
{
    if (!s->is_acked && !s->is_plain &&
        (!call->is_early || o->ext_len + o->body_len > MCP_EARLY_FRAME))
        return EMIT_PARKED;
    if (!mcp_calls_is_first_in_lane(s, call))
        return EMIT_PARKED;
    if (call->due <= s->now) {
        mcp_calls_unlist(s, call);
        mcp_out_drop(s, call);
        mcp_calls_end(s, call, MCP_DEADLINE_EXCEEDED, MCP_NOT_PROCESSED,
                      "no time was left to send it");
        return EMIT_PARKED;
    }
    mcp_sched_put_deadline(s, o, call->due);
    return EMITTED;
}

/* ERROR never waits, and discards what does. */
static void send_error(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_out *o = TAKE(call->error_out);

    if (call->has_chunks)
        o->body[2] |= MCP_PARTIAL;
    mcp_out_drop(s, call);
    mcp_out_put_control(s, o);
    mcp_calls_unlist(s, call);
    mcp_calls_drop(s, call);
}

static void note_sent(struct mcp_session *s, struct mcp_call *call, const struct mcp_out *o)
{
    if (o->type == MCP_CHUNK)
        call->has_chunks = true;
    if (o->type != MCP_REQUEST || call->is_begun)
        return;
    call->is_begun = true;
    mcp_calls_note_newest(s, call->seq);
    mcp_calls_lane_moved(s, call->lane);
}

/* The last frame of a message is out. Return: whether the call is still there. */
static bool finish_message(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_out *o = mcp_out_pop(s, call);
    bool is_last = o->type == MCP_RESPONSE;

    mcp_out_free(s, o);
    if (is_last) {
        mcp_calls_unlist(s, call);
        mcp_calls_drop(s, call);
        return false;
    }
    mcp_sched_list(s, call);
    return true;
}

void mcp_sched_sent_entry(struct mcp_session *s, struct mcp_call *call)
{
    mcp_tx_use(&call->tx, call->first_out->body_len);
    note_sent(s, call, call->first_out);
    (void)finish_message(s, call);
}

static void tell_room(struct mcp_session *s, struct mcp_call *call)
{
    if (!call->is_full || call->unsent > s->settings->call_unsent / 2 ||
        s->unsent > s->settings->session_unsent / 2)
        return;
    call->is_full = false;
    mcp_calls_wake(s, call, MCP_WAKE_ROOM);
}

void mcp_sched_ease(struct mcp_session *s)
{
    if (!s->is_crowded || s->unsent > s->settings->session_unsent / 2)
        return;
    s->is_crowded = false;
    list_for_each (it, &s->calls) {
        tell_room(s, container_of(it, struct mcp_call, all));
    }
}

/* Writes the next frame of @call. *ret_len: its payload. */
static enum emitted emit(struct mcp_session *s, struct mcp_batch *b, struct mcp_call *call,
                         uint32_t *ret_len)
{
    struct mcp_out *o = call->first_out;
    struct cut cut = {0};
    enum emitted r = EMITTED;
    uint32_t n_copied;
    uint32_t n;

    *ret_len = 0;
    if (o != NULL && o->type == MCP_REQUEST && !o->is_begun)
        r = prepare_first(s, call, o);
    if (r == EMITTED && o != NULL)
        r = cut_next(s, call, o, &cut);
    if (call->error_out != NULL && (o == NULL || r != EMITTED)) {
        send_error(s, call);
        return EMITTED;
    }
    if (r == EMIT_PARKED)
        mcp_sched_unlist(call);
    if (r != EMITTED)
        return r;
    n = cut.run > 0 ? cut.run : cut.body;
    n_copied = (cut.run > 0 ? 0 : MCP_HEADER_LEN + cut.head) + (n > MCP_COPY_MAX ? 0 : n);
    if (!mcp_batch_has_room(b, n_copied, n > MCP_COPY_MAX))
        return EMIT_FULL;
    *ret_len = cut.head + cut.body;
    if (cut.run > 0)
        put_run(s, b, call, o, &cut);
    else
        put_frame(s, b, call, o, &cut);
    note_sent(s, call, o);
    if (!cut.is_more && !finish_message(s, call))
        return EMITTED;
    tell_room(s, call);
    return EMITTED;
}

/*
 * Round robin by message, or by run: a call that sent one goes to the back of its list by itself. One
 * that had to be cut for want of credit keeps its place.
 */
static enum emitted stage_small(struct mcp_session *s, struct mcp_batch *b)
{
    uint32_t len;

    if (mcp_gather_stage(s, b))
        return EMITTED;
    return emit(s, b, container_of(list_first(&s->small), struct mcp_call, ready), &len);
}

/*
 * Deficit round robin: at its turn a call gets a fragment's worth more, and what it does not use is
 * carried over.
 */
static enum emitted stage_bulk(struct mcp_session *s, struct mcp_batch *b)
{
    struct list *first = list_first(&s->bulk);
    struct mcp_call *call = container_of(first, struct mcp_call, ready);
    uint32_t len;
    enum emitted r = emit(s, b, call, &len);

    if (r != EMITTED || list_first(&s->bulk) != first || call->first_out == NULL)
        return r;
    if (call->deficit < len)
        call->deficit += s->fragment;
    call->deficit -= len;
    if (call->deficit >= min_u32(s->fragment, call->first_out->body_len - call->first_out->sent))
        return r;
    list_remove(first);
    list_put_back(&s->bulk, first);
    return r;
}

/* Nobody can send: errors do not wait behind messages that do. */
static void send_errors(struct mcp_session *s)
{
    list_for_each_safe (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->error_out != NULL)
            send_error(s, call);
    }
}

void mcp_sched_stage(struct mcp_session *s, struct mcp_batch *b)
{
    enum emitted r = EMITTED;

    while (r == EMITTED || r == EMIT_PARKED) {
        if (!list_is_empty(&s->small))
            r = stage_small(s, b);
        else if (!list_is_empty(&s->bulk))
            r = stage_bulk(s, b);
        else
            return;
    }
    if (r != EMIT_STARVED)
        return;
    s->starved_since = s->now;
    send_errors(s);
}
