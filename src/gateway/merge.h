/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Merged listings: every node that is up is asked at once, each within the metadata time-out, and
 * what came is merged. A node that does not answer is left out. A source of an exchange: it ends
 * with exchange_merged() or exchange_refuse().
 */

#include "gateway/exchange.h"

/* Return: 0, -ENOMEM. */
MUST_USE int merge_start(struct exchange *ex);

/* Ends all that runs; no callback follows. Accepts NULL. */
void merge_cancel(struct merge *m);
