/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON edit
 *
 * Writes a text again with some slices of it replaced and the rest byte for byte. What a slice is,
 * a value or the inside of a string, is the caller's business, who has it from json/reader.h. The
 * first failure sticks, so callers check once, at the end.
 *
 *     struct json_edit e;
 *
 *     json_edit_init(&e, text, &out);
 *     json_edit_replace(&e, token.raw, STR("42"));
 *     return json_edit_finish(&e);
 */

#include "base/buf.h"

struct json_edit {
    struct str rest; /* of the text, not written yet */
    struct buf *out;
    int err;
};

void json_edit_init(struct json_edit *e, struct str text, struct buf *out);

/* @old is a slice of the text, behind the one before. */
void json_edit_replace(struct json_edit *e, struct str old, struct str by);

/* The same with a text, escaped as the inside of a JSON string. */
void json_edit_replace_text(struct json_edit *e, struct str old, struct str text);

/* Writes the rest. Return: 0, or the first failure (-ENOBUFS, -ENOMEM). */
MUST_USE int json_edit_finish(struct json_edit *e);
