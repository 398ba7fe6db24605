/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of what is done with models: where they go, what may be done to them. */

#include "config/settings.h"
#include "fleet/place.h"

struct model_settings {
    struct strings placement; /* "room", "all", or names of nodes */
    struct strings routes;    /* of those that are off by default, which are on */
};

#define N_MODEL_ROWS 2
extern const struct setting model_rows[N_MODEL_ROWS];

/* What the words mean; names lie in @s. */
struct placement model_settings_placement(const struct model_settings *s);

bool model_settings_has_route(const struct model_settings *s, struct str name);
