/* SPDX-License-Identifier: MIT */
#include "client/call.h"

#include "client/channel.h"
#include "client/stream.h"

void client_call_unref(chasqui_call *call)
{
    chasqui_client *client = call != NULL ? call->client : NULL;

    if (call == NULL || atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) > 1)
        return;
    chasqui_context_unref(call->context);
    client_give(client, call, call->size);
    client_unref(client);
}

/* One more call, if there may be one. */
static bool claim_place(chasqui_client *client)
{
    if (atomic_fetch_add_explicit(&client->n_calls, 1, memory_order_relaxed) <
        client->options.max_calls)
        return true;
    atomic_fetch_sub_explicit(&client->n_calls, 1, memory_order_relaxed);
    return false;
}

static void give_place_back(chasqui_client *client)
{
    atomic_fetch_sub_explicit(&client->n_calls, 1, memory_order_relaxed);
}

static void call_ref(chasqui_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

/*
 * Between threads
 */

/* Release: what the poker wrote is seen by client_call_on_mail(), which acquires. */
bool client_call_poke(chasqui_call *call, unsigned wants)
{
    if (atomic_fetch_or_explicit(&call->wants, wants, memory_order_acq_rel) != 0)
        return true;
    call_ref(call);
    if (client_post(call->client, &call->mail))
        return true;
    client_call_unref(call);
    return false;
}

void client_call_context_changed(struct list *watch)
{
    (void)client_call_poke(container_of(watch, chasqui_call, watch), CLIENT_WANTS_LOOK);
}

int client_call_post(chasqui_call *call)
{
    if (!claim_place(call->client))
        return CHASQUI_OVERLOADED;
    call_ref(call); /* the loop's */
    call_ref(call); /* the mail's */
    /* Before the context knows it: what is poked meanwhile rides with this mail. */
    atomic_store_explicit(&call->wants, CLIENT_WANTS_START, memory_order_relaxed);
    client_context_watch(call->context, &call->watch);
    if (client_post(call->client, &call->mail)) {
        atomic_fetch_add_explicit(&call->client->n_started, 1, memory_order_relaxed);
        return CHASQUI_OK;
    }
    client_context_unwatch(call->context, &call->watch);
    give_place_back(call->client);
    client_call_unref(call);
    client_call_unref(call);
    return CHASQUI_UNAVAILABLE;
}

/*
 * On the loop's thread
 */

static nsec_t earlier(nsec_t a, nsec_t b)
{
    return a < b ? a : b;
}

static nsec_t after(nsec_t now, nsec_t wait)
{
    return wait == NSEC_NEVER ? NSEC_NEVER : now + wait;
}

static void arm(chasqui_call *call)
{
    net_timer_arm(&call->client->loop, &call->timer, earlier(call->deadline, call->state_due));
}

static void enter(chasqui_call *call, enum client_call_state state, nsec_t due)
{
    list_remove(&call->queued);
    call->state = state;
    call->state_due = due;
    arm(call);
}

static void wait_for_link(chasqui_call *call)
{
    enter(call, CLIENT_WAITING, after(time_now(), call->client->options.acquire_timeout_ns));
    client_channel_queue(call);
}

void client_call_opened(chasqui_call *call, struct client_endpoint *endpoint)
{
    call->endpoint = endpoint;
    endpoint->n_open++;
    enter(call, CLIENT_OPEN, after(time_now(), call->is_stream ? call->silence_ns : NSEC_NEVER));
}

/* The link has let go, or is made to. */
static void leave_link(chasqui_call *call)
{
    call->endpoint->n_open--;
    call->endpoint = NULL;
}

static void drop(chasqui_call *call, enum mcp_cancel reason)
{
    if (call->state != CLIENT_OPEN)
        return;
    call->endpoint->ops->drop(call, reason);
    leave_link(call);
    client_channel_wake(call->client);
}

void client_call_end(chasqui_call *call, const struct client_end *end)
{
    chasqui_client *client = call->client;
    chasqui_reply reply = client_reply_view(end);

    if (call->state == CLIENT_ENDED)
        return;
    drop(call, end->code == MCP_DEADLINE_EXCEEDED ? MCP_CANCEL_DEADLINE : MCP_CANCEL_APPLICATION);
    call->state = CLIENT_ENDED;
    list_remove(&call->queued);
    list_remove(&call->link);
    net_timer_fini(&client->loop, &call->timer);
    client_context_unwatch(call->context, &call->watch);
    if (call->has_records && end->code != MCP_OK)
        reply.error.flags |= CHASQUI_PARTIAL;
    if (end->code != MCP_OK)
        atomic_fetch_add_explicit(&client->n_failed, 1, memory_order_relaxed);
    give_place_back(client);
    if (call->on_done != NULL)
        call->on_done(call->user, &reply);
    client_call_unref(call);
}

/* Nothing of the call was with anybody. */
static unsigned unless_open(const chasqui_call *call, unsigned flags)
{
    return call->state == CLIENT_OPEN ? 0 : flags;
}

static void end_local(chasqui_call *call, unsigned code, unsigned flags, const char *text)
{
    struct client_end end = client_end_local(code, flags, text);

    client_call_end(call, &end);
}

static void cancel(chasqui_call *call)
{
    end_local(call, MCP_CANCELLED, unless_open(call, MCP_NOT_PROCESSED), "cancelled");
}

static void expire(chasqui_call *call)
{
    char text[160] = "the time of the call is over";

    if (call->last_failure[0] != '\0')
        (void)snprintf(text, sizeof(text), "the time of the call is over; the last try failed: %s",
                       call->last_failure);
    end_local(call, MCP_DEADLINE_EXCEEDED, unless_open(call, MCP_NOT_PROCESSED), text);
}

/* Its context may have changed. Return: whether it goes on. */
static bool look(chasqui_call *call)
{
    nsec_t deadline;

    if (client_context_look(call->context, &deadline)) {
        cancel(call);
        return false;
    }
    call->deadline = earlier(call->deadline, deadline);
    if (call->deadline <= time_now()) {
        expire(call);
        return false;
    }
    arm(call);
    return true;
}

static void on_due(struct net_timer *timer)
{
    chasqui_call *call = container_of(timer, chasqui_call, timer);
    nsec_t now = time_now();

    if (call->deadline <= now)
        expire(call);
    else if (call->state_due > now)
        arm(call);
    else if (call->state == CLIENT_PAUSED)
        wait_for_link(call);
    else if (call->state == CLIENT_WAITING)
        end_local(call, MCP_UNAVAILABLE, MCP_NOT_PROCESSED | MCP_TRANSIENT,
                  "no connection had room in time");
    else
        end_local(call, MCP_DEADLINE_EXCEEDED, 0, "the stream has been silent for too long");
}

static void start(chasqui_call *call)
{
    chasqui_client *client = call->client;
    nsec_t now = time_now();

    list_put_back(&client->calls, &call->link);
    budget_request(&client->budget, now);
    call->deadline = NSEC_NEVER;
    call->state_due = NSEC_NEVER;
    if (net_timer_init(&client->loop, &call->timer, on_due) < 0) {
        end_local(call, MCP_RESOURCE_EXHAUSTED, MCP_NOT_PROCESSED, "out of memory");
        return;
    }
    if (client->is_closing) {
        end_local(call, MCP_CANCELLED, MCP_NOT_PROCESSED, "the client was closed");
        return;
    }
    call->deadline = after(now, call->timeout_ns);
    if (look(call))
        wait_for_link(call);
}

void client_call_on_mail(struct net_mail *mail)
{
    chasqui_call *call = container_of(mail, chasqui_call, mail);
    unsigned wants = atomic_exchange_explicit(&call->wants, 0, memory_order_acq_rel);

    if ((wants & CLIENT_WANTS_START) != 0)
        start(call);
    /* Before the start there is nothing to look at, and start() looks. */
    if (call->state == CLIENT_POSTED || call->state == CLIENT_ENDED)
        goto out;
    if ((wants & CLIENT_WANTS_CANCEL) != 0)
        cancel(call);
    else if ((wants & CLIENT_WANTS_LOOK) == 0 || look(call))
        if ((wants & CLIENT_WANTS_TAKE) != 0 && call->state == CLIENT_OPEN)
            call->endpoint->ops->take(
                call, atomic_exchange_explicit(&call->n_taken, 0, memory_order_relaxed));
out:
    client_call_unref(call);
}

bool client_call_time_left(const chasqui_call *call, nsec_t now, uint32_t *ret_ms)
{
    nsec_t left = call->deadline - now;

    if (call->deadline == NSEC_NEVER)
        return false;
    left = left > 0 ? (left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;
    *ret_ms = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
    return true;
}

void client_call_record(chasqui_call *call, struct str record, uint32_t cost)
{
    call->has_records = true;
    call->state_due = after(time_now(), call->is_stream ? call->silence_ns : NSEC_NEVER);
    arm(call);
    if (call->stream != NULL) {
        if (client_stream_put(call->stream, record, cost) < 0)
            end_local(call, MCP_RESOURCE_EXHAUSTED, 0, "out of memory");
        return;
    }
    if (call->on_record != NULL)
        call->on_record(call->user, client_bytes(record));
    call->endpoint->ops->take(call, cost);
}

/*
 * Retries
 */

/* Whether another try does nothing twice, or may. */
static bool may_retry(const chasqui_call *call, const struct client_end *end)
{
    enum mcp_class class = mcp_code_info(end->code)->class;

    if (call->has_records || (end->flags & MCP_NO_RETRY) != 0 || call->client->is_closing)
        return false;
    if (end->outcome == CALL_STALE_CONNECTION)
        return call->retry_settings.max_retries > 0;
    if (class == MCP_CLASS_CALLER || class == MCP_CLASS_ENDED)
        return false;
    return (end->flags & MCP_NOT_PROCESSED) != 0 || call->is_idempotent;
}

static bool retry(chasqui_call *call, const struct client_end *end, bool is_other_idle)
{
    chasqui_client *client = call->client;
    struct retry_question question = {
        .outcome = end->outcome,
        .now = time_now(),
        .deadline = call->deadline,
        .retry_after_ns = end->retry_after_ms < 0 ? -1 : end->retry_after_ms * NSEC_PER_MSEC,
        .is_other_idle = is_other_idle,
    };
    struct retry_answer answer;

    if (!may_retry(call, end))
        return false;
    answer = retry_decide(&call->retry_settings, &call->retry_state, &question, &client->rng);
    if (answer.verdict == RETRY_NO)
        return false;
    if (answer.verdict == RETRY_ELSEWHERE && !budget_take(&client->budget, question.now))
        return false;
    atomic_fetch_add_explicit(&client->n_retries, 1, memory_order_relaxed);
    (void)snprintf(call->last_failure, sizeof(call->last_failure), STR_FMT,
                   STR_ARG(str_head(end->text, sizeof(call->last_failure) - 1)));
    call->is_fresh = answer.verdict == RETRY_SAME;
    if (answer.delay_ns > 0)
        enter(call, CLIENT_PAUSED, question.now + answer.delay_ns);
    else
        wait_for_link(call);
    return true;
}

/*
 * Deadlines travel in whole milliseconds, so each hop's is a little earlier than ours, and what it
 * then breaks off may be told before our own timer comes up: the reason is the deadline all the
 * same.
 */
#define DEADLINE_GRAIN_NS (5 * NSEC_PER_MSEC)

static bool is_by_deadline(const chasqui_call *call, const struct client_end *end)
{
    enum mcp_class class = mcp_code_info(end->code)->class;

    return (class == MCP_CLASS_TRANSIENT || class == MCP_CLASS_ENDED) &&
           call->deadline != NSEC_NEVER && call->deadline - time_now() < DEADLINE_GRAIN_NS;
}

void client_call_tried(chasqui_call *call, const struct client_end *end)
{
    bool has_other = false;

    if (call->state == CLIENT_OPEN) {
        has_other = end->outcome == CALL_CONNECT_FAILED && client_channel_has_other(call->endpoint);
        leave_link(call);
        call->state = CLIENT_WAITING; /* nothing to drop */
        client_channel_wake(call->client);
    }
    if (end->code != MCP_OK && is_by_deadline(call, end))
        end_local(call, MCP_DEADLINE_EXCEEDED, end->flags & MCP_NOT_PROCESSED,
                  "the time of the call is over");
    else if (end->code == MCP_OK || !retry(call, end, has_other))
        client_call_end(call, end);
}

/*
 * Public
 */

int chasqui_start(chasqui_client *client, const chasqui_request *request,
                  const chasqui_handler *handler, chasqui_call **ret_call)
{
    chasqui_error error = {0};
    chasqui_call *call = client_call_new(client, request, handler, &error);
    int r;

    if (call == NULL)
        return error.code;
    r = client_call_post(call);
    if (r != CHASQUI_OK || ret_call == NULL)
        client_call_unref(call);
    else
        *ret_call = call;
    return r;
}

void chasqui_call_cancel(chasqui_call *call)
{
    (void)client_call_poke(call, CLIENT_WANTS_CANCEL);
}

void chasqui_call_free(chasqui_call *call)
{
    client_call_unref(call);
}
