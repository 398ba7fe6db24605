/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * "Did you mean"
 *
 * Finds the candidate nearest to a word by Damerau-Levenshtein distance (optimal string alignment:
 * insert, drop, replace, swap neighbours), at most two edits away. Pure; never allocates.
 */

#include "base/str.h"

#define SUGGEST_MAX_WORD 64 /* longer words are never near anything */

struct suggestion {
    struct str word;
    struct str best; /* s == NULL: nothing is near */
    unsigned distance;
};

void suggest_init(struct suggestion *s, struct str word);

/* @candidate must outlive @s. The first of equally near ones stays. */
void suggest_offer(struct suggestion *s, struct str candidate);
