/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * MCP session
 *
 * One connection of the Message Communication Protocol, either role, without I/O: bytes and the
 * time go in, callbacks and bytes come out. The owner embeds struct mcp_session, reads and writes
 * the socket, and runs one timer.
 *
 *     after reading   mcp_session_feed(), keep what it did not use in front of what is read next
 *     to write        mcp_session_output(), write, mcp_session_sent(), until output returns 0
 *     timer           at mcp_session_next_due(): mcp_session_tick()
 *     after each      mcp_session_state():
 *
 *     START --hello, plain request--> RUNNING --goaway--> DRAINING --last call--+
 *       |                                |                   |                  v
 *       +----------- connection error ---+-------------------+--------------> FLUSH --1 s, EOF-->
 *       DEAD
 *
 *     FLUSH: write what output gives, shut down for writing, go on reading. DEAD: close.
 *
 * Calls. A client opens one and gets exactly one on_end for it, whatever happens. A server gets
 * on_request and must end the call with exactly one mcp_call_respond() that returns 0, or
 * mcp_call_fail(); also after on_cancel, which only says that nobody listens any more. Until then
 * the handle is valid and the call counts as in flight.
 *
 * Callbacks run in feed, tick, sent and eof only, never in the functions that cause them, and must
 * not call these four, output or fini. All slices they get are valid during the callback only.
 *
 * Memory comes from the pool. Functions that return -ENOMEM have changed nothing. Where an answer
 * that the protocol demands cannot be allocated, the session is DEAD with INTERNAL; look at its
 * state after mcp_call_fail() too. Not thread-safe, no globals.
 */

#include "base/list.h"
#include "base/time.h"
#include "mcp/credit.h"
#include "mcp/error.h"
#include "mcp/ext.h"
#include "mcp/frame.h"
#include "mcp/hello.h"
#include "mcp/pool.h"

struct mcp_session;
struct mcp_call;
struct mcp_out;
struct mcp_batch;

enum mcp_state {
    MCP_STATE_START,
    MCP_STATE_RUNNING,
    MCP_STATE_DRAINING, /* GOAWAY was sent: what is open goes on */
    MCP_STATE_FLUSH,
    MCP_STATE_DEAD,
};

enum mcp_cancel {
    MCP_CANCEL_APPLICATION = 0,
    MCP_CANCEL_DEADLINE = 1,
    MCP_CANCEL_GONE = 3, /* also: the connection is lost */
};

enum mcp_goaway_reason {
    MCP_GOAWAY_IDLE = 0,
    MCP_GOAWAY_MAINTENANCE = 1,
};

enum {
    MCP_FULL = 1, /* taken, but wait for on_room before the next */
    /* nothing taken: as many calls as the peer accepts are open, or it is going away */
    MCP_BUSY = 2,
};

/* A message as it arrived. */
struct mcp_message {
    const struct mcp_ext *ext;
    struct str body;
    /* credit it used: mcp_call_take() it when the body has been dealt with (chunks) */
    uint32_t cost;
};

struct mcp_session_ops {
    const char *name;

    /*
     * Server: a HELLO came; 0, or an enum mcp_code that refuses it (UNAUTHENTICATED). Client: the
     * HELLO_ACK came; what is returned does not matter. May be NULL.
     */
    int (*on_hello)(struct mcp_session *s, const struct mcp_hello *hello);

    /* Server */
    void (*on_request)(struct mcp_session *s, struct mcp_call *call,
                       const struct mcp_message *request);
    void (*on_cancel)(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason);

    /*
     * Client. on_end: exactly one of @response and @error is there; the handle is invalid
     * afterwards
     */
    void (*on_chunk)(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *chunk);
    void (*on_end)(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *response,
                   const struct mcp_error *error);
    void (*on_goaway)(struct mcp_session *s, unsigned reason, unsigned grace_s); /* may be NULL */

    /* A producer that was told MCP_FULL may go on. May be NULL */
    void (*on_room)(struct mcp_session *s, struct mcp_call *call);
};

