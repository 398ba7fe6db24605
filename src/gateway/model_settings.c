/* SPDX-License-Identifier: MIT */
#include "gateway/model_settings.h"

#define AT(field) .offset = offsetof(struct model_settings, field)

static const struct setting_choice switches[] = {
    {"push", 0}, {"me", 1}, {"signout", 2}, {"experimental", 3}, {NULL, 0},
};

const struct setting model_rows[N_MODEL_ROWS] = {
    {.key = "models.placement",
     .type = SETTING_STRINGS,
     AT(placement),
     .def = "room",
     .min = 1,
     .max = 1024,
     .text =
         "Where a model goes that is nowhere yet: room (the node with the most free room), all, "
         "or names of nodes. One that is somewhere is changed there"},
    {.key = "models.routes",
     .type = SETTING_STRINGS,
     AT(routes),
     .max = 4,
     .choices = switches,
     .text = "Routes for admins that are off unless named here, since they leave the fleet"},
};

struct placement model_settings_placement(const struct model_settings *s)
{
    struct str first = str_of(s->placement.n == 1 ? s->placement.items[0] : "");

    if (str_eq(first, STR("room")))
        return (struct placement){.kind = PLACEMENT_ROOM};
    if (str_eq(first, STR("all")))
        return (struct placement){.kind = PLACEMENT_ALL};
    return (struct placement){PLACEMENT_NAMED, s->placement.items, s->placement.n};
}

bool model_settings_has_route(const struct model_settings *s, struct str name)
{
    for (size_t i = 0; i < s->routes.n; i++)
        if (str_eq(str_of(s->routes.items[i]), name))
            return true;
    return false;
}
