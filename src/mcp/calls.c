/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "mcp/state.h"

#define BUCKETS_MAX 1024

static struct mcp_call **bucket_of(const struct mcp_session *s, uint32_t seq)
{
    return &s->buckets[seq & (s->n_buckets - 1)];
}

struct mcp_call *mcp_calls_find(const struct mcp_session *s, uint32_t seq)
{
    struct mcp_call *call = *bucket_of(s, seq);

    while (call != NULL && call->seq != seq)
        call = call->next_in_bucket;
    return call;
}

/* Ids are counted up, so low bits spread them well. Without memory the chains just grow longer. */
static void grow(struct mcp_session *s)
{
    uint32_t n_old = s->n_buckets;
    struct mcp_call **old = s->buckets;
    struct mcp_call **buckets;

    if (n_old >= BUCKETS_MAX)
        return;
    buckets = mcp_pool_resize(s->pool, NULL, (size_t)n_old * 4 * sizeof(struct mcp_call *));
    if (buckets == NULL)
        return;
    memset(buckets, 0, (size_t)n_old * 4 * sizeof(struct mcp_call *));
    s->buckets = buckets;
    s->n_buckets = n_old * 4;
    for (uint32_t i = 0; i < n_old; i++) {
        while (old[i] != NULL) {
            struct mcp_call *call = old[i];
            struct mcp_call **to = bucket_of(s, call->seq);

            old[i] = call->next_in_bucket;
            call->next_in_bucket = *to;
            *to = call;
        }
    }
    if (old != s->inline_buckets)
        (void)mcp_pool_resize(s->pool, old, 0);
}

struct mcp_call *mcp_calls_add(struct mcp_session *s, uint32_t seq)
{
    struct mcp_call *call = mcp_pool_get(s->pool, MCP_KIND_CALL);
    struct mcp_call **bucket;

    if (call == NULL)
        return NULL;
    if (s->n_listed >= s->n_buckets)
        grow(s);
    *call = (struct mcp_call){.seq = seq, .session = s, .due = NSEC_NEVER, .is_listed = true};
    list_init(&call->ready);
    list_init(&call->wake);
    list_init(&call->partial);
    list_init(&call->credited);
    list_put_back(&s->calls, &call->all);
    bucket = bucket_of(s, seq);
    call->next_in_bucket = *bucket;
    *bucket = call;
    s->n_listed++;
    s->n_calls++;
    return call;
}

static struct mcp_call *first_in_lane(const struct mcp_session *s, uint16_t lane)
{
    list_for_each (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->lane == lane && call->is_listed && (s->role == MCP_SERVER || !call->is_begun))
            return call;
    }
    return NULL;
}

bool mcp_calls_is_first_in_lane(const struct mcp_session *s, const struct mcp_call *call)
{
    return call->lane == 0 || first_in_lane(s, call->lane) == call;
}

void mcp_calls_lane_moved(struct mcp_session *s, uint16_t lane)
{
    struct mcp_call *next = lane == 0 ? NULL : first_in_lane(s, lane);

    if (next == NULL)
        return;
    if (s->role == MCP_CLIENT)
        mcp_sched_list(s, next);
    else if (next->is_waiting)
        mcp_calls_wake(s, next, MCP_WAKE_START);
}

void mcp_calls_unlist(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_call **at = bucket_of(s, call->seq);

    assert(call->is_listed);

    while (*at != call)
        at = &(*at)->next_in_bucket;
    *at = call->next_in_bucket;
    call->is_listed = false;
    s->n_listed--;
    if (s->n_listed == 0)
        s->last_call = s->now;
    mcp_sched_unlist(call);
    list_remove(&call->credited);
    mcp_receive_drop(s, call);
    mcp_calls_lane_moved(s, call->lane);
}

void mcp_calls_drop(struct mcp_session *s, struct mcp_call *call)
{
    if (call->is_listed || call->is_held)
        return;
    list_remove(&call->all);
    list_remove(&call->wake);
    mcp_receive_drop(s, call);
    mcp_out_drop(s, call);
    s->n_calls--;
    mcp_pool_put(s->pool, MCP_KIND_CALL, call);
}

