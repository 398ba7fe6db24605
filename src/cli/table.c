/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <errno.h>

#define CELLS_MAX ((size_t)64 * 1024 * 1024)
#define GAP       4

/*
 * Tables
 */

void cli_table_init(struct cli_table *t, const char *const *heads, size_t n_columns)
{
    *t = (struct cli_table){.heads = heads, .n_columns = n_columns, .cells = BUF_INIT(CELLS_MAX)};
    for (size_t i = 0; i < n_columns; i++)
        cli_table_put(t, str_of(heads[i]));
}

void cli_table_put(struct cli_table *t, struct str cell)
{
    for (size_t i = 0; i < cell.len && t->err == 0; i++) {
        unsigned char c = (unsigned char)cell.s[i];

        t->err = buf_put_char(&t->cells, c < ' ' || c == 0x7f ? '?' : cell.s[i]);
    }
    if (t->err == 0)
        t->err = buf_put_char(&t->cells, '\0');
    t->n_cells++;
}

/* Characters of UTF-8: bytes that do not continue one. */
static size_t width_of(const char *cell)
{
    size_t n = 0;

    for (; *cell != '\0'; cell++)
        n += ((unsigned char)*cell & 0xC0) != 0x80;
    return n;
}

static void print_cell(const char *cell, size_t width, bool is_last)
{
    size_t own = width_of(cell);

    (void)fputs(cell, stdout);
    if (is_last)
        (void)fputc('\n', stdout);
    else
        (void)printf("%*s", (int)(width - own + GAP), "");
}

static void print_rows(const struct cli_table *t)
{
    size_t widths[CLI_COLUMNS_MAX] = {0};
    const char *cell = t->cells.data;

    for (size_t i = 0; i < t->n_cells; i++, cell += strlen(cell) + 1) {
        size_t width = width_of(cell);

        if (width > widths[i % t->n_columns])
            widths[i % t->n_columns] = width;
    }
    cell = t->cells.data;
    for (size_t i = 0; i < t->n_cells; i++, cell += strlen(cell) + 1)
        print_cell(cell, widths[i % t->n_columns], (i + 1) % t->n_columns == 0);
}

int cli_table_print(struct cli_table *t)
{
    if (t->err == 0)
        print_rows(t);
    buf_fini(&t->cells);
    return t->err;
}

/*
 * Sizes
 */

void cli_print_size(uint64_t bytes, char out[static CLI_WORDS_MAX])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    uint64_t one = 1;

    while (bytes / one >= 1000) {
        one *= 1000;
        unit++;
    }
    if (bytes / one >= 10 || bytes % one == 0)
        (void)snprintf(out, CLI_WORDS_MAX, "%llu %s", (unsigned long long)(bytes / one),
                       units[unit]);
    else
        (void)snprintf(out, CLI_WORDS_MAX, "%.1f %s", (double)bytes / (double)one, units[unit]);
}

/*
 * Ages
 */

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)
#define EVER   (100 * YEAR) /* what is not told is in the year 1, what does not end in 2318 */

/* Up to @below seconds a span is told in these units. */
static const struct span {
    int64_t below;
    int64_t unit;
    const char *words; /* a number of these, or */
    const char *whole; /* said of all of the row */
} spans[] = {
    {1, 1, NULL, "Less than a second"}, {2, 1, NULL, "1 second"},
    {MINUTE, 1, "seconds", NULL},       {2 * MINUTE, MINUTE, NULL, "About a minute"},
    {HOUR, MINUTE, "minutes", NULL},    {3 * HOUR / 2, HOUR, NULL, "About an hour"},
    {2 * DAY, HOUR, "hours", NULL},     {14 * DAY, DAY, "days", NULL},
    {60 * DAY, 7 * DAY, "weeks", NULL}, {2 * YEAR, 30 * DAY, "months", NULL},
    {INT64_MAX, YEAR, "years", NULL},
};

static int parse_time(struct str text, int64_t *ret_seconds)
{
    char copy[64];
    struct tm tm = {0};
    char *rest;
    int64_t seconds;

    if (text.len >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text.s, text.len);
    copy[text.len] = '\0';
    rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL)
        return -EINVAL;
    seconds = timegm(&tm);
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    rest = strptime(rest, "%z", &tm);
    if (rest == NULL || *rest != '\0')
        return -EINVAL;
    *ret_seconds = seconds - tm.tm_gmtoff;
    return 0;
}

static const struct span *span_of(int64_t seconds)
{
    const struct span *s = spans;

    while (seconds >= s->below)
        s++;
    return s;
}

void cli_print_age(struct str time, nsec_t now, char out[static CLI_WORDS_MAX])
{
    const struct span *s;
    const char *side;
    int64_t ago;
    int64_t at;

    if (time.len == 0 || parse_time(time, &at) < 0) {
        (void)snprintf(out, CLI_WORDS_MAX, "-");
        return;
    }
    ago = now / NSEC_PER_SEC - at;
    side = ago < 0 ? "from now" : "ago";
    s = span_of(llabs(ago));
    if (llabs(ago) >= EVER)
        (void)snprintf(out, CLI_WORDS_MAX, "%s", ago < 0 ? "Forever" : "Never");
    else if (s->whole != NULL)
        (void)snprintf(out, CLI_WORDS_MAX, "%s %s", s->whole, side);
    else
        (void)snprintf(out, CLI_WORDS_MAX, "%lld %s %s", llabs(ago) / s->unit, s->words, side);
}
