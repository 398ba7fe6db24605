/* SPDX-License-Identifier: MIT */

/* The rows as a JSON Schema, draft 7, which editors know for YAML. */

#include <inttypes.h>

#include "config/scalar.h"
#include "config/state.h"
#include "config/value.h"

/* A value may come from a variable, whatever its type. */
#define VARIABLE "{\"type\":\"string\",\"pattern\":\"[$][{]\"}"

static int put_string(const char *text, struct buf *out)
{
    int r = buf_put_char(out, '"');

    for (; r == 0 && *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            r = buf_put_char(out, '\\');
        if (r == 0)
            r = buf_put_char(out, *text);
    }
    return r < 0 ? r : buf_put_char(out, '"');
}

static const char *pattern_of(enum setting_type type)
{
    if (type == SETTING_DURATION)
        return "^(0|[0-9]+([.][0-9]+)?(d|h|m|s|ms|us|ns))$";
    if (type == SETTING_SIZE)
        return "^(0|[0-9]+([.][0-9]+)?([KMGT]i?B|B))$";
    return "^[0-9]+([.][0-9]+)?%$";
}

static int print_number(const struct setting *row, struct buf *out)
{
    int r = buf_printf(out, "{\"type\":\"%s\"", row->type == SETTING_U64 ? "integer" : "number");

    if (r == 0)
        r = buf_printf(out, ",\"minimum\":%.17g", row->min);
    if (r == 0 && row->max > 0)
        r = buf_printf(out, ",\"maximum\":%.17g", row->max);
    return r < 0 ? r : buf_put_char(out, '}');
}

/* The value without choices and variables. */
static int print_plain(const struct setting *row, struct buf *out)
{
    static const char text[] = "{\"type\":[\"string\",\"number\",\"boolean\"]}";

    switch (row->type) {
    case SETTING_BOOL:
        return buf_put(out, STR("{\"type\":\"boolean\"}"));
    case SETTING_U64:
    case SETTING_RATIO:
        return print_number(row, out);
    case SETTING_PERCENT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        /* a 0 needs no unit */
        return buf_printf(out, "{\"type\":\"string\",\"pattern\":\"%s\"},{\"const\":0}",
                          pattern_of(row->type));
    case SETTING_STRING:
        return buf_put(out, str_of(text));
    case SETTING_STRINGS:
        return buf_printf(out, "%s,{\"type\":\"array\",\"items\":%s}", text, text);
    case SETTING_ENUM:
    case SETTING_OBJECTS:
        break;
    }
    return buf_put(out, STR(VARIABLE));
}

static int print_choices(const struct setting *row, struct buf *out)
{
    const struct setting_choice *c = row->choices;
    int r = buf_put(out, STR("{\"enum\":["));

    for (; r == 0 && c->name != NULL; c++) {
        if (c != row->choices)
            r = buf_put_char(out, ',');
        if (r == 0)
            r = put_string(c->name, out);
    }
    return r < 0 ? r : buf_put(out, STR("]},"));
}

static int print_scalar(const struct setting *row, struct buf *out)
{
    int r = buf_put(out, STR("\"anyOf\":["));

    if (r == 0 && row->choices != NULL)
        r = print_choices(row, out);
    if (r == 0)
        r = print_plain(row, out);
    return r < 0 ? r : buf_put(out, STR("," VARIABLE "]"));
}

static int print_head(const char *name, const struct setting *row, struct buf *out)
{
    int r = put_string(name, out);

    if (r == 0)
        r = buf_put(out, STR(":{\"description\":"));
    if (r == 0)
        r = put_string(row->text, out);
    if (r == 0 && row->def != NULL) {
        r = buf_put(out, STR(",\"default\":"));
        if (r == 0)
            r = put_string(row->def, out);
    }
    return r < 0 ? r : buf_put_char(out, ',');
}

static int print_required(const struct setting_shape *shape, struct buf *out)
{
    const char *separator = "";
    int r = buf_put(out, STR("\"required\":["));

    for (size_t i = 0; r == 0 && i < shape->n_rows; i++) {
        if (!shape->rows[i].is_required)
            continue;
        r = buf_put(out, str_of(separator));
        if (r == 0)
            r = put_string(shape->rows[i].key, out);
        separator = ",";
    }
    return r < 0 ? r : buf_put_char(out, ']');
}

