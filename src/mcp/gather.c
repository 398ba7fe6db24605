/* SPDX-License-Identifier: MIT */
#include "mcp/state.h"
#include "mcp/wire.h"

/*
 * Small requests that go together
 *
 * As Nagle's algorithm has it (RFC 896): while an answer is awaited, a small request waits for more
 * of its kind; until there are enough of them, or bytes, or time has passed, or nothing is awaited
 * any more. Those that are ready at once and have the same block become a BATCH.
 */

#define BATCH_MAX  256
#define BATCH_HEAD 4 /* inner type, 0, count */
#define ENTRY_HEAD 6 /* SeqID, length */

/* A request that could be an entry: entries are copied into the write. */
static bool is_entry(const struct mcp_call *call)
{
    const struct mcp_out *o = call->first_out;

    return o != NULL && o->type == MCP_REQUEST && !o->is_begun && o->ext_len > 0 &&
           o->body_len <= MCP_COPY_MAX && call->error_out == NULL && call->lane == 0 &&
           call->compression == MCP_COMPRESSION_NONE;
}

static bool is_gathering(const struct mcp_session *s)
{
    return s->settings->gather_calls > 1 && s->is_acked && (s->features & MCP_FEATURE_BATCH) != 0;
}

void mcp_gather_hold(struct mcp_session *s, struct mcp_call *call)
{
    bool is_awaiting = s->n_listed > s->n_held + 1;

    if (!is_gathering(s) || !is_awaiting || !is_entry(call))
        return;
    if (list_is_empty(&s->held)) {
        s->held_since = s->now;
        s->held_bytes = 0;
    }
    list_remove(&call->ready);
    list_put_back(&s->held, &call->ready);
    call->is_gathered = true;
    s->n_held++;
    s->held_bytes += call->first_out->body_len;
    if (s->n_held >= s->settings->gather_calls || s->held_bytes >= s->settings->gather_bytes)
        mcp_gather_release(s);
}

void mcp_gather_release(struct mcp_session *s)
{
    struct list *first;

    while ((first = list_first(&s->held)) != NULL) {
        struct mcp_call *call = container_of(first, struct mcp_call, ready);

        mcp_sched_unlist(call);
        mcp_sched_list(s, call);
    }
}

nsec_t mcp_gather_due(const struct mcp_session *s)
{
    return list_is_empty(&s->held) ? NSEC_NEVER : s->held_since + s->settings->gather_ns;
}

void mcp_gather_ease(struct mcp_session *s)
{
    if (s->n_held > 0 && s->n_listed == s->n_held)
        mcp_gather_release(s);
}

/*
 * The frame
 */

/* But for the time that is left, of which each has its own. */
static bool has_same_block(const struct mcp_out *a, const struct mcp_out *b)
{
    const char *block_a = a->bytes + MCP_OUT_FRONT;
    const char *block_b = b->bytes + MCP_OUT_FRONT;
    size_t before = a->deadline_at > 0 ? a->deadline_at : a->ext_len;
    size_t after = a->deadline_at > 0 ? before + sizeof(uint32_t) : before;

    return a->ext_len == b->ext_len && a->deadline_at == b->deadline_at &&
           memcmp(block_a, block_b, before) == 0 &&
           memcmp(block_a + after, block_b + after, a->ext_len - after) == 0;
}

struct entries {
    struct mcp_call *calls[BATCH_MAX];
    unsigned n;
    uint32_t len; /* of the payload */
    nsec_t due;   /* the latest */
};

/* Those among the first small ones that go with the very first. Whoever is too late is left for
 * prepare_first(), which ends it. */
static void collect(const struct mcp_session *s, uint32_t room, struct entries *ret)
{
    const struct mcp_out *first = NULL;
    unsigned n_seen = 0;

    *ret = (struct entries){.len = BATCH_HEAD};
    list_for_each (it, &s->small) {
        struct mcp_call *call = container_of(it, struct mcp_call, ready);
        uint32_t len = ENTRY_HEAD;

        if (ret->n == BATCH_MAX || n_seen++ == 2 * BATCH_MAX)
            return;
        if (is_entry(call))
            len += call->first_out->body_len + (first == NULL ? call->first_out->ext_len : 0);
        if (!is_entry(call) || call->due <= s->now || ret->len + len > room ||
            mcp_tx_room(&call->tx) < call->first_out->body_len ||
            (first != NULL && !has_same_block(first, call->first_out))) {
            if (first == NULL)
                return;
            continue;
        }
        first = first == NULL ? call->first_out : first;
        ret->calls[ret->n++] = call;
        ret->len += len;
        ret->due = call->due > ret->due ? call->due : ret->due;
    }
}

static void put_batch(struct mcp_session *s, struct mcp_batch *b, const struct entries *e)
{
    struct mcp_out *first = e->calls[0]->first_out;
    char *p = mcp_batch_take(b, MCP_HEADER_LEN + e->len);

    mcp_sched_put_deadline(s, first, e->due);
    mcp_frame_pack_head(p, MCP_BATCH | MCP_EXT, 0, e->len);
    p = wire_put(p + MCP_HEADER_LEN, str_make(first->bytes + MCP_OUT_FRONT, first->ext_len));
    p[0] = MCP_REQUEST;
    p[1] = 0;
    wire_put_u16(p + 2, (uint16_t)e->n);
    p += BATCH_HEAD;
    for (unsigned i = 0; i < e->n; i++) {
        struct mcp_out *o = e->calls[i]->first_out;

        wire_put_u32(p, e->calls[i]->seq);
        wire_put_u16(p + 4, (uint16_t)o->body_len);
        p = wire_put(p + ENTRY_HEAD, str_make(o->body, o->body_len));
        mcp_sched_sent_entry(s, e->calls[i]);
    }
    mcp_tx_use(&s->tx, e->len);
    s->n_batches++;
}

bool mcp_gather_stage(struct mcp_session *s, struct mcp_batch *b)
{
    struct entries e;
    uint32_t room = mcp_tx_room(&s->tx);

    if (!is_gathering(s))
        return false;
    room = room < s->fragment ? room : s->fragment;
    if (MCP_BATCH_BYTES - b->len < MCP_HEADER_LEN + room)
        room = MCP_BATCH_BYTES - b->len > MCP_HEADER_LEN ? MCP_BATCH_BYTES - b->len - MCP_HEADER_LEN
                                                         : 0;
    collect(s, room, &e);
    if (e.n < 2 || !mcp_batch_has_room(b, MCP_HEADER_LEN + e.len, false))
        return false;
    put_batch(s, b, &e);
    return true;
}
