/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Keys file
 *
 * One `name:key:scopes` per line, scopes a comma-separated list of `use` and `admin` (admin
 * includes use); '#' begins a comment line. Lines may end in CRLF. Names are 1 to 64 letters,
 * digits and . _ - @; keys 16 to 512 visible ASCII characters without ':'. At most 4096 keys in 1
 * MiB. Keys are compared in constant time, never logged, never part of an error, and wiped when
 * freed. Immutable after loading, so workers share it.
 */

#include "base/buf.h"

enum key_scope {
    KEY_USE = 1 << 0,
    KEY_ADMIN = 1 << 1,
};

struct key {
    struct str name;
    struct str secret;
    unsigned scopes;
};

struct keys {
    char *text; /* owned; the slices point into it */
    size_t text_len;
    struct key *keys;
    size_t n_keys;
};

/**
 * keys_load() - read a keys file
 * @path:    file
 * @ret:     on 0; keys_fini() frees
 * @errors:  one "FILE:LINE: error: what, and what to do" line per problem is appended (without LINE
 *           where it is the file's)
 *
 * A file that others can use (mode & 0007) is refused, with the chmod that mends it. Duplicate
 * names or keys, keys under 16 characters, unknown scopes, empty files are errors. All problems in
 * one run.
 *
 * Return: 0; -EX_CONFIG with @errors; -errno of opening with a text in @errors.
 */
MUST_USE int keys_load(const char *path, struct keys *ret, struct buf *errors);

/*
 * The same from memory; @name stands for the file in @errors. Return: 0; -EX_CONFIG with @errors;
 * -ENOMEM.
 */
MUST_USE int keys_parse(struct str text, const char *name, struct keys *ret, struct buf *errors);

void keys_fini(struct keys *k);

/* The key that @secret is, or NULL; takes the same time for every wrong secret of one length. */
const struct key *keys_find(const struct keys *k, struct str secret);
