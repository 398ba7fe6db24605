/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The fleet: what is known of every node, and the choice of one
 *
 *   UNKNOWN ──► UP ◄──► DOWN        by probes, and by connections that fail
 *                └ ejected for a while, when it answers badly
 *
 * A node lives in a slot, which never moves; its index is the node's name inside the process. The
 * list of nodes may change at any time:
 *
 *   FREE ──► LISTED ◄──► LEAVING ──► FREE
 *
 * One that is off the list is not chosen any more. Its slot is free again when nothing is in flight
 * on it and nobody has a reference to it; until then name and URL stay what they are.
 *
 * Pure: probes report into it, time is an argument. Not thread-safe: it lives behind the desk's
 * lock.
 */

#include "base/addr.h"
#include "base/rng.h"
#include "call/budget.h"
#include "call/retry.h"
#include "fleet/affinity.h"
#include "fleet/balance.h"
#include "fleet/ejection.h"
#include "fleet/models.h"
#include "fleet/slots.h"

#define FLEET_MAX_NODES  1024
#define FLEET_MAX_SLOTS  (2 * FLEET_MAX_NODES) /* with nodes that leave while others come */
#define FLEET_MAX_TRIED  8
#define FLEET_NO_INDEX   UINT16_MAX
#define FLEET_BLOBS_MAX  256
#define FLEET_WEIGHT_ONE 100 /* a node's weight of 1, so that parts of it can be told */
#define FLEET_NAME_MAX   280 /* host:port of a node without a name, and its NUL */

enum node_life {
    NODE_FREE,
    NODE_LISTED,
    NODE_LEAVING,
};

enum node_state {
    NODE_UNKNOWN,
    NODE_UP,
    NODE_DOWN,
};

struct fleet_node {
    enum node_life life;
    bool is_drained; /* an operator wants nothing new on it */
    uint32_t n_refs; /* of those who keep something by its index */
    struct str name; /* in name_text */
    char name_text[FLEET_NAME_MAX];
    struct url url;
    enum node_state state;
    char why[192]; /* DOWN: what is wrong */
    nsec_t since;  /* of the state */
    char version[64];
    struct models models;   /* of /api/tags; kept while it is down */
    struct models resident; /* of /api/ps, and what has answered since */
    uint64_t loaded_bytes;  /* that models of /api/ps take */
    bool has_clock;         /* it tells the time: clock_ms is how far it is ahead of ours */
    int64_t clock_ms;
    bool can_render; /* it tells the prompt it makes of a request (0.30 on) */
    /* SLOTS_AUTO, or so many; an mcp:// node has SLOTS_ANY instead of auto */
    uint32_t slots_setting;
    struct slots_table slots;
    uint32_t in_flight;
    uint64_t n_granted;
    uint64_t turn; /* when it was chosen last */
    double pass;   /* its place among others by weight: grows by 1 / weight with each grant */
    uint32_t weight;
    uint32_t tier;      /* the lowest that can serve does */
    uint64_t name_hash; /* the same in every process */
    struct ejection ejection;
    bool needs_proof;  /* it was ejected, and is out until it has generated a token for a probe */
    nsec_t lost_at;    /* when a lost connection last counted against it */
    nsec_t charged_at; /* when one last cost a token of the retry budget */
};

/* A file that was uploaded to a node. */
struct fleet_blob {
    uint64_t hash; /* of its digest */
    nsec_t at;
    uint16_t node;
};

struct fleet_routing {
    enum balance_strategy strategy; /* of requests that make a model work */
    double bounded_load;
    bool by_session; /* affinity goes before the strategy */
    bool by_prefix;
    nsec_t session_idle_ns; /* then a session is forgotten */
};

