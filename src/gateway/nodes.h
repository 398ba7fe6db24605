/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Nodes, as one worker reaches them
 *
 * A pool of connections per node, made when the first attempt needs it. A node that has left the
 * list keeps its pool until its last attempt is over. Belongs to the worker's thread.
 */

#include "upstream/upstream.h"

struct worker;
struct worker_node;

struct worker_nodes {
    struct worker *worker;
    struct worker_node **at; /* by index of the node; NULL: not needed yet */
    struct list leaving;
    struct net_task sweep; /* parts from nodes that are off the list */
};

/* Return: 0, -ENOMEM. */
MUST_USE int worker_nodes_init(struct worker_nodes *n, struct worker *w);
void worker_nodes_close(struct worker_nodes *n);
void worker_nodes_fini(struct worker_nodes *n); /* after the loop has run out */

/* The pool of a node that the caller has a grant or a reference of. NULL without memory. */
struct upstream *worker_nodes_get(struct worker_nodes *n, uint16_t node);

/* The worker has a new view. */
void worker_nodes_configure(struct worker_nodes *n);
