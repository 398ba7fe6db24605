/* SPDX-License-Identifier: MIT */
#include "observe/text.h"

#define SECONDS_PER_DAY 86400

struct date {
    unsigned year;
    unsigned month;
    unsigned day;
};

/*
 * Proleptic Gregorian calendar. Years begin in March here, so that the leap day is the last one;
 * 719468 days lie between 0000-03-01 and 1970-01-01, and 400 years (an era) have 146097.
 */
static struct date date_of_day(uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + 719468;
    uint64_t era = days / 146097;
    unsigned of_era = (unsigned)(days % 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * of_year + 2) / 153;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

    return (struct date){
        .year = (unsigned)era * 400 + year_of_era + (month <= 2),
        .month = month,
        .day = of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

static char *put_digits(char *at, unsigned value, int n)
{
    for (int i = n; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + n;
}

void text_stamp(nsec_t wall, char out[static TEXT_STAMP_LEN])
{
    uint64_t ms = wall > 0 ? (uint64_t)(wall / NSEC_PER_MSEC) : 0;
    uint64_t seconds = ms / 1000;
    unsigned of_day = (unsigned)(seconds % SECONDS_PER_DAY);
    struct date date = date_of_day(seconds / SECONDS_PER_DAY);
    char *at = put_digits(out, date.year, 4);

    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_digits(at, of_day / 3600, 2);
    *at++ = ':';
    at = put_digits(at, of_day / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, of_day % 60, 2);
    *at++ = '.';
    at = put_digits(at, (unsigned)(ms % 1000), 3);
    *at = 'Z';
}

size_t text_utf8_len(struct str text)
{
    const unsigned char *s = (const unsigned char *)text.s;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || text.len < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF show in the second byte. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* C0, DEL, and C1 (U+0080 to U+009F, two bytes). */
static bool is_control(struct str text)
{
    unsigned char c = (unsigned char)text.s[0];

    return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text.s[1] < 0xa0);
}

int text_put_printable(struct str text, struct buf *out)
{
    int r = buf_reserve(out, text.len);

    if (r < 0)
        return r;
    while (text.len > 0) {
        size_t n = text_utf8_len(text);

        if (n == 0 || is_control(text)) {
            out->data[out->len++] = '?';
        } else {
            memcpy(out->data + out->len, text.s, n);
            out->len += n;
        }
        text = str_from(text, n > 0 ? n : 1);
    }
    return 0;
}
