/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ids of a stream
 *
 * Every answer in events has ids of its own ("chatcmpl-...", "resp_..."), which its records repeat.
 * When another node goes on with the stream, its ids are written as those the client knows: the
 * first of one for the first of the other, and so on. Pure.
 */

#include "base/buf.h"

#define IDS_MAX 1024 /* bytes of all ids of an answer */

/*
 * Appends the ids in a record's object (values of "id" and "item_id", wherever they stand) that are
 * not in @ids yet, each with a NUL behind it. What does not fit is left out. A line of NDJSON has
 * none.
 */
void ids_collect(struct buf *ids, struct str record);

/*
 * Appends @record to @out with each id of @from written as the one in the same place of @to.
 * Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int ids_translate(struct str record, const struct buf *from, const struct buf *to,
                           struct buf *out);
