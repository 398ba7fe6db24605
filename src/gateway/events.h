/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Records as events
 *
 * Ollama's own API streams NDJSON. A client that asks for text/event-stream gets the same records
 * as server-sent events (WHATWG HTML, 9.2), each the data of one. That is decided here and done by the door's sink, last: whatever carries an answer knows
 * NDJSON only, and so do nodes, which never see that Accept.
 */

#include "api/route.h"
#include "base/arena.h"
#include "http/h1.h"

/* Whether the client wants events: it accepts them, and not NDJSON by name. @route may be NULL. */
bool events_are_wanted(const struct api_route *route, const struct h1_head *head);

/* Return: whether @fields were those of NDJSON; then *ret_fields, in @arena, are those of events. */
bool events_retype(struct arena *arena, struct str fields, struct str *ret_fields);
