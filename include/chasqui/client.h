/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_CLIENT_H
#define CHASQUI_CLIENT_H

/*
 * Client: calls to one service that may live in several places
 *
 * A client has endpoints, keeps a pool of connections to each, and sends every call to the one that
 * is least busy. Over mcp:// each connection carries many calls at once; over http:// one.
 * Connections are opened when they are needed, kept alive, closed when idle, and opened again with
 * growing pauses when they fail.
 *
 * A call ends exactly once, whatever happens: with an answer, with the other side's error, with its
 * time-out, when it is cancelled, or when the client is closed. Completions and record callbacks
 * run on the client's own thread, or inside chasqui_process() where the caller drives the client;
 * they should return soon, since all calls of the client wait meanwhile.
 *
 * Retries. A call is tried again, after 100 ms, 200 ms, ..., when no connection could be made or
 * when the other side says that work had not begun. With CHASQUI_IDEMPOTENT also when it cannot be
 * known. Never once a record of a stream was delivered. A budget keeps retries from multiplying an
 * outage: over 10 s they may be 10, or a tenth of the calls.
 */

#include <chasqui/context.h>
#include <chasqui/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chasqui_client chasqui_client;
typedef struct chasqui_call chasqui_call;
typedef struct chasqui_stream chasqui_stream;

/* For times: no limit. For counts of retries: none. In all options 0 stands for the default. */
#define CHASQUI_NEVER      UINT32_MAX
#define CHASQUI_NO_RETRIES UINT32_MAX

/* Ports of URLs without one. 11435 is a gateway's: a bare Ollama listens on 11434, so say it. */
#define CHASQUI_MCP_PORT  11436
#define CHASQUI_HTTP_PORT 11435

/*
 * Classes of calls: how long they may take, and whether they are tried again
 *
 *     name        whole call   silence   retries
 *     "request"   3 s          -         5         a call without a class; option timeout_ms
 *     "query"     2 s          -         5         asks and changes nothing: idempotent
 *     "order"     5 s          -         none      must not happen twice
 *     "external"  8 s          -         5         by way of somebody else
 *     "answer"    10 min       2 min     5         chasqui_generate(), _chat() and _embed()
 *
 * The answer of a model takes as long as it is long, and the first token waits for the model to
 * load; so what says that something is wrong is silence, the time without any record, and not the
 * time for the whole.
 */
typedef struct chasqui_class_options {
    size_t size;          /* sizeof(chasqui_class_options) */
    const char *name;     /* 1..32 bytes; one of the above replaces it */
    uint32_t timeout_ms;  /* whole call, retries included; 0: 3 s */
    uint32_t silence_ms;  /* of a stream, without a record; 0: CHASQUI_NEVER */
    uint32_t max_retries; /* 0: 5 */
    unsigned flags;       /* CHASQUI_IDEMPOTENT */
} chasqui_class_options;

/*
 * Profiles of MCP, for mcp:// endpoints
 *
 * EXTENDED has all that this page tells. PLAIN is for simple servers: requests and answers of at
 * most 64 KiB and nothing else: no key, no streams (the whole answer comes as the final record), no
 * metadata, and a server goes on with calls that were cancelled or whose time is over. EITHER
 * begins with EXTENDED and goes over to PLAIN when a server that never understood it closes the
 * connection at its first word. Its price: until a server has answered that word for the first
 * time, calls wait for it. With a key it is EXTENDED.
 */
enum {
    CHASQUI_PROFILE_EXTENDED = 1,
    CHASQUI_PROFILE_EITHER = 2,
    CHASQUI_PROFILE_PLAIN = 3
};

/*
 * Compression of messages, over mcp:// and with servers that agree: requests and answers of 1 KiB
 * and more, one by one, where it makes them shorter. It costs both sides time (docs/performance.md
 * has numbers), so it is for links that are slow or paid by the byte.
 */
enum {
    CHASQUI_COMPRESSION_NONE = 1,
    CHASQUI_COMPRESSION_GZIP = 2,
    CHASQUI_COMPRESSION_ZSTD = 3
};