static int print_object(const struct setting_shape *shape, struct buf *out)
{
    int r = buf_put(out, STR("{\"type\":\"object\",\"additionalProperties\":false,"));
    const char *separator = "";

    if (r == 0)
        r = print_required(shape, out);
    if (r == 0)
        r = buf_put(out, STR(",\"properties\":{"));
    for (size_t i = 0; r == 0 && i < shape->n_rows; i++) {
        const struct setting *row = &shape->rows[i];

        if (shape->map_key != NULL && strcmp(row->key, shape->map_key) == 0)
            continue;
        r = buf_put(out, str_of(separator));
        if (r == 0)
            r = print_head(row->key, row, out);
        if (r == 0)
            r = print_scalar(row, out);
        if (r == 0)
            r = buf_put_char(out, '}');
        separator = ",";
    }
    return r < 0 ? r : buf_put(out, STR("}}"));
}

/* One object, or its lead alone. */
static int print_item(const struct setting_shape *shape, struct buf *out)
{
    int r = buf_put(out, STR("{\"anyOf\":["));

    if (r == 0 && shape->lead != NULL)
        r = buf_put(out, STR("{\"type\":\"string\"},"));
    if (r == 0)
        r = print_object(shape, out);
    return r < 0 ? r : buf_put(out, STR("]}"));
}

static int print_objects(const struct setting *row, struct buf *out)
{
    bool is_map = row->shape->map_key != NULL;
    int r = buf_put(
        out, is_map ? STR("\"type\":\"object\",\"additionalProperties\":")
                    : STR("\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":"));

    if (r == 0)
        r = print_item(row->shape, out);
    return r < 0 || is_map ? r : buf_put(out, STR("}]"));
}

static int print_setting(const char *name, const struct setting *row, struct buf *out)
{
    int r = print_head(name, row, out);

    if (r == 0)
        r = row->type == SETTING_OBJECTS ? print_objects(row, out) : print_scalar(row, out);
    if (r == 0)
        r = buf_put(out, STR("}"));
    if (r == 0 && row->is_secret && row->type == SETTING_STRING)
        r = buf_printf(out,
                       ",\n\"%s_file\":{\"description\":\"A file that holds %s\","
                       "\"type\":\"string\"}",
                       name, name);
    return r;
}

/* Bytes of the section's name; 0: the key is in none. Sections have no sections. */
static size_t section_len(const char *key)
{
    const char *dot = strchr(key, '.');

    return dot != NULL ? (size_t)(dot - key) : 0;
}

static bool is_in_section(const struct setting_state *state, const char *key, size_t len)
{
    return state->row->key != NULL && section_len(state->row->key) == len &&
           strncmp(state->row->key, key, len) == 0;
}

static int print_section(const struct settings *s, const char *key, size_t len, struct buf *out)
{
    const char *separator = "";
    int r = buf_printf(out,
                       "\"%.*s\":{\"type\":\"object\",\"additionalProperties\":false,"
                       "\"properties\":{\n",
                       (int)len, key);

    for (size_t i = 0; r == 0 && i < s->n_states; i++) {
        const struct setting *row = s->states[i].row;

        if (!is_in_section(&s->states[i], key, len))
            continue;
        r = buf_put(out, str_of(separator));
        if (r == 0)
            r = print_setting(row->key + len + 1, row, out);
        separator = ",\n";
    }
    return r < 0 ? r : buf_put(out, STR("}}"));
}

/* Whether an earlier row is in the section, and so has printed it. */
static bool is_printed(const struct settings *s, size_t i, size_t len)
{
    for (size_t k = 0; k < i; k++)
        if (is_in_section(&s->states[k], s->states[i].row->key, len))
            return true;
    return false;
}

int settings_schema(const struct settings *s, struct buf *out)
{
    const char *separator = "";
    int r =
        buf_put(out, STR("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\n"
                         "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\n"));

    for (size_t i = 0; r == 0 && i < s->n_states; i++) {
        const struct setting *row = s->states[i].row;
        size_t len = row->key != NULL ? section_len(row->key) : 0;

        if (row->key == NULL || (len > 0 && is_printed(s, i, len)))
            continue;
        r = buf_put(out, str_of(separator));
        if (r == 0)
            r = len > 0 ? print_section(s, row->key, len, out) : print_setting(row->key, row, out);
        separator = ",\n";
    }
    return r < 0 ? r : buf_put(out, STR("}}\n"));
}
