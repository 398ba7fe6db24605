/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * OpenMetrics
 *
 * The same families in the younger format: a counter's family is called without _total, and an end
 * is marked. Pure.
 */

#include "base/buf.h"

#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Whether an Accept field names it, and does not refuse it. */
bool openmetrics_is_accepted(struct str accept);

/* Appends @text, which is Prometheus' 0.0.4, as OpenMetrics. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int openmetrics_print(struct str text, struct buf *out);
