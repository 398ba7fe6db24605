/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Relay: from the attempt in hand into the sink
 *
 * The half of the exchange that deals with an answer: what its head means, when it is committed,
 * how it ends. And the seams between the halves (exchange.c, relay.c), which nobody else uses.
 */

#include "gateway/exchange.h"

#define RELAY_HELD_MAX   (64 * 1024)   /* body of a failure that is kept for the decision */
#define RELAY_WHOLE_MAX  (1024 * 1024) /* of an answer that is no stream, until it is whole */
#define RELAY_FIELDS_MAX (48 * 1024)   /* a node's head, each field with its CRLF */

extern const struct attempt_ops relay_ops;

/* Passes on, as it is, the failure that a node answered. */
void relay_held(struct exchange *ex, enum reason reason);

/* The answer cannot be completed: an error record of its API, and a broken transfer. */
void relay_break(struct exchange *ex, enum reason reason);

/* Sets the timer for the next record. */
void relay_arm(struct exchange *ex);

/* exchange.c; of these, manage.c and upload.c use some too */
void exchange_failed(struct exchange *ex, enum call_outcome outcome);
void exchange_broke(struct exchange *ex, enum call_outcome outcome, enum reason reason,
                    const char *why);
void exchange_out_of_time(struct exchange *ex);
void exchange_finish(struct exchange *ex, enum reason reason);
void exchange_leave_desk(struct exchange *ex, enum call_outcome outcome);
void exchange_enter_desk(struct exchange *ex);
void exchange_take_turn(struct exchange *ex, int r);
void exchange_ask_node(struct exchange *ex, bool is_fresh);
void exchange_on_looked(struct look_again *look);
void exchange_on_bury(struct net_task *task);
void exchange_on_timer(struct net_timer *timer);

/* The nodes are asked again before it is said that nobody has a model. */
void exchange_wait_for_look(struct exchange *ex);
void exchange_refuse_no_model(struct exchange *ex);

/* What belongs to it is under way on other loops; it is not freed until all is back. */
void exchange_goes_abroad(struct exchange *ex);
void exchange_came_back(struct exchange *ex);
