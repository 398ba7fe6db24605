/* SPDX-License-Identifier: MIT */
#include "codec/number.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int number_parse_i64(struct str text, int64_t *ret_value)
{
    bool is_negative = text.len > 0 && text.s[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    uint64_t value;
    int r = str_to_u64(str_from(text, is_negative ? 1 : 0), &value);

    if (r < 0)
        return r;
    if (value > limit)
        return -ERANGE;
    if (is_negative && value == 0)
        return -EINVAL;
    *ret_value = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

/*
 * The decimal point is the locale's in libc; "C" is static in glibc, so that this allocates
 * nothing.
 */
static locale_t enter_c_locale(locale_t *ret_c)
{
    *ret_c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return uselocale(*ret_c);
}

static void leave_c_locale(locale_t c, locale_t before)
{
    (void)uselocale(before);
    freelocale(c);
}

static double read_back(const char *text, bool is_float)
{
    return is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* The shortest text that reads as @value. An integer's text has no minus zero. */
static struct str print_shortest(double value, bool is_float, char *out)
{
    int digits = is_float ? FLT_DIG : DBL_DIG;
    int digits_max = is_float ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    int n;

    if (fpclassify(value) == FP_ZERO && signbit(value))
        return str_make(memcpy(out, "-0.0", 4), 4);
    do
        n = snprintf(out, NUMBER_TEXT_MAX, "%.*g", digits, value);
    while (digits++ < digits_max && islessgreater(read_back(out, is_float), value));
    return str_make(out, (size_t)n);
}

static struct str print(double value, bool is_float, char *out)
{
    locale_t c;
    locale_t before = enter_c_locale(&c);
    struct str text = print_shortest(value, is_float, out);

    leave_c_locale(c, before);
    return text;
}

struct str number_print_double(double value, char out[static NUMBER_TEXT_MAX])
{
    return print(value, false, out);
}

struct str number_print_float(float value, char out[static NUMBER_TEXT_MAX])
{
    return print((double)value, true, out);
}

static bool is_integer_text(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.s[i] != '-' && (text.s[i] < '0' || text.s[i] > '9'))
            return false;
    return true;
}

static int parse(struct str text, bool is_float, double *ret_value)
{
    char copy[64];
    char back[NUMBER_TEXT_MAX];
    locale_t c;
    locale_t before;
    double value;

    if (text.len >= sizeof(copy))
        return -ERANGE;
    memcpy(copy, text.s, text.len);
    copy[text.len] = '\0';
    before = enter_c_locale(&c);
    value = read_back(copy, is_float);
    leave_c_locale(c, before);
    if (!isfinite(value))
        return -ERANGE;
    if (is_integer_text(text) && !str_eq(print(value, is_float, back), text))
        return -EINVAL;
    *ret_value = value;
    return 0;
}

int number_parse_double(struct str text, double *ret_value)
{
    return parse(text, false, ret_value);
}

int number_parse_float(struct str text, float *ret_value)
{
    double value;
    int r = parse(text, true, &value);

    if (r == 0)
        *ret_value = (float)value;
    return r;
}
