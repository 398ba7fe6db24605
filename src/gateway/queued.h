/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An exchange that waits for a slot
 *
 * It stands in the desk's line of its model until it is called, its client leaves, or its time is
 * over. The call comes by mail, so it may find the exchange gone: then what it brings is given back.
 */

#include "gateway/exchange.h"

/* The desk has put it into a line. */
void queued_begin(struct exchange *ex);

/* For exchange.c: on_turn of its request. */
void queued_on_turn(struct desk_request *request);

/* Leaves the line, if it stands in one. */
void queued_leave(struct exchange *ex);

/* Its time is over. */
void queued_out_of_time(struct exchange *ex);

/* Ends it with a 503 that says when to come back. */
void queued_refuse(struct exchange *ex, enum reason reason);