struct fleet {
    struct fleet_node *nodes;        /* FLEET_MAX_SLOTS */
    size_t n_slots;                  /* behind the last that was ever in use */
    size_t n_nodes;                  /* on the list */
    uint64_t turn;                   /* of the latest choice */
    double pass;                     /* of the latest choice */
    struct balance_node *candidates; /* of the choice in hand; FLEET_MAX_SLOTS */
    struct fleet_routing routing;
    struct affinity affinity;
    nsec_t load_ns;   /* what a load takes, of late */
    bool has_load;    /* one was seen */
    nsec_t settle_at; /* when the first kept slot is to be given up */
    struct rng rng;
    struct hash_key hash_key;
    struct fleet_blob blobs[FLEET_BLOBS_MAX]; /* a ring: the newest ones */
    uint64_t n_blobs;                         /* ever */
};

enum fleet_proof {
    PROOF_NONE, /* it was not asked for one */
    PROOF_GIVEN,
    PROOF_FAILED,
};

/* What a probe learned. */
struct fleet_report {
    bool is_ok;
    char why[192]; /* not ok: what went wrong */
    char version[64];
    struct models models;
    struct models listed;   /* of /api/ps */
    struct models resident; /* of these, the ones that are loaded for certain */
    uint64_t loaded_bytes;  /* of the listed ones together */
    bool has_clock;         /* as in struct fleet_node */
    int64_t clock_ms;
    enum fleet_proof proof;
};

/* What the rest of the house may want to log. */
enum fleet_news {
    FLEET_NO_NEWS,
    FLEET_NODE_UP,
    FLEET_NODE_DOWN,
    FLEET_NODE_EJECTED,
};

struct fleet_ask {
    struct str key; /* of the model; empty: any node that is up */
    uint64_t hash;
    uint64_t options;            /* hash of those that make a warm state of it; 0: none given */
    uint64_t source;             /* hash of the client's address; 0: unknown */
    uint64_t session;            /* hash of its name; 0: it has none */
    const struct prefix *prefix; /* NULL: nothing is known of its prompt */
    bool is_inference;
    bool needs_slot; /* the model works on it; else it is only asked about */
    bool needs_http; /* MCP has no service for the route: no mcp:// node can take it */
    /* nodes that earlier attempts failed on; others are preferred */
    uint16_t tried[FLEET_MAX_TRIED];
    size_t n_tried;
};

enum {
    FLEET_NO_MODEL = 1, /* no node, up or down, has it */
    FLEET_NO_NODE = 2,  /* some have it (or none was asked for), and none of them is up */
    FLEET_BUSY = 3,     /* none of those that are up has a free slot */
};

/* What a request is given. */
struct fleet_choice {
    uint16_t node;
    bool is_load; /* the model was not loaded there, nor being loaded */
    struct slot slot;
    const char *why; /* what decided: a strategy, or an affinity */
};

/* Without a node. Return: 0, -ENOMEM. */
MUST_USE int fleet_init(struct fleet *f, uint64_t seed);
void fleet_fini(struct fleet *f);

/* The same in every process, so that several gateways agree. For names and addresses. */
uint64_t fleet_stable_hash(struct str text);

/* Whatever was granted has come back. */
bool fleet_is_idle(const struct fleet *f);

/* A node as the configuration has it; two are the same when name and URL are. */
struct fleet_entry {
    struct str name;
    struct url url;
    /* not part of what makes it the same: */
    uint32_t slots;  /* SLOTS_AUTO, or so many */
    uint32_t weight; /* 0 means 1 */
    uint32_t tier;
};

/**
 * fleet_list() - these are the nodes now
 * @entries:  names are copied
 *
 * Nodes that were there stay as they are, others leave. A new one with the URL of one that leaves
 * (a new name, say) takes over what is known of it.
 *
 * Return: 0; -ENOBUFS there is no slot for so many, while others have yet to leave: nothing changed.
 */
MUST_USE int fleet_list(struct fleet *f, const struct fleet_entry *entries, size_t n, nsec_t now);

/*
 * Nothing new goes to the node, or it does again; what runs there goes on. Return: whether there is
 * one of this name.
 */