/* Shared by many sessions, outlives them. */
struct mcp_settings {
    struct mcp_hello hello; /* what we say about ourselves: also our limits */
    bool speaks_plain;      /* client: the plain profile, without HELLO */
    bool needs_hello;       /* server: a plain peer is told 426 */
    bool needs_key;         /* server: a plain peer is told 401 */
    uint16_t plain_inflight;
    uint32_t fragment;       /* longest payload we send, with its extension block */
    uint32_t fragment_min;   /* fewest body bytes in a frame with MORE */
    uint32_t partial_max;    /* incomplete or waiting messages */
    uint64_t partial_bytes;  /* of these, and what was charged by mcp_session_charge() */
    uint32_t gather_calls;   /* client: small requests to hold back for one BATCH; 0: none */
    uint32_t gather_bytes;   /* of their bodies */
    nsec_t gather_ns;        /* how long the first of them waits at most */
    uint32_t call_unsent;    /* then a producer is full */
    uint32_t session_unsent; /* then all are; from twice as much on nothing is taken */
    uint32_t control_max;    /* queued control frames */
    uint32_t abuse_burst;    /* PINGs, ignored frames, tiny credits, empty chunks */
    uint32_t abuse_per_s;
    nsec_t first_frame_ns;
    nsec_t half_frame_ns;
    nsec_t partial_ns;   /* without progress */
    nsec_t cancel_ns;    /* from CANCEL to its terminal frame */
    nsec_t stall_ns;     /* output waits, the peer takes nothing */
    nsec_t ping_open_ns; /* without received bytes while calls are open */
    nsec_t ping_idle_ns; /* likewise while none are */
    nsec_t pong_ns;      /* from PING to any byte */
    nsec_t linger_ns;    /* in FLUSH */
    nsec_t idle_ns;      /* without calls; NSEC_NEVER: no end */
};

/* Limits as the protocol has them: all codecs and features, no compression, idle after 300 s. */
extern const struct mcp_settings mcp_settings_default;

/* One message coming in, in fragments or waiting for its turn. */
struct mcp_in {
    char *data; /* extension block, then body */
    uint32_t len;
    uint32_t cap;
    uint32_t ext_len;
    uint32_t total; /* of the body */
    uint32_t cost;  /* credit used */
    uint8_t type;
    bool is_open; /* more is to come */
};

struct mcp_call {
    uint32_t seq;
    void *owner; /* the application's; the session never looks at it */
    struct mcp_session *session;

    /* private */
    struct mcp_call *next_in_bucket;
    struct list all;      /* session's calls, in the order of their first frames */
    struct list ready;    /* has output and is not blocked */
    struct list wake;     /* something is to be told */
    struct list partial;  /* its message is incomplete */
    struct list credited; /* a CREDIT is due */
    struct mcp_out *first_out;
    struct mcp_out *last_out;
    struct mcp_out *error_out; /* terminal that follows, or replaces, what is queued */
    struct mcp_tx tx;
    struct mcp_rx rx;
    struct mcp_in in;
    nsec_t progress; /* of the incomplete message */
    nsec_t due;      /* deadline; after CANCEL: when the terminal frame must be here */
    uint64_t order;  /* of the beginning of its incomplete message */
    uint32_t unsent;
    uint32_t deficit;
    const char *end_text; /* with end_code */
    uint16_t lane;
    uint8_t compression; /* client: of its request */
    uint8_t end_code;    /* told by on_end when woken */
    uint8_t end_flags;
    uint8_t wakes;     /* what is to be told */
    uint8_t reason;    /* of CANCEL */
    bool is_listed;    /* in the table: the id is in use */
    bool is_held;      /* the application has the handle */
    bool is_begun;     /* client: its first frame was sent; server: its handler saw it */
    bool is_early;     /* client: may be sent before the ACK */
    bool is_cancelled; /* no more events but the end */
    bool is_zombie;    /* client: ended for the application, the id is not free yet */
    bool is_full;
    bool is_gathered; /* client: held back for a BATCH */
    bool has_chunks;  /* chunks were sent */
    bool is_waiting;  /* server: complete, waits for its lane */
};

#define MCP_INLINE_BUCKETS 8

struct mcp_session {
    const struct mcp_session_ops *ops;
    const struct mcp_settings *settings;
    struct mcp_pool *pool;

