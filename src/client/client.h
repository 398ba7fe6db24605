/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The client and its thread
 *
 * Everything of a client but what is marked belongs to the thread that runs its loop. Others reach
 * it by mail, through the gate: once that is shut nothing is posted any more, so that nobody posts
 * to a loop that is gone. The struct itself stays until the last call handle is given back.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/rng.h"
#include "call/budget.h"
#include "client/coder.h"
#include "client/options.h"
#include "mcp/session.h"
#include "net/loop.h"
#include "upstream/upstream.h"
#include "zip/zip.h"

#define CLIENT_ENDPOINTS_MAX 64

struct client_endpoint;
struct client_spare;

struct chasqui_client {
    /* any thread */
    atomic_uint refs; /* the opener's and one a call */
    pthread_mutex_t gate;
    bool is_shut; /* under the gate */
    /* memory of ended calls for the next ones, also under the gate */
    struct client_spare *spares;
    unsigned n_spares;
    atomic_uint n_calls;
    atomic_uint n_connections;
    atomic_uint_fast64_t n_started;
    atomic_uint_fast64_t n_failed;
    atomic_uint_fast64_t n_retries;
    atomic_uint_fast64_t n_batches;
    atomic_uint_fast64_t n_connects;
    atomic_uint_fast64_t n_connect_failures;
    struct client_options options; /* read only */
    pthread_t thread;              /* unless options.is_own_loop; read only */

    /* loop's thread */
    struct net_loop loop;
    struct net_mail close_mail;
    bool is_closing;
    bool is_closed;
    bool is_processing;
    struct list calls;
    struct mcp_pool pool;
    struct client_coder coder;
    struct zip zip;
    struct mcp_settings mcp_settings;
    struct mcp_settings plain_settings;
    struct upstream_settings upstream_settings;
    struct budget budget;
    struct rng rng;

    /* channel.c */
    struct list waiting;
    struct net_task pump;
    struct net_timer again; /* when an endpoint may be tried again */
    size_t turn;            /* which endpoint is looked at first */
    size_t n_endpoints;
    struct client_endpoint *endpoints;
};

/* Posts mail unless the client is being closed. Return: whether it did. */
bool client_post(chasqui_client *client, struct net_mail *mail);

void client_unref(chasqui_client *client);

/*
 * Memory for a call of @n bytes: small ones come from ended calls, so that in steady state nothing is
 * allocated. Any thread. client_give() gives it back, with the same @n.
 */
void *client_get(chasqui_client *client, size_t n);
void client_give(chasqui_client *client, void *memory, size_t n);

/* Whether a blocking call may be made here: NULL, or why not. */
const char *client_may_block(const chasqui_client *client);
