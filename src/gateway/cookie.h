/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The session cookie
 *
 *     chasqui_session=ID.MAC     ID: 32 hex digits by chance; MAC: HMAC-SHA256 of it, 32 hex digits
 *
 * It names a session for affinity and nothing else. It is signed so that nobody fills the table of
 * sessions with names of his own, or walks into another's.
 */

#include <stdbool.h>

#include "base/str.h"

#define COOKIE_NAME      "chasqui_session"
#define COOKIE_ID_LEN    32
#define COOKIE_VALUE_LEN (COOKIE_ID_LEN + 1 + 32)

/* A new one: value and NUL. */
void cookie_make(struct str key, char out[static COOKIE_VALUE_LEN + 1]);

/* The id in a Cookie field; STR_NULL: there is none that @key has signed. */
struct str cookie_find(struct str key, struct str field);
