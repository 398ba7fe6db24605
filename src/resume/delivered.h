/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Delivered: what the client has of a streamed answer
 *
 * Enough to let another node continue it: the texts, bounded, and the ids. Fed with every record
 * that goes to the client. Pure; not thread-safe.
 */

#include "api/answer.h"
#include "base/buf.h"

#define DELIVERED_EVENT_MAX 4096

struct delivered {
    struct buf content; /* decoded */
    struct buf thinking;
    struct buf ids;    /* resume/ids.h */
    struct buf event;  /* the first one with a content: later ones are made after it */
    uint64_t n_texts;  /* records with a text: tokens, nearly always */
    uint64_t n_others; /* records without one */
    bool is_unfit;     /* longer than the maximum, or more than text: it cannot be continued */
};

/* @max_bytes: of each text; 0: every answer is unfit, and nothing is kept. */
void delivered_init(struct delivered *d, size_t max_bytes);
void delivered_fini(struct delivered *d);

/* @piece: of @record, as the judge of the answer has it (api/answer.h). */
void delivered_add(struct delivered *d, const struct api_piece *piece, struct str record);