bool fleet_drain(struct fleet *f, struct str name, bool is_drained);

/* Keeps the slot from being used for another node. */
void fleet_ref(struct fleet *f, uint16_t index);
void fleet_unref(struct fleet *f, uint16_t index);

/**
 * fleet_pick() - the node for the next attempt
 *
 * Among nodes that are up and have the model: those not tried yet and not ejected go first, then
 * tried ones, then ejected ones; of these the lowest tier with a free slot; among equals the
 * strategy decides, see balance.h. Counts the grant; fleet_leave() gives it back.
 * @n_waiting:  who waits for the model, this one included
 *
 * Return: 0; FLEET_NO_MODEL; FLEET_NO_NODE; FLEET_BUSY; -ENOMEM.
 */
MUST_USE int fleet_pick(struct fleet *f, const struct fleet_ask *ask, uint64_t n_waiting,
                        nsec_t now, struct fleet_choice *ret_choice);

/* Left alone after an ejection, or until it has proven that it can generate. */
bool fleet_is_out(const struct fleet_node *node, nsec_t now);

/* Whether a probe is to let it generate a token: its time out is over. */
bool fleet_wants_proof(const struct fleet *f, uint16_t index, nsec_t now);

/* The answer has begun. Return: whether there may be more slots now. */
bool fleet_begin(struct fleet *f, struct fleet_choice *choice);

/* Whether fleet_begin() is to be told. */
bool fleet_wants_begin(const struct fleet *f, const struct fleet_choice *choice);

/*
 * How long the request that is @position in the line (1: the next) will wait for a slot; -1: nothing
 * is known yet. From the median of what the latest requests took.
 */
nsec_t fleet_predict(const struct fleet *f, const struct fleet_ask *ask, uint64_t position);

/*
 * Gives up slots whose node has had its time to notice that the attempt was cut off. Return: whether
 * there were any. The next are due at f->settle_at.
 */
bool fleet_settle(struct fleet *f, nsec_t now);

enum fleet_other {
    FLEET_ALONE,
    FLEET_OTHER,
    FLEET_OTHER_IDLE, /* it could begin at once */
};

/* Whether a node that was not tried yet, other than @index, could take this. */
enum fleet_other fleet_look_for_other(const struct fleet *f, const struct fleet_ask *ask,
                                      uint16_t index, nsec_t now);

/* How an attempt ended. */
struct fleet_outcome {
    enum call_outcome what;
    nsec_t granted_at;
    nsec_t now;
    const char *why;
    const struct slots_told *told; /* CALL_OK: by the node, of itself; NULL: nothing */
};

/*
 * An attempt is over; the blame of its outcome is laid. Connections that one death of a node cuts
 * count as one failure: those of attempts that had begun before the last one was counted. The slot
 * of one that was cut off is kept until fleet_settle().
 */
enum fleet_news fleet_leave(struct fleet *f, struct fleet_choice *choice,
                            const struct fleet_outcome *outcome);

/* A choice that nothing was made of. */
void fleet_give_back(struct fleet *f, struct fleet_choice *choice);

/*
 * Whether a retry may be made after this failure: @budget pays for it, unless it has paid for the
 * death of the node that cut this connection too.
 */
bool fleet_charge(struct fleet *f, uint16_t index, const struct fleet_outcome *outcome,
                  struct budget *budget);

/*
 * Takes what @report holds; the sets that it replaces are left in @report for the caller to free.
 */
enum fleet_news fleet_apply(struct fleet *f, uint16_t index, struct fleet_report *report,
                            nsec_t now);

/* The node answered for this model: it is loaded there. */
void fleet_mark_resident(struct fleet *f, uint16_t index, struct str key, uint64_t hash);

size_t fleet_n_up(const struct fleet *f);

/*
 * The lowest version among the nodes that are up: what every client may count on. "" when none is
 * up.
 */
const char *fleet_lowest_version(const struct fleet *f);
