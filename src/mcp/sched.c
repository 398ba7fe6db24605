/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

#define SMALL_MAX      4096                     /* payload of a small message */
#define COPY_MAX       1024                     /* longest body that is copied into a batch */
#define CREDITS_MAX    64                       /* entries of a CREDIT frame */
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
 * Batches
 */

static bool batch_has_room(const struct mcp_batch *b, size_t n_copied, bool is_pinning)
{
    return b->total < MCP_BATCH_MAX && MCP_BATCH_BYTES - b->len >= n_copied &&
           MCP_BATCH_PIECES - b->n_pieces >= 2 && (!is_pinning || b->n_pins < MCP_BATCH_PINS);
}

static void batch_point(struct mcp_batch *b, const char *p, size_t n)
{
    struct str *last = b->n_pieces > 0 ? &b->pieces[b->n_pieces - 1] : NULL;

    b->total += (uint32_t)n;
    if (last != NULL && last->s + last->len == p)
        last->len += n;
    else if (n > 0)
        b->pieces[b->n_pieces++] = str_make(p, n);
}

static char *batch_take(struct mcp_batch *b, size_t n)
{
    char *p = b->bytes + b->len;

    b->len += (uint32_t)n;
    batch_point(b, p, n);
    return p;
}

static void batch_body(struct mcp_batch *b, struct mcp_out *o, const char *p, size_t n)
{
    if (n <= COPY_MAX) {
        (void)wire_put(batch_take(b, n), str_make(p, n));
        return;
    }
    batch_point(b, p, n);
    b->pins[b->n_pins++] = o;
    o->n_pins++;
}

static void free_batch(struct mcp_session *s, struct mcp_batch *b)
{
    for (uint32_t i = 0; i < b->n_pins; i++) {
        b->pins[i]->n_pins--;
        if (b->pins[i]->is_done)
            mcp_out_free(s, b->pins[i]);
    }
    mcp_pool_put(s->pool, MCP_KIND_BATCH, b);
}

void mcp_sched_free_batch(struct mcp_session *s)
{
    if (s->batch != NULL)
        free_batch(s, s->batch);
    s->batch = NULL;
}

/*
 * Control frames and credit
 */

static void stage_control(struct mcp_session *s, struct mcp_batch *b)
{
    while (s->first_control != NULL) {
        struct mcp_out *o = s->first_control;
        size_t len = (size_t)o->ext_len + o->body_len;
        unsigned type = o->type | (o->ext_len > 0 ? MCP_EXT : 0u);
        bool is_pinning = len > MCP_HELLO_MAX; /* a plain answer */

        if (!batch_has_room(b, MCP_HEADER_LEN + (is_pinning ? 0 : len), is_pinning))
            return;
        mcp_frame_pack_head(batch_take(b, MCP_HEADER_LEN), type, o->seq, len);
        if (is_pinning)
            batch_body(b, o, o->bytes + MCP_OUT_FRONT, len);
        else
            (void)wire_put(batch_take(b, len), str_make(o->bytes + MCP_OUT_FRONT, len));
        s->first_control = o->next;
        if (o->next == NULL)
            s->last_control = NULL;
        s->n_control--;
        mcp_out_free(s, o);
    }
}

/* Fills in up to CREDITS_MAX entries of 8 bytes. Return: how many. */
static size_t collect_credits(struct mcp_session *s, char *p)
{
    struct list *first;
    uint32_t limit;
    size_t n = 0;

    if (mcp_rx_update(&s->rx, false, &limit)) {
        wire_put_u32(p, 0);
        wire_put_u32(p + 4, limit);
        n++;
    }
    while (n < CREDITS_MAX && (first = list_first(&s->credited)) != NULL) {
        struct mcp_call *call = container_of(first, struct mcp_call, credited);

        list_remove(first);
        if (!mcp_rx_update(&call->rx, call->in.is_open, &limit))
            continue;
        wire_put_u32(p + n * 8, call->seq);
        wire_put_u32(p + n * 8 + 4, limit);
        n++;
    }
    return n;
}

static void stage_credit(struct mcp_session *s, struct mcp_batch *b)
{
    char entries[CREDITS_MAX * 8];

    if (!s->is_acked)
        return;
    while (batch_has_room(b, MCP_HEADER_LEN + sizeof(entries), false)) {
        size_t n = collect_credits(s, entries);

        if (n == 0)
            return;
        mcp_frame_pack_head(batch_take(b, MCP_HEADER_LEN), MCP_CREDIT, 0, n * 8);
        (void)wire_put(batch_take(b, n * 8), str_make(entries, n * 8));
    }
}

/*
 * Messages
 */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Writes TOTAL_LEN behind METHOD, into the room in front of the block. The block grows to the front. */
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

/* What the next frame of a call will be. */
struct cut {
    uint32_t head; /* bytes of the extension block in it */
    uint32_t body;
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

static void put_frame(struct mcp_session *s, struct mcp_batch *b, struct mcp_call *call,
                      struct mcp_out *o, const struct cut *cut)
{
    size_t len = (size_t)cut->head + cut->body;
    unsigned type = o->type | (cut->head > 0 ? MCP_EXT : 0u) | (cut->is_more ? MCP_MORE : 0u);
    uint32_t left = (o->is_begun ? 0 : o->ext_len) + cut->body;

