/* SPDX-License-Identifier: MIT */
#include "net/connect.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"

/*
 *   RESOLVING ──► TRYING ──► connected
 *                 │    ▲
 *                 ▼    │ next address
 *                CLOSING
 *
 * A socket whose connect failed cannot be used again, so each address gets a fresh handle; the old
 * one must be closed first. When the owner gives up meanwhile, `s` is NULL and the parts free
 * themselves as they come back.
 */
struct net_connect {
    struct net_stream *s;
    uv_getaddrinfo_t resolving;
    uv_connect_t trying;
    struct addrinfo *all; /* owned */
    struct addrinfo *next;
    struct sockaddr_storage literal;
    int err;                /* of the last address */
    struct net_task report; /* end without a callback of libuv to report it from */
};

static void try_next(struct net_connect *c);

static void net_connect_free(struct net_connect *c)
{
    if (c->all != NULL)
        uv_freeaddrinfo(c->all);
    free(c);
}

static void finish(struct net_connect *c, int err)
{
    struct net_stream *s = c->s;

    s->connecting = NULL;
    net_connect_free(c);
    s->ops->on_connect(s, err);
}

static void on_report(struct net_task *task)
{
    struct net_connect *c = container_of(task, struct net_connect, report);

    if (c->s == NULL)
        net_connect_free(c);
    else
        finish(c, c->err);
}

static void on_failed_closed(uv_handle_t *handle)
{
    struct net_stream *s = container_of(handle, struct net_stream, uv.handle);

    s->is_open = false;
    if (s->is_closing)
        s->ops->on_closed(s);
    else
        try_next(s->connecting);
}

static void on_uv_connect(uv_connect_t *req, int status)
{
    struct net_connect *c = container_of(req, struct net_connect, trying);
    struct net_stream *s = c->s;

    if (s == NULL) {
        net_connect_free(c);
        return;
    }
    if (status == 0) {
        (void)uv_tcp_nodelay(&s->uv.tcp, 1);
        finish(c, 0);
        return;
    }
    c->err = status;
    uv_close(&s->uv.handle, on_failed_closed);
}

static int try_address(struct net_connect *c, const struct sockaddr *to)
{
    struct net_stream *s = c->s;
    int r = uv_tcp_init(&s->loop->uv, &s->uv.tcp);

    if (r < 0)
        return r;
    s->is_open = true;
    r = uv_tcp_connect(&c->trying, &s->uv.tcp, to, on_uv_connect);
    if (r < 0) {
        c->err = r;
        uv_close(&s->uv.handle, on_failed_closed);
    }
    return 0;
}

static void try_next(struct net_connect *c)
{
    while (c->next != NULL) {
        struct addrinfo *to = c->next;

        c->next = to->ai_next;
        if (try_address(c, to->ai_addr) == 0)
            return;
    }
    net_defer(c->s->loop, &c->report);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *all)
{
    struct net_connect *c = container_of(req, struct net_connect, resolving);

    c->all = all;
    if (c->s == NULL) {
        net_connect_free(c);
        return;
    }
    /* getaddrinfo's numbers are not errno's */
    if (status < 0)
        c->err = -EX_NAME;
    else
        c->next = all;
    try_next(c);
}

static bool parse_literal(const struct addr *to, struct sockaddr_storage *ret)
{
    return uv_ip4_addr(to->host, to->port, (struct sockaddr_in *)ret) == 0 ||
           uv_ip6_addr(to->host, to->port, (struct sockaddr_in6 *)ret) == 0;
}

int net_stream_connect(struct net_loop *loop, struct net_stream *s, const struct addr *to,
                       const struct net_stream_ops *ops)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct net_connect *c = calloc(1, sizeof(*c));
    char port[8];
    int r;

    if (c == NULL)
        return -ENOMEM;
    net_stream_init(loop, s, ops);
    c->s = s;
    c->err = -EHOSTUNREACH;
    c->report.run = on_report;
    s->connecting = c;
    if (parse_literal(to, &c->literal)) {
        r = try_address(c, (const struct sockaddr *)&c->literal);
    } else {
        (void)snprintf(port, sizeof(port), "%u", to->port);
        r = uv_getaddrinfo(&loop->uv, &c->resolving, on_resolved, to->host, port, &hints);
    }
    if (r < 0) {
        s->connecting = NULL;
        net_connect_free(c);
    }
    return r;
}

static void on_never_open_closed(struct net_task *task)
{
    struct net_stream *s = container_of(task, struct net_stream, failure);

    s->ops->on_closed(s);
}

void net_connect_cancel(struct net_stream *s)
{
    struct net_connect *c = s->connecting;

    if (!s->is_open) {
        /* No handle yet, or none any more: on_closed comes from a task. */
        s->failure.run = on_never_open_closed;
        net_defer(s->loop, &s->failure);
    }
    if (c == NULL)
        return;
    s->connecting = NULL;
    if (uv_is_closing(&s->uv.handle) && s->is_open) {
        net_connect_free(c); /* between two addresses: on_failed_closed tells the owner */
        return;
    }
    c->s = NULL;
    if (!s->is_open && !c->report.is_queued)
        (void)uv_cancel((uv_req_t *)&c->resolving);
}
