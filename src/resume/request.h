/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The request that continues an answer
 *
 *   continue(request, delivered) ──► request
 *
 * With nothing delivered that is the request itself. Else there are three ways:
 *
 *   AGAIN     the request again; what the client has is left out of the answer, byte by byte
 *             (resume/splice.h). Exact by comparison; where the request is not repeatable the node
 *             will hardly say the same again
 *   BEHIND    a raw generation, behind its prompt and the text so far
 *   RENDERED  the same for a chat or a templated prompt, of /v1 too (resume/native.h): the node is
 *             asked first what prompt it makes of the request
 *
 * The last two are for requests that are not repeatable, on a node with the same model. What is
 * more than text (tools, format, images, log probabilities, context) is never continued. Pure.
 */

#include "api/route.h"
#include "base/buf.h"
#include "resume/native.h"
#include "resume/splice.h"

/* Why an answer is not continued; NULL where it is: a text for logs and clients. */
struct resume_rule {
    const char *why_not;
    bool is_raw;
    bool is_rendered;   /* and not raw: its prompt can be asked for */
    bool is_repeatable; /* temperature 0, or a seed: the same request has the same answer */
    bool has_limit;     /* num_predict or max_tokens is set */
    uint64_t limit;
    bool is_native; /* of /v1: what it says to Ollama in its own words is known */
    struct native native;
};

/* What @body, a request of @route, allows. Never fails: what cannot be read is not continued. */
void resume_read(const struct api_route *route, struct str body, struct resume_rule *ret_rule);

enum resume_way {
    RESUME_AGAIN,
    RESUME_BEHIND,
    RESUME_RENDERED,
};

/* The node that is to go on. */
struct resume_node {
    bool is_same_model; /* as the one that gave what was delivered */
    bool can_render;
};

enum resume_way resume_choose(const struct resume_rule *rule, const struct delivered *have,
                              const struct resume_node *node);

/*
 * RENDERED: appends the question for the prompt, for the route of the request, or that of its
 * native form. Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int resume_put_question(const struct resume_rule *rule, struct str body, struct buf *out);

/*
 * And appends the prompt in its answer, decoded. Return: 0; -EX_JSON_SYNTAX there is none;
 * -EX_RESUME it ends inside of thinking; -ENOBUFS, -ENOMEM.
 */
MUST_USE int resume_read_prompt(struct str answer, struct buf *out);

/**
 * resume_put() - the body of the attempt that goes on
 * @rule:    of resume_read() for @body, which still stands there, without why_not
 * @body:    the client's request
 * @have:    what was delivered
 * @prompt:  RENDERED: the node's; the body is one of /api/generate then
 * @out:     appended to
 *
 * Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int resume_put(const struct resume_rule *rule, enum resume_way way, struct str body,
                        const struct delivered *have, struct str prompt, struct buf *out);
