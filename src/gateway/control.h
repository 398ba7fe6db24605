/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Control: the thread that does not carry requests
 *
 * Probes the nodes, serves the admin listener, takes signals. Runs on the process's first thread.
 */

#include "fleet/probe.h"
#include "gateway/beat.h"
#include "gateway/http_conn.h"
#include "net/signal.h"

struct gateway;
struct view;
struct control;

/* The admin API stands above the gateway; it is handed in. */
struct control_ops {
    const char *name;
    const struct http_conn_ops *admin; /* of connections to the admin listener */
};

/*
 * A request to ask all nodes again; owned by the asker, in use until on_looked runs on the asker's
 * loop.
 */
struct look_again {
    struct net_mail mail; /* to the control loop and back */
    struct list link;
    struct control *control;
    struct net_loop *from;
    void (*on_looked)(struct look_again *look);
};

struct control {
    struct net_loop loop;
    struct gateway *gateway;
    const struct control_ops *ops;
    struct prober prober;
    struct probe_settings probe_settings;
    struct http_server admin;
    struct http_out out;
    struct addr admin_addr;
    struct metrics *metrics; /* of the control loop */
    struct beat beat;
    struct list lookers;
    struct list flights; /* see flight.h */
    nsec_t round_ended;
    struct net_signal signals[2];
    struct net_signal hangup; /* read the configuration again */
    unsigned n_signals;       /* asked to end so often */
    bool has_loop;
    bool is_ready; /* the first round is over */
    bool is_draining;
    bool is_stopping;
};

/* @admin_fd is taken over. Return: 0, -errno. */
MUST_USE int control_init(struct control *c, struct gateway *g, const struct control_ops *ops,
                          int admin_fd);

/* What of @view is for this loop. */
void control_take_view(struct control *c, const struct view *view);

/* Runs the loop until the workers have ended. */
void control_run(struct control *c);

/* Closes and frees, after the workers were joined: until then they may ring its bell. */
void control_fini(struct control *c);

/* Any thread. At most one round every half second; sooner, the last one's result stands. */
void control_look_again(struct control *c, struct look_again *look);
