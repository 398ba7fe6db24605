/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Chunks of an OpenAI stream, made after one of them
 *
 * A node that goes on behind a rendered prompt answers in lines of /api/generate. The client gets
 * chunks as those before: id, model and time of the one that is the pattern. Pure.
 */

#include "api/answer.h"
#include "base/buf.h"

/* The chunk (an SSE event) that others are made after, as slices of it. */
struct chunk {
    struct str event;
    struct str text;   /* the inside of its string */
    struct str reason; /* null, of "finish_reason" */
    struct str choices;
    struct str usage; /* where it has one; else empty, in front of the last brace */
};

/* Return: 0; -EX_RESUME none can be made after it. */
MUST_USE int chunk_read(const struct api_route *route, struct str event, struct chunk *ret);

/* One with @text. Return: 0; -ENOBUFS, -ENOMEM. */
MUST_USE int chunk_put_text(const struct chunk *c, struct str text, struct buf *out);

/* The end of the stream: "stop" or "length", and with @usage what was counted. Likewise. */
MUST_USE int chunk_put_end(const struct chunk *c, struct str reason, const struct api_usage *usage,
                           struct buf *out);
