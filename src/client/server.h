/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The server and its thread
 *
 * server.c has its life, its listener and its connections; served.c the calls. Sessions, and all
 * that is not marked, belong to the thread that runs the loop. Others leave what they have for a
 * call in its queue, under the server's lock, and post its mail; the loop is there as long as a call
 * is, since chasqui_server_free() waits for the last one.
 */

#include <chasqui/server.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "client/coder.h"
#include "client/options.h"
#include "wire/wire.h"

#define CLIENT_SERVICES_MAX      256
#define CLIENT_SERVED_FULL_BYTES (64u * 1024)   /* waiting in the queue of a call: FULL */
#define CLIENT_SERVED_MAX_BYTES  (1024u * 1024) /* taken no more */

struct client_server_conn {
    struct wire wire;
    chasqui_server *server;
    struct list link;
    struct list calls; /* that have its session's handle */
};

struct client_server_service {
    chasqui_service public; /* name points at the copy */
    const struct codec_service *known;
    char name[MCP_METHOD_MAX + 1];
};

struct chasqui_server {
    /* read only once it listens */
    struct mcp_settings settings;
    char key[1 + CLIENT_KEY_MAX]; /* mechanism, secret */
    size_t key_len;
    uint32_t max_connections;
    size_t n_services;
    struct client_server_service *services;
    struct addr address;
    bool is_listening;
    pthread_t thread;

    /* any thread, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_conns;
    bool is_asked;   /* to drain */
    bool is_drained; /* the listener is closed */
    uint32_t grace_s;

    /* loop's thread */
    struct net_loop loop;
    struct net_listener listener;
    struct net_mail drain_mail;
    struct net_mail close_mail;
    struct list conns;
    unsigned n_calls;
    bool is_draining;
    bool is_closing;
    struct mcp_pool pool;
    struct client_coder coder;
    struct zip zip;
};

enum client_served_kind {
    CLIENT_SERVED_RECORD,
    CLIENT_SERVED_RESPONSE,
    CLIENT_SERVED_ERROR,
};

/* What a call is asked to say: a record, or its end. */
struct client_served_out {
    struct list link;
    enum client_served_kind kind;
    uint16_t code; /* of an error, as flags */
    uint8_t flags;
    size_t len;
    char bytes[];
};

struct chasqui_served {
    /* read only */
    chasqui_server *server;
    const struct client_server_service *service;
    enum codec_id codec; /* of the wire */
    struct str payload;
    struct str tlvs;
    nsec_t due;
    bool is_plain;

    void *user;               /* the application's */
    atomic_bool is_cancelled; /* a hint; nothing is published by it */

    /* under the server's lock */
    struct list outs;
    size_t n_waiting; /* bytes of records in outs */
    bool is_posted;   /* the mail is on its way */
    bool is_blocked;  /* the session is full */
    bool is_full;     /* the application was told so */

    /* loop's thread */
    struct net_mail mail;
    struct list link;
    struct client_server_conn *conn; /* NULL: gone, with the handle */
    struct mcp_call *call;
    struct buf collected; /* records for a plain peer */
    bool is_too_long;     /* these were */
    uint32_t charged;

    struct client_served_out *failure; /* chasqui_served_fail()'s, which cannot fail */
    char bytes[];                      /* payload, NUL, METADATA */
};

/* The session's callbacks of calls. */
void client_served_request(struct mcp_session *s, struct mcp_call *call,
                           const struct mcp_message *request);
void client_served_cancelled(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason);
void client_served_room(struct mcp_session *s, struct mcp_call *call);

/* The connection of @served is gone, and the handle. */
void client_served_lost(chasqui_served *served);

/* The service of a name, or NULL. */
const struct client_server_service *client_server_find(const chasqui_server *server,
                                                       struct str name);

/* A call has ended: the loop stops when it was the last that was waited for. */
void client_server_left(chasqui_server *server);
