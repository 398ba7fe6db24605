/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sha256.h"

static void expect(struct str bytes, size_t piece, const char *digest)
{
    struct sha256 s;
    char out[SHA256_HEX_LEN + 1];

    sha256_init(&s);
    for (size_t at = 0; at < bytes.len; at += piece)
        sha256_feed(&s, str_head(str_from(bytes, at), piece));
    sha256_end(&s, out);
    assert_string_equal(out, digest);
}

/* The examples of FIPS 180-4 and the empty text. */
static void the_known_digests_come_out(void **state)
{
    (void)state;
    expect(STR(""), 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(STR("abc"), 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), 56,
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void pieces_of_any_length_make_the_same_digest(void **state)
{
    char text[1000];

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t piece = 1; piece <= 130; piece++)
        expect(str_make(text, sizeof(text)), piece,
               "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_digests_come_out),
        cmocka_unit_test(pieces_of_any_length_make_the_same_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
