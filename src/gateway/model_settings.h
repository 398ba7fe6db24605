/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of what is done with models: where they go, what may be done to them. */

#include "api/model_name.h"
#include "config/settings.h"
#include "fleet/place.h"

struct model_alias {
    char *name;
    char *model;
};

struct model_settings {
    struct strings placement;       /* "room", "all", or names of nodes */
    struct strings routes;          /* of those that are off by default, which are on */
    struct setting_objects aliases; /* of struct model_alias */
};

#define N_MODEL_ROWS 3
extern const struct setting model_rows[N_MODEL_ROWS];

/* A check of settings (config/settings.h): NULL for a model's name, else what is wrong. */
const char *model_settings_check_name(struct str value);

/* What the words mean; names lie in @s. */
struct placement model_settings_placement(const struct model_settings *s);

bool model_settings_has_route(const struct model_settings *s, struct str name);

/* What the name with this key stands for; s == NULL: it is no alias. */
struct str model_settings_alias(const struct model_settings *s, const struct model_key *key);
