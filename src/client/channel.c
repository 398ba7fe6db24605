/* SPDX-License-Identifier: MIT */
#include "client/channel.h"

#include <errno.h>

static struct client_endpoint *endpoint_at(const chasqui_client *client, size_t i)
{
    return &client->endpoints[i % client->n_endpoints];
}

static bool is_hopeful(const struct client_endpoint *e)
{
    return e->failing_until == 0 || e->ops->is_hopeful(e);
}

bool client_channel_has_other(const struct client_endpoint *e)
{
    for (size_t i = 0; i < e->client->n_endpoints; i++) {
        const struct client_endpoint *other = endpoint_at(e->client, i);

        if (other != e && is_hopeful(other))
            return true;
    }
    return false;
}

/*
 * Choosing
 */

/* Endpoints that may be tried now, the least busy first. Return: how many. */
static size_t sort_endpoints(chasqui_client *client, struct client_endpoint **ret, nsec_t now)
{
    size_t n = 0;

    for (size_t i = 0; i < client->n_endpoints; i++) {
        struct client_endpoint *e = endpoint_at(client, client->turn + i);
        size_t at = n;

        if (e->failing_until > now && !e->ops->is_hopeful(e))
            continue;
        for (; at > 0 && ret[at - 1]->n_open > e->n_open; at--)
            ret[at] = ret[at - 1];
        ret[at] = e;
        n++;
    }
    client->turn++;
    return n;
}

static void end_call(chasqui_call *call, unsigned code, const char *text)
{
    struct client_end end = client_end_local(code, MCP_NOT_PROCESSED, text);

    client_call_end(call, &end);
}

/* Whether every endpoint has said that it does not want us, and why. */
static unsigned refusal(const chasqui_client *client, nsec_t now)
{
    unsigned code = MCP_OK;

    for (size_t i = 0; i < client->n_endpoints; i++) {
        const struct client_endpoint *e = endpoint_at(client, i);

        if (e->failing_until <= now || e->failed_with == MCP_UNAVAILABLE)
            return MCP_OK;
        code = e->failed_with;
    }
    return code;
}

/* Return: 0 it is on its way, or has ended; CLIENT_BUSY. */
static int try_call(chasqui_call *call, nsec_t now)
{
    struct client_endpoint *at[CLIENT_ENDPOINTS_MAX];
    size_t n = sort_endpoints(call->client, at, now);
    unsigned refused = n == 0 ? refusal(call->client, now) : MCP_OK;
    chasqui_error error;
    int err = 0;

    for (size_t i = 0; i < n; i++) {
        int r = at[i]->ops->start(at[i], call);

        if (r == 0)
            return 0;
        if (r < 0)
            err = r;
        if (r < 0 && r != -ENOSYS)
            break;
    }
    if (err == 0 && refused == MCP_OK)
        return CLIENT_BUSY;
    if (refused != MCP_OK) {
        end_call(call, refused, "the server has refused us, and is not asked again so soon");
        return 0;
    }
    (void)client_error_errno(&error, err);
    end_call(call, (unsigned)error.code, error.text);
    return 0;
}

/* Wakes up when the first failing endpoint may be tried again. */
static void set_again(chasqui_client *client)
{
    nsec_t first = NSEC_NEVER;

    for (size_t i = 0; i < client->n_endpoints; i++) {
        nsec_t until = client->endpoints[i].failing_until;

        if (until > 0 && until < first)
            first = until;
    }
    net_timer_arm(&client->loop, &client->again, first);
}

/* In the order they came; the one that finds no room holds up those behind it, which would not find
 * any either. */
static void on_pump(struct net_task *task)
{
    chasqui_client *client = container_of(task, chasqui_client, pump);
    nsec_t now = time_now();
    struct list *first;

    while ((first = list_first(&client->waiting)) != NULL)
        if (try_call(container_of(first, chasqui_call, queued), now) == CLIENT_BUSY)
            break;
    if (!list_is_empty(&client->waiting))
        set_again(client);
}

static void on_again(struct net_timer *timer)
{
    client_channel_wake(container_of(timer, chasqui_client, again));
}

void client_channel_wake(chasqui_client *client)
{
    if (!list_is_empty(&client->waiting))
        net_defer(&client->loop, &client->pump);
}

void client_channel_queue(chasqui_call *call)
{
    list_put_back(&call->client->waiting, &call->queued);
    client_channel_wake(call->client);
}

/*
 * How endpoints fare
 */

void client_channel_connected(struct client_endpoint *e)
{
    e->failing_until = 0;
    e->failures = (struct retry_state){0};
    atomic_fetch_add_explicit(&e->client->n_connects, 1, memory_order_relaxed);
    client_channel_wake(e->client);
}

/* The pauses of reconnecting are those of a call that is tried for ever. */
static nsec_t next_pause(struct client_endpoint *e, nsec_t now)
{
    struct retry_settings settings = e->client->options.retry;
    const struct retry_question question = {
        .outcome = CALL_CONNECT_FAILED,
        .now = now,
        .deadline = NSEC_NEVER,
        .retry_after_ns = -1,
    };

    settings.max_retries = UINT32_MAX;
    if (e->failures.n_retries > UINT32_MAX / 2)
        e->failures = (struct retry_state){0};
    return retry_decide(&settings, &e->failures, &question, &e->client->rng).delay_ns;
}

/* Those who wait have nowhere to go. Their retries are put behind, into no list that is walked
 * here. */
static void tell_waiting(chasqui_client *client, unsigned code, const char *why)
{
    unsigned transient = code == MCP_UNAVAILABLE ? MCP_TRANSIENT : 0;
    struct client_end end = client_end_local(code, MCP_NOT_PROCESSED | transient, why);
    struct list all;

    end.origin = MCP_ORIGIN_TRANSPORT;
    end.outcome = CALL_CONNECT_FAILED;
    list_init(&all);
    list_insert_after(&client->waiting, &all); /* take over the whole ring */
    list_remove(&client->waiting);
    for (struct list *it = list_first(&all); it != NULL; it = list_first(&all)) {
        list_remove(it);
        client_call_tried(container_of(it, chasqui_call, queued), &end);
    }
}

void client_channel_failed(struct client_endpoint *e, unsigned code, const char *why)
{
    nsec_t now = time_now();

    atomic_fetch_add_explicit(&e->client->n_connect_failures, 1, memory_order_relaxed);
    e->failed_with = code;
    if (e->failing_until <= now)
        e->failing_until = now + next_pause(e, now);
    if (!is_hopeful(e) && !client_channel_has_other(e))
        tell_waiting(e->client, code, why);
    client_channel_wake(e->client);
}

/*
 * Life
 */

/* On failure n_endpoints are those that must be closed. */
int client_channel_init(chasqui_client *client)
{
    int r = net_timer_init(&client->loop, &client->again, on_again);
    size_t n = 0;

    list_init(&client->waiting);
    client->pump.run = on_pump;
    while (r == 0 && n < client->n_endpoints) {
        r = client->endpoints[n].ops->init(&client->endpoints[n]);
        if (r == 0)
            n++;
    }
    client->n_endpoints = n;
    return r;
}

void client_channel_close(chasqui_client *client)
{
    net_timer_fini(&client->loop, &client->again);
    for (size_t i = 0; i < client->n_endpoints; i++)
        client->endpoints[i].ops->close(&client->endpoints[i]);
}
