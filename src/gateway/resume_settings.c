/* SPDX-License-Identifier: MIT */
#include "gateway/resume_settings.h"

#include "gateway/model_settings.h"

#define AT(field) .offset = offsetof(struct resume_settings, field)

static const struct setting_choice modes[] = {
    {"exact", RESUME_EXACT},
    {"off", RESUME_OFF},
    {NULL, 0},
};

#define NAME(text_, check_) \
    { \
        .key = "name", .type = SETTING_STRING, .offset = offsetof(struct resume_scope, name), \
        .is_required = true, .check = (check_), .text = (text_) \
    }
#define MODE \
    { \
        .key = "mode", .type = SETTING_ENUM, .offset = offsetof(struct resume_scope, mode), \
        .def = "exact", .choices = modes, .text = "As `resume.mode`" \
    }
#define MAX \
    { \
        .key = "max", .type = SETTING_U64, .offset = offsetof(struct resume_scope, max), \
        .def = "3", .max = RESUME_MAX, .text = "As `resume.max`" \
    }

static const struct setting model_rows_of_one[] = {NAME("The model", model_settings_check_name),
                                                   MODE, MAX};
static const struct setting key_rows_of_one[] = {NAME("The key's name", NULL), MODE, MAX};

static const struct setting_shape model_shape = {
    .rows = model_rows_of_one,
    .n_rows = ARRAY_LEN(model_rows_of_one),
    .size = sizeof(struct resume_scope),
    .lead = "mode",
    .map_key = "name",
};

static const struct setting_shape key_shape = {
    .rows = key_rows_of_one,
    .n_rows = ARRAY_LEN(key_rows_of_one),
    .size = sizeof(struct resume_scope),
    .lead = "mode",
    .map_key = "name",
};

const struct setting resume_rows[N_RESUME_ROWS] = {
    {.key = "resume.mode",
     .type = SETTING_ENUM,
     AT(mode),
     .def = "exact",
     .choices = modes,
     .text = "Whether an answer that breaks is continued by another node: where that is exact, or "
             "never"},
    {.key = "resume.max",
     .type = SETTING_U64,
     AT(max),
     .def = "3",
     .max = RESUME_MAX,
     .text = "How often one answer is continued"},
    {.key = "resume.max_text",
     .type = SETTING_SIZE,
     AT(max_text_bytes),
     .def = "1MiB",
     .min = 1024,
     .max = 67108864.0,
     .text = "Text kept of an answer, and as much of its thinking, so that it can be continued; a "
             "longer one is not"},
    {.key = "resume.models",
     .type = SETTING_OBJECTS,
     AT(models),
     .max = 64,
     .shape = &model_shape,
     .text = "For models: {llama3.2: off}. A model's row stands in the place of the general one"},
    {.key = "resume.keys",
     .type = SETTING_OBJECTS,
     AT(keys),
     .max = 64,
     .shape = &key_shape,
     .text = "For keys, by their names: {alice: off}. A key's row can only take away"},
};

static unsigned max_of(enum resume_mode mode, uint64_t max)
{
    return mode == RESUME_OFF ? 0 : (unsigned)max;
}

static bool is_model(const struct resume_scope *scope, struct str model)
{
    struct model_key key;

    return model_key_parse(str_of(scope->name), &key) == 0 && str_eq(model_key_str(&key), model);
}

unsigned resume_settings_max(const struct resume_settings *s, struct str model, struct str key)
{
    const struct resume_scope *models = s->models.items;
    const struct resume_scope *keys = s->keys.items;
    unsigned max = max_of(s->mode, s->max);

    for (size_t i = 0; i < s->models.n; i++)
        if (is_model(&models[i], model))
            max = max_of(models[i].mode, models[i].max);
    for (size_t i = 0; i < s->keys.n; i++) {
        unsigned of_key = max_of(keys[i].mode, keys[i].max);

        if (str_eq(str_of(keys[i].name), key) && of_key < max)
            max = of_key;
    }
    return max;
}
