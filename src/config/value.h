/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One value of one row: between text and the field at its offset
 *
 * Fields of strings and lists own heap memory. Pure.
 */

#include "config/settings.h"

/**
 * value_parse() - read @text into @field
 * @row:    any type but SETTING_OBJECTS, here and below
 * @field:  zeroed, or an earlier value of the row, which is freed; unchanged on failure
 * @why:    on -EX_CONFIG what is wrong, as the rest of a sentence: "must be a whole number"
 *
 * Return: 0, -EX_CONFIG, -ENOMEM.
 */
MUST_USE int value_parse(const struct setting *row, struct str text, void *field, struct buf *why);

/*
 * The row's default into a zeroed field. One that does not parse is a bug (assert). Return: 0,
 * -ENOMEM.
 */
MUST_USE int value_default(const struct setting *row, void *field);

/*
 * One more item for SETTING_STRINGS, checked; the number of items is not. Return: as value_parse().
 */
MUST_USE int value_put_item(const struct setting *row, struct str item, struct strings *list,
                            struct buf *why);

/* Whether a list may have @n items. Return: 0, or -EX_CONFIG and @why. */
MUST_USE int value_check_count(const struct setting *row, size_t n, struct buf *why);

/* As YAML, on one line, fit for a flow collection. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int value_print(const struct setting *row, const void *field, struct buf *out);

/* A text as a YAML scalar, quoted when it must be. */
MUST_USE int value_print_text(struct str text, struct buf *out);

/* "a whole number or auto". Return: as value_print(). */
MUST_USE int value_print_expected(const struct setting *row, struct buf *out);

/* ", 1 to 10", ", at least 1s", or nothing. Return: as value_print(). */
MUST_USE int value_print_range(const struct setting *row, struct buf *out);

/* Frees what the field owns and zeroes it. */
void value_free(const struct setting *row, void *field);

/* Bytes of the field. */
size_t value_size(const struct setting *row);

/* "duration", for the reference. */
const char *value_type_name(enum setting_type type);

/* "a,b": one part of a list written as text; parts are trimmed, an empty @rest has none. */
struct str value_next_item(struct str *rest);
