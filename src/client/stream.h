/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Streams by pull: a queue between the loop's thread and the reader's
 *
 * What lies in the queue has used credit of its call, which the reader gives back record by record;
 * so the queue is as long as the option stream_limit allows, whatever the reader does.
 */

#include <chasqui/client.h>

#include "base/str.h"

/* Loop's thread. Return: 0; -ENOMEM. */
MUST_USE int client_stream_put(chasqui_stream *stream, struct str record, uint32_t cost);
