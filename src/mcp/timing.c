/* SPDX-License-Identifier: MIT */
#include "mcp/state.h"
#include "mcp/wire.h"

static nsec_t earlier(nsec_t a, nsec_t b)
{
    return a < b ? a : b;
}

static nsec_t after(nsec_t since, nsec_t wait)
{
    return wait == NSEC_NEVER || since == NSEC_NEVER ? NSEC_NEVER : since + wait;
}

static nsec_t half_frame_due(const struct mcp_session *s)
{
    return s->tail_len > 0 ? after(s->tail_since, s->settings->half_frame_ns) : NSEC_NEVER;
}

static nsec_t partial_due(const struct mcp_session *s)
{
    struct list *first = list_first(&s->partials);

    if (first == NULL)
        return NSEC_NEVER;
    return after(container_of(first, struct mcp_call, partial)->progress, s->settings->partial_ns);
}

static nsec_t stall_due(const struct mcp_session *s)
{
    nsec_t batch = s->batch != NULL ? after(s->stall_since, s->settings->stall_ns) : NSEC_NEVER;

    return earlier(batch, after(s->starved_since, s->settings->stall_ns));
}

/* Never below what the peer asked for. */
static nsec_t ping_due(const struct mcp_session *s)
{
    nsec_t wait = s->n_listed > 0 ? s->settings->ping_open_ns : s->settings->ping_idle_ns;
    nsec_t least = (nsec_t)s->min_ping_s * NSEC_PER_SEC;
    nsec_t since = s->last_received > s->last_ping ? s->last_received : s->last_ping;

    if (!s->is_acked)
        return NSEC_NEVER;
    if (s->is_pinged)
        return after(s->last_ping, s->settings->pong_ns);
    return after(since, wait > least ? wait : least);
}

static nsec_t idle_due(const struct mcp_session *s)
{
    return s->n_calls == 0 ? after(s->last_call, s->settings->idle_ns) : NSEC_NEVER;
}

nsec_t mcp_session_next_due(const struct mcp_session *s)
{
    nsec_t due;

    if (!list_is_empty(&s->wakes))
        return 0;
    if (s->state == MCP_STATE_DEAD)
        return NSEC_NEVER;
    if (s->state == MCP_STATE_FLUSH)
        return s->end_due;
    due = earlier(half_frame_due(s), partial_due(s));
    due = earlier(due, earlier(stall_due(s), ping_due(s)));
    due = earlier(due, earlier(s->calls_due, mcp_gather_due(s)));
    if (s->state == MCP_STATE_RUNNING)
        return earlier(due, idle_due(s));
    return earlier(due, s->end_due);
}

static void ping(struct mcp_session *s)
{
    char opaque[8];

    if (s->is_pinged) {
        mcp_session_die(s, MCP_UNAVAILABLE);
        return;
    }
    wire_put_u32(opaque, (uint32_t)(s->now >> 32));
    wire_put_u32(opaque + 4, (uint32_t)s->now);
    if (mcp_session_ping(s, opaque) < 0) {
        mcp_session_die(s, MCP_INTERNAL);
        return;
    }
    s->is_pinged = true;
    s->last_ping = s->now;
    mcp_calls_shrink(s);
}

static void end_partials(struct mcp_session *s)
{
    while (partial_due(s) <= s->now) {
        struct mcp_call *call = container_of(list_first(&s->partials), struct mcp_call, partial);
        struct mcp_error error = mcp_own_error(MCP_DEADLINE_EXCEEDED, MCP_NOT_PROCESSED,
                                               "the message makes no progress");

        if (s->role == MCP_CLIENT)
            mcp_client_abandon(s, call, MCP_DEADLINE_EXCEEDED, "the answer makes no progress");
        else
            mcp_server_abort(s, call, &error, MCP_CANCEL_DEADLINE);
    }
}

static void end_due_calls(struct mcp_session *s)
{
    if (s->calls_due > s->now)
        return;
    s->calls_due = NSEC_NEVER;
    list_for_each_safe (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (!call->is_listed)
            continue;
        if (call->due > s->now)
            s->calls_due = earlier(s->calls_due, call->due);
        else if (s->role == MCP_CLIENT)
            mcp_client_due(s, call);
        else
            mcp_server_due(s, call);
        /* A session that is over has freed its calls, maybe the next one. */
        if (mcp_session_is_over(s))
            return;
    }
}

static void end_idle(struct mcp_session *s)
{
    if (s->role == MCP_CLIENT || s->is_plain)
        mcp_session_close(s, s->now);
    else if (mcp_session_goaway(s, MCP_GOAWAY_IDLE, 0, s->now) < 0)
        mcp_session_die(s, MCP_INTERNAL);
}

/* Grace is over: what is open ends, and the session with it. */
static void end_grace(struct mcp_session *s)
{
    struct mcp_error error = mcp_own_error(MCP_UNAVAILABLE, 0, "the server is going away");

    list_for_each_safe (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->is_listed)
            mcp_server_abort(s, call, &error, MCP_CANCEL_GONE);
        if (mcp_session_is_over(s))
            return;
    }
    s->end_due = NSEC_NEVER;
    mcp_session_drain(s);
}

static void tick_open(struct mcp_session *s)
{
    if (s->state == MCP_STATE_START && s->end_due <= s->now) {
        mcp_session_die(s, MCP_DEADLINE_EXCEEDED);
        return;
    }
    if (half_frame_due(s) <= s->now) {
        mcp_session_fail(s, MCP_PROTOCOL, "half a frame and no more");
        return;
    }
    if (stall_due(s) <= s->now) {
        mcp_session_die(s, MCP_UNAVAILABLE);
        return;
    }
    if (mcp_gather_due(s) <= s->now)
        mcp_gather_release(s);
    end_partials(s);
    end_due_calls(s);
    if (s->state == MCP_STATE_RUNNING && idle_due(s) <= s->now)
        end_idle(s); /* without grace: what follows may be due now */
    if (s->state == MCP_STATE_DRAINING && s->end_due <= s->now)
        end_grace(s);
    if (!mcp_session_is_over(s) && ping_due(s) <= s->now)
        ping(s);
}

void mcp_session_tick(struct mcp_session *s, nsec_t now)
{
    s->now = now;
    if (s->state == MCP_STATE_FLUSH && s->end_due <= now)
        mcp_session_die(s, MCP_OK);
    if (!mcp_session_is_over(s))
        tick_open(s);
    mcp_calls_tell(s);
}
