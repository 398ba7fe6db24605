/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A server to call, on a thread of its own
 *
 * Services by name; payloads are text.
 *
 *     echo      the payload
 *     delay     answers after so many milliseconds; cancelled: CANCELLED at once
 *     hang      never answers, unless it is cancelled
 *     stream    so many records "record 0", "record 1", ..., then "end"
 *     flood     records of 1,000 bytes for ever
 *     fail      "<code> <flags>": that error, text "as you wish"
 *     once      the first call fails like "fail", those after it are answered "done"
 *     drop      closes the connection
 *     drain     GOAWAY, and then the answer
 *     deadline  the milliseconds that the caller gave
 *     class     metadata "class"; "meta" the pair "k"; "trace" the 25 bytes; "session"
 *     ollama.chat, .generate   thinking, a tool call and text in pieces; of model "bad": what is no JSON
 *     ollama.version, .tags    as Ollama; all others: "garbled"
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/buf.h"
#include "wire/wire.h"

struct server;

struct server_conn {
    struct wire wire;
    struct server *server;
    struct list link;
};

/* A call that is not answered at once. */
struct server_job {
    struct list link;
    struct net_timer timer;
    struct server *server;
    struct mcp_call *call;
    unsigned n_left; /* records of a stream; UINT_MAX: no end */
    unsigned n_sent;
    bool is_delay;
};

struct server {
    struct net_loop loop;
    struct net_listener listener;
    struct mcp_settings settings;
    struct mcp_pool pool;
    struct list conns;
    struct list jobs;
    struct net_mail kill_mail;
    struct net_mail stop_mail;
    pthread_t thread;
    uint16_t port;
    char url[64];
    atomic_uint n_requests;
    atomic_uint n_cancels;
    atomic_uint n_conns;    /* now */
    atomic_uint n_accepted; /* ever */
    atomic_uint n_hanging;
    atomic_ulong n_flooded;  /* bytes of records sent */
    atomic_uint last_cancel; /* its reason */
    bool is_dead;            /* closes what it accepts */
};

static struct server *server_of(struct mcp_session *s)
{
    return container_of(wire_of(s), struct server_conn, wire)->server;
}

static void server_respond(struct mcp_call *call, struct str body)
{
    struct wire *w = wire_of(call->session);

    if (mcp_call_respond(call, NULL, body) < 0)
        mcp_call_fail(call, NULL,
                      &MCP_ERROR_MAKE(MCP_INTERNAL, 0, MCP_ORIGIN_NODE, STR("respond")));
    wire_wake(w);
}

static void server_fail(struct mcp_call *call, unsigned code, unsigned flags, const char *text)
{
    struct wire *w = wire_of(call->session);

    mcp_call_fail(call, NULL,
                  &MCP_ERROR_MAKE((uint16_t)code, (uint8_t)flags, MCP_ORIGIN_NODE, str_of(text)));
    wire_wake(w);
}

static void server_end_job(struct server_job *job)
{
    net_timer_fini(&job->server->loop, &job->timer);
    list_remove(&job->link);
    free(job);
}

static void server_stream(struct server_job *job)
{
    char text[1001];
    int r = 0;

    while (job->n_left > 0 && r == 0) {
        bool is_flood = job->n_left == UINT32_MAX;
        int n = snprintf(text, sizeof(text), is_flood ? "%01000u" : "record %u", job->n_sent);

        r = mcp_call_chunk(job->call, NULL, str_make(text, (size_t)n));
        if (r < 0)
            return;
        job->n_sent++;
        job->n_left -= is_flood ? 0 : 1;
        if (is_flood)
            atomic_fetch_add(&job->server->n_flooded, (unsigned long)n);
    }
    wire_wake(wire_of(job->call->session));
    if (r == MCP_FULL)
        return;
    server_respond(job->call, STR("end"));
    server_end_job(job);
}

static void server_on_due(struct net_timer *timer)
{
    struct server_job *job = container_of(timer, struct server_job, timer);

    if (job->is_delay) {
        server_respond(job->call, STR("late"));
        server_end_job(job);
        return;
    }
    server_stream(job);
}

static void server_job(struct server *server, struct mcp_call *call, unsigned n_left, long delay_ms)
{
    struct server_job *job = calloc(1, sizeof(*job));

    if (job == NULL || net_timer_init(&server->loop, &job->timer, server_on_due) < 0)
        abort();
    job->server = server;
    job->call = call;
    job->n_left = n_left;
    job->is_delay = delay_ms >= 0;
    call->owner = job;
    list_put_back(&server->jobs, &job->link);
    if (n_left > 0 || delay_ms >= 0)
        net_timer_arm(&server->loop, &job->timer,
                      time_now() + (delay_ms > 0 ? delay_ms : 0) * NSEC_PER_MSEC);
    else
        atomic_fetch_add(&server->n_hanging, 1);
}

