/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 (FIPS 180-4), for names of blobs ("sha256:" and 64 hex digits) and for
 * signatures of cookies.
 */

#include "base/str.h"

#define SHA256_LEN     32
#define SHA256_HEX_LEN 64

struct sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    uint8_t block[64]; /* the bytes of a block that is not whole yet */
};

void sha256_init(struct sha256 *s);
void sha256_feed(struct sha256 *s, struct str bytes);

/* Ends it. */
void sha256_end_bytes(struct sha256 *s, uint8_t out[static SHA256_LEN]);

/* Ends it: hex digits and a NUL byte. */
void sha256_end(struct sha256 *s, char out[static SHA256_HEX_LEN + 1]);
