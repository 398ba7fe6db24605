/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Arena
 *
 * Bump allocation for things that die together, an exchange for instance. The first chunk is
 * allocated on first use; arena_fini() frees all at once. Bounded by the maximum given at init,
 * which counts whole chunks.
 */

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at;                   /* next free byte of the newest chunk */
    char *end;
    size_t used; /* bytes of all chunks */
    size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a);

/* Forgets what it holds, and keeps a first chunk of ordinary size for what comes next. */
void arena_reset(struct arena *a);

/*
 * @n bytes aligned for any object, uninitialised; also 0 bytes have an address. NULL without memory
 * or beyond the maximum.
 */
void *arena_alloc(struct arena *a, size_t n);

/* A NUL-terminated copy; on failure a slice with s == NULL. */
struct str arena_dup(struct arena *a, struct str bytes);
