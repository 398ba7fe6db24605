/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Access log line: one per request, printed from its timeline. Pure.
 */

#include "base/buf.h"
#include "observe/timeline.h"

enum access_form {
    ACCESS_JSON,
    ACCESS_HUMAN,
    ACCESS_COLOUR,
};

/*
 * Appends one line with LF. JSON keys: time, request_id, trace_id, peer, key, method, route, model,
 * node, why, attempts, status, reason, stream, queue_ms, connect_ms, first_record_ms, total_ms, load_ms, bytes_in,
 * bytes_out, records, tokens_in, tokens_out. Milliseconds with three decimals, null when not
 * reached; connect, first_record and total count from the request's first byte. Texts are cut to
 * 256 bytes, absent ones are null; a buffer of 16 KiB holds any line. The human form has what a
 * person looks for, with every control character as "?". Return: 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int access_print(const struct timeline *t, nsec_t wall, enum access_form form,
                          struct buf *out);
