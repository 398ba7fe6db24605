/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Retry budget
 *
 * Retries may be a share of requests, and always a few: over a sliding 10 s, retries <=
 * max(min_retries, share x requests). So an outage is not multiplied by its own retries (Google SRE
 * book, chapter 21). Pure; not thread-safe (the desk's lock). Never allocates.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define BUDGET_SLOTS 10 /* of one second each */

struct budget {
    double share;         /* 0.10 */
    uint32_t min_retries; /* 10 */
    int64_t second;       /* of the newest slot */
    uint32_t requests[BUDGET_SLOTS];
    uint32_t retries[BUDGET_SLOTS];
};

void budget_init(struct budget *b, double share, uint32_t min_retries, nsec_t now);

/* A new request (not a retry) was admitted. */
void budget_request(struct budget *b, nsec_t now);

/* Whether a retry may be made; counts it when it may. */
bool budget_take(struct budget *b, nsec_t now);
