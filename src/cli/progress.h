/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Progress, as pull tells it
 *
 * On stderr: on a terminal one line per status, which its bar is drawn on again and again; else
 * each status once, as plain text. No colours.
 */

#include "base/buf.h"

struct cli_progress {
    struct buf status; /* the one on the line */
    bool is_terminal;
    bool is_line_open; /* the cursor stands behind it */
    bool has_succeeded;
    struct buf errors; /* texts of error records, a line each */
};

void cli_progress_init(struct cli_progress *p);
void cli_progress_fini(struct cli_progress *p);

/* A record: {"status":...}, with "total" and "completed" where there is a bar; or {"error":...}. */
void cli_progress_put(struct cli_progress *p, struct str record);

/* The line is ended. */
void cli_progress_end(struct cli_progress *p);
