/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Resume: a streamed answer that broke goes on from another attempt
 *
 * The client sees one stream with a pause. What can be continued and how is src/resume's business;
 * here the exchange gets the next request, and its relay the records that are new.
 */

#include "gateway/exchange.h"

/* The request came with a stream to be kept. After exchange_understand. */
void resume_init(struct exchange *ex);
void resume_fini(struct exchange *ex);

/*
 * Makes ex->request the one that continues what the client has. Return: whether it can be
 * continued; else ex->why says besides why not.
 */
bool resume_prepare(struct exchange *ex);

/*
 * What of a record of a further attempt is new: *record, else an empty one. Return: 0; -EX_RESUME
 * the node says something else; -ENOBUFS, -ENOMEM.
 */
MUST_USE int resume_splice(struct exchange *ex, struct str *record);
