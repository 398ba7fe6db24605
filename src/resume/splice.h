/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Splice: the records of a further attempt, as the rest of the stream that the client has
 *
 * The node either goes on behind what was delivered, or begins at the beginning. In the second case
 * what comes again is compared with what was delivered, byte by byte, and left out; the first
 * difference ends it, so that a reader never gets a text that no node would have said. Ids are
 * those of the first attempt. Pure; not thread-safe.
 */

#include "resume/delivered.h"

enum splice_begin {
    SPLICE_BEHIND, /* only what is new comes */
    SPLICE_AGAIN,  /* everything comes again */
};

/* What the counters of the last record lack, since the node knows only its own part. */
struct splice_past {
    uint64_t n_tokens; /* generated before, and taken by this node for a part of its prompt */
    uint64_t total_ns; /* since the request began */
    uint64_t eval_ns;  /* generating them */
};

/* A text that had been delivered when this node began, and how much of it came again so far. */
struct splice_text {
    const struct buf *have;
    size_t len;
    size_t at;
};

struct splice {
    const struct delivered *have;
    enum splice_begin begin;
    const struct api_route *converted_to; /* the node answers /api/generate, this was asked for */
    bool wants_usage; /* set behind splice_init(): converted, what was counted is told at the end */
    bool has_counts;  /* events without a text come in a fixed order: they are counted too */
    struct splice_past past;
    struct splice_text content;
    struct splice_text thinking;
    uint64_t n_others; /* as a text */
    uint64_t others_at;
    struct buf ids;
    struct buf text;      /* of the record, decoded */
    struct buf shortened; /* the record, step by step */
    struct buf numbered;
    struct buf converted;
    struct buf translated;
    struct api_usage usage; /* of the whole answer, behind its last record */
};

/*
 * @have stays in place until splice_fini(), and grows by what splice_record() passes on. @route: of
 * the client; @from: of the node's answer, another than @route only where that is /api/chat,
 * /v1/chat/completions or /v1/completions, and this /api/generate.
 */
void splice_init(struct splice *s, const struct delivered *have, enum splice_begin begin,
                 const struct api_route *route, const struct api_route *from,
                 const struct splice_past *past);
void splice_fini(struct splice *s);

enum {
    SPLICE_NOTHING = 1, /* the client has all of it */
};

/**
 * splice_record() - what of a record is new
 * @a:          the judge, behind api_answer_record() of this record
 * @record:     the record
 * @ret_record: on 0: what goes to the client; valid until the next call
 *
 * Return: 0; SPLICE_NOTHING; -EX_RESUME it differs from what was delivered; -ENOBUFS, -ENOMEM.
 */
MUST_USE int splice_record(struct splice *s, const struct api_answer *a, struct str record,
                           struct str *ret_record);
