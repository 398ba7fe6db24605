/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the pages of the admin listener say. Each appends its body and may change the status from
 * 200. Return: 0, -ENOBUFS, -ENOMEM.
 */

#include "base/buf.h"

struct gateway;

MUST_USE int view_livez(struct gateway *g, struct buf *out, int *ret_status);
MUST_USE int view_readyz(struct gateway *g, struct buf *out, int *ret_status);
MUST_USE int view_metrics(struct gateway *g, struct buf *out, int *ret_status);
MUST_USE int view_nodes(struct gateway *g, struct buf *out, int *ret_status);
