/* SPDX-License-Identifier: MIT */

/* The keys file: what loads is found again, and what does not says why without a byte of it. */

#include "admit/keys.h"
#include "base/err.h"
#include "fuzz.h"

static void check_found(const struct keys *keys)
{
    FUZZ_CHECK(keys->n_keys > 0);
    for (size_t i = 0; i < keys->n_keys; i++) {
        FUZZ_CHECK(keys->keys[i].secret.len >= 16 && keys->keys[i].scopes != 0);
        FUZZ_CHECK(keys_find(keys, keys->keys[i].secret) == &keys->keys[i]);
    }
    FUZZ_CHECK(keys_find(keys, STR_NULL) == NULL);
}

/* Texts of errors are ours: neither a secret of the file nor anything else of it stands there. */
static void check_errors(struct str text, struct str errors)
{
    FUZZ_CHECK(errors.len > 0 && str_ends(errors, STR("\n")));
    for (size_t i = 0; i < errors.len; i++)
        FUZZ_CHECK(errors.s[i] == '\n' || (errors.s[i] >= ' ' && errors.s[i] <= '~'));
    while (text.len > 0) {
        struct str line = str_split(&text, '\n');

        (void)str_split(&line, ':');
        line = str_split(&line, ':');
        FUZZ_CHECK(line.len < 16 || str_search(STR("0123456789abcdef:use"), line) == 0 ||
                   str_search(errors, line) == errors.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct buf errors = BUF_INIT(1u << 20);
    struct keys keys = {0};
    int r = keys_parse(text, "keys", &keys, &errors);

    if (r == 0) {
        FUZZ_CHECK(errors.len == 0);
        check_found(&keys);
    } else {
        FUZZ_CHECK(r == -EX_CONFIG && keys.keys == NULL);
        check_errors(text, buf_str(&errors));
    }
    keys_fini(&keys);
    buf_fini(&errors);
    return 0;
}
