/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What fuzz targets share
 *
 * A target is one file with LLVMFuzzerTestOneInput(): it takes any bytes, must not crash, and
 * holds what it sees against claims of the headers (FUZZ_CHECK). libFuzzer drives it (`make
 * fuzz`), or smoke.c, which runs files. Same bytes, same run: a target keeps nothing from one
 * input to the next.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(claim) \
    do { \
        if (!(claim)) \
            fuzz_broken(__FILE__, __LINE__, #claim); \
    } while (0)

_Noreturn static inline void fuzz_broken(const char *file, int line, const char *claim)
{
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
    abort();
}

/*
 * A copy in a heap block of exactly its size, so that a sanitizer sees the first byte read behind
 * it.
 */
static inline struct str fuzz_exact(struct str bytes)
{
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);

    FUZZ_CHECK(copy != NULL);
    if (bytes.len > 0)
        memcpy(copy, bytes.s, bytes.len);
    return str_make(copy, bytes.len);
}

static inline void fuzz_free(struct str exact)
{
    free((void *)(uintptr_t)exact.s);
}

/* Cuts @n bytes, or what there is, off the front. */
static inline struct str fuzz_take(struct str *in, size_t n)
{
    struct str taken = str_head(*in, n);

    *in = str_make(in->s + taken.len, in->len - taken.len);
    return taken;
}

/* The next byte; 0 when there is none. */
static inline uint8_t fuzz_u8(struct str *in)
{
    struct str taken = fuzz_take(in, 1);

    return taken.len > 0 ? (uint8_t)taken.s[0] : 0;
}

static inline void fuzz_put(struct buf *b, struct str bytes)
{
    FUZZ_CHECK(buf_put(b, bytes) == 0);
}

/*
 * Pieces
 *
 * How the network may have cut the input: in one, byte by byte, or at random, seeded by the bytes.
 */

enum fuzz_cut {
    FUZZ_WHOLE,
    FUZZ_BYTES,
    FUZZ_RANDOM,
    N_FUZZ_CUTS,
};

struct fuzz_pieces {
    enum fuzz_cut cut;
    struct str rest;
    struct rng rng;
};

static inline struct fuzz_pieces fuzz_cut(struct str bytes, enum fuzz_cut cut)
{
    return (struct fuzz_pieces){
        .cut = cut, .rest = bytes, .rng = {hash_bytes((struct hash_key){0}, bytes)}};
}

/* The next piece, false after the last one. */
static inline bool fuzz_next(struct fuzz_pieces *p, struct str *ret_piece)
{
    size_t n = p->cut == FUZZ_WHOLE ? p->rest.len : 1;

    if (p->rest.len == 0)
        return false;
    if (p->cut == FUZZ_RANDOM)
        n = 1 + (size_t)rng_below(&p->rng, (rng_next(&p->rng) & 1) != 0 ? 4 : p->rest.len);
    *ret_piece = fuzz_take(&p->rest, n);
    return true;
}
