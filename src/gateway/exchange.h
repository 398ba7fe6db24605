/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Exchange: one request on its way
 *
 *   RECEIVING ──► ASKING ──► RELAYING ──► ENDED
 *                 ▲  │ ╲        │ (broken, and another node can go on: ASKING again)
 *        next     │  │  ► HOLDING (an answer that reports a failure is kept, the policy decides)
 *        attempt  │  ▼
 *                 WAITING (delay) / LOOKING (nodes are asked again) / QUEUED (for a slot)
 *
 * The door fills it and starts it; from then on it chooses nodes at the desk, makes attempts,
 * relays the answer into its sink, and tells everything about itself once, at its end. It knows
 * neither sockets nor protocols. There is one loop and no other: the next attempt.
 *
 * Owned by itself from exchange_start() on: it ends with sink->end, or after exchange_leave(), and
 * frees itself at the end of that turn of the loop.
 */

#include "api/request.h"
#include "base/arena.h"
#include "gateway/control.h"
#include "gateway/desk.h"
#include "gateway/sink.h"
#include "gateway/worker.h"
#include "resume/delivered.h"
#include "upstream/attempt.h"

enum exchange_state {
    EXCHANGE_RECEIVING,
    EXCHANGE_LOOKING,
    EXCHANGE_WAITING,
    EXCHANGE_QUEUED,
    EXCHANGE_ASKING,
    EXCHANGE_HOLDING,
    EXCHANGE_RELAYING,
    EXCHANGE_MERGING,
    EXCHANGE_MANAGING,
    EXCHANGE_ENDED,
};

struct merge;
struct manage;
struct resume;
struct upload;

struct exchange {
    struct worker *worker;
    struct view *view; /* of the moment it began; this is its configuration to the end */
    struct sink *sink;
    struct list link;
    struct net_task bury;   /* frees it at the end of the turn */
    struct net_timer timer; /* of the state it is in */
    struct timeline tl;
    enum exchange_state state;
    bool is_gone;       /* the client left; the sink discards */
    bool is_looking;    /* `look` is on its way */
    unsigned n_abroad;  /* what is under way to other loops and back: it is not freed before */
    bool has_looked;    /* since the last attempt */
    bool is_paused;     /* the source waits for the sink */
    bool has_begun;     /* the sink has the head: from here on the answer is the client's */
    bool is_in_records; /* and it is a stream of records, */
    bool is_sse;        /* as events */

    /* The request, as the door understood it. */
    enum api_family family;        /* shape of errors */
    const struct api_route *route; /* NULL: no such path */
    /* as it goes to nodes; `fields` gets the Content-Length of its body */
    struct attempt_request request;
    size_t fields_len;  /* without that */
    bool is_resume_off; /* the client wants no resume */
    unsigned max_resumes; /* how often its answer may be continued */
    bool wants_events; /* the client wants events rather than NDJSON; the door makes them */
    struct fleet_ask ask;
    struct str cookie;     /* the client's Cookie field, where cookies name sessions; else NULL */
    struct str set_cookie; /* what it is to get; empty: nothing */

    /* The attempt in hand. */
    struct attempt attempt;
    struct grant grant;
    struct desk_request turn; /* in use while QUEUED, and until its mail has come */
    unsigned come_back_s;     /* of a 503: when it is worth while; 0: soon */
    struct retry_state retry;
    struct look_again look;
    struct merge *merge;
    struct manage *manage;
    struct upload *upload;
    uint64_t flowed_bytes; /* of a body that was not held */
    nsec_t deadline;       /* of the whole request */
    nsec_t answer_due;     /* of the attempt's first record */

    /* The answer in hand. */
    struct answer_head head;
    struct delivered have; /* of a streamed answer */
    struct resume *resume; /* it broke, and goes on; NULL until then */
    enum reason broken;    /* how it broke first; none: it did not */
    struct buf held;       /* HOLDING: the body of a failure, for the decision and the client */
    nsec_t retry_after_ns;

    /* From here on nothing is cleared for the next exchange: memory it may use again, and long texts. */
    struct arena arena;
    struct buf body;          /* of the request */
    struct buf answer_fields; /* what head.fields points at */
    struct api_request asked;
    struct prefix prefix; /* of the prompt, once ask.prefix points at it */
    struct api_answer judge;
    char why[160]; /* of the last failure, for logs and clients */
};

/* Room that the door leaves behind request.fields for "Content-Length: N\r\n". */
#define EXCHANGE_LENGTH_FIELD_MAX 40

/* A new exchange with a request id. NULL without memory. */
struct exchange *exchange_new(struct worker *w, struct sink *sink);

/* Exchanges that ended are kept for the next ones; a worker that ends lets go of them. */
void exchange_free_spares(struct worker *w);

/*
 * Adds a piece of the request body, kept until the end. Return: 0; -ENOBUFS the memory for all
 * bodies is used up; -ENOMEM.
 */
MUST_USE int exchange_hold(struct exchange *ex, struct str bytes);

/* The request is whole. May answer, and end, before it returns. */
void exchange_start(struct exchange *ex);

/* Answers with what the gateway knows itself, and ends. */
void exchange_answer(struct exchange *ex, int status, struct str fields, struct str body);

/*
 * Answers with an error in the shape of the route, and ends; in the middle of an answer that is an
 * error record and a broken transfer. @text: NULL: the reason's own.
 */
void exchange_refuse(struct exchange *ex, enum reason reason, const char *text);

/* The same, with a status of its own. */
void exchange_fail(struct exchange *ex, const struct api_error *error);

/* The sink has room again. */
void exchange_room(struct exchange *ex);

/*
 * The client left: what still has to go on goes into @rest, and its `end` tells when all is over.
 */
void exchange_leave(struct exchange *ex, struct sink *rest);

/* The process ends: everything stops, and the client is told. */
void exchange_abort(struct exchange *ex);

/* For resume.c and alias.c: the next attempt sends @body, which must stay. */
void exchange_set_body(struct exchange *ex, struct str body);

/* For merge.c: the listing is answered, or cannot be. */
void exchange_merged(struct exchange *ex, struct str body);
