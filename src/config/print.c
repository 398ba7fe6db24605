/* SPDX-License-Identifier: MIT */

/* The rows as text: the effective configuration, the flags' help, the reference page. */

#include <errno.h>

#include "config/objects.h"
#include "config/state.h"
#include "config/value.h"
#include "config/walk.h"

#define HELP_COLUMN 30 /* where the text begins; a longer flag gets a line of its own */

/* Puts several, the first failure ends it. */
#define PUT_TEXT(out, ...) put_text(out, (const char *const[]){__VA_ARGS__, NULL})

static int put_text(struct buf *out, const char *const *parts)
{
    int r = 0;

    for (; r == 0 && *parts != NULL; parts++)
        r = buf_put(out, str_of(*parts));
    return r;
}

/* ---- effective configuration ---- */

static bool is_masked(const struct setting *row, const void *field)
{
    if (!row->is_secret)
        return false;
    if (row->type == SETTING_STRINGS)
        return ((const struct strings *)field)->n > 0;
    return row->type != SETTING_STRING || (*(char *const *)field)[0] != '\0';
}

static int print_value(const struct setting *row, const void *field, struct buf *out)
{
    return is_masked(row, field) ? buf_put(out, STR("\"***\"")) : value_print(row, field, out);
}

static int print_origin(const struct settings *s, const struct setting_state *state,
                        struct buf *out)
{
    switch (state->origin) {
    case SETTING_FROM_FILE:
        return buf_printf(out, "  # %s:%u\n", s->path, state->place.line);
    case SETTING_FROM_ENV:
        return PUT_TEXT(out, "  # ", state->row->env != NULL ? state->row->env : "environment",
                        "\n");
    case SETTING_FROM_FLAG:
        return PUT_TEXT(out, "  # ", state->row->flag != NULL ? state->row->flag : "flag", "\n");
    case SETTING_FROM_DEFAULT:
        break;
    }
    return buf_put(out, STR("  # default\n"));
}

static int print_indent(size_t level, struct buf *out)
{
    return buf_printf(out, "%*s", (int)level * 2, "");
}

/* "{name: gpu-a, slots: 4}", without the row that stands before it as a name. */
static int print_object(const struct setting_shape *shape, void *object, struct buf *out)
{
    const char *separator = "{";
    int r = 0;

    for (size_t i = 0; r == 0 && i < shape->n_rows; i++) {
        const struct setting *row = &shape->rows[i];

        if (shape->map_key != NULL && strcmp(row->key, shape->map_key) == 0)
            continue;
        r = PUT_TEXT(out, separator, row->key, ": ");
        if (r == 0)
            r = print_value(row, (char *)object + row->offset, out);
        separator = ", ";
    }
    return r < 0 ? r : buf_put(out, STR("}\n"));
}

static int print_objects(const struct settings *s, const struct setting_state *state, size_t level,
                         struct buf *out)
{
    const struct setting_shape *shape = state->row->shape;
    const struct setting_objects *list = state->field;
    const struct setting *name =
        shape->map_key != NULL ? objects_row(shape, str_of(shape->map_key)) : NULL;
    int r = 0;

    if (list->n == 0)
        r = buf_put(out, name != NULL ? STR(" {}") : STR(" []"));
    if (r == 0)
        r = print_origin(s, state, out);
    for (size_t i = 0; r == 0 && i < list->n; i++) {
        void *object = objects_at(shape, list, i);

        r = print_indent(level + 1, out);
        if (r == 0 && name == NULL)
            r = buf_put(out, STR("- "));
        if (r == 0 && name != NULL)
            r = value_print(name, (char *)object + name->offset, out);
        if (r == 0 && name != NULL)
            r = buf_put(out, STR(": "));
        if (r == 0)
            r = print_object(shape, object, out);
    }
    return r;
}

static int print_setting(const struct settings *s, const struct setting_state *state, size_t level,
                         const char *name, struct buf *out)
{
    int r = print_indent(level, out);

    if (r == 0)
        r = PUT_TEXT(out, name, ":");
    if (r < 0)
        return r;
    if (state->row->type == SETTING_OBJECTS)
        return print_objects(s, state, level, out);
    r = buf_put_char(out, ' ');
    if (r == 0)
        r = print_value(state->row, state->field, out);
    return r < 0 ? r : print_origin(s, state, out);
}

/* Bytes that two keys share, up to and with a dot. */
static size_t common_sections(struct str a, struct str b)
{
    size_t shared = 0;

    for (size_t i = 0; i < a.len && i < b.len && a.s[i] == b.s[i]; i++) {
        if (a.s[i] == '.')
            shared = i + 1;
    }
    return shared;
}

static size_t count_dots(struct str key)
{
    size_t n = 0;

    for (size_t i = 0; i < key.len; i++)
        n += key.s[i] == '.';
    return n;
}

/* The first row that stands in the section, or is the setting, which begins @key up to @len. */
static size_t first_with_prefix(const struct settings *s, const char *key, size_t len)
{
    size_t i = 0;

    while (s->states[i].row->key == NULL || strncmp(s->states[i].row->key, key, len) != 0)
        i++;
    return i;
}

/*
 * Rooms may share a section, but YAML wants it in one piece: sections stand where their first row
 * does.
 */
static int compare_places(const void *a, const void *b, void *settings)
{
    const struct settings *s = settings;
    struct str x = str_of((*(const struct setting_state *const *)a)->row->key);
    struct str y = str_of((*(const struct setting_state *const *)b)->row->key);
    size_t shared = common_sections(x, y);
    size_t x_len = shared + str_find(str_from(x, shared), '.') + 1;
    size_t y_len = shared + str_find(str_from(y, shared), '.') + 1;
    size_t x_at = first_with_prefix(s, x.s, x_len);
    size_t y_at = first_with_prefix(s, y.s, y_len);

    return x_at < y_at ? -1 : x_at > y_at;
}

