/* SPDX-License-Identifier: MIT */
#pragma once

/* The table of failures in docs/failure.md, from the rows that decide (call/retry.h). */

#include "base/buf.h"
#include "config/settings.h"

/* Appends it in Markdown; @s is not used. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int failures_print(const struct settings *s, struct buf *out);
