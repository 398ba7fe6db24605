/* SPDX-License-Identifier: MIT */
#include "config/quantity.h"

#include <errno.h>
#include <inttypes.h>

#include "base/time.h"

#define DOUBLE_DIGITS 15 /* a mantissa is exact in a double */
#define INT64_DIGITS  19 /* what quantity_print() writes is read again */

const struct quantity_unit quantity_time[] = {
    {"d", UINT64_C(86400000000000), false},
    {"h", UINT64_C(3600000000000), false},
    {"m", UINT64_C(60000000000), false},
    {"s", (uint64_t)NSEC_PER_SEC, false},
    {"ms", (uint64_t)NSEC_PER_MSEC, false},
    {"us", (uint64_t)NSEC_PER_USEC, false},
    {"ns", 1, false},
    {NULL, 0, false},
};

const struct quantity_unit quantity_bytes[] = {
    {"TiB", UINT64_C(1) << 40, false},
    {"TB", UINT64_C(1000000000000), true},
    {"GiB", UINT64_C(1) << 30, false},
    {"GB", UINT64_C(1000000000), true},
    {"MiB", UINT64_C(1) << 20, false},
    {"MB", UINT64_C(1000000), true},
    {"KiB", UINT64_C(1) << 10, false},
    {"KB", UINT64_C(1000), true},
    {"B", 1, false},
    {NULL, 0, false},
};

struct decimal {
    uint64_t mantissa;
    uint64_t scale; /* value is mantissa / scale */
    size_t len;     /* bytes read */
};

static int decimal_read(struct str text, unsigned max_digits, struct decimal *d)
{
    unsigned n_digits = 0;
    bool has_point = false;

    *d = (struct decimal){.scale = 1};
    for (; d->len < text.len; d->len++) {
        char c = text.s[d->len];

        if (c == '.' && !has_point && n_digits > 0) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (++n_digits > max_digits)
            return -EINVAL;
        d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
        d->scale *= has_point ? 10 : 1;
    }
    if (n_digits == 0 || text.s[d->len - 1] == '.')
        return -EINVAL;
    return 0;
}

int decimal_parse(struct str text, double *ret_value)
{
    struct decimal d;

    if (decimal_read(text, DOUBLE_DIGITS, &d) < 0 || d.len != text.len)
        return -EINVAL;
    *ret_value = (double)d.mantissa / (double)d.scale;
    return 0;
}

int quantity_parse(struct str text, const struct quantity_unit *units, uint64_t *ret_value)
{
    struct decimal d;
    struct str name;
    uint64_t value;

    if (decimal_read(text, INT64_DIGITS, &d) < 0)
        return -EINVAL;
    name = str_from(text, d.len);
    if (name.len == 0 && d.mantissa == 0) {
        *ret_value = 0;
        return 0;
    }
    while (units->name != NULL && !str_eq(name, str_of(units->name)))
        units++;
    if (units->name == NULL)
        return -EINVAL;
    if (__builtin_mul_overflow(d.mantissa, units->size, &value) || value / d.scale > INT64_MAX)
        return -ERANGE;
    *ret_value = value / d.scale;
    return 0;
}

int quantity_print(uint64_t value, const struct quantity_unit *units, struct buf *out)
{
    if (value == 0)
        return buf_put_char(out, '0');
    while (units->is_alias || value % units->size != 0)
        units++;
    return buf_printf(out, "%" PRIu64 "%s", value / units->size, units->name);
}
