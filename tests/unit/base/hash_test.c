/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/*
 * Key and message are the bytes 00 01 02 ... as in the appendix of the SipHash paper. The values
 * come from a second implementation, itself checked against CPython's siphash13.
 */
static void the_known_values_of_siphash_1_3_come_out(void **state)
{
    static const struct {
        size_t len;
        uint64_t counted_key;
        uint64_t zero_key;
    } rows[] = {
        {0, UINT64_C(0xabac0158050fc4dc), UINT64_C(0xd1fba762150c532c)},
        {1, UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0x68a914128e01e473)},
        {7, UINT64_C(0xd3927d989bb11140), UINT64_C(0x2f098ab0c751325a)},
        {8, UINT64_C(0x369095118d299a8e), UINT64_C(0xead411e67ebe2eea)},
        {9, UINT64_C(0x25a48eb36c063de4), UINT64_C(0x75927f9d95124362)},
        {15, UINT64_C(0xd320d86d2a519956), UINT64_C(0xf30eb725bb91c9ea)},
        {16, UINT64_C(0xcc4fdd1a7d908b66), UINT64_C(0x8972188433a5c5b7)},
        {63, UINT64_C(0x9d199062b7bbb3a8), UINT64_C(0x385d3e39e5f37359)},
    };
    const struct hash_key counted = {.k0 = UINT64_C(0x0706050403020100),
                                     .k1 = UINT64_C(0x0f0e0d0c0b0a0908)};
    const struct hash_key zero = {0};
    char message[64];

    (void)state;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (char)i;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct str bytes = str_make(message, rows[i].len);

        assert_true(hash_bytes(counted, bytes) == rows[i].counted_key);
        assert_true(hash_bytes(zero, bytes) == rows[i].zero_key);
    }
    assert_true(hash_bytes(counted, STR_NULL) == rows[0].counted_key);
}

static void two_keys_are_not_the_same(void **state)
{
    struct hash_key a = hash_key_make();
    struct hash_key b = hash_key_make();

    (void)state;
    assert_false(a.k0 == b.k0 && a.k1 == b.k1);
    assert_false(hash_bytes(a, STR("llama3.2:3b")) == hash_bytes(b, STR("llama3.2:3b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_values_of_siphash_1_3_come_out),
        cmocka_unit_test(two_keys_are_not_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
