/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "config/state.h"

#define MAX_TEXT 1024
/* A longer source line, think of JSON on one line, is shown as a window around the column. */
#define MAX_LINE 160
#define LEAD_IN  60

static struct str source_line(struct str source, uint32_t number)
{
    struct str line = STR_NULL;

    for (uint32_t i = 0; i < number; i++)
        line = str_split(&source, '\n');
    return str_ends(line, STR("\r")) ? str_head(line, line.len - 1) : line;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes before the @column'th character; columns count characters, as libyaml has it. */
static size_t column_offset(struct str line, uint32_t column)
{
    size_t at = 0;

    for (uint32_t i = 1; i < column && at < line.len; i++) {
        at++;
        while (at < line.len && is_continuation(line.s[at]))
            at++;
    }
    return at;
}

/* The line, and a caret that stands under the column also behind tabs and UTF-8. */
static int print_caret(struct str line, uint32_t column, struct buf *out)
{
    size_t at = column_offset(line, column);
    size_t from = at > MAX_LINE - LEAD_IN ? at - LEAD_IN : 0;
    int r;

    while (from > 0 && is_continuation(line.s[from]))
        from--;
    r = buf_put(out, str_head(str_from(line, from), MAX_LINE));
    if (r == 0)
        r = buf_put_char(out, '\n');
    for (size_t i = from; r == 0 && i < at; i++) {
        if (!is_continuation(line.s[i]))
            r = buf_put_char(out, line.s[i] == '\t' ? '\t' : ' ');
    }
    return r < 0 ? r : buf_put(out, STR("^\n"));
}

static int print_place(const struct settings *s, const struct blame *at, const char *text,
                       struct buf *out)
{
    struct str line = source_line(buf_str(&s->source), at->place.line);
    int r =
        buf_printf(out, "%s:%u:%u: error: %s\n", s->path, at->place.line, at->place.column, text);

    if (r < 0 || at->is_secret)
        return r;
    return print_caret(line, at->place.column, out);
}

static int print_problem(const struct settings *s, const struct blame *at, const char *text,
                         struct buf *out)
{
    if (s->n_errors == SETTINGS_MAX_ERRORS + 1)
        return buf_put(out, STR("error: too many errors\n"));
    if (s->n_errors > SETTINGS_MAX_ERRORS)
        return 0;
    if (at->word != NULL)
        return buf_printf(out, "error: %s: %s\n", at->word, text);
    if (at->place.line > 0)
        return print_place(s, at, text, out);
    return buf_printf(out, "%s: error: %s\n", s->path != NULL ? s->path : "configuration", text);
}

__attribute__((format(printf, 4, 0))) static int tell(struct settings *s, const struct blame *at,
                                                      struct buf *errors, const char *format,
                                                      va_list args)
{
    char text[MAX_TEXT];

    (void)vsnprintf(text, sizeof(text), format, args);
    s->n_errors++;
    /* What finds no room in @errors is lost, and the caller's verdict is the same. */
    (void)!print_problem(s, at, text, errors);
    return -EX_CONFIG;
}

int blame_tell(struct settings *s, const struct blame *at, struct buf *errors, const char *format,
               ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = tell(s, at, errors, format, args);
    va_end(args);
    return r;
}

/* Values that did not come from the file are blamed by the name they came under. */
static struct blame blame_of(const struct setting_state *state, size_t item)
{
    struct blame at = {.word = state->row->key, .is_secret = state->row->is_secret};

    if (state->origin == SETTING_FROM_FLAG)
        at.word = state->row->flag;
    else if (state->origin == SETTING_FROM_ENV)
        at.word = state->row->env;
    else if (state->origin == SETTING_FROM_FILE)
        at = (struct blame){.place = state->place, .is_secret = state->row->is_secret};
    if (at.word == NULL && state->row->type == SETTING_OBJECTS) {
        const struct setting_objects *list = state->field;

        if (item < list->n && list->places[item].line > 0)
            at.place = list->places[item];
    }
    return at;
}

int settings_error(struct settings *s, const char *key, size_t item, struct buf *errors,
                   const char *format, ...)
{
    const struct setting_state *state = state_find(s, str_of(key));
    struct blame at;
    va_list args;
    int r;

    assert(state != NULL);

    at = blame_of(state, item);
    va_start(args, format);
    r = tell(s, &at, errors, format, args);
    va_end(args);
    return r;
}