void mcp_calls_fini(struct mcp_session *s)
{
    list_for_each_safe (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->is_listed)
            mcp_calls_unlist(s, call);
        call->is_held = false;
        mcp_calls_drop(s, call);
    }
    mcp_calls_shrink(s);
}

void mcp_calls_shrink(struct mcp_session *s)
{
    if (s->buckets == s->inline_buckets || s->n_listed > 0)
        return;
    (void)mcp_pool_resize(s->pool, s->buckets, 0);
    memset(s->inline_buckets, 0, sizeof(s->inline_buckets));
    s->buckets = s->inline_buckets;
    s->n_buckets = MCP_INLINE_BUCKETS;
}

void mcp_calls_wake(struct mcp_session *s, struct mcp_call *call, unsigned wakes)
{
    if (call->wakes == 0)
        list_put_back(&s->wakes, &call->wake);
    call->wakes |= (uint8_t)wakes;
}

void mcp_calls_set_due(struct mcp_session *s, struct mcp_call *call, nsec_t due)
{
    call->due = due;
    if (due < s->calls_due)
        s->calls_due = due;
}

void mcp_calls_note_newest(struct mcp_session *s, uint32_t seq)
{
    if (s->has_newest && !mcp_seq_is_newer(seq, s->newest))
        return;
    s->newest = seq;
    s->has_newest = true;
}

void mcp_calls_end(struct mcp_session *s, struct mcp_call *call, unsigned code, unsigned flags,
                   const char *text)
{
    call->end_code = (uint8_t)code;
    call->end_flags = (uint8_t)flags;
    call->end_text = text;
    if (call->is_held)
        mcp_calls_wake(s, call, MCP_WAKE_END);
}

/* Calls that only their handlers or their zombies keep have been told already. */
static void end_one(struct mcp_session *s, struct mcp_call *call, unsigned code, unsigned flags)
{
    bool is_unseen = s->role == MCP_CLIENT && s->is_going &&
                     (s->last_seen == 0 || mcp_seq_is_newer(call->seq, s->last_seen));

    if (!call->is_listed)
        return;
    if (!call->is_begun || is_unseen)
        flags |= MCP_NOT_PROCESSED;
    mcp_calls_unlist(s, call);
    mcp_out_drop(s, call);
    if (s->role == MCP_CLIENT)
        mcp_calls_end(s, call, code, flags, "the connection is gone");
    else if (call->is_held && !call->is_cancelled) {
        call->is_cancelled = true;
        call->reason = MCP_CANCEL_GONE;
        mcp_calls_wake(s, call, MCP_WAKE_CANCEL);
    }
    mcp_calls_drop(s, call);
}

void mcp_calls_end_all(struct mcp_session *s, unsigned code, unsigned flags)
{
    list_for_each_safe (it, &s->calls) {
        end_one(s, container_of(it, struct mcp_call, all), code, flags);
    }
}

static void tell_end(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_error error = {.code = call->end_code,
                              .flags = call->end_flags,
                              .origin = MCP_ORIGIN_LOCAL,
                              .retry_after_ms = MCP_NO_RETRY_AFTER,
                              .text = str_of(call->end_text)};

    s->ops->on_end(s, call, NULL, &error);
    call->is_held = false;
    mcp_calls_drop(s, call);
}

void mcp_calls_tell(struct mcp_session *s)
{
    struct list *first;

    while ((first = list_first(&s->wakes)) != NULL) {
        struct mcp_call *call = container_of(first, struct mcp_call, wake);
        unsigned wakes = call->wakes;

        list_remove(first);
        call->wakes = 0;
        /* The application may end the call in its callback: it is not touched afterwards. */
        if ((wakes & MCP_WAKE_END) != 0)
            tell_end(s, call);
        else if ((wakes & MCP_WAKE_CANCEL) != 0)
            s->ops->on_cancel(s, call, (enum mcp_cancel)call->reason);
        else if ((wakes & MCP_WAKE_START) != 0)
            mcp_server_start(s, call);
        else if (s->ops->on_room != NULL && call->is_held && !call->is_cancelled)
            s->ops->on_room(s, call);
    }
}