    /* private */
    struct mcp_call **buckets;
    struct mcp_call *inline_buckets[MCP_INLINE_BUCKETS];
    struct list calls;
    struct list small; /* ready, and its next message is small and whole */
    struct list bulk;  /* ready, others */
    struct list held;  /* client: small requests that wait for others */
    struct list wakes;
    struct list partials; /* longest without progress first */
    struct list credited;
    struct mcp_out *first_control;
    struct mcp_out *last_control;
    struct mcp_batch *batch; /* what is being written */
    struct mcp_tx tx;
    struct mcp_rx rx;
    uint64_t order;
    uint64_t partial_bytes;
    uint64_t late_bytes; /* that may come for requests we ended, without being abuse */
    uint64_t unsent;
    nsec_t now; /* as last heard */
    nsec_t last_received;
    nsec_t last_ping;
    nsec_t last_call;     /* when the last one ended */
    nsec_t tail_since;    /* half a frame is waiting */
    nsec_t stall_since;   /* of the batch */
    nsec_t starved_since; /* of connection credit; NSEC_NEVER: it is not */
    union {
        nsec_t held_since;    /* client: of the first of those held */
        void *request_memory; /* server: of the request that is being told */
    };
    nsec_t calls_due; /* no call's due is earlier */
    nsec_t end_due;   /* first frame, grace or linger, by state */
    nsec_t abuse_at;
    uint32_t abuse_left; /* thousandths */
    uint32_t n_buckets;
    uint32_t n_listed; /* ids in use */
    uint32_t n_calls;  /* with those that only their handlers keep */
    uint32_t n_partial;
    uint32_t n_control;
    uint32_t n_held;
    uint32_t held_bytes; /* of those held since the last release */
    uint32_t n_batches;  /* BATCH frames sent */
    uint32_t newest;
    uint32_t next_seq;
    uint32_t last_seen; /* of the peer's GOAWAY */
    uint32_t tail_len;
    uint32_t fragment;
    uint32_t max_message;  /* the peer's */
    uint32_t call_limit;   /* the peer's */
    uint16_t max_inflight; /* the peer's */
    uint16_t min_ping_s;   /* the peer's */
    uint16_t end_code;
    uint16_t features;
    uint8_t compressions; /* bit each */
    uint8_t role;
    uint8_t state;
    uint8_t end_flags;
    bool is_plain;
    bool is_acked;
    bool is_going; /* GOAWAY was sent or received */
    bool has_newest;
    bool is_pinged;  /* and no byte since */
    bool is_crowded; /* producers wait for the session, not for their call */
    uint8_t n_pongs; /* awaited */
};

/**
 * mcp_session_init() - begin a connection
 * @s:         memory of the owner
 * @role:      a client's HELLO is queued at once, unless it speaks_plain
 * @settings:  outlive the session, as do @ops and @pool; a server's hello grants at least
 *             MCP_EARLY_BYTES and MCP_EARLY_CALLS
 * @now:       when the connection was made
 *
 * Return: 0; -ENOMEM nothing to undo.
 */
MUST_USE int mcp_session_init(struct mcp_session *s, enum mcp_role role,
                              const struct mcp_settings *settings,
                              const struct mcp_session_ops *ops, struct mcp_pool *pool, nsec_t now);

/*
 * Frees everything, calls nobody: all handles are invalid. For on_end of every call, tick a DEAD
 * session first.
 */
void mcp_session_fini(struct mcp_session *s);

/**
 * mcp_session_feed() - eat what was read
 * @bytes:  unread bytes, those left over by the last feed first, unchanged
 * @now:    monotonic
 *
 * Return: bytes used; the rest is the beginning of a frame, shorter than 8 + 65,535 bytes.
 */
MUST_USE size_t mcp_session_feed(struct mcp_session *s, struct str bytes, nsec_t now);

/* The peer will send nothing more. The session is DEAD, its calls end. */
void mcp_session_eof(struct mcp_session *s, nsec_t now);

/**
 * mcp_session_output() - what to write next
 * @pieces:  set; valid until mcp_session_sent(), or feed, or tick
 * @max:     of pieces
 *
 * Which frame goes next is decided here, so ask for output when the socket can take it, not before.
 * What has been given out and was not yet sent comes again, before anything else.
 *
 * Return: number of pieces, 0 nothing to write; -ENOMEM try again later.
 */
MUST_USE int mcp_session_output(struct mcp_session *s, struct str *pieces, size_t max, nsec_t now);

/* The first @n bytes of what output gave were written. */
void mcp_session_sent(struct mcp_session *s, size_t n, nsec_t now);

/* Whether output would give something. */
bool mcp_session_has_output(const struct mcp_session *s);

/* When to tick; 0: at once; NSEC_NEVER: nothing is waiting for time. */
nsec_t mcp_session_next_due(const struct mcp_session *s);
void mcp_session_tick(struct mcp_session *s, nsec_t now);

static inline enum mcp_state mcp_session_state(const struct mcp_session *s)
{
    return (enum mcp_state)s->state;
}

/*
 * Why it ended: an enum mcp_code for FLUSH and DEAD by a connection error, ours or theirs, else
 * MCP_OK.
 */
static inline enum mcp_code mcp_session_end_code(const struct mcp_session *s)
{
    return (enum mcp_code)s->end_code;
}

