/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The time of a Date field
 *
 * Only the form that may be sent today is read, IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC
 * 9110 section 5.6.7). Pure.
 */

#include <stdint.h>

#include "base/str.h"

/* @ret_seconds: since 1970, UTC. Return: 0; -EINVAL. */
MUST_USE int http_date_parse(struct str text, int64_t *ret_seconds);
