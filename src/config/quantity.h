/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers with units
 *
 * Exact: "1.5s" is 1500000000 and comes back as 1500ms. Pure, and independent of the locale.
 */

#include "base/buf.h"

/* Largest first; ends with a NULL name. */
struct quantity_unit {
    const char *name;
    uint64_t size;
    bool is_alias; /* read, never printed */
};

extern const struct quantity_unit quantity_time[]; /* in ns */
extern const struct quantity_unit quantity_bytes[];

/*
 * "1.5s", "0". Return: 0; -EINVAL, also for a number without unit other than 0; -ERANGE over
 * INT64_MAX.
 */
MUST_USE int quantity_parse(struct str text, const struct quantity_unit *units,
                            uint64_t *ret_value);

/* In the largest unit that gives a whole number. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int quantity_print(uint64_t value, const struct quantity_unit *units, struct buf *out);

/* "0.25", "3": digits, a point, no sign or exponent, at most 15 digits. Return: 0, -EINVAL. */
MUST_USE int decimal_parse(struct str text, double *ret_value);
