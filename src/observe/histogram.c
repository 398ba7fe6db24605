/* SPDX-License-Identifier: MIT */
#include "observe/histogram.h"

#include <inttypes.h>

struct bucket {
    nsec_t bound; /* inclusive */
    const char *le;
};

/* Bounds as OpenMetrics wants them written. */
static const struct bucket buckets[HISTOGRAM_N_BUCKETS] = {
    {5 * NSEC_PER_MSEC, "0.005"}, {10 * NSEC_PER_MSEC, "0.01"},  {25 * NSEC_PER_MSEC, "0.025"},
    {50 * NSEC_PER_MSEC, "0.05"}, {100 * NSEC_PER_MSEC, "0.1"},  {250 * NSEC_PER_MSEC, "0.25"},
    {500 * NSEC_PER_MSEC, "0.5"}, {NSEC_PER_SEC, "1.0"},         {2500 * NSEC_PER_MSEC, "2.5"},
    {5 * NSEC_PER_SEC, "5.0"},    {10 * NSEC_PER_SEC, "10.0"},   {30 * NSEC_PER_SEC, "30.0"},
    {60 * NSEC_PER_SEC, "60.0"},  {120 * NSEC_PER_SEC, "120.0"}, {300 * NSEC_PER_SEC, "300.0"},
};

void histogram_put(struct histogram *h, nsec_t duration)
{
    size_t i = 0;

    while (i < HISTOGRAM_N_BUCKETS && duration > buckets[i].bound)
        i++;
    h->buckets[i]++;
    h->n++;
    h->sum_ns += (uint64_t)duration;
}

void histogram_add(struct histogram *h, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_N_BUCKETS; i++)
        h->buckets[i] += from->buckets[i];
    h->n += from->n;
    h->sum_ns += from->sum_ns;
}

static int print_bucket(const char *name, struct str labels, const char *le, uint64_t n,
                        struct buf *out)
{
    return buf_printf(out, "%s_bucket{" STR_FMT "%sle=\"%s\"} %" PRIu64 "\n", name, STR_ARG(labels),
                      labels.len > 0 ? "," : "", le, n);
}

int histogram_print(const char *name, struct str labels, const struct histogram *h, struct buf *out)
{
    const bool is_bare = labels.len == 0;
    uint64_t n = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < HISTOGRAM_N_BUCKETS; i++) {
        n += h->buckets[i];
        r = print_bucket(name, labels, buckets[i].le, n, out);
    }
    if (r == 0)
        r = print_bucket(name, labels, "+Inf", h->n, out);
    if (r == 0)
        r = buf_printf(out, "%s_sum%s" STR_FMT "%s %" PRIu64 ".%09" PRIu64 "\n", name,
                       is_bare ? "" : "{", STR_ARG(labels), is_bare ? "" : "}",
                       h->sum_ns / (uint64_t)NSEC_PER_SEC, h->sum_ns % (uint64_t)NSEC_PER_SEC);
    return r < 0 ? r
                 : buf_printf(out, "%s_count%s" STR_FMT "%s %" PRIu64 "\n", name,
                              is_bare ? "" : "{", STR_ARG(labels), is_bare ? "" : "}", h->n);
}
