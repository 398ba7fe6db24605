/* SPDX-License-Identifier: MIT */
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "net/connect.h"
#include "net/held.h"

#define WRITE_PIECES_MAX 128
#define NOTSENT_LOWAT    (64 * 1024)
#define SPARE_SHARE      8 /* of the descriptors, one in so many */

/* Output that the kernel did not take at once. */
struct unsent {
    uv_write_t req;
    char bytes[];
};

static void on_failure(struct net_task *task)
{
    struct net_stream *s = container_of(task, struct net_stream, failure);

    if (!s->is_closing)
        s->ops->on_error(s, s->write_err);
}

static void fail_writing(struct net_stream *s, int err)
{
    if (s->write_err != 0)
        return;
    s->write_err = err;
    /*
     * Where reading goes on the kernel tells there that the peer is gone, behind what it still
     * sent.
     */
    if (!s->is_reading || (err != UV_EPIPE && err != UV_ECONNRESET))
        net_defer(s->loop, &s->failure);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct net_stream *s = container_of(handle, struct net_stream, uv.handle);

    s->is_open = false;
    if (s->failure.is_queued) {
        list_remove(&s->failure.link);
        s->failure.is_queued = false;
    }
    s->ops->on_closed(s);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct net_stream *s = container_of(handle, struct net_stream, uv.handle);

    (void)hint;
    *buf = uv_buf_init(s->loop->read_buf, NET_READ_BUF_BYTES);
}

/*
 * libuv takes a hang-up right behind the last bytes for the peer's end, but a reset is one, too. Then
 * the socket still has the error. Return: 0 it was an end; <0 why not.
 */
static int why_hung_up(const struct net_stream *s)
{
    uv_os_fd_t fd;
    int err = 0;
    socklen_t len = sizeof(err);

    if (uv_fileno(&s->uv.handle, &fd) == 0)
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return -err;
}

static void on_uv_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct net_stream *s = container_of(stream, struct net_stream, uv.stream);

    if (n == 0 || s->is_closing)
        return;
    if (n > 0) {
        struct net_loop *loop = s->loop;

        loop->now = 0;
        loop->is_handing_over = true;
        s->ops->on_read(s, str_make(buf->base, (size_t)n));
        loop->is_handing_over = false;
        return;
    }
    net_stream_read_stop(s);
    if (n == UV_EOF)
        n = why_hung_up(s);
    if (n == 0) {
        s->is_eof = true;
        s->ops->on_eof(s);
    } else {
        s->ops->on_error(s, (int)n);
    }
}

void net_stream_init(struct net_loop *loop, struct net_stream *s, const struct net_stream_ops *ops)
{
    *s = (struct net_stream){.loop = loop, .ops = ops, .failure = {.run = on_failure}};
}

void net_stream_read_start(struct net_stream *s)
{
    if (s->is_reading || s->is_closing || s->is_eof)
        return;
    if (uv_read_start(&s->uv.stream, on_alloc, on_uv_read) == 0)
        s->is_reading = true;
}

