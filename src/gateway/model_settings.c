/* SPDX-License-Identifier: MIT */
#include "gateway/model_settings.h"

#define AT(field) .offset = offsetof(struct model_settings, field)

static const struct setting_choice switches[] = {
    {"push", 0}, {"me", 1}, {"signout", 2}, {"experimental", 3}, {NULL, 0},
};

const char *model_settings_check_name(struct str value)
{
    struct model_key key;

    return model_key_parse(value, &key) == 0 ? NULL : "is not a model's name";
}

static const struct setting alias_rows[] = {
    {.key = "name",
     .type = SETTING_STRING,
     .offset = offsetof(struct model_alias, name),
     .is_required = true,
     .check = model_settings_check_name,
     .text = "What clients ask for"},
    {.key = "model",
     .type = SETTING_STRING,
     .offset = offsetof(struct model_alias, model),
     .is_required = true,
     .check = model_settings_check_name,
     .text = "What nodes are asked for then"},
};

static const struct setting_shape alias_shape = {
    .rows = alias_rows,
    .n_rows = ARRAY_LEN(alias_rows),
    .size = sizeof(struct model_alias),
    .lead = "model",
    .map_key = "name",
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
    {.key = "models.aliases",
     .type = SETTING_OBJECTS,
     AT(aliases),
     .max = 64,
     .shape = &alias_shape,
     .text = "Other names of models: {fast: llama3.2:3b}. One goes before a model of that name, "
             "and is no name of another alias"},
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

struct str model_settings_alias(const struct model_settings *s, const struct model_key *key)
{
    const struct model_alias *aliases = s->aliases.items;

    for (size_t i = 0; i < s->aliases.n; i++) {
        struct model_key one;

        if (model_key_parse(str_of(aliases[i].name), &one) == 0 &&
            str_eq(model_key_str(&one), model_key_str(key)))
            return str_of(aliases[i].model);
    }
    return STR_NULL;
}