/*
 * Headings of the sections that @key is in and the row before was not. Return: 0, -ENOBUFS,
 * -ENOMEM.
 */
static int print_sections(struct str key, size_t shared, struct buf *out)
{
    size_t level = count_dots(str_head(key, shared));
    struct str rest = str_from(key, shared);
    int r = 0;

    while (r == 0 && str_find(rest, '.') < rest.len) {
        struct str name = str_split(&rest, '.');

        r = print_indent(level++, out);
        if (r == 0)
            r = buf_put(out, name);
        if (r == 0)
            r = buf_put(out, STR(":\n"));
    }
    return r;
}

static int print_sorted(const struct settings *s, struct setting_state *const *sorted, size_t n,
                        struct buf *out)
{
    struct str before = STR_NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        struct str key = str_of(sorted[i]->row->key);
        size_t level = count_dots(key);
        const char *name = level > 0 ? strrchr(key.s, '.') + 1 : key.s;

        r = print_sections(key, common_sections(before, key), out);
        if (r == 0)
            r = print_setting(s, sorted[i], level, name, out);
        before = key;
    }
    return r;
}

int settings_print(const struct settings *s, struct buf *out)
{
    CLEANUP(freep)
    struct setting_state **sorted = calloc(s->n_states + 1, sizeof(struct setting_state *));
    struct settings copy = *s;
    size_t n = 0;

    if (sorted == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_states; i++) {
        if (s->states[i].row->key != NULL)
            sorted[n++] = &s->states[i];
    }
    qsort_r(sorted, n, sizeof(struct setting_state *), compare_places, &copy);
    return print_sorted(s, sorted, n, out);
}

/* ---- help ---- */

static bool is_list(const struct setting *row)
{
    return row->type == SETTING_STRINGS || row->type == SETTING_OBJECTS;
}

static int print_flag(const struct setting *row, struct buf *out)
{
    size_t begin = out->len;
    size_t width;
    int r = PUT_TEXT(out, "  ", row->flag, row->arg != NULL ? " " : "",
                     row->arg != NULL ? row->arg : "");

    if (r < 0)
        return r;
    width = out->len - begin;
    if (width + 2 > HELP_COLUMN) {
        r = buf_put_char(out, '\n');
        width = 0;
    }
    if (r == 0)
        r = buf_printf(out, "%*s%s", (int)(HELP_COLUMN - width), "", row->text);
    if (r == 0 && row->def != NULL && row->def[0] != '\0' && row->type != SETTING_BOOL)
        r = PUT_TEXT(out, " (", row->def, ")");
    if (r == 0 && is_list(row))
        r = buf_put(out, STR("; may be repeated"));
    return r < 0 ? r : buf_put_char(out, '\n');
}

int settings_help(const struct settings *s, struct buf *out)
{
    const struct settings_room *room = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->n_states; i++) {
        const struct setting_state *state = &s->states[i];

        if (state->row->flag == NULL)
            continue;
        if (room == NULL || strcmp(state->room->name, room->name) != 0)
            r = PUT_TEXT(out, room != NULL ? "\n" : "", state->room->name, ":\n");
        room = state->room;
        if (r == 0)
            r = print_flag(state->row, out);
    }
    return r;
}

/* ---- reference ---- */

/* In a table's cell, where a bar would end it. */
static int print_cell(const char *text, struct buf *out)
{
    int r = 0;

    for (; r == 0 && *text != '\0'; text++)
        r = *text == '|' ? buf_put(out, STR("\\|")) : buf_put_char(out, *text);
    return r;
}

static int print_type(const struct setting *row, struct buf *out)
{
    int r = buf_put(out, str_of(value_type_name(row->type)));

    for (const struct setting_choice *c = row->choices; r == 0 && c != NULL && c->name != NULL; c++)
        r = PUT_TEXT(out, c == row->choices ? ": " : ", ", "`", c->name, "`");
    return r < 0 ? r : value_print_range(row, out);
}

/* @before: what stands before the key: the list it is in. */
static int print_reference_row(const char *before, const struct setting *row, struct buf *out)
{
    const char *def = row->def == NULL ? "" : row->def;
    const char *tick = def[0] != '\0' ? "`" : "";
    int r = PUT_TEXT(out, "| `", before, row->key, "` | ");

    if (r == 0 && row->flag != NULL)
        r = PUT_TEXT(out, "`", row->flag, row->arg != NULL ? " " : "",
                     row->arg != NULL ? row->arg : "", "`");
    if (r == 0)
        r = buf_put(out, STR(" | "));
    if (r == 0)
        r = print_type(row, out);
    if (r == 0)
        r = PUT_TEXT(out, " | ", tick, def, tick, " | ");
    if (r == 0)
        r = print_cell(row->text, out);
    if (r == 0 && row->env != NULL)
        r = PUT_TEXT(out, "; environment `", row->env, "`");
    if (r == 0 && row->is_required)
        r = buf_put(out, STR("; required"));
    if (r == 0 && row->needs_restart)
        r = buf_put(out, STR("; needs a restart"));
    return r < 0 ? r : buf_put(out, STR(" |\n"));
}

static const char reference_head[] = "\n\n| key | flag | type | default | what it does |\n"
                                     "| --- | --- | --- | --- | --- |\n";

static int print_reference_heading(const char *room, bool is_first, struct buf *out)
{
    return PUT_TEXT(out, is_first ? "" : "\n", "### ", room, reference_head);
}

int settings_reference(const struct settings *s, struct buf *out)
{
    static const struct walk_ops ops = {"reference", print_reference_heading, print_reference_row};

    return walk_keys(s, &ops, out);
}
