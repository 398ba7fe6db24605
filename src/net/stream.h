/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Byte streams
 *
 * A TCP connection as its owner sees it: bytes come in by callback, bytes go out by a gathering
 * write that is tried at once and whose rest is copied and sent later. Nothing above net/ sees a
 * libuv handle. Callbacks never run inside the call that causes them. The owner embeds the stream
 * and may free it in on_closed, not before.
 */

#include "base/addr.h"
#include "net/loop.h"

struct net_stream;
struct net_held;

struct net_stream_ops {
    const char *name;
    void (*on_connect)(struct net_stream *s, int err); /* after net_stream_connect(): 0 or -errno */
    void (*on_read)(struct net_stream *s,
                    struct str bytes);    /* in the loop's read buffer: valid during the call */
    void (*on_eof)(struct net_stream *s); /* the peer will send nothing more */
    void (*on_error)(struct net_stream *s, int err); /* dead in both directions; close it */
    void (*on_room)(struct net_stream *s);           /* everything that waited has been sent */
    void (*on_closed)(struct net_stream *s);         /* the memory is the owner's again */
};

struct net_stream {
    union {
        uv_tcp_t tcp;
        uv_stream_t stream;
        uv_handle_t handle;
    } uv;
    struct net_loop *loop;
    const struct net_stream_ops *ops;
    struct net_connect *connecting; /* while connecting */
    struct net_held *held;          /* what waits for the end of the turn */
    struct net_task failure;        /* delivers a write error when no read would */
    int write_err;                  /* 0, or why nothing can be sent any more */
    bool is_open;
    bool is_reading;
    bool is_closing;
    bool is_eof;
};

/**
 * net_stream_connect() - open a connection
 * @s:    zeroed by the caller or used before and closed
 * @to:   name or literal; names are resolved off the loop, addresses tried in turn
 *
 * on_connect tells the end; the caller's timer bounds the wait. net_stream_close() cancels.
 *
 * Return: 0; -ENOMEM, -EMFILE and the like: nothing was begun, no callback will come.
 */
MUST_USE int net_stream_connect(struct net_loop *loop, struct net_stream *s, const struct addr *to,
                                const struct net_stream_ops *ops);

/**
 * net_stream_write() - send pieces, in order
 *
 * What the kernel does not take now is copied. After a write error the bytes go nowhere and
 * on_error (or on_eof) is on its way.
 *
 * Return: 0; -ENOMEM the stream has a hole now: close it.
 */
MUST_USE int net_stream_write(struct net_stream *s, const struct str *pieces, size_t n_pieces);

/*
 * The same at the end of this turn of the loop, when that pays: a little output of many connections.
 * What does not fit is sent at once. Nothing overtakes anything.
 */
MUST_USE int net_stream_write_later(struct net_stream *s, const struct str *pieces,
                                    size_t n_pieces);

/* Bytes written and not yet taken by the kernel, but for what leaves at the end of the turn. */
size_t net_stream_unsent(const struct net_stream *s);

/* Whether output waits for the end of the turn, so that the peer has not seen it. */
static inline bool net_stream_is_holding(const struct net_stream *s)
{
    return s->held != NULL;
}

/* Whether bytes of the peer wait to be read. Asks the kernel. */
bool net_stream_has_input(const struct net_stream *s);

void net_stream_read_start(struct net_stream *s);
void net_stream_read_stop(struct net_stream *s);

/* Ends our direction once everything is sent. */
void net_stream_shutdown(struct net_stream *s);

/*
 * Closes at once; on_closed follows. Twice is once. @reset: with RST instead of FIN, dropping
 * unsent bytes.
 */
void net_stream_close(struct net_stream *s);
void net_stream_reset(struct net_stream *s);

/* Keeps little unsent in the kernel, so that what is written next can still be chosen. */
void net_stream_lowat(struct net_stream *s);

/*
 * Whether @s took one of the last descriptors of the process, which are kept for saying no, for
 * connections to nodes and for the admin listener: an eighth of RLIMIT_NOFILE.
 */
bool net_stream_is_spare(const struct net_stream *s);

/* TCP keep-alive probes after @seconds of silence. */
void net_stream_keepalive(struct net_stream *s, unsigned seconds);

/* Peer's address without port, into @out. Return: @out; "?" when unknown. */
#define NET_PEER_MAX 46 /* of an IPv6 address, NUL included */
const char *net_stream_peer(const struct net_stream *s, char out[static NET_PEER_MAX]);

/*
 * Listening
 */

struct net_listener;

typedef void net_accept_fn(struct net_listener *listener);

struct net_listener {
    uv_tcp_t tcp;
    uv_tcp_t refused; /* takes a connection that cannot be served, to close it */
    struct net_loop *loop;
    net_accept_fn *on_connection; /* call net_listener_accept() or net_listener_refuse() in it */
    void (*on_closed)(struct net_listener *listener); /* may be NULL */
    bool is_open;
    bool is_refusing;
    bool has_to_refuse; /* one more, when `refused` is free again */
};

/**
 * net_listen_fds() - bind one port for several threads
 * @at:         address; port 0 takes a free one, and @at then holds it
 * @n, @ret_fds: as many listening descriptors with SO_REUSEPORT, one per loop; the caller closes
 * those it does not hand on
 *
 * Return: 0; -EADDRINUSE and the like; -EADDRNOTAVAIL also for a name that does not resolve.
 */
MUST_USE int net_listen_fds(struct addr *at, size_t n, int *ret_fds);

/* Takes @fd over, also on failure. */
MUST_USE int net_listener_open(struct net_loop *loop, struct net_listener *listener, int fd,
                               net_accept_fn *on_connection);

/* Return: 0, and @s is open, not yet reading; -errno: nothing accepted. */
MUST_USE int net_listener_accept(struct net_listener *listener, struct net_stream *s,
                                 const struct net_stream_ops *ops);

/* Closes the connection that waits; for want of memory. */
void net_listener_refuse(struct net_listener *listener);
void net_listener_close(struct net_listener *listener);
