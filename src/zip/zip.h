/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compressed messages
 *
 * gzip (RFC 1952) and zstd (RFC 8878), a message at a time and within bounds: COMPRESSION of
 * docs/protocol.md, and request bodies over HTTP, which do not tell how long they will be. The contexts of the
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
#define ZIP_PIECE      (64u * 1024)       /* of a message whose length is not known */
#define ZIP_RATIO_FREE (64u * 1024)       /* ... of raw messages that are longer */
/* of a message whose length is not known: one for each 16 KiB of the longest body */
#define ZIP_MEMBERS_MAX 4096

enum {
    ZIP_KEEP = 1, /* it would be hardly shorter: send it as it is */
    ZIP_END = 2,  /* the message is whole */
};

/* A message whose length nobody has told, on its way. */
struct zip_unpacking {
    enum zip_algorithm algorithm;
    struct str rest; /* not read yet */
    size_t body_len;
    size_t raw_len;     /* so far */
    unsigned n_members; /* of gzip, that are over */
    bool is_whole;
};

struct zip {
    struct buf shrunk;
    struct buf grown;
    void *deflater; /* made when they are needed first */
    void *inflater;
    void *zstd_deflater;
    void *zstd_inflater;
    struct zip_unpacking unpacking;
};

/* @max: longest message, and piece of one. */
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

/**
 * zip_unpack_begin() - inflate a message whose length is not known, a piece at a time
 * @body:  all of it; must stay until ZIP_END: one zstd frame, or gzip members, one behind the other,
 *         which are one message (RFC 1952, 2.2)
 *
 * The caller bounds the whole, the ratio and the window are bounded here. Until ZIP_END or an
 * error no other function of @z is called. Return: as zip_grow().
 */
MUST_USE int zip_unpack_begin(struct zip *z, enum zip_algorithm algorithm, struct str body);

/* The next piece, valid until the next call. Return: 0; ZIP_END there is none; as zip_grow(). */
MUST_USE int zip_unpack_next(struct zip *z, struct str *ret_piece);
