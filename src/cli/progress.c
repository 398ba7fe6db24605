/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/json.h"
#include "cli/table.h"

#define STATUS_MAX ((size_t)4096)
#define ERRORS_MAX ((size_t)256 * 1024)
#define BAR_MAX    40 /* cells */
#define TEXT_CELLS 50 /* of a line, besides the bar */

void cli_progress_init(struct cli_progress *p)
{
    *p = (struct cli_progress){
        .status = BUF_INIT(STATUS_MAX),
        .errors = BUF_INIT(ERRORS_MAX),
        .is_terminal = isatty(STDERR_FILENO) == 1,
    };
}

void cli_progress_fini(struct cli_progress *p)
{
    buf_fini(&p->status);
    buf_fini(&p->errors);
}

void cli_progress_end(struct cli_progress *p)
{
    if (p->is_line_open)
        (void)fputc('\n', stderr);
    p->is_line_open = false;
}

static unsigned bar_cells(void)
{
    struct winsize size;
    unsigned columns = 80;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    columns = columns > TEXT_CELLS ? columns - TEXT_CELLS : 0;
    return columns < BAR_MAX ? columns : BAR_MAX;
}

static void draw_bar(uint64_t completed, uint64_t total)
{
    double share = completed < total ? (double)completed / (double)total : 1;
    char done[CLI_WORDS_MAX];
    char all[CLI_WORDS_MAX];
    unsigned cells = bar_cells();

    cli_print_size(completed, done);
    cli_print_size(total, all);
    (void)fprintf(stderr, ": %3u%% ", (unsigned)(share * 100));
    if (cells > 0)
        (void)fputc('[', stderr);
    for (unsigned i = 0; i < cells; i++)
        (void)fputc(i < (unsigned)(share * cells) ? '=' : ' ', stderr);
    (void)fprintf(stderr, "%s %s/%s", cells > 0 ? "]" : "", done, all);
}

static void draw(struct cli_progress *p, struct str record)
{
    uint64_t total = cli_json_u64(cli_json_member(record, STR("total")));

    (void)fputs("\r\033[K", stderr);
    cli_put_text(stderr, buf_str(&p->status));
    if (total > 0)
        draw_bar(cli_json_u64(cli_json_member(record, STR("completed"))), total);
    (void)fflush(stderr);
    p->is_line_open = true;
}

static void take_error(struct cli_progress *p, struct str error)
{
    /* Texts beyond what is kept are told by those before them. */
    if (p->errors.len > 0)
        (void)!buf_put_char(&p->errors, '\n');
    (void)!cli_json_text(error, &p->errors);
}

void cli_progress_put(struct cli_progress *p, struct str record)
{
    struct buf status = BUF_INIT(STATUS_MAX);
    struct str error = cli_json_member(record, STR("error"));
    bool is_new;

    if (error.len > 0) {
        take_error(p, error);
        return;
    }
    if (cli_json_text(cli_json_member(record, STR("status")), &status) < 0)
        buf_reset(&status);
    p->has_succeeded = str_eq(buf_str(&status), STR("success"));
    is_new = !str_eq(buf_str(&status), buf_str(&p->status));
    if (is_new) {
        cli_progress_end(p);
        buf_fini(&p->status);
        p->status = status;
    } else {
        buf_fini(&status);
    }
    if (p->is_terminal) {
        draw(p, record);
    } else if (is_new) {
        cli_put_text(stderr, buf_str(&p->status));
        (void)fputc('\n', stderr);
    }
}
