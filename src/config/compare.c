/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "config/objects.h"
#include "config/state.h"
#include "config/value.h"

#define TEXT_MAX (4 * 1024 * 1024)

/* Every value, unmasked, with a NUL behind it: the same for the same values and for no others. */
static int put_value(const struct setting *row, const void *field, struct buf *out)
{
    int r = value_print(row, field, out);

    return r < 0 ? r : buf_put_char(out, '\0');
}

static int put_state(const struct setting_state *state, struct buf *out)
{
    const struct setting *row = state->row;
    const struct setting_objects *list = state->field;
    int r = 0;

    buf_reset(out);
    if (row->type != SETTING_OBJECTS)
        return put_value(row, state->field, out);
    for (size_t i = 0; i < list->n; i++) {
        const char *object = objects_at(row->shape, list, i);

        for (size_t k = 0; k < row->shape->n_rows && r == 0; k++)
            r = put_value(&row->shape->rows[k], object + row->shape->rows[k].offset, out);
    }
    return r;
}

int settings_compare(const struct settings *a, const struct settings *b, setting_change_fn *fn,
                     void *arg)
{
    struct buf was = BUF_INIT(TEXT_MAX);
    struct buf is = BUF_INIT(TEXT_MAX);
    int r = 0;

    assert(a->n_states == b->n_states);

    for (size_t i = 0; i < a->n_states && r == 0; i++) {
        assert(a->states[i].row == b->states[i].row);
        if (a->states[i].row->key == NULL)
            continue;
        r = put_state(&a->states[i], &was);
        if (r == 0)
            r = put_state(&b->states[i], &is);
        if (r == 0 && !str_eq(buf_str(&was), buf_str(&is)))
            r = fn(arg, a->states[i].row);
    }
    buf_fini(&was);
    buf_fini(&is);
    return r;
}
