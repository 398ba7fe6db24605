/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Types of settings, as a table
 *
 * What each type is called, how much room it takes, and for those that are a single number or word,
 * how it is read and printed. Pure.
 */

#include "config/settings.h"

union scalar {
    bool is_on;
    uint64_t u64;
    nsec_t ns;
    double real;
    int choice;
};

/* The functions are NULL where a type has no such thing. */
struct scalar_type {
    const char *name;
    const char *expected;                                   /* "a whole number", for errors */
    size_t size;                                            /* of the field */
    int (*parse)(struct str text, union scalar *ret_value); /* 0, -EINVAL, -ERANGE */
    int (*print)(const union scalar *value, struct buf *out);
    double (*number)(const union scalar *value); /* for the range */
    void (*from_number)(double number, union scalar *ret_value);
};

/* By enum setting_type. */
extern const struct scalar_type scalar_types[];

/* A choice's value as this type's field has it, and back. Not for ratios and percentages. */
void scalar_from_choice(enum setting_type type, int64_t choice, union scalar *ret_value);
int64_t scalar_to_choice(enum setting_type type, const union scalar *value);
