/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Resume: a streamed answer that broke goes on from another attempt
 *
 * The client sees one stream with a pause. What can be continued and how is src/resume's business;
 * here the exchange gets the next request, and its relay the records that are new.
 *
 *   broken ──► resume_prepare() ──► desk ──► resume_aim() ──► attempt ──► resume_splice()
 *                                             │       ▲
 *                                             ▼       │ RENDERED: the node tells its prompt first
 *                                          attempt ──► resume_on_answer()
 */

#include "gateway/exchange.h"

/* From here on what the client gets is kept, if the request may be continued at all. */
void resume_init(struct exchange *ex);
void resume_fini(struct exchange *ex);

/*
 * Before the desk gets its grant back: whether what the client has can be continued; else ex->why
 * says besides why not.
 */
bool resume_prepare(struct exchange *ex);

/* Makes ex->request the one for the node that was granted. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int resume_aim(struct exchange *ex);

/*
 * The node answered what was no stream, in ex->held. Return: whether it was the prompt that it was
 * asked for, or a node that does not tell it; the same node is to be asked again.
 */
bool resume_on_answer(struct exchange *ex);

/* What the node answers to: another route than the client's where it continues a rendered prompt. */
const struct api_route *resume_route(const struct exchange *ex);

/*
 * What of a record of a further attempt is new: *record, else an empty one. Return: 0; -EX_RESUME
 * the node says something else; -ENOBUFS, -ENOMEM.
 */
MUST_USE int resume_splice(struct exchange *ex, struct str *record);

/* Behind the last record: what was counted, of the whole answer instead of this node's part. */
void resume_correct_usage(const struct exchange *ex, struct api_usage *usage);
