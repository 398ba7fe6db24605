/* SPDX-License-Identifier: MIT */
#include "sim/node.h"

static struct tm utc(nsec_t second)
{
    time_t t = (time_t)second;
    struct tm tm = {0};

    (void)gmtime_r(&t, &tm);
    return tm;
}

struct str sim_clock_stamp(struct sim_clock *c, nsec_t wall, char out[static 40])
{
    nsec_t second = wall / NSEC_PER_SEC;
    nsec_t fraction = wall % NSEC_PER_SEC;
    size_t n = sizeof(c->stamp) - 1;

    if (second != c->stamp_second || c->stamp[0] == '\0') {
        struct tm tm = utc(second);

        (void)strftime(c->stamp, sizeof(c->stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        c->stamp_second = second;
    }
    memcpy(out, c->stamp, n);
    if (fraction > 0) {
        out[n] = '.';
        for (size_t i = 9; i > 0; i--) {
            out[n + i] = (char)('0' + fraction % 10);
            fraction /= 10;
        }
        n += 10;
        while (out[n - 1] == '0') /* as Go does */
            n--;
    }
    out[n++] = 'Z';
    return str_make(out, n);
}

struct str sim_clock_date(struct sim_clock *c, nsec_t wall)
{
    nsec_t second = wall / NSEC_PER_SEC;

    if (second != c->date_second || c->date[0] == '\0') {
        struct tm tm = utc(second);

        (void)strftime(c->date, sizeof(c->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        c->date_second = second;
    }
    return str_of(c->date);
}
