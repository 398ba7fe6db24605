/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What log lines are made of: time stamps, and texts of strangers made fit for a terminal
 */

#include "base/buf.h"
#include "base/time.h"

#define TEXT_STAMP_LEN 24 /* 2026-11-24T22:00:00.123Z */

/* UTC with milliseconds, RFC 3339, not terminated. @wall: ns since 1970, before the year 10000. */
void text_stamp(nsec_t wall, char out[static TEXT_STAMP_LEN]);

/*
 * Length of the UTF-8 sequence at the front of @text (RFC 3629), 0 when there is none. @text is not
 * empty.
 */
size_t text_utf8_len(struct str text);

/*
 * Appends @text, every control character (also DEL and C1) and byte that is no UTF-8 as "?":
 * nothing in it can steer a terminal or end the line. Return: 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int text_put_printable(struct str text, struct buf *out);
