/* SPDX-License-Identifier: MIT */
#include "config/suggest.h"

#define MAX_EDITS 2

void suggest_init(struct suggestion *s, struct str word)
{
    *s = (struct suggestion){.word = word, .distance = MAX_EDITS + 1};
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/* Three rows of the usual matrix are enough: a swap looks two rows back. */
static unsigned edit_distance(struct str a, struct str b)
{
    unsigned rows[3][SUGGEST_MAX_WORD + 1];

    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned replaced = above[j - 1] + (a.s[i - 1] != b.s[j - 1]);

            row[j] = min3(above[j] + 1, row[j - 1] + 1, replaced);
            if (i > 1 && j > 1 && a.s[i - 1] == b.s[j - 2] && a.s[i - 2] == b.s[j - 1] &&
                two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
        }
    }
    return rows[a.len % 3][b.len];
}

void suggest_offer(struct suggestion *s, struct str candidate)
{
    unsigned distance;

    if (s->word.len > SUGGEST_MAX_WORD || candidate.len > SUGGEST_MAX_WORD)
        return;
    distance = edit_distance(s->word, candidate);
    /* A word whose every letter had to change is not near. */
    if (distance >= s->distance || distance >= s->word.len)
        return;
    s->best = candidate;
    s->distance = distance;
}
