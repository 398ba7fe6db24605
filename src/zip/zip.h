/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compressed messages
 *
 * gzip (RFC 1952) and zstd (RFC 8878), a message at a time and within bounds, as COMPRESSION of
 * docs/protocol.md has it. Only what both sides have agreed on comes here. The contexts of the
 * libraries are kept for the next message, so there is one struct zip a thread. What comes out is
 * valid until the next call of the same function. No I/O, no globals.
 */

#include "base/buf.h"

/* The numbers are those of the wire. */
enum zip_algorithm {
    ZIP_NONE = 0,
    ZIP_GZIP = 1,
    ZIP_ZSTD = 2,
};

#define ZIP_MIN        1024               /* shorter ones are not worth it */
#define ZIP_WINDOW_MAX (8u * 1024 * 1024) /* of zstd */
#define ZIP_RATIO_MAX  256                /* of raw to compressed length ... */
#define ZIP_RATIO_FREE (64u * 1024)       /* ... of raw messages that are longer */

enum {
    ZIP_KEEP = 1, /* it would be hardly shorter: send it as it is */
};

struct zip {
    struct buf shrunk;
    struct buf grown;
    void *deflater; /* made when they are needed first */
    void *inflater;
    void *zstd_deflater;
    void *zstd_inflater;
};

/* @max: longest message. */
void zip_init(struct zip *z, size_t max);
void zip_fini(struct zip *z);

/* Compresses. Return: 0; ZIP_KEEP; -ENOMEM. */
MUST_USE int zip_shrink(struct zip *z, enum zip_algorithm algorithm, struct str raw,
                        struct str *ret);

/**
 * zip_grow() - inflate
 * @raw_len:  what it must come to exactly
 *
 * Return: 0; -EPROTO it does not, is no whole message of the algorithm, has a window that is too
 * large or a ratio that no honest message has; -ENOBUFS over the longest; -ENOMEM.
 */
MUST_USE int zip_grow(struct zip *z, enum zip_algorithm algorithm, struct str body,
                      uint32_t raw_len, struct str *ret);
