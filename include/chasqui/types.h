/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_TYPES_H
#define CHASQUI_TYPES_H

/*
 * Bytes, errors and replies
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define CHASQUI_API __attribute__((visibility("default")))
#else
#define CHASQUI_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that somebody else owns. Not NUL-terminated unless it is said. Empty: len 0, data may be
 * NULL. */
typedef struct chasqui_bytes {
    const void *data;
    size_t len;
} chasqui_bytes;

static inline chasqui_bytes chasqui_bytes_make(const void *data, size_t len)
{
    chasqui_bytes b;

    b.data = data;
    b.len = len;
    return b;
}

/* The bytes of a string, without its NUL; NULL is empty. */
static inline chasqui_bytes chasqui_text(const char *text)
{
    return chasqui_bytes_make(text, text != NULL ? strlen(text) : 0);
}

/* What functions return, and what an error is. 1..16 are gRPC's numbers. Codes may be added: treat
 * an unknown one as CHASQUI_UNKNOWN. */
enum chasqui_code {
    CHASQUI_END = -1, /* no error: the stream is complete (chasqui_stream_next() only) */
    CHASQUI_OK = 0,
    CHASQUI_CANCELLED = 1, /* by you, by your context, or the client was closed */
    CHASQUI_UNKNOWN = 2,
    CHASQUI_INVALID_ARGUMENT = 3,
    CHASQUI_DEADLINE_EXCEEDED = 4, /* the time of the call is over */
    CHASQUI_NOT_FOUND = 5,         /* no such model, no such path */
    CHASQUI_ALREADY_EXISTS = 6,
    CHASQUI_PERMISSION_DENIED = 7,
    CHASQUI_RESOURCE_EXHAUSTED = 8,  /* a limit of yours; here: no memory */
    CHASQUI_FAILED_PRECONDITION = 9, /* not now: a blocking call on the client's own thread */
    CHASQUI_ABORTED = 10,
    CHASQUI_OUT_OF_RANGE = 11,
    CHASQUI_UNIMPLEMENTED = 12, /* no such service */
    CHASQUI_INTERNAL = 13,
    CHASQUI_UNAVAILABLE = 14, /* no connection, or it was lost */
    CHASQUI_DATA_LOSS = 15,
    CHASQUI_UNAUTHENTICATED = 16, /* a valid key is needed */
    CHASQUI_TOO_LARGE = 32,
    CHASQUI_OVERLOADED = 33, /* try again later */
    CHASQUI_CONTENT_FILTERED = 34,
    CHASQUI_CONTEXT_LENGTH = 35,
    CHASQUI_BACKEND_LOST = 36, /* the node died while it answered */
    CHASQUI_PROTOCOL = 37,
    CHASQUI_FLOW_CONTROL = 38
};

/* What a code says about the next try. */
enum chasqui_class {
    CHASQUI_CLASS_OK = 0,
    CHASQUI_CLASS_CALLER = 1,    /* the same request fails again */
    CHASQUI_CLASS_TRANSIENT = 2, /* another try, later or elsewhere, may help */
    CHASQUI_CLASS_SERVER = 3,    /* something is broken on the other side */
    CHASQUI_CLASS_ENDED = 4,     /* the caller's own doing: cancel, deadline */
    CHASQUI_CLASS_PROTOCOL = 5   /* the peer does not speak the protocol */
};

/* Flags of an error. */
enum {
    CHASQUI_NOT_PROCESSED = 0x01, /* work had not begun: to try again does nothing twice */
    CHASQUI_TRANSIENT = 0x02,     /* another try may help */
    CHASQUI_NO_RETRY = 0x04,      /* whoever made the error asks not to be tried again */
    CHASQUI_PARTIAL = 0x08        /* records of a stream had been delivered */
};

/* Who made an error. */
enum chasqui_origin {
    CHASQUI_ORIGIN_LOCAL = 0, /* this library */
    CHASQUI_ORIGIN_GATEWAY = 1,
    CHASQUI_ORIGIN_NODE = 2,
    CHASQUI_ORIGIN_TRANSPORT = 3 /* the connection */
};

#define CHASQUI_ERROR_TEXT_MAX 232

/* An error, by value: nothing to free. code CHASQUI_OK: there is none. */
typedef struct chasqui_error {
    int code;        /* enum chasqui_code */
    int error_class; /* enum chasqui_class */
    unsigned flags;
    int origin;             /* enum chasqui_origin */
    int64_t retry_after_ms; /* the other side asks to wait as long; -1: it does not say */
    char text[CHASQUI_ERROR_TEXT_MAX]; /* UTF-8 with a NUL, for a reader; cut if longer */
} chasqui_error;

/* "UNAVAILABLE"; "UNKNOWN" for a number that is none. Lives for ever. */
CHASQUI_API const char *chasqui_code_name(int code);

/* The class of a code. */
CHASQUI_API int chasqui_code_class(int code);

/*
 * The answer to a call, or why there is none. Where a function fills a reply of yours it does so
 * always, also when it fails, and it is yours to free with chasqui_reply_free(). A reply that a
 * callback gets is valid during the callback and not yours to free. In a reply of yours a NUL byte
 * that does not count stands behind the body.
 */
typedef struct chasqui_reply {
    chasqui_error error;
    chasqui_bytes body;     /* of the answer; after a stream its final record */
    chasqui_bytes metadata; /* private: see chasqui_reply_metadata() */
    void *memory;           /* private */
    void *reserved[4];
} chasqui_reply;

/**
 * chasqui_reply_metadata() - what came with the answer or the error
 * @key:        "request-id": the gateway's name for the call, as in its log; "reason": its reason
 *              code
 * @ret_value:  set on CHASQUI_OK; lives as long as the reply
 *
 * Return: CHASQUI_OK, CHASQUI_NOT_FOUND.
 */
CHASQUI_API int chasqui_reply_metadata(const chasqui_reply *reply, const char *key,
                                       chasqui_bytes *ret_value);

/* Frees what a reply holds. A zeroed or freed one is fine. */
CHASQUI_API void chasqui_reply_free(chasqui_reply *reply);

/* "0.1.0": of the library that is running. */
CHASQUI_API const char *chasqui_library_version(void);

#ifdef __cplusplus
}
#endif

#endif
