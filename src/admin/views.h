/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the pages of the admin listener say. Each appends its body and may change the status from
 * 200. Return: 0, -ENOBUFS, -ENOMEM.
 */

#include "base/buf.h"

struct gateway;

/* The metric families that have the label `node`, and no other owner: its state, and its connections. */
MUST_USE int view_node_metrics(struct gateway *g, struct buf *out);

/* Memory, descriptors, processor time, under the names that all programs use. */
MUST_USE int view_process_metrics(struct buf *out);

MUST_USE int view_openmetrics(struct gateway *g, struct buf *out);

/* The effective configuration. */
MUST_USE int view_config(struct gateway *g, struct buf *out, int *ret_status);

/* POST: @body is a configuration file, or empty: the file is read again. */
MUST_USE int view_reload(struct gateway *g, struct str body, struct buf *out, int *ret_status);

MUST_USE int view_livez(struct gateway *g, struct buf *out, int *ret_status);
MUST_USE int view_readyz(struct gateway *g, struct buf *out, int *ret_status);
MUST_USE int view_metrics(struct gateway *g, struct buf *out, int *ret_status);
/* POST: @body is {"name": "gpu-a", "drain": true}, or false. */
MUST_USE int view_drain(struct gateway *g, struct str body, struct buf *out, int *ret_status);

MUST_USE int view_nodes(struct gateway *g, struct buf *out, int *ret_status);
