/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Record splitter
 *
 * Cuts a streamed body into whole records: an NDJSON line with its LF, an SSE event with its empty
 * line (LF, CRLF or CR, also mixed). A record is never changed; an empty line where none has begun
 * is one too. A partial record waits in the splitter, up to the maximum; after an error nothing
 * more can be had. Without I/O.
 *
 * CR may be the first half of CRLF, so an event that ends in a bare CR is handed out with the byte
 * behind it; the last such event of a stream is left in records_rest(). Nobody known to us sends
 * these.
 */

#include "base/buf.h"

enum records_kind {
    RECORDS_NDJSON,
    RECORDS_SSE,
};

enum {
    RECORDS_MORE = 1, /* no whole record left in the input; its tail was kept */
};

struct records {
    enum records_kind kind;
    struct buf partial; /* begin of a record whose end has not arrived */
    uint8_t state;      /* of the search for the end of an event, private */
    bool is_handed_out; /* `partial` holds the record returned last, private */
};

void records_init(struct records *r, enum records_kind kind, size_t max);
void records_fini(struct records *r);

/**
 * records_next() - the next whole record
 * @r:          splitter
 * @in:         new body bytes; what is consumed is cut off its front
 * @ret_record: on 0, the record with its terminator: a slice of @in where it lies there whole (no
 *              copy), else of the splitter; valid until the next call
 *
 * Call until RECORDS_MORE; then @in is empty and its tail is kept.
 *
 * Return: 0; RECORDS_MORE; -EX_RECORD_TOO_LONG; -ENOMEM.
 */
MUST_USE int records_next(struct records *r, struct str *in, struct str *ret_record);

/*
 * What waits for its end: empty, or a record that was cut off. At the end of a clean body NDJSON
 * may lack its last LF, and an SSE event may end in CR CR.
 */
struct str records_rest(const struct records *r);
