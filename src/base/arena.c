/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdalign.h>

#define ARENA_CHUNK 2032 /* with malloc's header, 2 KiB */

struct arena_chunk {
    alignas(max_align_t) struct arena_chunk *next;
    size_t size; /* this header included */
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_fini(struct arena *a)
{
    struct arena_chunk *chunk = a->chunks;

    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    *a = (struct arena){.max = a->max};
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *first = a->chunks;

    while (first != NULL && first->next != NULL) {
        struct arena_chunk *next = first->next;

        free(first);
        first = next;
    }
    a->chunks = first;
    if (first == NULL)
        return;
    if (first->size > ARENA_CHUNK) {
        arena_fini(a);
        return;
    }
    a->at = (char *)(first + 1);
    a->end = (char *)first + first->size;
    a->used = first->size;
}

static int add_chunk(struct arena *a, size_t n)
{
    size_t left = a->max - a->used;
    size_t size;
    struct arena_chunk *chunk;

    if (__builtin_add_overflow(n, sizeof(struct arena_chunk), &size) || size > left)
        return -1;
    /* The last chunk takes what the maximum leaves. */
    if (size < ARENA_CHUNK)
        size = ARENA_CHUNK < left ? ARENA_CHUNK : left;
    chunk = malloc(size);
    if (chunk == NULL)
        return -1;
    chunk->next = a->chunks;
    chunk->size = size;
    a->chunks = chunk;
    a->at = (char *)(chunk + 1);
    a->end = (char *)chunk + size;
    a->used += size;
    return 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    void *at;

    if (n > a->max || n > SIZE_MAX - align)
        return NULL;
    n = (n + align - 1) & ~(align - 1);
    if ((a->at == NULL || (size_t)(a->end - a->at) < n) && add_chunk(a, n) < 0)
        return NULL;
    at = a->at;
    a->at += n;
    return at;
}

struct str arena_dup(struct arena *a, struct str bytes)
{
    char *copy = arena_alloc(a, bytes.len + 1);

    if (copy == NULL)
        return STR_NULL;
    if (bytes.len > 0)
        memcpy(copy, bytes.s, bytes.len);
    copy[bytes.len] = '\0';
    return str_make(copy, bytes.len);
}
