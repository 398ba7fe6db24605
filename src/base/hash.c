/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <sys/random.h>

struct sip {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t rotl(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static inline void sip_block(struct sip *s, uint64_t block)
{
    s->v3 ^= block;
    sip_round(s);
    s->v0 ^= block;
}

struct hash_key hash_key_make(void)
{
    struct hash_key key = {.k0 = UINT64_C(0x6368617371756931), .k1 = UINT64_C(0x72656c6179206f66)};

    /* Without entropy the fixed key stays: slower under attack, never wrong. */
    (void)!getrandom(&key, sizeof(key), GRND_NONBLOCK);
    return key;
}

uint64_t hash_bytes(struct hash_key key, struct str bytes)
{
    struct sip s = {
        .v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key.k1 ^ UINT64_C(0x7465646279746573),
    };
    uint64_t last = (uint64_t)bytes.len << 56;
    size_t i = 0;
    uint64_t block;

    for (; i + sizeof(block) <= bytes.len; i += sizeof(block)) {
        memcpy(&block, bytes.s + i, sizeof(block));
        sip_block(&s, block);
    }
    for (int shift = 0; i < bytes.len; i++, shift += 8)
        last |= (uint64_t)(unsigned char)bytes.s[i] << shift;
    sip_block(&s, last);
    s.v2 ^= 0xff;
    for (int i_final = 0; i_final < 3; i_final++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
