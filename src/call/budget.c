/* SPDX-License-Identifier: MIT */
#include "call/budget.h"

void budget_init(struct budget *b, double share, uint32_t min_retries, nsec_t now)
{
    *b = (struct budget){
        .share = share,
        .min_retries = min_retries,
        .second = now / NSEC_PER_SEC,
    };
}

/* Empties the slots that the window has passed. Return: the slot of @now. */
static size_t advance(struct budget *b, nsec_t now)
{
    int64_t second = now / NSEC_PER_SEC;

    /* After a long sleep each slot is emptied once; a clock that steps back moves nothing. */
    if (second - b->second > BUDGET_SLOTS)
        b->second = second - BUDGET_SLOTS;
    while (b->second < second) {
        b->second++;
        b->requests[b->second % BUDGET_SLOTS] = 0;
        b->retries[b->second % BUDGET_SLOTS] = 0;
    }
    return (size_t)(b->second % BUDGET_SLOTS);
}

static uint64_t sum(const uint32_t slots[static BUDGET_SLOTS])
{
    uint64_t total = 0;

    for (size_t i = 0; i < BUDGET_SLOTS; i++)
        total += slots[i];
    return total;
}

void budget_request(struct budget *b, nsec_t now)
{
    b->requests[advance(b, now)]++;
}

bool budget_take(struct budget *b, nsec_t now)
{
    size_t slot = advance(b, now);
    uint64_t n_wanted = sum(b->retries) + 1;

    if (n_wanted > b->min_retries && (double)n_wanted > b->share * (double)sum(b->requests))
        return false;
    b->retries[slot]++;
    return true;
}
