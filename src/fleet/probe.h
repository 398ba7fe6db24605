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
    /* Whether a model that is loaded is to generate one token before the node is back in use. */
    bool (*wants_proof)(struct prober *p, uint16_t index);
    /*
     * What a node said; the receiver may take the sets out of @report, what is left in it is freed.
     */
    void (*on_report)(struct prober *p, uint16_t index, struct fleet_report *report);
    /*
     * Every node has reported since the last prober_look_again(); one that had been silent before
     * is waited for only where all are.
     */
    void (*on_round)(struct prober *p);
    void (*on_gone)(struct prober *p, uint16_t index);
};

struct prober {
    const struct prober_ops *ops;
    struct net_loop *loop;
    const struct probe_settings *settings;
    const struct upstream_settings *upstream;
    struct hash_key hash_key;
    struct probe **probes; /* by index of the node; NULL: not probed */
    struct list leaving;   /* removed, their connections are being closed */
    size_t n_asked;        /* nodes that have still to report in this round */
    bool is_round;
};

/* Without a node. Return: 0, -ENOMEM. */
MUST_USE int prober_init(struct prober *p, struct net_loop *loop, const struct prober_ops *ops,
                         struct hash_key hash_key);
void prober_stop(struct prober *p);
void prober_free(struct prober *p); /* after the loop has run out */

/* The settings are new, or have moved. */
void prober_configure(struct prober *p, const struct probe_settings *settings,
                      const struct upstream_settings *upstream);

/*
 * Begins to probe a node, at once; @name and @url stay until on_gone. Return: 0, also when it is
 * probed already; -ENOMEM.
 */
MUST_USE int prober_add(struct prober *p, uint16_t index, struct str name, const struct url *url);

/* No report comes any more. on_gone tells that nothing of it is left. */
void prober_remove(struct prober *p, uint16_t index);

static inline bool prober_has(const struct prober *p, uint16_t index)
{
    return p->probes[index] != NULL;
}

/* Asks all nodes now; a round that runs is joined. on_round tells the end. */
void prober_look_again(struct prober *p);
