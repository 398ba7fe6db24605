/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Variables in values: ${NAME}, ${NAME:-default}; $${ stands for ${
 *
 * Expanded after parsing, so that a value cannot bring structure, and once: a value with ${ in it
 * stays as it is.
 */

#include "base/buf.h"

/**
 * expand_variables() - append @text with its variables replaced
 * @why:  on -EX_CONFIG what is wrong, a whole sentence; never shows a value
 *
 * Return: 0; -EX_CONFIG a variable is not set, or its reference is malformed; -ENOBUFS, -ENOMEM.
 */
MUST_USE int expand_variables(struct str text, struct buf *out, struct buf *why);
