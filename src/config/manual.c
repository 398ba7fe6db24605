/* SPDX-License-Identifier: MIT */

/* The rows as a part of a manual page, in man's macros. */

#include "config/state.h"
#include "config/value.h"

/* A backslash and a hyphen would be taken for something else. */
static int put_text(const char *text, struct buf *out)
{
    int r = 0;

    for (; r == 0 && *text != '\0'; text++) {
        if (*text == '\\' || *text == '-')
            r = buf_put_char(out, '\\');
        if (r == 0)
            r = *text == '\\' ? buf_put_char(out, 'e') : buf_put_char(out, *text);
    }
    return r;
}

static int print_type(const struct setting *row, struct buf *out)
{
    int r = buf_put(out, str_of(value_type_name(row->type)));

    for (const struct setting_choice *c = row->choices; r == 0 && c != NULL && c->name != NULL;
         c++) {
        r = buf_put(out, c == row->choices ? STR(": ") : STR(", "));
        if (r == 0)
            r = put_text(c->name, out);
    }
    return r < 0 ? r : value_print_range(row, out);
}

static int print_entry(const char *before, const struct setting *row, struct buf *out)
{
    int r = buf_put(out, STR(".TP\n.B "));

    if (r == 0)
        r = put_text(before, out);
    if (r == 0)
        r = put_text(row->key, out);
    if (r == 0)
        r = buf_put(out, STR("\n("));
    if (r == 0)
        r = print_type(row, out);
    if (r == 0 && row->def != NULL && row->def[0] != '\0') {
        r = buf_put(out, STR("; default "));
        if (r == 0)
            r = put_text(row->def, out);
    }
    if (r == 0 && row->is_required)
        r = buf_put(out, STR("; required"));
    if (r == 0 && row->needs_restart)
        r = buf_put(out, STR("; needs a restart"));
    if (r == 0)
        r = buf_put(out, STR(")\n"));
    if (r == 0)
        r = put_text(row->text, out);
    return r < 0 ? r : buf_put(out, STR(".\n"));
}

static int print_setting(const struct setting *row, struct buf *out)
{
    char before[128];
    int r = print_entry("", row, out);

    if (row->type != SETTING_OBJECTS)
        return r;
    (void)snprintf(before, sizeof(before), row->shape->map_key != NULL ? "%s.NAME." : "%s[].",
                   row->key);
    for (size_t i = 0; r == 0 && i < row->shape->n_rows; i++)
        r = print_entry(before, &row->shape->rows[i], out);
    return r;
}

int settings_manual(const struct settings *s, struct buf *out)
{
    const struct settings_room *room = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->n_states; i++) {
        const struct setting_state *state = &s->states[i];

        if (state->row->key == NULL)
            continue;
        if (state->room != room)
            r = buf_printf(out, ".SS %s\n", state->room->name);
        room = state->room;
        if (r == 0)
            r = print_setting(state->row, out);
    }
    return r;
}
