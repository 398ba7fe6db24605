/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Histogram of durations
 *
 * Fixed buckets, from 5 ms to 300 s: fine enough for the time between two tokens, wide enough for a
 * model that loads. Pure.
 */

#include "base/buf.h"
#include "base/time.h"

#define HISTOGRAM_N_BUCKETS 15 /* without +Inf */

struct histogram {
    uint64_t buckets[HISTOGRAM_N_BUCKETS + 1]; /* not cumulative; the last is +Inf */
    uint64_t n;
    uint64_t sum_ns;
};

void histogram_put(struct histogram *h, nsec_t duration);
void histogram_add(struct histogram *h, const struct histogram *from);

/*
 * All lines of one histogram. @labels: `a="1",b="2"`, or empty. Return: 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int histogram_print(const char *name, struct str labels, const struct histogram *h,
                             struct buf *out);
