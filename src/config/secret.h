/* SPDX-License-Identifier: MIT */
#pragma once

/* Secrets that stand in a file of their own: `token_file: /run/secrets/token` for `token: ...`. */

#include "config/settings.h"

#define SECRET_SUFFIX "_file"

/*
 * The text of the regular file @path without the newline at its end. @why: as value_parse(). Return:
 * 0, -EX_CONFIG, -ENOMEM.
 */
MUST_USE int secret_read(struct str path, struct buf *out, struct buf *why);
