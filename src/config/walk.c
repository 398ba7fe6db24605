/* SPDX-License-Identifier: MIT */
#include "config/walk.h"

#include "config/state.h"

static int walk_setting(const struct setting *row, const struct walk_ops *ops, struct buf *out)
{
    char before[128];
    int r = ops->row("", row, out);

    if (row->type != SETTING_OBJECTS)
        return r;
    (void)snprintf(before, sizeof(before), row->shape->map_key != NULL ? "%s.NAME." : "%s[].",
                   row->key);
    for (size_t i = 0; r == 0 && i < row->shape->n_rows; i++) {
        const struct setting *field = &row->shape->rows[i];

        if (row->shape->map_key == NULL || strcmp(field->key, row->shape->map_key) != 0)
            r = ops->row(before, field, out);
    }
    return r;
}

int walk_keys(const struct settings *s, const struct walk_ops *ops, struct buf *out)
{
    const struct settings_room *room = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->n_states; i++) {
        const struct setting_state *state = &s->states[i];

        if (state->row->key == NULL)
            continue;
        if (state->room != room)
            r = ops->heading(state->room->name, room == NULL, out);
        room = state->room;
        if (r == 0)
            r = walk_setting(state->row, ops, out);
    }
    return r;
}
