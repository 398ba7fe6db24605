/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Probes
 *
 * Asks every node /api/version, /api/tags and /api/ps, each within the metadata time-out, one after
 * the other on one connection. Nodes are independent: one that hangs delays nobody. Runs on the
 * control loop.
 */

#include "fleet/fleet.h"
#include "upstream/attempt.h"

struct probe;
struct prober;

struct probe_settings {
    nsec_t interval_ns; /* between probes of a node that is up */
    nsec_t timeout_ns;  /* of each question */
    struct str via;     /* value of Via, so that a gateway that is its own node notices */
};

struct prober_ops {
    const char *name;
    /*
     * What a node said; the receiver may take the sets out of @report, what is left in it is freed.
     */
    void (*on_report)(struct prober *p, uint16_t index, struct fleet_report *report);
    /*
     * Every node has reported since the last prober_look_again(); one that had been silent before
     * is waited for only where all are.
     */
    void (*on_round)(struct prober *p);
};

struct prober {
    const struct prober_ops *ops;
    struct net_loop *loop;
    const struct probe_settings *settings;
    struct hash_key hash_key;
    struct probe *probes;
    size_t n_probes;
    size_t n_asked; /* nodes that have still to report in this round */
    bool is_round;
};

/* Begins with a round. Return: 0, -ENOMEM. */
MUST_USE int prober_start(struct prober *p, struct net_loop *loop, const struct prober_ops *ops,
                          const struct probe_settings *settings,
                          const struct upstream_settings *upstream, const struct fleet *fleet);
void prober_stop(struct prober *p);
void prober_free(struct prober *p); /* after the loop has run out */

/* Asks all nodes now; a round that runs is joined. on_round tells the end. */
void prober_look_again(struct prober *p);
