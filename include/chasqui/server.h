/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_SERVER_H
#define CHASQUI_SERVER_H

/*
 * Server: services of your own, for clients that speak MCP
 *
 *     static void on_request(void *user, chasqui_served *call)
 *     {
 *         chasqui_served_respond(call, chasqui_served_payload(call));
 *     }
 *
 *     const chasqui_service echo = {sizeof(echo), "echo", on_request};
 *
 *     chasqui_server_new(NULL, &server, NULL);
 *     chasqui_server_add(server, &echo);
 *     chasqui_server_listen(server, "127.0.0.1:7000", NULL);
 *     ...
 *     chasqui_server_drain(server, 10000);
 *     chasqui_server_free(server);
 *
 * One thread of the server's reads, writes and runs all callbacks; they should return soon, since
 * all connections wait meanwhile. A call is answered now or later, from any thread: it is yours
 * from on_request until you end it by chasqui_served_respond() or chasqui_served_fail(), exactly
 * once, also when nobody listens any more. Who ended it must not touch it again, except in
 * callbacks that are running: on_done is the last of them, always comes, and is the place to free
 * what is yours.
 *
 * Codecs. Requests and answers of ollama.* and health are JSON here, whatever the client has chosen.
 * Those of other services are bytes, for you to read; chasqui_served_codec() says what they are
 * said to be. Messages of 1 KiB and more are compressed for clients that agree.
 *
 * Bounds. A connection has at most max_calls calls, and bodies of 128 MiB together in calls that
 * have not ended; what goes over it is refused with CHASQUI_OVERLOADED. A call's deadline is kept
 * by the server: the client is told, and on_cancel comes.
 */

#include <chasqui/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chasqui_server chasqui_server;
typedef struct chasqui_served chasqui_served;

/* Flags of a server. */
enum {
    CHASQUI_EXTENDED_ONLY = 0x01 /* peers of the plain profile are told to speak the other */
};

/* Zero everything, set size, then what should not be the default. */
typedef struct chasqui_server_options {
    size_t size; /* sizeof(chasqui_server_options) */
    unsigned flags;
    const char *key; /* secret that clients must show: 1..253 printable bytes; NULL: none. With one
                        there is no plain profile */

    /* Default behind the semicolon */
    uint32_t max_connections; /* more are closed at once; 1,024 */
    uint32_t max_calls;       /* in flight, per connection, 32..65,535; 256 */
    uint32_t max_message;     /* bytes of a request, 64 KiB..1 GiB; 64 MiB */
    uint32_t idle_close_ms;   /* a connection without calls is sent away; 300,000 */
} chasqui_server_options;

/* A service. Callbacks run on the server's thread, and never two at once. */
typedef struct chasqui_service {
    size_t size;      /* sizeof(chasqui_service) */
    const char *name; /* 1..128 bytes */

    /* A request has come: @call is yours until you end it. */
    void (*on_request)(void *user, chasqui_served *call);

    /* The rest may be NULL. Room again after CHASQUI_SERVED_FULL; not after on_cancel. */
    void (*on_room)(void *user, chasqui_served *call);
    /* Nobody listens any more: the client's wish, its end, or the deadline. At most once. */
    void (*on_cancel)(void *user, chasqui_served *call);
    /* @call was ended by you; it is gone when this returns. */
    void (*on_done)(void *user, chasqui_served *call);
    void *user;
} chasqui_service;

/**
 * chasqui_server_new() - make a server
 * @options:     copied; or NULL for the defaults
 * @ret_server:  set on CHASQUI_OK; to be freed by chasqui_server_free()
 * @ret_error:   what was wrong; may be NULL
 *
 * Opens nothing and starts no thread.
 *
 * Return: CHASQUI_OK, CHASQUI_INVALID_ARGUMENT, CHASQUI_RESOURCE_EXHAUSTED.
 */
CHASQUI_API int chasqui_server_new(const chasqui_server_options *options,
                                   chasqui_server **ret_server, chasqui_error *ret_error);

/**
 * chasqui_server_add() - serve one more name, before chasqui_server_listen()
 * @service:  copied, its name too
 *
 * Not from several threads at once.
 *
 * Return: CHASQUI_OK; CHASQUI_INVALID_ARGUMENT; CHASQUI_ALREADY_EXISTS;
 * CHASQUI_FAILED_PRECONDITION it listens already; CHASQUI_RESOURCE_EXHAUSTED over 256 services.
 */
CHASQUI_API int chasqui_server_add(chasqui_server *server, const chasqui_service *service);

/**
 * chasqui_server_listen() - begin to serve
 * @address:    "127.0.0.1:7000", "[::1]:7000", ":7000" for all addresses; port 0 takes a free one.
 *              A name is resolved before this returns
 * @ret_error:  may be NULL
 *
 * Starts the thread; all signals are blocked in it. Once.
 *
 * Return: CHASQUI_OK; CHASQUI_INVALID_ARGUMENT; CHASQUI_UNAVAILABLE the address cannot be had;
 * CHASQUI_FAILED_PRECONDITION a second time; CHASQUI_RESOURCE_EXHAUSTED. After a failure it may be
 * tried again.
 */
