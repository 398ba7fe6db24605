/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The keys that can be written in a file, in the order of the rooms, for pages that list them
 *
 * The row that takes its name from a mapping's key is not among them: in the file it is that key.
 */

#include "config/settings.h"

struct walk_ops {
    const char *name;
    int (*heading)(const char *room, bool is_first, struct buf *out);
    /* @before: what stands before the key: the list it is in ("nodes[].") or "" */
    int (*row)(const char *before, const struct setting *row, struct buf *out);
};

/* Return: 0; what a function of @ops returned, other than 0. */
MUST_USE int walk_keys(const struct settings *s, const struct walk_ops *ops, struct buf *out);
