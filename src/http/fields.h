/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Field lines of a head (private to this room)
 *
 * One pass over the lines; the few fields that steer the connection or the framing are read on the
 * way. Pure.
 */

#include "http/h1.h"

/**
 * fields_parse() - read the field lines and the empty line that ends them
 * @lines:       what stands behind the start line; its last byte must be LF, which ends every
 *               inner loop
 * @is_request:  whether Host and Expect mean something
 * @head:        has `minor`; gets `fields`, `keep_alive`, `has_upgrade`, `has_length`, `length`, of
 *               a request also `host` and `expect_continue`; `framing` is H1_BODY_NONE when no
 *               field spoke about it
 *
 * Return: 0; -EX_H1_*.
 */
MUST_USE int fields_parse(struct str lines, bool is_request, struct h1_head *head);
