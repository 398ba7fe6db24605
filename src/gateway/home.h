/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a request says of where it belongs: its session, its client's address, the beginning of its
 * prompt. Read before the desk, so that no hashing is done behind its lock.
 */

#include "gateway/exchange.h"

/* Keeps the Cookie field, where the configuration looks at it. */
void home_take_cookie(struct exchange *ex, const struct h1_head *head);

/* Fills what of ex->ask affinity needs. */
void home_find(struct exchange *ex);