CHASQUI_API int chasqui_server_listen(chasqui_server *server, const char *address,
                                      chasqui_error *ret_error);

/* The port it listens on; 0: it does not. */
CHASQUI_API unsigned chasqui_server_port(const chasqui_server *server);

/**
 * chasqui_server_drain() - take nothing new, and wait until what is in flight has ended
 * @grace_ms:  longest wait, rounded up to seconds, at most 65,535 of them; then connections are cut
 *             and their calls get on_cancel
 *
 * New connections and calls are refused, clients are told (GOAWAY) and go elsewhere. Blocks until
 * the last connection is closed. Any thread but the server's own.
 *
 * Return: CHASQUI_OK; CHASQUI_FAILED_PRECONDITION from a callback, or it does not listen.
 */
CHASQUI_API int chasqui_server_drain(chasqui_server *server, uint32_t grace_ms);

/**
 * chasqui_server_free() - end a server
 * @server:  or NULL
 *
 * Connections are closed at once and calls get on_cancel; blocks until you have ended each of them
 * and its on_done has run. Not from a callback: nothing happens then.
 */
CHASQUI_API void chasqui_server_free(chasqui_server *server);

/*
 * A call that is served. What these give lives until the call is ended. Any thread, until then.
 */

/* The name it was called by. */
CHASQUI_API const char *chasqui_served_service(const chasqui_served *call);

/* The body of the request; a NUL that does not count stands behind it. */
CHASQUI_API chasqui_bytes chasqui_served_payload(const chasqui_served *call);

/* What the body is said to be: CHASQUI_CODEC_JSON or CHASQUI_CODEC_PROTOBUF of <chasqui/client.h>. */
CHASQUI_API int chasqui_served_codec(const chasqui_served *call);

/**
 * chasqui_served_metadata() - what came with the request
 * @key:        "class", "request-id", or what clients of yours send
 * @ret_value:  set on CHASQUI_OK
 *
 * Return: CHASQUI_OK, CHASQUI_NOT_FOUND.
 */
CHASQUI_API int chasqui_served_metadata(const chasqui_served *call, const char *key,
                                        chasqui_bytes *ret_value);

/* Milliseconds until its deadline, 0 when it has passed; -1: it has none. */
CHASQUI_API int64_t chasqui_served_time_left_ms(const chasqui_served *call);

/* Whether nobody listens any more: 1, 0. The call is still to be ended. */
CHASQUI_API int chasqui_served_is_cancelled(const chasqui_served *call);

/* Whether the client can take records as they are made: 1; 0: it speaks the plain profile, gets the
 * records in one piece, one behind the other, and at most 64 KiB. */
CHASQUI_API int chasqui_served_is_streamed(const chasqui_served *call);

/* A pointer of yours that travels with the call. Set it in on_request; not synchronised. */
CHASQUI_API void chasqui_served_set_user(chasqui_served *call, void *call_user);
CHASQUI_API void *chasqui_served_user(const chasqui_served *call);

#define CHASQUI_SERVED_FULL (-2) /* taken, but wait for on_room before the next */

/**
 * chasqui_served_record() - one record of a stream
 * @record:  copied
 *
 * Never blocks. FULL comes when the client, or its connection, is slower than you.
 *
 * Return: CHASQUI_OK, CHASQUI_SERVED_FULL; else nothing was taken: CHASQUI_CANCELLED nobody
 * listens; CHASQUI_OVERLOADED over 1 MiB waits, since FULL was not heeded;
 * CHASQUI_RESOURCE_EXHAUSTED.
 */
CHASQUI_API int chasqui_served_record(chasqui_served *call, chasqui_bytes record);

/**
 * chasqui_served_respond() - end a call with an answer, or with the last record of a stream
 * @body:  copied. One that the client cannot take becomes an error at the client
 *
 * Return: CHASQUI_OK and the call is not yours any more, whether somebody listens or not;
 * CHASQUI_RESOURCE_EXHAUSTED it still is.
 */
CHASQUI_API int chasqui_served_respond(chasqui_served *call, chasqui_bytes body);

/**
 * chasqui_served_fail() - end a call with an error, always
 * @code:   enum chasqui_code; what is none is UNKNOWN
 * @flags:  CHASQUI_NOT_PROCESSED, CHASQUI_TRANSIENT, CHASQUI_NO_RETRY; PARTIAL is added
 * @text:   for people, cut after 231 bytes; NULL: none
 *
 * Records that wait may be dropped.
 */
CHASQUI_API void chasqui_served_fail(chasqui_served *call, int code, unsigned flags,
                                     const char *text);

#ifdef __cplusplus
}
#endif

#endif
