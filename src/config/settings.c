/* SPDX-License-Identifier: MIT */
#include "config/settings.h"

#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "config/objects.h"
#include "config/state.h"
#include "config/value.h"

#define MAX_WHY 512

int strings_put(struct strings *list, struct str item)
{
    char **items = reallocarray(list->items, list->n + 1, sizeof(*items));
    char *copy;

    if (items == NULL)
        return -ENOMEM;
    list->items = items;
    copy = str_dup(item);
    if (copy == NULL)
        return -ENOMEM;
    items[list->n++] = copy;
    return 0;
}

void strings_fini(struct strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct strings){0};
}

void state_free_field(const struct setting *row, void *field)
{
    if (row->type == SETTING_OBJECTS)
        objects_fini(row->shape, field);
    else
        value_free(row, field);
}

static int init_state(struct setting_state *state, const struct settings_room *room,
                      const struct setting *row)
{
    *state = (struct setting_state){
        .room = room,
        .row = row,
        .field = (char *)room->target + row->offset,
    };
    memset(state->field, 0, value_size(row));
    return row->type == SETTING_OBJECTS ? 0 : value_default(row, state->field);
}

int settings_init(struct settings *s, const struct settings_room *rooms, size_t n_rooms)
{
    size_t n = 0;
    int r = 0;

    *s = (struct settings){
        .rooms = rooms, .n_rooms = n_rooms, .source = BUF_INIT(SETTINGS_MAX_FILE + 1)};
    for (size_t i = 0; i < n_rooms; i++)
        n += rooms[i].n_rows;
    s->states = calloc(n + 1, sizeof(*s->states));
    if (s->states == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_rooms; i++) {
        for (size_t j = 0; r == 0 && j < rooms[i].n_rows; j++)
            r = init_state(&s->states[s->n_states++], &rooms[i], &rooms[i].rows[j]);
    }
    if (r < 0)
        settings_fini(s);
    return r;
}

void settings_fini(struct settings *s)
{
    for (size_t i = 0; i < s->n_states; i++)
        state_free_field(s->states[i].row, s->states[i].field);
    free(s->states);
    free(s->path);
    buf_fini(&s->source);
    *s = (struct settings){0};
}

struct setting_state *state_find(const struct settings *s, struct str key)
{
    for (size_t i = 0; i < s->n_states; i++) {
        if (s->states[i].row->key != NULL && str_eq(str_of(s->states[i].row->key), key))
            return &s->states[i];
    }
    return NULL;
}

void state_store(struct setting_state *state, void *value, enum setting_origin origin,
                 struct setting_place place)
{
    size_t size = value_size(state->row);

    if (origin < state->origin) {
        state_free_field(state->row, value);
        return;
    }
    state_free_field(state->row, state->field);
    memcpy(state->field, value, size);
    memset(value, 0, size);
    state->origin = origin;
    state->place = place;
}

/* One object from a scalar alone. */
static int parse_lead(const struct setting_shape *shape, struct str text,
                      struct setting_objects *list, struct buf *why)
{
    const struct setting *lead = objects_row(shape, str_of(shape->lead));
    void *object;
    int r = objects_add(shape, list, (struct setting_place){0}, &object);

    if (r == -ENOBUFS)
        return buf_put(why, STR("has too many items")) == -ENOMEM ? -ENOMEM : -EX_CONFIG;
    return r < 0 ? r : value_parse(lead, text, (char *)object + lead->offset, why);
}

static int parse_objects(const struct setting *row, struct str text, struct setting_objects *list,
                         struct buf *why)
{
    struct str rest = text;
    int r = 0;

    if (row->shape->lead == NULL || row->shape->map_key != NULL)
        return buf_put(why, STR("can be set in a file only")) == -ENOMEM ? -ENOMEM : -EX_CONFIG;
    while (r == 0 && rest.len > 0)
        r = parse_lead(row->shape, value_next_item(&rest), list, why);
    return r;
}

/* The flag of a list may be repeated: what it adds goes behind what it gave before. */
static int join_earlier(struct setting_state *state, union field *value)
{
    int r = 0;

    if (state->row->type == SETTING_STRINGS) {
        struct strings all = {0};
        const struct strings *parts[] = {state->field, &value->strings};

        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            for (size_t j = 0; r == 0 && j < parts[i]->n; j++)
                r = strings_put(&all, str_of(parts[i]->items[j]));
        }
        strings_fini(&value->strings);
        value->strings = all;
        return r;
    }
    r = objects_append(state->row->shape, state->field, &value->objects);
    if (r == 0) {
        value->objects = *(struct setting_objects *)state->field;
        *(struct setting_objects *)state->field = (struct setting_objects){0};
    }
    return r;
}

static size_t count_items(const struct setting *row, const void *field)
{
    if (row->type == SETTING_OBJECTS)
        return ((const struct setting_objects *)field)->n;
    return ((const struct strings *)field)->n;
}

static int parse_text(struct setting_state *state, struct str text, enum setting_origin origin,
                      union field *value, struct buf *why)
{
    const struct setting *row = state->row;
    bool is_list = row->type == SETTING_OBJECTS || row->type == SETTING_STRINGS;
    bool is_more = origin == SETTING_FROM_FLAG && state->origin == SETTING_FROM_FLAG;
    int r;

    if (row->type == SETTING_OBJECTS)
        r = parse_objects(row, text, &value->objects, why);
    else
        r = value_parse(row, text, value, why);
    if (r < 0 || !is_list)
        return r;
    r = value_check_count(
        row, count_items(row, value) + (is_more ? count_items(row, state->field) : 0), why);
    return r == 0 && is_more ? join_earlier(state, value) : r;
}

int state_set_text(struct settings *s, struct setting_state *state, struct str text,
                   enum setting_origin origin, const struct blame *at, struct buf *errors)
{
    struct buf why = BUF_INIT(MAX_WHY);
    union field value = {0};
    int r = parse_text(state, text, origin, &value, &why);

    if (r == -EX_CONFIG)
        (void)blame_tell(s, at, errors, STR_FMT, STR_ARG(buf_str(&why)));
    buf_fini(&why);
    if (r == 0)
        state_store(state, &value, origin, at->place);
    else
        state_free_field(state->row, &value);
    return r;
}

int settings_set(struct settings *s, const char *key, struct str text, enum setting_origin origin,
                 struct buf *errors)
{
    struct setting_state *state = state_find(s, str_of(key));
    struct blame at = {.word = key};

    if (state == NULL)
        return blame_tell(s, &at, errors, "unknown setting");
    return state_set_text(s, state, text, origin, &at, errors);
}

enum setting_origin settings_origin(const struct settings *s, const char *key)
{
    const struct setting_state *state = state_find(s, str_of(key));

    assert(state != NULL);

    return state->origin;
}

int settings_load_env(struct settings *s, struct buf *errors)
{
    int result = 0;

    for (size_t i = 0; i < s->n_states; i++) {
        struct blame at = {.word = s->states[i].row->env};
        const char *text = at.word != NULL ? secure_getenv(at.word) : NULL;
        int r;

        if (text == NULL || text[0] == '\0')
            continue;
        r = state_set_text(s, &s->states[i], str_of(text), SETTING_FROM_ENV, &at, errors);
        if (r == -ENOMEM)
            return r;
        result = r < 0 ? r : result;
    }
    return result;
}
