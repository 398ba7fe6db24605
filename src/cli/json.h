/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Parts of a JSON answer
 *
 * A value is the slice of its text, "" where there is none: what is missing, and what is not of the
 * expected kind, reads as nothing. Each look walks the object anew: printed answers are short.
 */

#include "base/buf.h"
#include "json/reader.h"

/* Whether it is an object. */
bool cli_json_is_object(struct str value);

/* The value of a member, "" when it has none or null. */
struct str cli_json_member(struct str object, struct str name);

/**
 * cli_json_begin() - walk an array
 *
 *     if (cli_json_begin(&r, array))
 *         while ((rc = cli_json_next(&r, &element)) == 0) ...
 *
 * Return: whether it is one.
 */
bool cli_json_begin(struct json_reader *r, struct str array);

/* Return: 0 an element; JSON_LAST no more; <0 as json_next(). */
MUST_USE int cli_json_next(struct json_reader *r, struct str *ret_element);

/* Appends a string without quotes and escapes; any other value as it is written. Return: 0, <0. */
MUST_USE int cli_json_text(struct str value, struct buf *out);

/* 0 for what is no unsigned integer. */
uint64_t cli_json_u64(struct str value);
