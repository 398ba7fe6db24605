/* SPDX-License-Identifier: MIT */
#include "sim/duration.h"

static const struct {
    struct str name;
    double ns;
} units[] = {
    /* "ms" must be tried before "m". */
    {STR_INIT("ns"), 1},     {STR_INIT("us"), 1e3}, {STR_INIT("\xc2\xb5s"), 1e3},
    {STR_INIT("ms"), 1e6},   {STR_INIT("s"), 1e9},  {STR_INIT("m"), 60e9},
    {STR_INIT("h"), 3600e9},
};

static struct str take_number(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && ((rest->s[n] >= '0' && rest->s[n] <= '9') || rest->s[n] == '.'))
        n++;
    struct str number = str_head(*rest, n);

    *rest = str_from(*rest, n);
    return number;
}

static int number_value(struct str number, double *ret_value)
{
    double value = 0;
    double scale = 0;
    bool has_digit = false;

    for (size_t i = 0; i < number.len; i++) {
        if (number.s[i] == '.') {
            if (scale > 0)
                return SIM_DURATION_BAD;
            scale = 1;
            continue;
        }
        value = value * 10 + (number.s[i] - '0');
        scale *= 10;
        has_digit = true;
    }
    *ret_value = scale > 0 ? value / scale : value;
    return has_digit ? 0 : SIM_DURATION_BAD;
}

static int take_unit(struct str *rest, double *ret_ns)
{
    if (rest->len == 0)
        return SIM_DURATION_NO_UNIT;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!str_starts(*rest, units[i].name))
            continue;
        *ret_ns = units[i].ns;
        *rest = str_from(*rest, units[i].name.len);
        return 0;
    }
    return SIM_DURATION_BAD;
}

static nsec_t capped(double ns)
{
    if (ns >= 9e18)
        return NSEC_NEVER;
    return ns <= -9e18 ? -NSEC_NEVER : (nsec_t)ns;
}

int sim_duration_parse(struct str text, nsec_t *ret_ns)
{
    bool is_negative = str_starts(text, STR("-"));
    struct str rest = is_negative ? str_from(text, 1) : text;
    double total = 0;

    if (str_eq(rest, STR("0"))) {
        *ret_ns = 0;
        return 0;
    }
    if (rest.len == 0)
        return SIM_DURATION_BAD;
    while (rest.len > 0) {
        double value;
        double unit;
        int r = number_value(take_number(&rest), &value);

        if (r == 0)
            r = take_unit(&rest, &unit);
        if (r != 0)
            return r;
        total += value * unit;
    }
    *ret_ns = capped(is_negative ? -total : total);
    return 0;
}
