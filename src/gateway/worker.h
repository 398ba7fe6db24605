/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Worker: a thread, its loop, and everything that lives on it
 *
 * Listeners (one descriptor of each, SO_REUSEPORT), client connections, exchanges, pools to every
 * node, counters. What workers share is in struct gateway and listed in docs/threads.md.
 */

#include <pthread.h>

#include "base/rng.h"
#include "gateway/beat.h"
#include "gateway/http_conn.h"
#include "gateway/mcp_conn.h"
#include "gateway/nodes.h"
#include "gateway/view.h"
#include "zip/zip.h"

struct gateway;

struct worker {
    struct net_loop loop;
    struct gateway *gateway;
    pthread_t thread;
    struct view *view; /* this worker's; exchanges keep that of their begin */
    struct worker_nodes nodes;
    struct http_server *servers;        /* one per HTTP listener */
    struct mcp_listener *mcp_listeners; /* one per MCP listener */
    struct http_out out;
    struct zip zip; /* of request bodies */
    struct metrics *metrics;
    struct beat beat;
    struct rng rng;
    struct list exchanges;
    size_t n_exchanges;
    struct list spare_exchanges; /* ended, to be used again */
    size_t n_spare_exchanges;
    struct net_timer drain_timer;
    struct net_timer settle_timer; /* slots of attempts that were cut off come back */
    struct net_task idle_check;    /* draining: is everything done? */
    struct net_mail drain_mail;
    struct net_mail stop_mail;
    struct net_mail ended_mail; /* to control, as the thread's last act */
    bool is_draining;
    bool is_closing; /* the loop has ended, the rest is being cleared away */
    bool has_loop;
    bool is_running; /* the thread was started */
};

/*
 * @fds: one listening descriptor per HTTP listener, then per MCP listener, taken over. Return: 0,
 * -errno.
 */
MUST_USE int worker_init(struct worker *w, struct gateway *gateway, const int *fds);
MUST_USE int worker_start(struct worker *w);

/* On the worker's thread: @view is the one from now on; the reference is taken over. */
void worker_take_view(struct worker *w, struct view *view);

/* From any thread: finish what runs, within the drain time-out, then end the loop. */
void worker_drain(struct worker *w);

/* From any thread: end now. */
void worker_stop(struct worker *w);

/* Waits for the thread and frees. */
void worker_join(struct worker *w);

/* Calls desk_settle() then, or earlier. */
void worker_settle_at(struct worker *w, nsec_t at);

/* An exchange ended: with the last one a draining worker is done. */
void worker_check_idle(struct worker *w);
