/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Keys file
 *
 * One `name:key:scopes` per line, scopes a comma-separated list of `use` and `admin` (admin includes use); '#' begins a comment line. Keys
 * are compared in constant time and never logged. Immutable after loading, so workers share it.
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
    struct key *keys;
    size_t n_keys;
};

/**
 * keys_load() - read a keys file
 * @path:    file
 * @ret:     on 0; keys_fini() frees
 * @errors:  one "FILE:LINE: error: what, and what to do" line per problem is appended, also a warning when the file is readable by all
 *
 * A file that others can read (mode & 0007) is refused, with the chmod that mends it. Duplicate names or keys, keys under 16
 * characters, unknown scopes, empty files are errors. All problems in one run.
 *
 * Return: 0; -EX_CONFIG with @errors; -errno of opening with a text in @errors.
 */
MUST_USE int keys_load(const char *path, struct keys *ret, struct buf *errors);
MUST_USE int keys_parse(struct str text, const char *name, struct keys *ret, struct buf *errors);
void keys_fini(struct keys *k);

/* The key that @secret is, or NULL; takes the same time for every wrong secret of one length. */
const struct key *keys_find(const struct keys *k, struct str secret);
