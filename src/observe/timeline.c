/* SPDX-License-Identifier: MIT */
#include "observe/timeline.h"

#include "base/rng.h"

#define TIME_CHARS 10

/* 5 bits a character, the highest first; the first character of 48 bits holds only 3. */
static char *put_base32(char *at, uint64_t value, int n_chars)
{
    static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    for (int shift = 5 * (n_chars - 1); shift >= 0; shift -= 5)
        *at++ = crockford[(value >> shift) & 31];
    return at;
}

void request_id_make(char id[static REQUEST_ID_LEN + 1], nsec_t wall, struct rng *rng)
{
    uint64_t ms = wall > 0 ? (uint64_t)(wall / NSEC_PER_MSEC) : 0;
    char *at = put_base32(id, ms, TIME_CHARS);

    /* 80 bits, of two draws of which each gives 40. */
    at = put_base32(at, rng_next(rng) >> 24, 8);
    at = put_base32(at, rng_next(rng) >> 24, 8);
    *at = '\0';
}
