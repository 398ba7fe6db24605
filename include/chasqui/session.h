/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_SESSION_H
#define CHASQUI_SESSION_H

/*
 * The protocol without I/O: one connection of MCP (Message Communication Protocol), either role
 *
 * Bytes and the time go in, callbacks and bytes come out: for event loops of your own, for tests,
 * for other languages. Nobody needs it who uses <chasqui/client.h>.
 *
 *     after reading        chasqui_session_feed(); what it did not use goes in front of what is
 *                          read next
 *     socket can take it   chasqui_session_output() -> write -> chasqui_session_sent(), until
 *                          output gives nothing
 *     timer                at chasqui_session_next_due(): chasqui_session_tick()
 *     end of file, error   chasqui_session_eof(), chasqui_session_tick(): every call is told
 *     after each of these  chasqui_session_state()
 *                          FLUSH: write what there is, shut down for writing, go on reading
 *                          DEAD: close
 *
 * Times are nanoseconds of one monotonic clock. Not thread-safe: one thread at a time for a
 * session. Callbacks run in feed, tick and sent only, and must not call these three, output, eof or
 * free; all else is allowed. What they get is valid while they run.
 */

#include <chasqui/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chasqui_session chasqui_session;
typedef struct chasqui_session_call chasqui_session_call;

enum chasqui_session_role {
    CHASQUI_SESSION_CLIENT = 0,
    CHASQUI_SESSION_SERVER = 1
};

enum chasqui_session_state {
    CHASQUI_SESSION_OPEN = 0,
    CHASQUI_SESSION_FLUSH = 1,
    CHASQUI_SESSION_DEAD = 2
};

/* A request, as a server gets it. */
typedef struct chasqui_session_request {
    chasqui_bytes service;
    chasqui_bytes body;
    int codec;              /* of the body: 0 Protobuf, 1 JSON */
    int64_t deadline_ms;    /* time left; -1: none */
    chasqui_bytes metadata; /* private */
} chasqui_session_request;

typedef struct chasqui_session_handler {
    size_t size; /* sizeof(chasqui_session_handler) */
    void *user;  /* first argument of all. Callbacks may be NULL */

    /* Client. @call_user is what the call was opened with; after on_end the call is gone */
    void (*on_record)(void *user, void *call_user, chasqui_bytes record, uint32_t cost);
    void (*on_end)(void *user, void *call_user, const chasqui_reply *reply);

    /* Server. Each call is to be ended by chasqui_session_respond() or _fail(), also after
     * on_cancel, which says that nobody listens */
    void (*on_request)(void *user, chasqui_session_call *call,
                       const chasqui_session_request *request);
    void (*on_cancel)(void *user, chasqui_session_call *call);
    void (*on_room)(void *user, chasqui_session_call *call); /* after CHASQUI_SESSION_FULL */
} chasqui_session_handler;

/**
 * chasqui_session_new() - begin a connection
 * @key:  client: shown to the server; NULL: none. Server: what clients must show; NULL: nothing
 *
 * Return: CHASQUI_OK, CHASQUI_INVALID_ARGUMENT, CHASQUI_RESOURCE_EXHAUSTED.
 */
CHASQUI_API int chasqui_session_new(enum chasqui_session_role role,
                                    const chasqui_session_handler *handler, const char *key,
                                    int64_t now_ns, chasqui_session **ret_session);

/* Frees everything and calls nobody. NULL is fine. */
CHASQUI_API void chasqui_session_free(chasqui_session *session);

/* Return: how many of the bytes were used; what is left is the beginning of a frame, under 64 KiB
 * + 8. */
CHASQUI_API size_t chasqui_session_feed(chasqui_session *session, chasqui_bytes bytes,
                                        int64_t now_ns);
CHASQUI_API void chasqui_session_eof(chasqui_session *session, int64_t now_ns);

/* What to write next, in @max pieces at most, valid until _sent(), _feed() or _tick(). Return: how
 * many pieces; 0: nothing. */
CHASQUI_API size_t chasqui_session_output(chasqui_session *session, chasqui_bytes *pieces,
                                          size_t max, int64_t now_ns);
CHASQUI_API void chasqui_session_sent(chasqui_session *session, size_t n_bytes, int64_t now_ns);

CHASQUI_API int64_t chasqui_session_next_due(const chasqui_session *session); /* INT64_MAX: never */
CHASQUI_API void chasqui_session_tick(chasqui_session *session, int64_t now_ns);
CHASQUI_API enum chasqui_session_state chasqui_session_state(const chasqui_session *session);

/**
 * chasqui_session_call_open() - client: begin a call
 * @deadline_ms:  time it may take; -1: no limit
 * @ret_call:     valid until on_end; may be NULL
 *
 * Bodies are opaque to a session and marked as JSON.
 *
 * Return: CHASQUI_OK; CHASQUI_OVERLOADED the server takes no more calls now;
 * CHASQUI_INVALID_ARGUMENT, CHASQUI_TOO_LARGE, CHASQUI_RESOURCE_EXHAUSTED.
 */
CHASQUI_API int chasqui_session_call_open(chasqui_session *session, const char *service,
                                          chasqui_bytes body, int64_t deadline_ms, void *call_user,
                                          int64_t now_ns, chasqui_session_call **ret_call);

/* Client: asks for an end; on_end comes. */
CHASQUI_API void chasqui_session_call_cancel(chasqui_session_call *call, int64_t now_ns);

/* Client: records of this cost have been dealt with, the server may send as much more. Who never
 * says so is sent a window and no more. */
CHASQUI_API void chasqui_session_call_take(chasqui_session_call *call, uint32_t cost);

#define CHASQUI_SESSION_FULL (-2) /* sent, but wait for on_room before the next */

/* Server: a record of a stream. Return: CHASQUI_OK, CHASQUI_SESSION_FULL; else nothing was sent. */
CHASQUI_API int chasqui_session_call_record(chasqui_session_call *call, chasqui_bytes record);

/* Server: the end. On CHASQUI_OK, and after _fail() always, the call is gone. */
CHASQUI_API int chasqui_session_call_respond(chasqui_session_call *call, chasqui_bytes body);
CHASQUI_API void chasqui_session_call_fail(chasqui_session_call *call, int code, unsigned flags,
                                           const char *text);

/* Server: a pointer of yours that travels with the call. */
CHASQUI_API void chasqui_session_call_set_user(chasqui_session_call *call, void *call_user);
CHASQUI_API void *chasqui_session_call_user(const chasqui_session_call *call);

#ifdef __cplusplus
}
#endif

#endif
