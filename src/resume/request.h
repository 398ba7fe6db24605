/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The request that continues an answer
 *
 *   continue(request, delivered) ──► request
 *
 * With nothing delivered that is the request itself. A raw generation goes on behind prompt + text;
 * any other is asked again from its beginning, and what the client has is left out of the answer
 * (resume/splice.h). What is more than text (tools, format, images, log probabilities, context) is
 * never continued. Pure.
 */

#include "api/route.h"
#include "base/buf.h"
#include "resume/splice.h"

/* Why an answer is not continued; NULL where it is: a text for logs and clients. */
struct resume_rule {
    const char *why_not;
    bool is_raw;
    bool is_repeatable; /* temperature 0, or a seed: the same request has the same answer */
    bool has_limit;     /* num_predict is set */
    uint64_t limit;
};

/* What @body, a request of @route, allows. Never fails: what cannot be read is not continued. */
void resume_read(const struct api_route *route, struct str body, struct resume_rule *ret_rule);

/* How the node's answer to resume_put() begins. */
enum splice_begin resume_begin(const struct resume_rule *rule, const struct delivered *have);

/**
 * resume_put() - the body of the next attempt
 * @rule:  of resume_read() for @body, without why_not
 * @body:  the client's request
 * @have:  what was delivered
 * @out:   appended to
 *
 * Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int resume_put(const struct resume_rule *rule, struct str body,
                        const struct delivered *have, struct buf *out);
