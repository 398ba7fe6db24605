/* SPDX-License-Identifier: MIT */
#include "config/value.h"

#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "config/scalar.h"

const struct setting_choice setting_none[] = {{"none", NSEC_NEVER}, {NULL, 0}};

const char *value_type_name(enum setting_type type)
{
    return scalar_types[type].name;
}

size_t value_size(const struct setting *row)
{
    return scalar_types[row->type].size;
}

/* The words of a row: "a, b or c". Return: 0, -ENOBUFS, -ENOMEM. */
static int print_choices(const struct setting_choice *c, struct buf *out)
{
    for (const struct setting_choice *first = c; c->name != NULL; c++) {
        const char *before = c == first ? "" : c[1].name == NULL ? " or " : ", ";
        int r = buf_printf(out, "%s%s", before, c->name);

        if (r < 0)
            return r;
    }
    return 0;
}

int value_print_expected(const struct setting *row, struct buf *out)
{
    const char *expected = scalar_types[row->type].expected;
    int r;

    if (row->type == SETTING_OBJECTS && row->shape->map_key != NULL)
        expected = "a mapping of names";
    r = buf_put(out, str_of(expected));
    if (r < 0 || row->choices == NULL)
        return r;
    if (row->type == SETTING_STRINGS)
        r = buf_put(out, STR(" out of "));
    else
        r = buf_put(out, row->type == SETTING_ENUM ? STR(" ") : STR(" or "));
    return r < 0 ? r : print_choices(row->choices, out);
}

static int print_bound(const struct setting *row, double bound, struct buf *out)
{
    union scalar value;

    if (scalar_types[row->type].from_number == NULL)
        return buf_printf(out, "%.0f", bound);
    scalar_types[row->type].from_number(bound, &value);
    return scalar_types[row->type].print(&value, out);
}

static int print_bounds(const struct setting *row, struct buf *out)
{
    bool has_both = row->min > 0 && row->max > 0;
    int r = 0;

    if (!has_both)
        r = buf_put(out, row->max > 0 ? STR("at most ") : STR("at least "));
    if (r == 0 && row->min > 0)
        r = print_bound(row, row->min, out);
    if (r == 0 && has_both)
        r = buf_put(out, STR(" to "));
    if (r == 0 && row->max > 0)
        r = print_bound(row, row->max, out);
    return r;
}

int value_print_range(const struct setting *row, struct buf *out)
{
    int r;

    if (row->min <= 0 && row->max <= 0)
        return 0;
    r = buf_put(out, STR(", "));
    return r < 0 ? r : print_bounds(row, out);
}

/* Ends a refusal: the text may be cut short by the limit of @why, the verdict stays. */
static int refuse(int printed)
{
    return printed == -ENOMEM ? -ENOMEM : -EX_CONFIG;
}

static int refuse_type(const struct setting *row, struct buf *why)
{
    int r = buf_put(why, STR("must be "));

    return refuse(r < 0 ? r : value_print_expected(row, why));
}

static int check_range(const struct setting *row, double number, const char *unit, struct buf *why)
{
    int r;

    if (number >= row->min && (row->max <= 0 || number <= row->max))
        return 0;
    r = buf_put(why, unit[0] != '\0' ? STR("must have ") : STR("must be "));
    if (r == 0)
        r = print_bounds(row, why);
    return refuse(r < 0 ? r : buf_put(why, str_of(unit)));
}

int value_check_count(const struct setting *row, size_t n, struct buf *why)
{
    return check_range(row, (double)n, row->max <= 0 && row->min <= 1 ? " item" : " items", why);
}

static const struct setting_choice *find_choice(const struct setting *row, struct str text)
{
    for (const struct setting_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (str_eq(str_of(c->name), text))
            return c;
    }
    return NULL;
}

static int check_text(const struct setting *row, struct str text, struct buf *why)
{
    const char *wrong = row->check != NULL ? row->check(text) : NULL;

    return wrong == NULL ? 0 : refuse(buf_put(why, str_of(wrong)));
}