/*
 * Queues a PING with @opaque. Return: 0; -ENOMEM; -EOPNOTSUPP in the plain profile, or before
 * HELLO_ACK.
 */
MUST_USE int mcp_session_ping(struct mcp_session *s, const char opaque[static 8]);

/*
 * Server: no new calls, please; ends after the last call, or when @grace_s are over. Return: 0;
 * -ENOMEM.
 */
MUST_USE int mcp_session_goaway(struct mcp_session *s, enum mcp_goaway_reason reason,
                                unsigned grace_s, nsec_t now);

/* Ends with no error: FLUSH, calls end UNAVAILABLE at the next tick. */
void mcp_session_close(struct mcp_session *s, nsec_t now);

/* The compression that both sides take, the faster one of two; MCP_COMPRESSION_NONE: there is none. */
static inline uint8_t mcp_session_compression(const struct mcp_session *s)
{
    if ((s->compressions & 1u << MCP_COMPRESSION_ZSTD) != 0)
        return MCP_COMPRESSION_ZSTD;
    return (s->compressions & 1u << MCP_COMPRESSION_GZIP) != 0 ? MCP_COMPRESSION_GZIP
                                                               : MCP_COMPRESSION_NONE;
}

/**
 * mcp_session_charge() - count memory for what was inflated
 * Return: 0; -ENOBUFS with it the session would hold more than its peer may cause.
 * mcp_session_discharge() gives it back.
 */
MUST_USE int mcp_session_charge(struct mcp_session *s, uint32_t n_bytes);
void mcp_session_discharge(struct mcp_session *s, uint32_t n_bytes);

/*
 * Client
 */

struct mcp_request {
    struct mcp_ext ext; /* deadline_ms counts from the opening; what is left goes on the wire */
    struct str body;    /* copied */
    void *owner;
};

/**
 * mcp_session_open() - begin a call
 * Return: 0; MCP_BUSY; -EINVAL the extension block is wrong; -EMSGSIZE longer than the peer takes;
 * -ENOBUFS too much is unsent; -EOPNOTSUPP compression or lane was not negotiated; -ENOMEM. In the
 * plain profile service and body travel and nothing else, the body in JSON or opaque; the deadline
 * is kept here; the id of a call that was cancelled is in use until its answer comes.
 */
MUST_USE int mcp_session_open(struct mcp_session *s, const struct mcp_request *request, nsec_t now,
                              struct mcp_call **ret_call);

/* Asks for an end. No on_chunk follows, on_end does. Again: nothing happens. */
void mcp_call_cancel(struct mcp_call *call, enum mcp_cancel reason, nsec_t now);

/* @cost bytes of chunks have been dealt with: the server may send as many more. */
void mcp_call_take(struct mcp_call *call, uint32_t cost);

/*
 * Server
 */

/**
 * mcp_call_chunk() - send one record of a stream
 * @ext:   or NULL. Compression, metadata, trace; what is about requests stays empty
 * @body:  copied
 *
 * Return: 0; MCP_FULL; -ECANCELED nobody listens; -EMSGSIZE longer than the peer takes; -ENOBUFS
 * too much is unsent; -EINVAL; -EOPNOTSUPP plain profile: collect; -ENOMEM.
 */
MUST_USE int mcp_call_chunk(struct mcp_call *call, const struct mcp_ext *ext, struct str body);

/* Ends with success; as chunk, but after on_cancel it returns 0. On 0 the handle is gone. */
MUST_USE int mcp_call_respond(struct mcp_call *call, const struct mcp_ext *ext, struct str body);

/*
 * The same without a copy: @body lies in @memory, which comes from where the pool's memory comes
 * from, malloc() where nothing else was said. It is the session's on 0, and freed when it was sent.
 */
MUST_USE int mcp_call_respond_owned(struct mcp_call *call, const struct mcp_ext *ext,
                                    struct str body, void *memory);

/*
 * In on_request: the memory in which the body of the request lies is the caller's now, to be freed
 * through the pool or given back with an answer. NULL: it lies in what is being fed; copy it.
 */
void *mcp_session_keep_request(struct mcp_session *s);

/*
 * Ends with failure, always; the handle is gone. PARTIAL is added when chunks were sent. @ext may
 * be NULL.
 */
void mcp_call_fail(struct mcp_call *call, const struct mcp_ext *ext, const struct mcp_error *error);

/* When the call must be done, or NSEC_NEVER. */
static inline nsec_t mcp_call_deadline(const struct mcp_call *call)
{
    return call->due;
}
