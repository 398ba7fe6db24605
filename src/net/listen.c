/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connect.h"

#define LISTEN_BACKLOG 4096

static int bind_one(const struct addrinfo *to, bool shared, int *ret_fd)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int err;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
        bind(fd, to->ai_addr, to->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        err = -errno;
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return 0;
    return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
                                          : ((struct sockaddr_in *)&ss)->sin_port);
}

static void set_port(struct addrinfo *to, uint16_t port)
{
    if (to->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)to->ai_addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)to->ai_addr)->sin_port = htons(port);
}

static int bind_all(struct addrinfo *to, struct addr *at, size_t n, int *ret_fds)
{
    size_t i = 0;
    int fd = -1;
    int r;

    /*
     * SO_REUSEPORT would share a port that another gateway of this user serves: try without it
     * first.
     */
    if (at->port != 0) {
        r = bind_one(to, false, &fd);
        if (r < 0)
            return r;
        (void)close(fd);
    }
    for (; i < n; i++) {
        r = bind_one(to, true, &ret_fds[i]);
        if (r < 0)
            goto fail;
        if (i == 0) {
            at->port = port_of(ret_fds[0]);
            set_port(to, at->port);
        }
    }
    return 0;

fail:
    while (i-- > 0)
        (void)close(ret_fds[i]);
    return r;
}

int net_listen_fds(struct addr *at, size_t n, int *ret_fds)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all;
    char port[8];
    int r;

    (void)snprintf(port, sizeof(port), "%u", at->port);
    if (getaddrinfo(at->host[0] != '\0' ? at->host : NULL, port, &hints, &all) != 0)
        return -EADDRNOTAVAIL;
    r = bind_all(all, at, n, ret_fds);
    freeaddrinfo(all);
    return r;
}

static void on_uv_connection(uv_stream_t *server, int status)
{
    struct net_listener *listener = container_of(server, struct net_listener, tcp);

    if (status == 0)
        listener->on_connection(listener);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct net_listener *listener = container_of(handle, struct net_listener, tcp);

    if (listener->on_closed != NULL)
        listener->on_closed(listener);
}

int net_listener_open(struct net_loop *loop, struct net_listener *listener, int fd,
                      net_accept_fn *on_connection)
{
    int r = uv_tcp_init(&loop->uv, &listener->tcp);

    listener->loop = loop;
    listener->on_connection = on_connection;
    if (r == 0)
        r = uv_tcp_open(&listener->tcp, fd);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    listener->is_open = true;
    return uv_listen((uv_stream_t *)&listener->tcp, LISTEN_BACKLOG, on_uv_connection);
}

int net_listener_accept(struct net_listener *listener, struct net_stream *s,
                        const struct net_stream_ops *ops)
{
    int r;

    net_stream_init(listener->loop, s, ops);
    r = uv_tcp_init(&listener->loop->uv, &s->uv.tcp);
    if (r < 0)
        return r;
    s->is_open = true;
    r = uv_accept((uv_stream_t *)&listener->tcp, &s->uv.stream);
    if (r < 0) {
        net_stream_close(s);
        return r;
    }
    (void)uv_tcp_nodelay(&s->uv.tcp, 1);
    return 0;
}

static void on_refused(uv_handle_t *handle)
{
    struct net_listener *listener = container_of(handle, struct net_listener, refused);

    listener->is_refusing = false;
    if (!listener->has_to_refuse || !listener->is_open)
        return;
    listener->has_to_refuse = false;
    net_listener_refuse(listener);
}

void net_listener_refuse(struct net_listener *listener)
{
    if (listener->is_refusing) {
        listener->has_to_refuse = true;
        return;
    }
    if (uv_tcp_init(&listener->loop->uv, &listener->refused) < 0)
        return;
    listener->is_refusing = true;
    (void)uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&listener->refused);
    uv_close((uv_handle_t *)&listener->refused, on_refused);
}

void net_listener_close(struct net_listener *listener)
{
    if (!listener->is_open)
        return;
    listener->is_open = false;
    uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
}