/*
 * Small calls that go together, over mcp:// and to servers that agree
 *
 * As Nagle's algorithm has it: while answers are awaited on its connection, a small call (a body of
 * at most 1 KiB) waits for others, and calls of one service with the same metadata go in one frame.
 * It waits until so many are there, or so many bytes, or the time is over, or nothing is awaited any
 * more. For many small calls at once: it saves both sides work, and costs each call its wait.
 */
typedef struct chasqui_batch_options {
    size_t size;        /* sizeof(chasqui_batch_options) */
    uint32_t max_calls; /* 2..256; 0: 64 */
    uint32_t max_bytes; /* of bodies; at most 12 KiB; 0: that */
    uint32_t delay_ms;  /* the first one's; at most 1,000; 0: 1 */
} chasqui_batch_options;

/* Flags of requests and classes. */
enum {
    CHASQUI_IDEMPOTENT = 0x01, /* may be processed twice: try again also when it may have been */
    CHASQUI_STREAM = 0x02      /* the answer is a stream of records; http:// needs to know */
};

/* Flags of a client. */
enum {
    CHASQUI_OWN_LOOP = 0x01 /* no thread: the caller drives it, see chasqui_process() */
};

/*
 * Codecs. Whichever it is, requests and answers are JSON for who uses the library; nothing is lost
 * by Protobuf, but the order of members and the spelling of numbers may change.
 */
enum {
    CHASQUI_CODEC_PROTOBUF = 1,
    CHASQUI_CODEC_JSON = 2
};

/* Zero everything, set size, then what should not be the default. */
typedef struct chasqui_options {
    size_t size; /* sizeof(chasqui_options) */
    unsigned flags;
    const char *key; /* secret that a gateway asks for: 1..253 printable bytes; NULL: none */

    /* Times. Default behind the semicolon */
    uint32_t timeout_ms;         /* of class "request"; 3,000 */
    uint32_t connect_timeout_ms; /* until a connection can be used; 3,000 */
    uint32_t acquire_timeout_ms; /* a call waits for a connection with room; 5,000 */
    uint32_t heartbeat_ms;       /* a silent connection is asked whether it lives; 30,000 */
    uint32_t idle_close_ms;      /* a connection without calls is closed; 60,000 */

    /* Bounds */
    uint32_t connections;      /* per mcp:// endpoint; each is one thread of the gateway's; 2 */
    uint32_t http_connections; /* per http:// endpoint; 64 */
    uint32_t max_calls;        /* begun and not ended, then CHASQUI_OVERLOADED; 16,384 */
    uint32_t max_message;      /* bytes of one answer or record; 64 MiB */
    uint32_t stream_limit;     /* bytes of a stream that may wait for its reader; 256 KiB */

    /* Retries */
    uint32_t max_retries;          /* of classes that do not say; 5 */
    uint32_t retry_base_ms;        /* before the first; doubles with each, +-50 %; 100 */
    uint32_t retry_max_ms;         /* longest pause; 2,000 */
    uint32_t retry_budget_percent; /* per 100 calls, over 10 s; 10 */
    uint32_t retry_budget_min;     /* but as many in any case; 10 */

    const chasqui_class_options *classes; /* own ones; size set in each, to the same */
    size_t n_classes;                     /* at most 64 */
    uint32_t codec;                       /* for mcp://; CHASQUI_CODEC_PROTOBUF */
    const chasqui_batch_options *batch;   /* NULL: every call goes by itself */
    uint32_t profile;                     /* CHASQUI_PROFILE_EXTENDED */
    uint32_t compression;                 /* CHASQUI_COMPRESSION_NONE */
} chasqui_options;

/**
 * chasqui_open() - make a client
 * @urls:        endpoints of one service, at most 64, with commas between them: mcp://host:port
 *               or http://host:port/prefix, also mixed. Without a scheme: mcp
 * @options:     or NULL for the defaults
 * @ret_client:  set on CHASQUI_OK; to be closed by chasqui_close()
 * @ret_error:   what was wrong; may be NULL
 *
 * Connects to nobody yet and does not block. Starts a thread, unless CHASQUI_OWN_LOOP; all signals
 * are blocked in it.
 *
 * Return: CHASQUI_OK; CHASQUI_INVALID_ARGUMENT, CHASQUI_RESOURCE_EXHAUSTED (memory, threads or
 * descriptors).
 */