static void server_fail_as_asked(struct mcp_call *call, struct str text)
{
    uint64_t code = 0;
    uint64_t flags = 0;
    size_t at = str_find(text, ' ');

    (void)!str_to_u64(str_head(text, at), &code);
    (void)!str_to_u64(str_from(text, at + 1), &flags);
    server_fail(call, (unsigned)code, (unsigned)flags, "as you wish");
}

static void server_tell(struct mcp_call *call, const struct mcp_message *q)
{
    char text[32];
    struct str method = q->ext->method;
    int n = 0;

    if (str_eq(method, STR("class")))
        server_respond(call, mcp_ext_metadata(q->ext, STR("class")));
    else if (str_eq(method, STR("meta")))
        server_respond(call, mcp_ext_metadata(q->ext, STR("k")));
    else if (str_eq(method, STR("trace")))
        server_respond(call, str_make(q->ext->trace, q->ext->trace != NULL ? MCP_TRACE_LEN : 0));
    else if (str_eq(method, STR("session")))
        server_respond(call, q->ext->session);
    else if (str_eq(method, STR("deadline"))) {
        n = snprintf(text, sizeof(text), "%ld",
                     q->ext->has_deadline ? (long)q->ext->deadline_ms : -1L);
        server_respond(call, str_make(text, (size_t)n));
    } else
        server_fail(call, MCP_UNIMPLEMENTED, MCP_NOT_PROCESSED, "no such service");
}

static const char *const server_chat[] = {
    "{\"message\":{\"thinking\":\"hm\"}}",
    "{\"message\":{\"content\":\"Hel\"}}",
    "{\"message\":{\"content\":\"lo\",\"tool_calls\":[{\"a\":1}]}}",
    "{\"message\":{\"tool_calls\":[{\"b\":2}]}}",
};

/* Services of Ollama, in JSON. A bad model's first record is none, and then it hangs. */
static void server_ollama(struct server *server, struct mcp_call *call, const struct mcp_message *q)
{
    struct str method = q->ext->method;
    bool is_chat = str_eq(method, STR("ollama.chat")) || str_eq(method, STR("ollama.generate"));

    if (is_chat && str_search(q->body, STR("\"bad\"")) < q->body.len) {
        (void)!mcp_call_chunk(call, NULL, STR("garbled"));
        server_job(server, call, 0, -1);
        wire_wake(wire_of(call->session));
    } else if (is_chat) {
        for (size_t i = 0; i < sizeof(server_chat) / sizeof(server_chat[0]); i++)
            (void)!mcp_call_chunk(call, NULL, str_of(server_chat[i]));
        server_respond(call, STR("{\"message\":{\"content\":\"!\"},\"done\":true,"
                                 "\"done_reason\":\"stop\",\"eval_count\":3}"));
    } else if (str_eq(method, STR("ollama.version"))) {
        server_respond(call, STR("{\"version\":\"1.2\"}"));
    } else if (str_eq(method, STR("ollama.tags"))) {
        server_respond(call, STR("{\"models\":[{\"name\":\"m\"}]}"));
    } else {
        server_respond(call, STR("garbled"));
    }
}

/* Without a word. */
static void server_drop(struct server *server, struct mcp_session *s)
{
    list_for_each_safe (it, &server->jobs)
        if (container_of(it, struct server_job, link)->call->session == s)
            server_end_job(container_of(it, struct server_job, link));
    net_stream_reset(&wire_of(s)->stream);
}

static void server_on_request(struct mcp_session *s, struct mcp_call *call,
                              const struct mcp_message *q)
{
    struct server *server = server_of(s);
    unsigned nth = atomic_fetch_add(&server->n_requests, 1);
    struct str method = q->ext->method;
    uint64_t number = 0;

    (void)!str_to_u64(q->body, &number);
    if (str_eq(method, STR("echo")))
        server_respond(call, q->body);
    else if (str_starts(method, STR("ollama.")))
        server_ollama(server, call, q);
    else if (str_eq(method, STR("delay")))
        server_job(server, call, 0, (long)number);
    else if (str_eq(method, STR("hang")))
        server_job(server, call, 0, -1);
    else if (str_eq(method, STR("stream")))
        server_job(server, call, (unsigned)number, -1);
    else if (str_eq(method, STR("flood")))
        server_job(server, call, UINT32_MAX, -1);
    else if (str_eq(method, STR("fail")) || (str_eq(method, STR("once")) && nth == 0))
        server_fail_as_asked(call, q->body);
    else if (str_eq(method, STR("once")))
        server_respond(call, STR("done"));
    else if (str_eq(method, STR("drop"))) {
        server_drop(server, s);
    } else if (str_eq(method, STR("drain"))) {
        (void)!mcp_session_goaway(s, MCP_GOAWAY_MAINTENANCE, 5, time_now());
        server_respond(call, STR("going"));
    } else
        server_tell(call, q);
}