bool net_stream_has_input(const struct net_stream *s)
{
    uv_os_fd_t fd;
    char byte;

    return uv_fileno(&s->uv.handle, &fd) == 0 &&
           recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

void net_stream_read_stop(struct net_stream *s)
{
    if (!s->is_reading)
        return;
    (void)uv_read_stop(&s->uv.stream);
    s->is_reading = false;
    if (s->write_err != 0)
        net_defer(s->loop, &s->failure);
}

static void on_written(uv_write_t *req, int status)
{
    struct unsent *u = container_of(req, struct unsent, req);
    struct net_stream *s = container_of(req->handle, struct net_stream, uv.stream);

    free(u);
    if (s->is_closing)
        return;
    if (status < 0) {
        fail_writing(s, status);
        return;
    }
    if (net_stream_unsent(s) == 0 && s->ops->on_room != NULL)
        s->ops->on_room(s);
}

/* Copies what is behind the first @sent bytes of @pieces and queues it. */
static int queue_rest(struct net_stream *s, const uv_buf_t *pieces, unsigned n, size_t sent)
{
    size_t total = 0;
    size_t at = 0;
    struct unsent *u;
    uv_buf_t rest;

    for (unsigned i = 0; i < n; i++)
        total += pieces[i].len;
    u = malloc(sizeof(*u) + (total - sent));
    if (u == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        size_t skip = sent < pieces[i].len ? sent : pieces[i].len;

        memcpy(u->bytes + at, pieces[i].base + skip, pieces[i].len - skip);
        at += pieces[i].len - skip;
        sent -= skip;
    }
    rest = uv_buf_init(u->bytes, (unsigned)at);
    if (uv_write(&u->req, &s->uv.stream, &rest, 1, on_written) < 0) {
        free(u);
        return -ENOMEM;
    }
    return 0;
}

static int write_some(struct net_stream *s, const struct str *pieces, size_t n_pieces)
{
    uv_buf_t bufs[WRITE_PIECES_MAX];
    unsigned n = 0;
    size_t total = 0;
    int sent = 0;

    for (size_t i = 0; i < n_pieces; i++) {
        if (pieces[i].len == 0)
            continue;
        bufs[n++] = (uv_buf_t){.base = (char *)(uintptr_t)pieces[i].s, .len = pieces[i].len};
        total += pieces[i].len;
    }
    if (total == 0)
        return 0;
    if (net_stream_unsent(s) == 0) {
        sent = uv_try_write(&s->uv.stream, bufs, n);
        if (sent == UV_EAGAIN)
            sent = 0;
        if (sent < 0) {
            fail_writing(s, sent);
            return 0;
        }
    }
    return (size_t)sent == total ? 0 : queue_rest(s, bufs, n, (size_t)sent);
}

int net_stream_write(struct net_stream *s, const struct str *pieces, size_t n_pieces)
{
    int r;

    assert(s->is_open);

    r = net_held_flush(s);
    while (r == 0 && n_pieces > 0 && s->write_err == 0 && !s->is_closing) {
        size_t n = n_pieces < WRITE_PIECES_MAX ? n_pieces : WRITE_PIECES_MAX;

        r = write_some(s, pieces, n);
        pieces += n;
        n_pieces -= n;
    }
    return r;
}

int net_stream_write_later(struct net_stream *s, const struct str *pieces, size_t n_pieces)
{
    size_t total = 0;

    for (size_t i = 0; i < n_pieces; i++)
        total += pieces[i].len;
    if (s->write_err != 0 || s->is_closing)
        return 0;
    if (net_stream_unsent(s) == 0 && net_held_put(s, pieces, n_pieces, total))
        return 0;
    return net_stream_write(s, pieces, n_pieces);
}

void net_stream_fail(struct net_stream *s, int err)
{
    if (s->write_err == 0)
        s->write_err = err;
    net_defer(s->loop, &s->failure);
}

size_t net_stream_unsent(const struct net_stream *s)
{
    return s->is_open ? uv_stream_get_write_queue_size(&s->uv.stream) : 0;
}

static void on_shut_down(uv_shutdown_t *req, int status)
{
    (void)status;
    free(req);
}

void net_stream_shutdown(struct net_stream *s)
{
    uv_shutdown_t *req;

    if (net_held_flush(s) < 0)
        fail_writing(s, -ENOMEM);
    if (s->is_closing || s->write_err != 0)
        return;
    req = malloc(sizeof(*req));
    if (req == NULL || uv_shutdown(req, &s->uv.stream, on_shut_down) < 0) {
        free(req);
        fail_writing(s, -ENOTCONN);
    }
}

void net_stream_close(struct net_stream *s)
{
    if (s->is_closing)
        return;
    (void)!net_held_flush(s);
    s->is_closing = true;
    s->is_reading = false;
    net_connect_cancel(s);
    if (s->is_open && !uv_is_closing(&s->uv.handle))
        uv_close(&s->uv.handle, on_handle_closed);
}

void net_stream_reset(struct net_stream *s)
{
    if (s->is_closing || s->connecting != NULL) {
        net_stream_close(s);
        return;
    }
    (void)!net_held_flush(s);
    s->is_closing = true;
    s->is_reading = false;
    if (uv_tcp_close_reset(&s->uv.tcp, on_handle_closed) < 0)
        uv_close(&s->uv.handle, on_handle_closed);
}

void net_stream_lowat(struct net_stream *s)
{
    int bytes = NOTSENT_LOWAT;
    uv_os_fd_t fd;

    if (uv_fileno(&s->uv.handle, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

bool net_stream_is_spare(const struct net_stream *s)
{
    struct rlimit limit;
    uv_os_fd_t fd;

    /* The kernel gives the lowest free number, so a high one tells that those below are taken. */
    if (uv_fileno(&s->uv.handle, &fd) < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    return (rlim_t)fd >= limit.rlim_cur - limit.rlim_cur / SPARE_SHARE;
}

void net_stream_keepalive(struct net_stream *s, unsigned seconds)
{
    if (seconds > 0)
        (void)uv_tcp_keepalive(&s->uv.tcp, 1, seconds);
}

const char *net_stream_peer(const struct net_stream *s, char out[static NET_PEER_MAX])
{
    struct sockaddr_storage ss;
    int len = sizeof(ss);

    (void)snprintf(out, NET_PEER_MAX, "?");
    if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&ss, &len) == 0)
        (void)uv_ip_name((const struct sockaddr *)&ss, out, NET_PEER_MAX);
    return out;
}
