/* SPDX-License-Identifier: MIT */
#include "config/scalar.h"

#include <errno.h>
#include <inttypes.h>

#include "config/quantity.h"

static int bool_parse(struct str text, union scalar *ret_value)
{
    ret_value->is_on = str_eq(text, STR("true"));
    return ret_value->is_on || str_eq(text, STR("false")) ? 0 : -EINVAL;
}

static int bool_print(const union scalar *value, struct buf *out)
{
    return buf_put(out, value->is_on ? STR("true") : STR("false"));
}

static int u64_parse(struct str text, union scalar *ret_value)
{
    return str_to_u64(text, &ret_value->u64);
}

static int u64_print(const union scalar *value, struct buf *out)
{
    return buf_printf(out, "%" PRIu64, value->u64);
}

static double u64_number(const union scalar *value)
{
    return (double)value->u64;
}

static void u64_from_number(double number, union scalar *ret_value)
{
    ret_value->u64 = (uint64_t)number;
}

static int ratio_parse(struct str text, union scalar *ret_value)
{
    return decimal_parse(text, &ret_value->real);
}

static int ratio_print(const union scalar *value, struct buf *out)
{
    return buf_printf(out, "%.15g", value->real);
}

static double real_number(const union scalar *value)
{
    return value->real;
}

static void real_from_number(double number, union scalar *ret_value)
{
    ret_value->real = number;
}

static int percent_parse(struct str text, union scalar *ret_value)
{
    double percent;

    if (!str_ends(text, STR("%")) || decimal_parse(str_head(text, text.len - 1), &percent) < 0)
        return -EINVAL;
    ret_value->real = percent / 100;
    return 0;
}

static int percent_print(const union scalar *value, struct buf *out)
{
    return buf_printf(out, "%.13g%%", value->real * 100);
}

static int duration_parse(struct str text, union scalar *ret_value)
{
    uint64_t ns;
    int r = quantity_parse(text, quantity_time, &ns);

    if (r < 0)
        return r;
    ret_value->ns = (nsec_t)ns;
    return 0;
}

static int duration_print(const union scalar *value, struct buf *out)
{
    return quantity_print((uint64_t)value->ns, quantity_time, out);
}

static double duration_number(const union scalar *value)
{
    return (double)value->ns;
}

static void duration_from_number(double number, union scalar *ret_value)
{
    ret_value->ns = (nsec_t)number;
}

static int size_parse(struct str text, union scalar *ret_value)
{
    return quantity_parse(text, quantity_bytes, &ret_value->u64);
}

static int size_print(const union scalar *value, struct buf *out)
{
    return quantity_print(value->u64, quantity_bytes, out);
}

const struct scalar_type scalar_types[] = {
    [SETTING_BOOL] = {"bool", "true or false", sizeof(bool), bool_parse, bool_print, NULL, NULL},
    [SETTING_U64] = {"number", "a whole number", sizeof(uint64_t), u64_parse, u64_print, u64_number,
                     u64_from_number},
    [SETTING_RATIO] = {"ratio", "a number such as 0.5", sizeof(double), ratio_parse, ratio_print,
                       real_number, real_from_number},
    [SETTING_PERCENT] = {"percentage", "a percentage such as 10%", sizeof(double), percent_parse,
                         percent_print, real_number, real_from_number},
    [SETTING_DURATION] = {"duration", "a duration such as 250ms, 5s or 2m", sizeof(nsec_t),
                          duration_parse, duration_print, duration_number, duration_from_number},
    [SETTING_SIZE] = {"size", "a size such as 64KiB or 1GiB", sizeof(uint64_t), size_parse,
                      size_print, u64_number, u64_from_number},
    [SETTING_STRING] = {"text", "text", sizeof(char *), NULL, NULL, NULL, NULL},
    [SETTING_STRINGS] = {"list", "a list of words", sizeof(struct strings), NULL, NULL, NULL, NULL},
    [SETTING_ENUM] = {"choice", "one of", sizeof(int), NULL, NULL, NULL, NULL},
    [SETTING_OBJECTS] = {"list of objects", "a list of mappings", sizeof(struct setting_objects),
                         NULL, NULL, NULL, NULL},
};

void scalar_from_choice(enum setting_type type, int64_t choice, union scalar *ret_value)
{
    if (type == SETTING_BOOL)
        ret_value->is_on = choice != 0;
    else if (type == SETTING_ENUM)
        ret_value->choice = (int)choice;
    else
        ret_value->ns = choice;
}

int64_t scalar_to_choice(enum setting_type type, const union scalar *value)
{
    if (type == SETTING_BOOL)
        return value->is_on;
    return type == SETTING_ENUM ? value->choice : value->ns;
}
