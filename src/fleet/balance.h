/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Strategies: which of the nodes that could take a request gets it
 *
 * A strategy is a name and a pure function of what is known of the candidates and of the request.
 * All of them keep to this: with a free slot anywhere, only a candidate with a free slot is picked;
 * none but `warm` would rather wait; none leaves a candidate without requests for ever.
 *
 *   round-robin   each in turn
 *   weighted      each in turn, by weight
 *   least-loaded  the least in flight for its weight
 *   p2c           the better one of two that chance names
 *   source-hash   the same client to the same node, as long as that is not overloaded
 *   cookie        the node that the session had last, as long as that is not overloaded
 *   prefix        the node that knows the most of the prompt, as long as that is not overloaded
 *   warm          the model is loaded and there is a slot; else wait for one, when that takes less
 *                 time than a load; else a node with nothing loaded; else the one with the least
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/time.h"

#define BALANCE_WAIT SIZE_MAX

/* A candidate. */
struct balance_node {
    uint16_t index;
    uint32_t weight; /* 1 and up */
    uint32_t tier;
    uint32_t in_flight;
    uint32_t n_free; /* slots; 0: it could only wait there */
    bool is_warm;    /* loaded, or being loaded */
    uint64_t loaded_bytes;
    nsec_t wait;      /* until a slot is free; -1: unknown */
    uint64_t turn;    /* when it was picked last */
    double pass;      /* weighted: its place among the others, the smaller the sooner */
    uint64_t name;    /* hash of its name */
    uint32_t n_known; /* blocks of the prompt that it has seen */
};

#define BALANCE_NO_HOME UINT16_MAX

struct balance_ask {
    uint64_t source;     /* hash of the client's address; 0: unknown */
    uint16_t home;       /* node that the session had last, or BALANCE_NO_HOME */
    double bounded_load; /* 1.25: so much of the mean load may affinity put on one node */
    nsec_t load_ns;      /* what a load takes */
    struct rng *rng;
};

struct balance_ops {
    const char *name;
    /* Position of the chosen candidate; BALANCE_WAIT: none of them now. @n > 0. */
    size_t (*pick)(const struct balance_node *nodes, size_t n, const struct balance_ask *ask);
};

/* In the order of `enum balance_strategy`. */
enum balance_strategy {
    BALANCE_ROUND_ROBIN,
    BALANCE_WEIGHTED,
    BALANCE_LEAST_LOADED,
    BALANCE_P2C,
    BALANCE_SOURCE_HASH,
    BALANCE_COOKIE,
    BALANCE_PREFIX,
    BALANCE_WARM,
    N_BALANCE_STRATEGIES
};

const struct balance_ops *balance_get(enum balance_strategy strategy);

/*
 * Whether affinity may put one more on @node: it has a free slot, and with it at most bounded_load
 * of the mean.
 */
bool balance_has_room(const struct balance_node *nodes, size_t n, const struct balance_node *node,
                      double bounded_load);

/* The position of the session's node, when that has room; BALANCE_WAIT: it has none. */
size_t balance_find_home(const struct balance_node *nodes, size_t n, const struct balance_ask *ask);

/* The same of the node that knows the most of the prompt. */
size_t balance_find_known(const struct balance_node *nodes, size_t n,
                          const struct balance_ask *ask);
