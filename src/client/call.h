/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A call: from chasqui_start() to its one completion
 *
 *     POSTED ──► WAITING ──► OPEN ──► ENDED         POSTED: on its way to the loop's thread
 *                 ▲  ▲         │                    WAITING: for a connection with room
 *                 │  └─────────┤                    OPEN: a link has it
 *              PAUSED ◄────────┘                    PAUSED: before a retry
 *
 * Every state may go to ENDED.
 *
 * Made and poked by any thread, everything else happens on the loop's. What threads want of a call
 * are bits that wait in `wants`; one piece of mail, which is the call's own, brings them. Two
 * references: the handle's, and the loop's until the end; a third while mail is on its way.
 */

#include <stdatomic.h>

#include "call/retry.h"
#include "client/client.h"
#include "client/fault.h"
#include "client/service.h"
#include "mcp/session.h"

struct client_endpoint;
struct client_mcp_conn;
struct client_http_try;

enum client_call_state {
    CLIENT_POSTED,
    CLIENT_WAITING,
    CLIENT_OPEN,
    CLIENT_PAUSED,
    CLIENT_ENDED,
};

enum {
    CLIENT_WANTS_START = 1 << 0,
    CLIENT_WANTS_CANCEL = 1 << 1,
    CLIENT_WANTS_LOOK = 1 << 2, /* at its context */
    CLIENT_WANTS_TAKE = 1 << 3, /* n_taken bytes were taken by the reader of its stream */
};

struct chasqui_call {
    atomic_uint refs;
    atomic_uint wants;
    atomic_uint n_taken;
    struct net_mail mail;
    struct chasqui_client *client;
    size_t size; /* of its memory */
    chasqui_context *context;
    struct list watch; /* in the context */

    /* what is asked: written before it is posted, then never */
    struct str service;
    struct str payload;
    struct str session;
    struct str tlvs; /* METADATA */
    bool has_trace;
    char trace[CHASQUI_TRACE_LEN];
    const struct codec_service *known; /* NULL: no service of Ollama's API */
    struct retry_settings retry_settings;
    nsec_t timeout_ns;
    nsec_t silence_ns;
    bool is_idempotent;
    bool is_stream;
    chasqui_record_fn *on_record;
    chasqui_done_fn *on_done;
    void *user;
    chasqui_stream *stream; /* takes the records instead of on_record; NULL: nobody pulls */

    /* loop's thread */
    enum client_call_state state;
    struct list link;   /* all calls of the client */
    struct list queued; /* while WAITING */
    struct net_timer timer;
    struct retry_state retry_state;
    nsec_t deadline;
    nsec_t state_due;                 /* WAITING: give up; PAUSED: go on; OPEN: silence */
    char last_failure[64];            /* text of the try before, "": none */
    bool has_records;                 /* some were delivered: no retry any more */
    bool is_fresh;                    /* the next try does not use a pooled connection */
    struct client_endpoint *endpoint; /* while OPEN */
    struct client_mcp_conn *conn;     /* while OPEN over MCP */
    struct mcp_call *mcp;
    enum codec_id codec;          /* of its bodies on the wire */
    struct client_http_try *http; /* while OPEN over HTTP */

    char bytes[]; /* behind the slices above */
};

/**
 * client_call_new() - read a request
 * Return: the handle's reference, with the loop's waiting for client_call_post(); NULL and
 * *ret_error.
 */
chasqui_call *client_call_new(chasqui_client *client, const chasqui_request *request,
                              const chasqui_handler *handler, chasqui_error *ret_error);

/* Sends it to the loop's thread. Return: CHASQUI_OK; else no callback will come, and the loop's
 * reference is given back. */
int client_call_post(chasqui_call *call);

void client_call_unref(chasqui_call *call);

/* Any thread: CLIENT_WANTS_*. Whether it will be heard. */
bool client_call_poke(chasqui_call *call, unsigned wants);

/* Loop's thread: what waits in `wants`. The call's mail delivers it. */
void client_call_on_mail(struct net_mail *mail);

/* Under the context's lock: of the call whose watch this is. */
void client_call_context_changed(struct list *watch);

/*
 * Loop's thread, called by links
 */

/* A record of @cost bytes has come. The call may be over afterwards. */
void client_call_record(chasqui_call *call, struct str record, uint32_t cost);

/* The try is over and the link has let go: a retry, or the end. */
void client_call_tried(chasqui_call *call, const struct client_end *end);

/* A link has taken it. */
void client_call_opened(chasqui_call *call, struct client_endpoint *endpoint);

/* Ends it, whatever state it is in. */
void client_call_end(chasqui_call *call, const struct client_end *end);

/* Milliseconds that the other side has; false: no deadline. */
bool client_call_time_left(const chasqui_call *call, nsec_t now, uint32_t *ret_ms);
