/* SPDX-License-Identifier: MIT */
#include "gateway/cookie.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/sha256.h"

#define BLOCK   64
#define MAC_LEN (COOKIE_VALUE_LEN - COOKIE_ID_LEN - 1)

/* RFC 2104. A key that is longer than a block is its own hash, in hex. */
static void hmac(struct str key, struct str text, char out[static SHA256_HEX_LEN + 1])
{
    char hashed[SHA256_HEX_LEN + 1];
    uint8_t inner[SHA256_LEN];
    char pads[2][BLOCK];
    struct sha256 s;

    if (key.len > BLOCK) {
        sha256_init(&s);
        sha256_feed(&s, key);
        sha256_end(&s, hashed);
        key = str_make(hashed, SHA256_HEX_LEN);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        char c = i < key.len ? key.s[i] : 0;

        pads[0][i] = (char)(c ^ 0x36);
        pads[1][i] = (char)(c ^ 0x5c);
    }
    sha256_init(&s);
    sha256_feed(&s, str_make(pads[0], BLOCK));
    sha256_feed(&s, text);
    sha256_end_bytes(&s, inner);
    sha256_init(&s);
    sha256_feed(&s, str_make(pads[1], BLOCK));
    sha256_feed(&s, str_make((const char *)inner, sizeof(inner)));
    sha256_end(&s, out);
}

void cookie_make(struct str key, char out[static COOKIE_VALUE_LEN + 1])
{
    uint64_t id[2] = {0};
    char mac[SHA256_HEX_LEN + 1];

    (void)!getrandom(id, sizeof(id), 0);
    (void)snprintf(out, COOKIE_ID_LEN + 1, "%016llx%016llx", (unsigned long long)id[0],
                   (unsigned long long)id[1]);
    hmac(key, str_make(out, COOKIE_ID_LEN), mac);
    (void)snprintf(out + COOKIE_ID_LEN, MAC_LEN + 2, ".%.*s", MAC_LEN, mac);
}

/* In a time that does not tell how much of it is right. */
static bool is_equal(const char *a, const char *b, size_t n)
{
    unsigned char differs = 0;

    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

static bool is_signed(struct str key, struct str value)
{
    char mac[SHA256_HEX_LEN + 1];

    if (value.len != COOKIE_VALUE_LEN || value.s[COOKIE_ID_LEN] != '.')
        return false;
    hmac(key, str_head(value, COOKIE_ID_LEN), mac);
    return is_equal(mac, value.s + COOKIE_ID_LEN + 1, MAC_LEN);
}

struct str cookie_find(struct str key, struct str field)
{
    while (field.len > 0) {
        struct str pair = str_trim(str_split(&field, ';'));

        if (!str_starts(pair, STR(COOKIE_NAME "=")))
            continue;
        pair = str_from(pair, sizeof(COOKIE_NAME));
        if (is_signed(key, pair))
            return str_head(pair, COOKIE_ID_LEN);
    }
    return STR_NULL;
}
