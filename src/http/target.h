/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Request targets (private to this room)
 *
 * Tells the forms of RFC 9112 3.2 apart: origin, absolute ("http://" only) and asterisk.
 * Authority-form belongs to CONNECT, which is refused before anyone asks here. Pure.
 */

#include "http/h1.h"

/**
 * target_parse() - take a request target apart
 * @target:         bytes of class OCTET_TARGET, at least one
 * @head:           has `method`; gets `path` and `query`
 * @ret_authority:  host of the absolute form, or s == NULL
 *
 * Return: 0; -EX_H1_TARGET.
 */
MUST_USE int target_parse(struct str target, struct h1_head *head, struct str *ret_authority);

/*
 * Whether @host is a reg-name or an IP literal in brackets, with or without a port, and nothing
 * else (no userinfo).
 */
bool target_is_authority(struct str host);