CHASQUI_API int chasqui_open(const char *urls, const chasqui_options *options,
                             chasqui_client **ret_client, chasqui_error *ret_error);

/**
 * chasqui_close() - end a client
 * @client:  or NULL
 *
 * Calls that are open end with CHASQUI_CANCELLED, and their completions have run when this returns:
 * it blocks until then, and runs them itself for a client with CHASQUI_OWN_LOOP. Not from a
 * callback of this client. Handles of calls and streams stay valid and must still be freed.
 */
CHASQUI_API void chasqui_close(chasqui_client *client);

/*
 * Driving a client with a loop of yours (CHASQUI_OWN_LOOP). One thread does it; other functions may
 * still be called from any.
 *
 *     wait until chasqui_fd() is readable (level-triggered) or chasqui_next_due() ms have passed
 *     chasqui_process()
 */

/* A descriptor for poll() or epoll, owned by the client: readable when there is something to do. -1
 * for a client with its own thread. */
CHASQUI_API int chasqui_fd(const chasqui_client *client);

/* Milliseconds until chasqui_process() must be called even if the descriptor stays silent; 0: now;
 * -1: no need. Ask again after each chasqui_process(). */
CHASQUI_API int chasqui_next_due(chasqui_client *client);

/* Does what there is to do and runs callbacks; never waits. Return: CHASQUI_OK;
 * CHASQUI_FAILED_PRECONDITION from a callback, or with its own thread. */
CHASQUI_API int chasqui_process(chasqui_client *client);

/*
 * Requests
 */

typedef struct chasqui_request {
    size_t size;              /* sizeof(chasqui_request) */
    const char *service;      /* "ollama.chat"; its endpoint in HTTP, "/api/chat", is the same */
    chasqui_bytes payload;    /* for ollama.*: the JSON body of that API */
    chasqui_context *context; /* or NULL */
    const char *class_name;   /* NULL: the context's, else "request" */
    uint32_t timeout_ms;      /* instead of the class's; 0: the class's */
    uint32_t silence_ms;      /* likewise */
    unsigned flags;           /* CHASQUI_IDEMPOTENT, CHASQUI_STREAM */
    const char *session;      /* calls of one conversation like to meet the same node: at most */
                              /* 64 printable bytes; NULL: none */
} chasqui_request;

/*
 * Blocking calls. Not from a callback of the client and not with CHASQUI_OWN_LOOP
 * (CHASQUI_FAILED_PRECONDITION). A signal does not interrupt them; cancel their context instead.
 */

/**
 * chasqui_send_request() - one request, one answer
 * @service:  name
 * @payload:  body
 * @reply:    filled in any case; chasqui_reply_free() it
 *
 * Class "request": 3 s.
 *
 * Return: CHASQUI_OK and reply->body; else reply->error.code.
 */
CHASQUI_API int chasqui_send_request(chasqui_client *client, const char *service,
                                     chasqui_bytes payload, chasqui_reply *reply);

/* The same with everything that a request can say. Records of a stream before its final one are
 * dropped: see chasqui_stream_open(). */
CHASQUI_API int chasqui_send(chasqui_client *client, const chasqui_request *request,
                             chasqui_reply *reply);

/**
 * chasqui_do_request() - any endpoint of the Ollama API, over either scheme
 * @endpoint:  "/api/chat", or the service's name. Over http:// any path that the server has;
 *             over mcp:// those that are services
 * @body:      JSON; empty: GET
 * @target:    filled in any case; chasqui_reply_free() it
 *
 * Base URL, key, trace and the mapping of errors are in one place, and all typed calls go through
 * it. A body that says "stream":true, or leaves out "stream" where that means true, gets the final
 * record only. Class "answer".
 *
 * Return: CHASQUI_OK and target->body; else target->error.code.
 */
