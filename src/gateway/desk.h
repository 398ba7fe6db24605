/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The desk: everything that must be counted once for the process
 *
 * Which node serves the next attempt, what is in flight where, whom a failure is blamed on, and the
 * retry budget. One lock, held for about a microsecond, never across I/O or a log line; inside it
 * pure policies. Any thread may call.
 *
 *   desk_enter() ──► grant ──► attempt ──► desk_leave(outcome)
 */

#include <pthread.h>

#include "base/buf.h"
#include "call/budget.h"
#include "fleet/place.h"

struct desk {
    pthread_mutex_t lock;
    struct fleet fleet;
    struct budget budget;
};

struct grant {
    uint16_t node;
    bool is_held;
    nsec_t granted_at;
    bool is_resident; /* the model was loaded there when the grant was given */
};

/*
 * Something that a reader of the log wants to know; to be logged by the caller, outside the lock.
 */
struct desk_news {
    enum fleet_news what;
    uint16_t node;
    size_t n_up;
    size_t n_nodes;
    char name[FLEET_NAME_MAX];
    struct url url;
    char why[192];
};

/* What an operator sees of a node; a copy. */
struct desk_node {
    char name[FLEET_NAME_MAX];
    struct url url;
    bool is_leaving; /* off the list, something is in flight */
    enum node_state state;
    bool is_ejected;
    uint32_t in_flight;
    uint64_t n_granted;
    size_t n_models;
    size_t n_resident;
    nsec_t since;
    char version[64];
    char why[192];
};

/* Without a node. Return: 0, -ENOMEM. */
MUST_USE int desk_init(struct desk *d, double retry_budget);
void desk_fini(struct desk *d);

/* These are the nodes now. Return: as fleet_list(). */
MUST_USE int desk_list_nodes(struct desk *d, const struct fleet_entry *entries, size_t n);

void desk_set_retry_budget(struct desk *d, double share);

/* Keeps the slot of a node, that has one, for it. */
void desk_node_ref(struct desk *d, uint16_t node);
void desk_node_unref(struct desk *d, uint16_t node);

/*
 * Of a node that the caller has a grant or a reference of: they do not change, and are read without
 * the lock.
 */
static inline struct str desk_node_name(const struct desk *d, uint16_t node)
{
    return d->fleet.nodes[node].name;
}

static inline const struct url *desk_node_url(const struct desk *d, uint16_t node)
{
    return &d->fleet.nodes[node].url;
}

/* The same for any index. Return: whether there is a node on the list, of which it is now. */
bool desk_node_take(struct desk *d, uint16_t node);

bool desk_node_is_listed(struct desk *d, uint16_t node);

/* Nodes have indexes below it; and how many are on the list. */
size_t desk_n_slots(struct desk *d);
size_t desk_n_nodes(struct desk *d);

/* @is_first: a new request, not a further attempt of one. Return: as fleet_pick(). */
MUST_USE int desk_enter(struct desk *d, const struct fleet_ask *ask, bool is_first, nsec_t now,
                        struct grant *ret_grant);

/* Gives @grant back. @ask: on CALL_OK its model is marked as loaded on the node. */
void desk_leave(struct desk *d, struct grant *grant, const struct fleet_ask *ask,
                enum call_outcome outcome, const char *why, struct desk_news *ret_news);

/* The model has begun to answer, so it is loaded. */
void desk_mark_resident(struct desk *d, struct grant *grant, const struct fleet_ask *ask);

/* A model on a node, for who wants to go on there with its answer. */
struct desk_model {
    uint64_t digest; /* equal ones are equal models; 0: not known */
    bool can_render; /* the node tells the prompt that it makes of a request */
};

struct desk_model desk_model_at(struct desk *d, uint16_t node, const struct fleet_ask *ask);

bool desk_is_resident(struct desk *d, uint16_t node, const struct fleet_ask *ask);

/*
 * Whether the budget allows a further attempt after @outcome of @grant; failures that one death of
 * a node causes cost one token together.
 */
bool desk_may_retry(struct desk *d, const struct grant *grant, enum call_outcome outcome);

enum fleet_other desk_look_for_other(struct desk *d, const struct fleet_ask *ask, uint16_t node,
                                     nsec_t now);

/* A probe's report; what is left in it is the caller's. */
void desk_report(struct desk *d, uint16_t node, struct fleet_report *report,
                 struct desk_news *ret_news);

/* As fleet_place(), fleet_place_blob(), fleet_blob_put(); a reference of each node is taken. */
MUST_USE int desk_place(struct desk *d, const struct placement *policy,
                        const struct place_question *q, uint16_t *out, size_t *ret_n);
MUST_USE int desk_place_blob(struct desk *d, const struct placement *policy, uint16_t *out,
                             size_t *ret_n);
void desk_blob_put(struct desk *d, uint64_t blob, uint16_t node);

size_t desk_n_up(struct desk *d);
void desk_version(struct desk *d, char out[static 64]);

/* Return: whether there is one at this index. */
bool desk_look(struct desk *d, uint16_t node, struct desk_node *ret_node);

/* The same for one that is up and on the list; takes a reference. */
bool desk_take_up(struct desk *d, uint16_t node, struct desk_node *ret_node);

/*
 * Appends the names of a node's models, or of the loaded ones, each with a NUL behind it. Return:
 * 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int desk_models(struct desk *d, uint16_t node, bool is_loaded, struct buf *out);
