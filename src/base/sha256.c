/* SPDX-License-Identifier: MIT */
#include "base/sha256.h"

#include <stdio.h>

/* Fractional parts of the cube roots of the first 64 primes (4.2.2). */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

void sha256_init(struct sha256 *s)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    s->n_bytes = 0;
    memcpy(s->state, start, sizeof(start));
}

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* Message schedule (6.2.2, step 1). */
static void expand(const uint8_t *block, uint32_t w[static 64])
{
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (size_t i = 16; i < 64; i++) {
        uint32_t a = w[i - 15];
        uint32_t b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
}

static void compress(uint32_t state[static 8], const uint8_t *block)
{
    uint32_t w[64];
    uint32_t v[8];

    expand(block, w);
    memcpy(v, state, sizeof(v));
    for (size_t i = 0; i < 64; i++) {
        uint32_t e = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + e + choice + constants[i] + w[i];
        uint32_t a = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);

        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + a + majority;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256_feed(struct sha256 *s, struct str bytes)
{
    size_t kept = (size_t)(s->n_bytes % 64);

    s->n_bytes += bytes.len;
    while (bytes.len > 0) {
        struct str piece = str_head(bytes, 64 - kept);

        bytes = str_from(bytes, piece.len);
        if (piece.len == 64) {
            compress(s->state, (const uint8_t *)piece.s);
            continue;
        }
        memcpy(s->block + kept, piece.s, piece.len);
        kept += piece.len;
        if (kept == 64) {
            compress(s->state, s->block);
            kept = 0;
        }
    }
}

void sha256_end_bytes(struct sha256 *s, uint8_t out[static SHA256_LEN])
{
    static const char padding[64] = {(char)0x80};
    uint64_t n_bits = s->n_bytes * 8;
    size_t kept = (size_t)(s->n_bytes % 64);
    char length[8];

    for (size_t i = 0; i < 8; i++)
        length[i] = (char)(uint8_t)(n_bits >> (56 - 8 * i));
    sha256_feed(s, str_make(padding, (kept < 56 ? 56 : 120) - kept));
    sha256_feed(s, str_make(length, sizeof(length)));
    for (size_t i = 0; i < SHA256_LEN; i++)
        out[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_end(struct sha256 *s, char out[static SHA256_HEX_LEN + 1])
{
    uint8_t bytes[SHA256_LEN];

    sha256_end_bytes(s, bytes);
    for (size_t i = 0; i < SHA256_LEN; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