CHASQUI_API int chasqui_do_request(chasqui_client *client, const char *endpoint, chasqui_bytes body,
                                   chasqui_reply *target);

/*
 * Asynchronous calls
 */

/* One record of a stream: valid during the call. */
typedef void chasqui_record_fn(void *user, chasqui_bytes record);

/* The end of a call, exactly once; no callback of the call follows. @reply is valid during the call
 * and not yours to free. */
typedef void chasqui_done_fn(void *user, const chasqui_reply *reply);

typedef struct chasqui_handler {
    size_t size;                  /* sizeof(chasqui_handler) */
    chasqui_record_fn *on_record; /* NULL: records are dropped */
    chasqui_done_fn *on_done;     /* NULL: nobody is told */
    void *user;
} chasqui_handler;

/**
 * chasqui_start() - begin a call
 * @handler:   copied; or NULL
 * @ret_call:  to cancel it by; chasqui_call_free() it, before or after the end. NULL: not needed
 *
 * Does not block. On CHASQUI_OK on_done runs exactly once, never on this stack; on the thread of
 * the client that may be before this has returned.
 *
 * Return: CHASQUI_OK; else no callback will come: CHASQUI_INVALID_ARGUMENT, CHASQUI_OVERLOADED
 * (max_calls), CHASQUI_RESOURCE_EXHAUSTED, CHASQUI_UNAVAILABLE (the client is being closed).
 */
CHASQUI_API int chasqui_start(chasqui_client *client, const chasqui_request *request,
                              const chasqui_handler *handler, chasqui_call **ret_call);

/* Asks for the end of a call: on_done comes with CHASQUI_CANCELLED, unless the call ended
 * meanwhile. Twice is once. */
CHASQUI_API void chasqui_call_cancel(chasqui_call *call);

/* Gives the handle back; the call goes on. NULL is fine. */
CHASQUI_API void chasqui_call_free(chasqui_call *call);

/*
 * Streams by pull. While nobody takes records the other side is held back, after stream_limit
 * bytes.
 */

/* Begins a call whose records are taken one by one. CHASQUI_STREAM is implied. Does not block.
 * Return: as chasqui_start(). */
CHASQUI_API int chasqui_stream_open(chasqui_client *client, const chasqui_request *request,
                                    chasqui_stream **ret_stream);

/**
 * chasqui_stream_next() - wait for the next record
 * @ret_record:  set on CHASQUI_OK; valid until the next call for this stream. A NUL byte
 *               follows that does not count
 *
 * Blocks. One thread at a time for a stream.
 *
 * Return: CHASQUI_OK a record; CHASQUI_END no more, chasqui_stream_reply() has the final one; else
 * the error's code, again and again.
 */
CHASQUI_API int chasqui_stream_next(chasqui_stream *stream, chasqui_bytes *ret_record);

/* How it ended, behind CHASQUI_END or an error; NULL before. Lives as long as the stream. */
CHASQUI_API const chasqui_reply *chasqui_stream_reply(const chasqui_stream *stream);

/* Any thread, also while another waits in chasqui_stream_next(): records that have arrived can
 * still be taken, then comes CHASQUI_CANCELLED. */
CHASQUI_API void chasqui_stream_cancel(chasqui_stream *stream);

/* Cancels what is open, and frees. NULL is fine. */
CHASQUI_API void chasqui_stream_free(chasqui_stream *stream);

/* What a client holds and has done, for eyes and tests. */
typedef struct chasqui_stats {
    size_t size;       /* sizeof(chasqui_stats), set by the caller */
    uint64_t calls;    /* begun */
    uint64_t failures; /* ended with an error */
    uint64_t retries;
    uint64_t connects; /* connections that could be used */
    uint64_t connect_failures;
    uint32_t connections; /* now, those being opened included */
    uint32_t open_calls;  /* now */
    uint64_t batches;     /* frames that carried several calls */
} chasqui_stats;

/* Return: CHASQUI_OK, CHASQUI_INVALID_ARGUMENT. */
CHASQUI_API int chasqui_get_stats(const chasqui_client *client, chasqui_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
