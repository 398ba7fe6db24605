/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The desk: everything that must be counted once for the process
 *
 * Which node serves the next attempt, what is in flight where, who waits for a slot, whom a failure
 * is blamed on, and the retry budget. One lock, held for about a microsecond, never across I/O or a
 * log line; inside it pure policies. Any thread may call.
 *
 *   desk_enter() ──► grant ──► attempt ──► desk_leave(outcome)
 *        ╲             ▲
 *         ► queued ────┘ by mail to the loop of who waits
 */

#include <pthread.h>

#include "base/buf.h"
#include "call/budget.h"
#include "fleet/dispatch.h"
#include "fleet/place.h"
#include "net/loop.h"

struct desk {
    pthread_mutex_t lock;
    struct fleet fleet;
    struct budget budget;
    struct queue queue;
};

/*
 * Who wants a grant; embedded by it, and in use as long as it waits. `on_turn` runs on `loop` when
 * the wait is over, unless desk_leave_line() came first.
 */
struct desk_request {
    struct dispatch_request in; /* ask, is_first, n_bytes; on_turn: result, grant */
    struct net_loop *loop;
    void (*on_turn)(struct desk_request *request);
    struct net_mail mail; /* private */
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
    bool is_drained;
    bool is_leaving; /* off the list, something is in flight */
    enum node_state state;
    bool is_ejected;
    uint32_t in_flight;
    uint32_t slots_setting;
    uint64_t n_granted;
    size_t n_models;
    size_t n_resident;
    nsec_t since;
    bool has_clock; /* as in struct fleet_node */
    int64_t clock_ms;
    char version[64];
    char why[192];
};

/* Without a node. Return: 0, -ENOMEM. */
MUST_USE int desk_init(struct desk *d, double retry_budget, struct queue_limits limits);
void desk_fini(struct desk *d);

/* Nobody has a grant, and nobody waits for one. */
bool desk_is_idle(struct desk *d);

/* These are the nodes now. Return: as fleet_list(). */
MUST_USE int desk_list_nodes(struct desk *d, const struct fleet_entry *entries, size_t n);

void desk_set_retry_budget(struct desk *d, double share);
void desk_set_routing(struct desk *d, struct fleet_routing routing);
void desk_set_queue_limits(struct desk *d, struct queue_limits limits);

/* As fleet_drain(). */
bool desk_drain(struct desk *d, struct str name, bool is_drained);

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

/**
 * desk_enter() - a node for the next attempt
 * @ret_grant:  set only on 0
 *
 * Return: as dispatch_enter(); on DISPATCH_QUEUED on_turn will run.
 */
MUST_USE int desk_enter(struct desk *d, struct desk_request *request, nsec_t now,
                        struct grant *ret_grant);

/*
 * Who was queued waits no longer. Return: whether it has left; else it was called already, and
 * on_turn will run.
 */
MUST_USE bool desk_leave_line(struct desk *d, struct desk_request *request);

/* When a request like it, coming now, would be served; -1: nothing is known yet. */
nsec_t desk_predict(struct desk *d, const struct fleet_ask *ask);

/*
 * Gives @grant back. `how`: what, why, told; the rest is filled in. On CALL_OK the model of @ask is
 * marked as loaded on the node. Return: when desk_settle() is to be called; NSEC_NEVER.
 */
nsec_t desk_leave(struct desk *d, struct grant *grant, const struct fleet_ask *ask,
                  const struct fleet_outcome *how, struct desk_news *ret_news);

/* Gives back a grant that nothing was made of. */
void desk_give_back(struct desk *d, struct grant *grant, const struct fleet_ask *ask);

/* Slots of attempts that were cut off come back. Return: when it is to be called next; NSEC_NEVER. */
nsec_t desk_settle(struct desk *d, nsec_t now);

/* The model has begun to answer: it is loaded, and the request waits no longer inside the node. */
void desk_begun(struct desk *d, struct grant *grant, const struct fleet_ask *ask);

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

/* As fleet_wants_proof(). */
bool desk_wants_proof(struct desk *d, uint16_t node);

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

/*
 * Appends what is known of a node's slots: for each residency that was in use. Return: how many
 * there are in @out.
 */
struct desk_slots {
    char model[MODEL_KEY_MAX]; /* "": it was deleted meanwhile */
    uint64_t options;
    uint32_t n_busy;
    uint32_t limit;
    nsec_t service_ns; /* median; -1: unknown */
};

size_t desk_slots(struct desk *d, uint16_t node, struct desk_slots out[static SLOTS_MAX]);

/* Who waits now. */
uint64_t desk_n_waiting(struct desk *d);
