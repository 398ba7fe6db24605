/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "mcp/state.h"
#include "mcp/wire.h"

#define CREDITS_MAX 64 /* entries of a CREDIT frame */

/*
 * Batches
 */

bool mcp_batch_has_room(const struct mcp_batch *b, size_t n_copied, bool is_pinning)
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

char *mcp_batch_take(struct mcp_batch *b, size_t n)
{
    char *p = b->bytes + b->len;

    b->len += (uint32_t)n;
    batch_point(b, p, n);
    return p;
}

void mcp_batch_body(struct mcp_batch *b, struct mcp_out *o, const char *p, size_t n)
{
    if (n <= MCP_COPY_MAX) {
        (void)wire_put(mcp_batch_take(b, n), str_make(p, n));
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

void mcp_batch_drop(struct mcp_session *s)
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

        if (!mcp_batch_has_room(b, MCP_HEADER_LEN + (is_pinning ? 0 : len), is_pinning))
            return;
        mcp_frame_pack_head(mcp_batch_take(b, MCP_HEADER_LEN), type, o->seq, len);
        if (is_pinning)
            mcp_batch_body(b, o, o->bytes + MCP_OUT_FRONT, len);
        else
            (void)wire_put(mcp_batch_take(b, len), str_make(o->bytes + MCP_OUT_FRONT, len));
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
    while (mcp_batch_has_room(b, MCP_HEADER_LEN + sizeof(entries), false)) {
        size_t n = collect_credits(s, entries);

        if (n == 0)
            return;
        mcp_frame_pack_head(mcp_batch_take(b, MCP_HEADER_LEN), MCP_CREDIT, 0, n * 8);
        (void)wire_put(mcp_batch_take(b, n * 8), str_make(entries, n * 8));
    }
}

/*
 * Output
 */

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
        mcp_sched_stage(s, b);
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
        mcp_batch_drop(s);
    mcp_sched_ease(s);
    mcp_calls_tell(s);
    mcp_session_drain(s);
}
