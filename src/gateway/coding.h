/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Content codings of request bodies
 *
 * gzip and zstd (RFC 9110, 8.4.1; RFC 8878) are taken off before anybody looks at a body, so that
 * nodes, which know none, get it plain. A body is decoded when it is whole: what a decoder needs is
 * then there once a worker, not once a request, and both forms are counted in memory.bodies.
 */

#include "gateway/exchange.h"
#include "zip/zip.h"

enum {
    CODING_UNKNOWN = 1, /* one that is not known, or one over another */
};

/* Return: 0, *ret_coding of the body behind @head; CODING_UNKNOWN. */
MUST_USE int coding_of(const struct h1_head *head, enum zip_algorithm *ret_coding);

/*
 * Decodes the body of @ex, which is whole. Return: 0; -EMSGSIZE longer than limits.body; -EPROTO
 * it is not what it was said to be; -ENOBUFS the memory for all bodies is used up; -ENOMEM.
 */
MUST_USE int coding_decode(struct exchange *ex, enum zip_algorithm coding);
