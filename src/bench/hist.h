/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Histogram of high dynamic range
 *
 * Counts values from 0 to HIST_MAX (73 minutes in nanoseconds) in buckets that grow with them, as
 * Gil Tene's HdrHistogram does: below 256 each value has its own, above that each power of two has
 * 128 buckets. So the memory is fixed (36 KiB) whatever comes, and a value that is read back is at
 * most 1/128 (0.8 %) above one that was put in, never below it. Least, greatest and sum are exact.
 * Histograms of threads add up without a loss. Pure; a zeroed one is empty.
 */

#include <stdint.h>

#define HIST_SHIFT   7
#define HIST_MAX     ((UINT64_C(1) << 42) - 1) /* what is greater is counted here */
#define HIST_BUCKETS ((42 - HIST_SHIFT + 1) << HIST_SHIFT)
#define HIST_ERROR   (1.0 / (1 << HIST_SHIFT))

struct hist {
    uint64_t n;
    uint64_t sum;
    uint64_t least; /* 0 while n is 0 */
    uint64_t greatest;
    uint64_t counts[HIST_BUCKETS];
};

void hist_put(struct hist *h, uint64_t value);

/* Adds what @from counted to @to. */
void hist_merge(struct hist *to, const struct hist *from);

/**
 * hist_at() - the value that a share of all values does not exceed
 * @share:  0.99 for the 99th percentile; 0 the least, 1 the greatest
 *
 * Return: 0 when nothing was counted.
 */
uint64_t hist_at(const struct hist *h, double share);

/* Return: 0 when nothing was counted. */
double hist_mean(const struct hist *h);
