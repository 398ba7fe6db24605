/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Contexts, from the inside
 *
 * All contexts of one tree share a lock. A call is in the list of its context while it runs, so
 * that it hears of what changes; it is told by client_call_poke(), which only posts mail. Lock
 * order: tree, then the client's gate.
 */

#include <chasqui/context.h>

#include "base/list.h"
#include "base/str.h"
#include "base/time.h"

#define CLIENT_CLASS_MAX    32
#define CLIENT_METADATA_MAX 16
#define CLIENT_PAIRS_MAX \
    960 /* bytes of all pairs of a context and its ancestors, as METADATA TLVs */
#define CLIENT_TLVS_MAX 1016 /* with the class */

/* What a call takes along, all ancestors looked through. */
struct client_inherited {
    char trace[CHASQUI_TRACE_LEN];
    bool has_trace;
    char class_name[CLIENT_CLASS_MAX + 1]; /* "": none */
    size_t n_pairs;
    size_t tlvs_len;
    char tlvs[CLIENT_TLVS_MAX];
};

/* NULL context: nothing. Return: 0; -EMSGSIZE the pairs are too many or too long. */
MUST_USE int client_context_inherit(const chasqui_context *context, struct client_inherited *ret);

/* Whether it is cancelled, and when time is over. */
bool client_context_look(const chasqui_context *context, nsec_t *ret_deadline);

/* @watch is a member of a call, which is poked when something changes, until it is unwatched. */
void client_context_watch(chasqui_context *context, struct list *watch);
void client_context_unwatch(chasqui_context *context, struct list *watch);

/* Appends a METADATA TLV. Return: 0; -EMSGSIZE it does not fit. */
MUST_USE int client_metadata_put(char *tlvs, size_t *len, size_t cap, struct str key,
                                 struct str value);
