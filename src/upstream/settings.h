/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of connections to nodes, into struct upstream_settings. */

#include "config/settings.h"
#include "upstream/upstream.h"

#define N_UPSTREAM_ROWS 9
extern const struct setting upstream_rows[N_UPSTREAM_ROWS];
