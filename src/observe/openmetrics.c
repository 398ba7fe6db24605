/* SPDX-License-Identifier: MIT */
#include "observe/openmetrics.h"

static bool is_refused(struct str parameters)
{
    while (parameters.len > 0) {
        struct str one = str_trim(str_split(&parameters, ';'));

        if (str_eq(one, STR("q=0")) || str_eq(one, STR("q=0.0")))
            return true;
    }
    return false;
}

bool openmetrics_is_accepted(struct str accept)
{
    while (accept.len > 0) {
        struct str parameters = str_split(&accept, ',');
        struct str type = str_trim(str_split(&parameters, ';'));

        if (str_eq_nocase(type, STR("application/openmetrics-text")))
            return !is_refused(parameters);
    }
    return false;
}

/* A family's name in front of @line; on return @line is what follows it. */
static struct str take_word(struct str *line)
{
    struct str word = str_head(*line, str_find(*line, ' '));

    *line = str_from(*line, word.len);
    return word;
}

/* "# HELP name_total text" without _total; HELP stands before TYPE, and only counters end so. */
static int print_head(struct str line, struct buf *out)
{
    struct str rest = str_from(line, 7);
    struct str name = take_word(&rest);
    int r = buf_put(out, str_head(line, 7));

    if (str_ends(name, STR("_total")))
        name = str_head(name, name.len - 6);
    if (r == 0)
        r = buf_put(out, name);
    return r < 0 ? r : buf_put(out, rest);
}

int openmetrics_print(struct str text, struct buf *out)
{
    int r = 0;

    while (r == 0 && text.len > 0) {
        struct str line = str_split(&text, '\n');

        if (str_starts(line, STR("# HELP ")) || str_starts(line, STR("# TYPE ")))
            r = print_head(line, out);
        else
            r = buf_put(out, line);
        if (r == 0)
            r = buf_put_char(out, '\n');
    }
    return r < 0 ? r : buf_put(out, STR("# EOF\n"));
}
