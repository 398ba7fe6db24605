/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A client's HTTP/1.1 connection
 *
 *   HEAD ──► BODY ──► ANSWERING ──► HEAD ...   one request at a time, pipelined ones wait
 *     └────────┴──────────┴──► LINGER ──► CLOSING ──► freed
 *
 * Reads requests strictly and in bounded memory, writes answers in the framing that the client's
 * version allows. What a request means is its owner's business: the door of the gateway and the
 * admin listener are two owners. An idle connection holds no buffer.
 */

#include "http/h1.h"
#include "net/stream.h"
#include "observe/metrics.h"

#define HTTP_OUT_PIECES     120
#define HTTP_OUT_TEXT_BYTES 16384
#define HTTP_WRAP_MAX       16

struct http_conn;
struct http_server;

enum {
    HTTP_CONN_REFUSED = 1, /* on_head: the answer has been given; the body is not wanted */
};

struct http_conn_ops {
    const char *name;
    /* zeroed http_conn inside the owner's object, or NULL */
    struct http_conn *(*conn_new)(struct http_server *server);
    void (*conn_free)(struct http_conn *c);

    /*
     * A head has been read; its slices are valid during the call. Return: 0 read the body;
     * HTTP_CONN_REFUSED.
     */
    int (*on_head)(struct http_conn *c, const struct h1_head *head);
    /* A piece of the body. Return: 0; HTTP_CONN_REFUSED. */
    int (*on_body)(struct http_conn *c, struct str bytes);
    void (*on_request)(struct http_conn *c); /* the request is whole: answer it */
    void (*on_gone)(struct http_conn *c);    /* the client left while a request was open */
    void (*on_room)(struct http_conn *c);    /* unsent bytes fell to none */
    /*
     * The bytes are no request, or will not become one: answer, and let go of an open request. The
     * connection ends behind the answer.
     */
    void (*on_reject)(struct http_conn *c, int status, const char *text);
};

struct http_settings {
    nsec_t head_timeout_ns; /* from its first byte to its last */
    nsec_t body_idle_timeout_ns;
    /* a body that comes slower is not waited for, body_idle_timeout_ns of grace apart; 0: any */
    uint64_t body_rate_bytes;
    nsec_t keep_alive_ns;   /* between requests */
    nsec_t send_timeout_ns; /* a client that takes nothing for so long is cut off */
    uint64_t body_max_bytes;
};

/*
 * Pieces of output of one loop turn; one per loop, since each turn's output leaves before the next
 * begins.
 */
struct http_out {
    struct http_conn *conn;
    size_t n_pieces;
    struct str pieces[HTTP_OUT_PIECES];
    /* heads and chunk sizes that pieces point at; allocated once, so they stay where they are */
    struct buf text;
};

/* Return: 0, -ENOMEM. */
MUST_USE int http_out_init(struct http_out *out);
void http_out_fini(struct http_out *out);

/* One loop's side of a listener. */
struct http_server {
    const struct http_conn_ops *ops;
    const struct http_settings *settings;
    struct net_loop *loop;
    struct metrics *metrics;
    struct http_out *out;
    struct net_listener listener;
    struct list conns;
    size_t n_conns;
    /* deferred when the last connection has gone while draining; NULL: nobody asks */
    struct net_task *on_idle;
    bool is_draining; /* answers say Connection: close, idle connections go */
    bool is_loopback; /* only this machine reaches the listener */
    bool takes_spare; /* serves also on the last descriptors: who looks what is wrong must get in */
};

enum http_conn_state {
    HTTP_CONN_HEAD,
    HTTP_CONN_BODY,
    HTTP_CONN_ANSWERING,
    /*
     * everything is said: what the client still sends is read and dropped, so that it can read the
     * end
     */
    HTTP_CONN_LINGER,
    HTTP_CONN_CLOSING,
};

struct http_conn {
    struct net_stream stream;
    struct http_server *server;
    struct list link;
    struct net_timer timer;
    struct net_task next; /* goes on with what is in `in` */
    struct buf in;        /* unread bytes that had to be kept; empty and unallocated when idle */
    struct h1_scan scan;
    struct h1_body body;
    uint64_t body_bytes; /* of this request so far */
    nsec_t head_begun;   /* first byte of the head in hand; 0: none came yet */
    nsec_t body_begun;   /* its head was whole */
    size_t unsent_seen;  /* output that waited when the timer was set */
    nsec_t linger_until; /* when patience with a client that goes on sending ends */
    enum http_conn_state state;
    nsec_t paused_at; /* the body waits since then; 0: it does not */
    bool is_flowing;  /* its body is not held by the owner, so that no length is too much */
    bool is_http10;   /* of the request in hand */
    bool is_head_request;
    bool wants_close;     /* the connection ends with this answer */
    bool is_continue_due; /* 100 Continue is expected */
    /* the answer is whole; what the client has not taken yet comes before the next request */
    bool is_answered;
    bool is_chunked; /* framing of the answer in hand */
};

/* Takes @fd over. Return: 0, -errno. */
MUST_USE int http_server_open(struct http_server *server, int fd);

/* Accepts nothing more; idle connections close, busy ones after their answer. */
void http_server_drain(struct http_server *server);

/* Cuts everything off. */
void http_server_close(struct http_server *server);

/*
 * A body that flows: on_head calls http_conn_flow(), so that limits.body does not bound it; then its
 * owner holds it back while it has nowhere to put it.
 */
void http_conn_flow(struct http_conn *c);
void http_conn_pause(struct http_conn *c);
void http_conn_resume(struct http_conn *c);

/*
 * Answering. In order: head, pieces, end; flush at the end of a turn. To be called between on_head
 * and the end of the answer only.
 */

struct http_answer {
    int status;
    struct str own_fields; /* whole field lines, copied */
    /* the same; copied where they fit, beyond that they must stay until the next flush */
    struct str fields;
    bool has_length; /* then exactly `length` bytes follow, and HEAD gets the length without them */
    uint64_t length;
};

void http_conn_head(struct http_conn *c, const struct http_answer *answer);

/*
 * A piece of the body, valid until the next flush; one chunk of its own where the answer is
 * chunked.
 */
void http_conn_piece(struct http_conn *c, struct str bytes);

/* The same with a few bytes, HTTP_WRAP_MAX at most, in front of it and behind it. */
void http_conn_wrapped_piece(struct http_conn *c, struct str front, struct str bytes,
                             struct str back);
void http_conn_flush(struct http_conn *c);

/* @is_complete false: the transfer is broken off, so that no client can take it for whole. */
void http_conn_end(struct http_conn *c, bool is_complete);

/* A whole answer at once. */
void http_conn_answer(struct http_conn *c, int status, struct str fields, struct str body);
