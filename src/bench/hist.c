/* SPDX-License-Identifier: MIT */
#include "bench/hist.h"

#define EACH (UINT64_C(1) << HIST_SHIFT) /* buckets of a power of two */

/*
 * Values below 2 * EACH are their own index. Above, the index is made of the place of the highest
 * bit and the HIST_SHIFT bits behind it.
 */
static unsigned index_of(uint64_t value)
{
    unsigned shift;

    if (value < 2 * EACH)
        return (unsigned)value;
    shift = 63U - (unsigned)__builtin_clzll(value) - HIST_SHIFT;
    return (unsigned)((shift << HIST_SHIFT) + (value >> shift));
}

/* The greatest value that is counted at @index. */
static uint64_t upper(unsigned index)
{
    unsigned shift;

    if (index < 2 * EACH)
        return index;
    shift = (index >> HIST_SHIFT) - 1;
    return ((EACH + (index & (EACH - 1)) + 1) << shift) - 1;
}

void hist_put(struct hist *h, uint64_t value)
{
    if (value > HIST_MAX)
        value = HIST_MAX;
    if (h->n == 0 || value < h->least)
        h->least = value;
    if (value > h->greatest)
        h->greatest = value;
    h->n++;
    h->sum += value;
    h->counts[index_of(value)]++;
}

void hist_merge(struct hist *to, const struct hist *from)
{
    if (from->n == 0)
        return;
    if (to->n == 0 || from->least < to->least)
        to->least = from->least;
    if (from->greatest > to->greatest)
        to->greatest = from->greatest;
    to->n += from->n;
    to->sum += from->sum;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        to->counts[i] += from->counts[i];
}

/* How many values the share has, rounded up, but not for what is an error of the product. */
static uint64_t rank_of(const struct hist *h, double share)
{
    double exact = share * (double)h->n - 1e-6;
    uint64_t rank = exact > 0 ? (uint64_t)exact : 0;

    if ((double)rank < exact)
        rank++;
    return rank > h->n ? h->n : rank;
}

uint64_t hist_at(const struct hist *h, double share)
{
    uint64_t rank = rank_of(h, share);
    uint64_t seen = 0;

    if (rank == 0)
        return h->least;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= rank)
            return upper(i) < h->greatest ? upper(i) : h->greatest;
    }
    return h->greatest;
}

double hist_mean(const struct hist *h)
{
    return h->n > 0 ? (double)h->sum / (double)h->n : 0;
}
