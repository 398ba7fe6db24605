/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of the fleet: its nodes, and how often they are probed. */

#include "config/settings.h"
#include "fleet/fleet.h"

struct node_settings {
    char *name; /* "" in the file: host:port of the URL */
    char *url;
    uint64_t slots; /* SLOTS_AUTO, or so many */
    uint64_t weight;
    uint64_t tier;
};

struct fleet_settings {
    struct setting_objects nodes; /* of struct node_settings */
    nsec_t probe_interval_ns;
    struct fleet_routing routing; /* but for what `affinity` says */
    struct strings affinity;
    char *cookie_key; /* "": made at the start */
};

/* Its name, or host:port. */
void node_settings_name(const struct node_settings *node, const struct url *url,
                        char out[static FLEET_NAME_MAX]);

bool fleet_settings_has_affinity(const struct fleet_settings *s, struct str name);
struct fleet_routing fleet_settings_routing(const struct fleet_settings *s);

#define N_FLEET_ROWS 7
extern const struct setting fleet_rows[N_FLEET_ROWS];
