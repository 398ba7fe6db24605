/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hashing
 *
 * SipHash-1-3 (Aumasson, Bernstein 2012; the variant of the Linux kernel's and Rust's maps) with a
 * key that is drawn at start, so that peers cannot choose names that collide.
 */

#include "base/str.h"

struct hash_key {
    uint64_t k0;
    uint64_t k1;
};

/* A random key from the kernel. */
struct hash_key hash_key_make(void);

uint64_t hash_bytes(struct hash_key key, struct str bytes);