static int parse_string(const struct setting *row, struct str text, char **field, struct buf *why)
{
    char *copy;
    int r = text.len == 0 && row->min > 0 ? refuse(buf_put(why, STR("must not be empty")))
                                          : check_range(row, (double)text.len, " bytes", why);

    if (r == 0)
        r = check_text(row, text, why);
    if (r < 0)
        return r;
    copy = str_dup(text);
    if (copy == NULL)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

int value_put_item(const struct setting *row, struct str item, struct strings *list,
                   struct buf *why)
{
    int r;

    if (item.len == 0)
        return refuse(buf_put(why, STR("must not have an empty item")));
    if (row->choices != NULL && find_choice(row, item) == NULL)
        return refuse_type(row, why);
    r = check_text(row, item, why);
    return r < 0 ? r : strings_put(list, item);
}

struct str value_next_item(struct str *rest)
{
    return str_trim(str_split(rest, ','));
}

static int parse_strings(const struct setting *row, struct str text, struct strings *field,
                         struct buf *why)
{
    struct strings list = {0};
    struct str rest = text;
    int r = 0;

    while (r == 0 && rest.len > 0)
        r = value_put_item(row, value_next_item(&rest), &list, why);
    if (r == 0)
        r = value_check_count(row, list.n, why);
    if (r < 0) {
        strings_fini(&list);
        return r;
    }
    strings_fini(field);
    *field = list;
    return 0;
}

static int parse_scalar(const struct setting *row, struct str text, void *field, struct buf *why)
{
    const struct scalar_type *type = &scalar_types[row->type];
    const struct setting_choice *choice = find_choice(row, text);
    union scalar value;
    int r;

    if (choice != NULL) {
        scalar_from_choice(row->type, choice->value, &value);
        memcpy(field, &value, type->size);
        return 0;
    }
    if (type->parse == NULL)
        return refuse_type(row, why);
    r = type->parse(text, &value);
    if (r == -ERANGE)
        return refuse(buf_put(why, STR("is too large")));
    if (r < 0)
        return refuse_type(row, why);
    if (type->number != NULL)
        r = check_range(row, type->number(&value), "", why);
    if (r == 0)
        memcpy(field, &value, type->size);
    return r;
}

int value_parse(const struct setting *row, struct str text, void *field, struct buf *why)
{
    assert(row->type != SETTING_OBJECTS);

    if (row->type == SETTING_STRING)
        return parse_string(row, text, field, why);
    if (row->type == SETTING_STRINGS)
        return parse_strings(row, text, field, why);
    return parse_scalar(row, text, field, why);
}

int value_default(const struct setting *row, void *field)
{
    /*
     * No bounds: a default may be what nobody may ask for, such as "" for a text that must not be
     * empty.
     */
    struct setting unbounded = *row;
    const char *text = row->def;
    struct buf why = BUF_INIT(256);
    int r;

    unbounded.min = 0;
    unbounded.max = 0;
    unbounded.check = NULL;
    if (text == NULL && row->type == SETTING_ENUM)
        text = row->choices[0].name;
    if (text == NULL && row->type != SETTING_STRING)
        return 0;
    r = value_parse(&unbounded, str_of(text), field, &why);
    buf_fini(&why);
    assert(r != -EX_CONFIG);
    return r;
}

static bool is_plain(struct str text)
{
    static const char *const words[] = {"null", "true", "false"};

    if (text.len == 0 || strchr("-.%@:", text.s[0]) != NULL || text.s[text.len - 1] == ':')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.s[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_word && (c == '\0' || strchr("_./:@%+-", c) == NULL))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(text, str_of(words[i])))
            return false;
    }
    return true;
}

static int print_quoted_char(struct str rest, struct buf *out)
{
    unsigned char c = (unsigned char)rest.s[0];

    if (c == '"' || c == '\\')
        return buf_printf(out, "\\%c", c);
    if (c < 0x20 || c == 0x7f)
        return buf_printf(out, "\\x%02x", c);
    /* What would read as a variable is written as its escape. */
    if (str_starts(rest, STR("${")))
        return buf_put(out, STR("$$"));
    return buf_put_char(out, (char)c);
}

int value_print_text(struct str text, struct buf *out)
{
    int r;

    if (is_plain(text))
        return buf_put(out, text);
    r = buf_put_char(out, '"');
    for (size_t i = 0; r == 0 && i < text.len; i++)
        r = print_quoted_char(str_from(text, i), out);
    return r < 0 ? r : buf_put_char(out, '"');
}

static int print_strings(const struct strings *list, struct buf *out)
{
    int r = buf_put_char(out, '[');

    for (size_t i = 0; r == 0 && i < list->n; i++) {
        if (i > 0)
            r = buf_put(out, STR(", "));
        if (r == 0)
            r = value_print_text(str_of(list->items[i]), out);
    }
    return r < 0 ? r : buf_put_char(out, ']');
}

static int print_scalar(const struct setting *row, const void *field, struct buf *out)
{
    union scalar value = {0};

    memcpy(&value, field, scalar_types[row->type].size);
    for (const struct setting_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (c->value == scalar_to_choice(row->type, &value))
            return buf_put(out, str_of(c->name));
    }
    return scalar_types[row->type].print != NULL ? scalar_types[row->type].print(&value, out)
                                                 : -EINVAL;
}

int value_print(const struct setting *row, const void *field, struct buf *out)
{
    assert(row->type != SETTING_OBJECTS);

    if (row->type == SETTING_STRING)
        return value_print_text(str_of(*(char *const *)field), out);
    if (row->type == SETTING_STRINGS)
        return print_strings(field, out);
    return print_scalar(row, field, out);
}

void value_free(const struct setting *row, void *field)
{
    assert(row->type != SETTING_OBJECTS);

    if (row->type == SETTING_STRING)
        free(*(char **)field);
    else if (row->type == SETTING_STRINGS)
        strings_fini(field);
    memset(field, 0, scalar_types[row->type].size);
}