static void server_on_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    struct server *server = server_of(s);
    struct server_job *job = call->owner;

    atomic_store(&server->last_cancel, reason);
    atomic_fetch_add(&server->n_cancels, 1);
    if (job->n_left == 0 && !job->is_delay)
        atomic_fetch_sub(&server->n_hanging, 1);
    server_end_job(job);
    server_fail(call, MCP_CANCELLED, 0, "cancelled");
}

static void server_on_room(struct mcp_session *s, struct mcp_call *call)
{
    (void)s;
    server_stream(call->owner);
}

static const struct mcp_session_ops server_session_ops = {
    .name = "test server",
    .on_request = server_on_request,
    .on_cancel = server_on_cancel,
    .on_room = server_on_room,
};

static void server_on_closed(struct wire *w)
{
    struct server_conn *c = container_of(w, struct server_conn, wire);

    list_remove(&c->link);
    atomic_fetch_sub(&c->server->n_conns, 1);
    net_timer_fini(w->loop, &w->timer); /* after a reset */
    wire_fini(w);
    free(c);
}

static const struct wire_ops server_wire_ops = {.name = "test server",
                                                .on_closed = server_on_closed};

static void server_on_connection(struct net_listener *listener)
{
    struct server *server = container_of(listener, struct server, listener);
    struct server_conn *c = calloc(1, sizeof(*c));
    const struct wire_setup setup = {
        .loop = &server->loop,
        .ops = &server_wire_ops,
        .settings = &server->settings,
        .session_ops = &server_session_ops,
        .pool = &server->pool,
    };

    if (c == NULL || server->is_dead) {
        free(c);
        net_listener_refuse(listener);
        return;
    }
    c->server = server;
    list_init(&c->link);
    if (wire_accept(&c->wire, &setup, listener) < 0)
        abort();
    list_put_back(&server->conns, &c->link);
    atomic_fetch_add(&server->n_conns, 1);
    atomic_fetch_add(&server->n_accepted, 1);
}

/* As a power cut: what is open gets nothing more. */
static void server_on_kill(struct net_mail *mail)
{
    struct server *server = container_of(mail, struct server, kill_mail);
    struct list *it;

    net_listener_close(&server->listener);
    server->is_dead = true;
    list_for_each (at, &server->conns)
        net_stream_reset(&container_of(at, struct server_conn, link)->wire.stream);
    while ((it = list_first(&server->jobs)) != NULL)
        server_end_job(container_of(it, struct server_job, link));
}

static void server_on_stop(struct net_mail *mail)
{
    struct server *server = container_of(mail, struct server, stop_mail);

    server_on_kill(&server->kill_mail);
    net_loop_stop(&server->loop);
}

static void *server_main(void *arg)
{
    struct server *server = arg;
    sigset_t pipe;

    /* The library must live with SIGPIPE as it finds it; this server is no part of it. */
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    net_loop_run(&server->loop);
    net_loop_fini(&server->loop);
    mcp_pool_fini(&server->pool);
    return NULL;
}

/* @port 0: a free one. */
static inline void server_start_at(struct server *server, uint16_t port)
{
    struct addr at = {.host = "127.0.0.1", .port = port};
    int fd = -1;

    *server = (struct server){.settings = mcp_settings_default};
    server->settings.hello.max_inflight = 4096;
    server->kill_mail.deliver = server_on_kill;
    server->stop_mail.deliver = server_on_stop;
    list_init(&server->conns);
    list_init(&server->jobs);
    mcp_pool_init(&server->pool, NULL);
    if (net_loop_init(&server->loop) < 0 || net_listen_fds(&at, 1, &fd) < 0 ||
        net_listener_open(&server->loop, &server->listener, fd, server_on_connection) < 0)
        abort();
    server->port = at.port;
    (void)snprintf(server->url, sizeof(server->url), "mcp://127.0.0.1:%u", at.port);
}

static void server_run(struct server *server)
{
    if (pthread_create(&server->thread, NULL, server_main, server) != 0)
        abort();
}

static void server_start(struct server *server)
{
    server_start_at(server, 0);
    server_run(server);
}

static inline void server_kill(struct server *server)
{
    net_mail_post(&server->loop, &server->kill_mail);
}

static void server_stop(struct server *server)
{
    net_mail_post(&server->loop, &server->stop_mail);
    (void)pthread_join(server->thread, NULL);
}
