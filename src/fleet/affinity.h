/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Affinity: where a session, or a prompt, was before
 *
 * Two bounded tables that forget the oldest. A session is whatever names a client's conversation;
 * its node is the one that served it last. A prompt is known by marks: hashes of all that stands
 * before certain places, so that prompts with the same beginning have the same first marks.
 * Sessions are reached by affinity_home() and affinity_put_home() only: that is all that a store
 * shared by several gateways would have to offer. Pure; lives behind the desk's lock, but for
 * prefix_read().
 */

#include "base/lru.h"
#include "base/str.h"

#define AFFINITY_SESSIONS_MAX 65536
#define AFFINITY_MARKS_MAX    131072 /* of all prompts together */
#define PREFIX_MARKS          48
#define PREFIX_NODES          4 /* that are remembered for a mark, the latest ones */
#define AFFINITY_NO_NODE      UINT16_MAX

/* Marks of one prompt: each KiB of the first 16, each 4 KiB up to 80, each 32 KiB up to 592. */
struct prefix {
    uint64_t marks[PREFIX_MARKS];
    uint32_t n;
};

/* Of JSON as the client wrote it: what it sent before, it writes alike. No lock is needed. */
void prefix_read(struct prefix *p, uint64_t model, struct str system, struct str content);

struct affinity {
    struct lru sessions; /* to the index of a node */
    struct lru marks;    /* to PREFIX_NODES indexes of 16 bits, the latest first */
};

/* Return: 0, -ENOMEM. */
MUST_USE int affinity_init(struct affinity *a);
void affinity_fini(struct affinity *a);

/* The node of a session that was there within @idle; AFFINITY_NO_NODE. */
uint16_t affinity_home(const struct affinity *a, uint64_t session, nsec_t idle, nsec_t now);
void affinity_put_home(struct affinity *a, uint64_t session, uint16_t node, nsec_t now);

/* What is known of a prompt: how many of its marks, and by whom. */
struct prefix_known {
    uint32_t n; /* marks; 0: none */
    uint64_t nodes;
};

struct prefix_known affinity_look(const struct affinity *a, const struct prefix *p);
bool prefix_is_known_by(const struct prefix_known *known, uint16_t node);

/* @node gets the prompt. @known: as affinity_look() found it. */
void affinity_learn(struct affinity *a, const struct prefix *p, const struct prefix_known *known,
                    uint16_t node, nsec_t now);