    mcp_frame_pack_head(batch_take(b, MCP_HEADER_LEN), type, call->seq, len);
    if (cut->head > o->ext_len)
        add_total_len(o);
    if (cut->head > 0)
        (void)wire_put(batch_take(b, cut->head), str_make(mcp_out_body(o) - cut->head, cut->head));
    batch_body(b, o, mcp_out_body(o) + o->sent, cut->body);
    o->is_begun = true;
    o->sent += cut->body;
    call->unsent -= left;
    s->unsent -= left;
    if (s->is_plain)
        return;
    mcp_tx_use(&call->tx, (uint32_t)len);
    mcp_tx_use(&s->tx, (uint32_t)len);
}

/* A client's first frame of a call: may it go, and with which deadline? */
static enum emitted prepare_first(struct mcp_session *s, struct mcp_call *call, struct mcp_out *o)
{
    if (!s->is_acked && (!call->is_early || o->ext_len + o->body_len > MCP_EARLY_FRAME))
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
    if (o->deadline_at > 0) {
        int64_t ms = (call->due - s->now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;

        wire_put_u32(o->bytes + MCP_OUT_FRONT + o->deadline_at,
                     ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms);
    }
    return EMITTED;
}

/* ERROR never waits, and discards what does. */
static void send_error(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_out *o = TAKE(call->error_out);

    if (call->has_chunks)
        mcp_out_body(o)[2] |= MCP_PARTIAL;
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
    if (!batch_has_room(b, MCP_HEADER_LEN + cut.head + (cut.body > COPY_MAX ? 0 : cut.body),
                        cut.body > COPY_MAX))
        return EMIT_FULL;
    *ret_len = cut.head + cut.body;
    put_frame(s, b, call, o, &cut);
    note_sent(s, call, o);
    if (!cut.is_more && !finish_message(s, call))
        return EMITTED;
    tell_room(s, call);
    return EMITTED;
}

/* Round robin by message: a call that sent one goes to the back of its list by itself. */
static enum emitted stage_small(struct mcp_session *s, struct mcp_batch *b)
{
    struct mcp_call *call = container_of(list_first(&s->small), struct mcp_call, ready);
    uint32_t len;
    enum emitted r = emit(s, b, call, &len);

    /* Cut for want of credit: the rest of it is bulk. */
    if (r == EMITTED && len > 0 && list_first(&s->small) == &call->ready &&
        call->first_out != NULL && call->first_out->is_begun)
        mcp_sched_list(s, call);
    return r;
}

/* Deficit round robin: at its turn a call gets a fragment's worth more, and what it does not use is carried over. */
static enum emitted stage_bulk(struct mcp_session *s, struct mcp_batch *b)
{
    struct list *first = list_first(&s->bulk);
    struct mcp_call *call = container_of(first, struct mcp_call, ready);
    uint32_t len;
    enum emitted r = emit(s, b, call, &len);

    if (r != EMITTED || list_first(&s->bulk) != first || call->first_out == NULL)
        return r;
    call->deficit += call->deficit == 0 ? s->fragment : 0;
    call->deficit -= min_u32(call->deficit, len);
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

static void stage_calls(struct mcp_session *s, struct mcp_batch *b)
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

bool mcp_session_has_output(const struct mcp_session *s)
{
    bool has_ready = !list_is_empty(&s->small) || !list_is_empty(&s->bulk);

    if (s->state == MCP_STATE_DEAD)
        return false;
    return s->batch != NULL || s->first_control != NULL ||
           (s->is_acked && s->state != MCP_STATE_FLUSH &&
            (mcp_rx_is_due(&s->rx, false) || !list_is_empty(&s->credited))) ||
           (has_ready && s->starved_since == NSEC_NEVER);
}

/* Errors that replaced blocked messages come at the end of a stage, so control goes round again. */
static void stage(struct mcp_session *s, struct mcp_batch *b)
{
    stage_control(s, b);
    if (s->state == MCP_STATE_FLUSH)
        return;
    stage_credit(s, b);
    if (s->starved_since == NSEC_NEVER)
        stage_calls(s, b);
    stage_control(s, b);
}

int mcp_session_output(struct mcp_session *s, struct str *pieces, size_t max, nsec_t now)
{
    struct mcp_batch *b = s->batch;
    size_t n = 0;

    s->now = now;
    if (!mcp_session_has_output(s))
        return 0;
    if (b == NULL) {
        b = mcp_pool_get(s->pool, MCP_KIND_BATCH);
        if (b == NULL)
            return -ENOMEM;
        b->n_pieces = b->first = b->n_pins = b->len = b->total = 0;
        stage(s, b);
        if (b->n_pieces == 0) {
            free_batch(s, b);
            return 0;
        }
        s->batch = b;
        s->stall_since = now;
    }
    while (n < max && b->first + n < b->n_pieces) {
        pieces[n] = b->pieces[b->first + n];
        n++;
    }
    return (int)n;
}

void mcp_session_sent(struct mcp_session *s, size_t n, nsec_t now)
{
    struct mcp_batch *b = s->batch;

    s->now = now;
    if (b == NULL)
        return;
    if (n > 0)
        s->stall_since = now;
    while (n > 0) {
        struct str *piece = &b->pieces[b->first];
        size_t part = n < piece->len ? n : piece->len;

        *piece = str_make(piece->s + part, piece->len - part);
        n -= part;
        if (piece->len == 0)
            b->first++;
        assert(n == 0 || b->first < b->n_pieces);
    }
    if (b->first == b->n_pieces)
        mcp_sched_free_batch(s);
    mcp_sched_ease(s);
    mcp_calls_tell(s);
    mcp_session_drain(s);
}
