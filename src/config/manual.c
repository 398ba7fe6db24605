/* SPDX-License-Identifier: MIT */

/* The rows as parts of manual pages, in man's macros: keys of the file, flags of a command. */

#include "config/value.h"
#include "config/walk.h"

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

static int print_heading(const char *room, bool is_first, struct buf *out)
{
    (void)is_first;
    return buf_printf(out, ".SS %s\n", room);
}

int settings_manual(const struct settings *s, struct buf *out)
{
    static const struct walk_ops ops = {"manual", print_heading, print_entry};

    return walk_keys(s, &ops, out);
}

static int print_flag(const struct setting *row, struct buf *out)
{
    int r = buf_put(out, STR(".TP\n.B "));

    if (r == 0)
        r = put_text(row->flag, out);
    if (r == 0 && row->arg != NULL)
        r = buf_put(out, STR(" \\fI"));
    if (r == 0 && row->arg != NULL)
        r = put_text(row->arg, out);
    if (r == 0)
        r = buf_put(out, row->arg != NULL ? STR("\\fR\n") : STR("\n"));
    if (r == 0)
        r = put_text(row->text, out);
    if (r == 0 && row->def != NULL && row->def[0] != '\0') {
        r = buf_put(out, STR(" ("));
        if (r == 0)
            r = put_text(row->def, out);
        if (r == 0)
            r = buf_put(out, STR(")"));
    }
    return r < 0 ? r : buf_put(out, STR(".\n"));
}

int settings_flags_manual(const struct settings_room *rooms, size_t n_rooms, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; i < n_rooms; i++) {
        for (size_t j = 0; r == 0 && j < rooms[i].n_rows; j++) {
            if (rooms[i].rows[j].flag != NULL)
                r = print_flag(&rooms[i].rows[j], out);
        }
    }
    return r;
}
