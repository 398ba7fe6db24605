/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers as JSON text
 *
 * A number is taken only when it can be given back: integers in the same digits, others with the
 * same value. Printing takes the fewest digits that read as the same value. Independent of the
 * locale.
 */

#include "base/str.h"

#define NUMBER_TEXT_MAX 40

/*
 * @text is a JSON number. Return: 0; -EINVAL not an integer, or spelled in another way than we
 * would; -ERANGE.
 */
MUST_USE int number_parse_i64(struct str text, int64_t *ret_value);

/* The same for any number. Return: 0; -EINVAL would not be given back; -ERANGE. */
MUST_USE int number_parse_double(struct str text, double *ret_value);
MUST_USE int number_parse_float(struct str text, float *ret_value);

/* @value is finite. Return: the text, in @out. */
struct str number_print_double(double value, char out[static NUMBER_TEXT_MAX]);
struct str number_print_float(float value, char out[static NUMBER_TEXT_MAX]);
