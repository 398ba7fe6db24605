/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Placement: which nodes get a model
 *
 * A model that is somewhere stays there: what changes it goes to every node that has it. A new one
 * goes where the policy says. Pure; lives behind the desk's lock, as the fleet does.
 */

#include "fleet/fleet.h"

enum placement_kind {
    PLACEMENT_ROOM,  /* the node with the most free room */
    PLACEMENT_ALL,   /* every node */
    PLACEMENT_NAMED, /* those named */
};

struct placement {
    enum placement_kind kind;
    char *const *names;
    size_t n_names;
};

struct place_question {
    struct str key; /* of the model; empty: it has no name yet */
    uint64_t hash;
    bool is_new_allowed; /* where nobody has it, the policy says where it is to be */
    struct str from_key; /* not empty: only nodes that have this model */
    uint64_t from_hash;
    const uint64_t *blobs; /* only nodes that have these blobs */
    size_t n_blobs;
};

enum {
    PLACE_NOWHERE = 1, /* no node, up or down, has the model */
    PLACE_NO_NODE = 2, /* none of those that would take it is up */
    PLACE_NO_BLOB = 3, /* no node has all its blobs */
};

/**
 * fleet_place() - the nodes for a change
 * @out:      room for n_slots
 * @ret_n:    how many were put there, at least one
 *
 * Nodes that are gateways themselves are left out: there is no way to manage models over MCP.
 *
 * Return: 0; PLACE_NOWHERE; PLACE_NO_NODE; PLACE_NO_BLOB.
 */
MUST_USE int fleet_place(const struct fleet *f, const struct placement *policy,
                         const struct place_question *q, uint16_t *out, size_t *ret_n);

/*
 * The nodes for a blob that is uploaded, before anybody knows for which model. Blobs that follow one
 * another within ten minutes go to one node, since they may be of one model. Return: 0;
 * PLACE_NO_NODE.
 */
MUST_USE int fleet_place_blob(const struct fleet *f, const struct placement *policy, nsec_t now,
                              uint16_t *out, size_t *ret_n);

/*
 * Blobs that were uploaded: the newest FLEET_BLOBS_MAX. A blob on several nodes is there several
 * times.
 */
void fleet_blob_put(struct fleet *f, uint64_t blob, uint16_t node, nsec_t now);
/* The slot has another node now. */
void fleet_blob_forget(struct fleet *f, uint16_t node);
bool fleet_blob_is_at(const struct fleet *f, uint64_t blob, uint16_t node);
