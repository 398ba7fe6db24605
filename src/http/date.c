/* SPDX-License-Identifier: MIT */
#include "http/date.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DATE_LEN 29

int http_date_parse(struct str text, int64_t *ret_seconds)
{
    char copy[DATE_LEN + 1] = "";
    struct tm tm = {0};
    const char *end;

    if (text.len != DATE_LEN)
        return -EINVAL;
    memcpy(copy, text.s, DATE_LEN);
    end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* the process keeps the C locale */
    if (end == NULL || *end != '\0')
        return -EINVAL;
    *ret_seconds = timegm(&tm);
    return 0;
}
