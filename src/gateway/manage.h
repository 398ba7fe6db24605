/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Managing models over the fleet: pull, push, create, copy, delete
 *
 * The placement names the nodes, each gets a flight (flight.h), and what they tell becomes one
 * answer: the only node's own, to the byte; of several, merged progress and at its end "success" or
 * one error line for each node that failed, or, not streamed, the first failure's status and all
 * their texts. A source of an exchange.
 */

#include "gateway/exchange.h"

/* @ex->request is ready. Ends, or goes on, in any case. */
void manage_start(struct exchange *ex);

/* Ends all that runs; what is left frees itself. Accepts NULL. */
void manage_cancel(struct manage *m);

/* Whether the client has a part of the answer; accepts NULL. */
bool manage_has_begun(const struct manage *m);

/* Cancelled in the middle of an answer: an error record, and a broken transfer. */
void manage_break(struct exchange *ex, enum reason reason);
