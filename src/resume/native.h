/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A request of /v1 in Ollama's own words
 *
 * A prompt is told by /api/chat and /api/generate, and only /api/generate goes on behind one. So
 * what /v1/chat/completions or /v1/completions asks for is written as those two, where that means
 * the same; where it might not (parts, names, penalties, reasoning), it is not. Pure.
 */

#include "api/route.h"
#include "resume/delivered.h"

/* JSON values of the request, as sent; empty: not there. */
struct native {
    const struct api_route *route; /* whose prompt it is: /api/chat or /api/generate */
    struct str model;
    struct str texts; /* its messages, or its prompt */
    struct str stop;
    struct str temperature;
    struct str top_p;
    struct str limit;
    bool wants_usage; /* in the stream, behind its end */
};

/* Return: 0; -EX_RESUME it cannot be said exactly. */
MUST_USE int native_read(const struct api_route *route, struct str body, struct native *ret);

/* The question for the prompt, for n->route. Return: 0; -ENOBUFS, -ENOMEM. */
MUST_USE int native_put_question(const struct native *n, struct buf *out);

/**
 * native_put_rest() - the generation that goes on
 * @prompt:  that the node told
 * @limit:   tokens it may still have; 0: the request sets none
 *
 * Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int native_put_rest(const struct native *n, struct str prompt,
                             const struct delivered *have, uint64_t limit, struct buf *out);
