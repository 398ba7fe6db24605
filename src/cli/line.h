/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lines typed on a terminal, with editing and history
 *
 * By libedit, which no other file includes; ~/.editrc is heeded. Ctrl-C gives the line up, Ctrl-D on
 * an empty one is the end. History is kept in $XDG_STATE_HOME/chasqui/history (~/.local/state
 * without it), readable by its owner alone; where it cannot be kept, it ends with the program.
 */

#include "base/str.h"

struct cli_line;

enum {
    CLI_LINE_END = 1,     /* Ctrl-D, or the terminal is gone */
    CLI_LINE_INTERRUPTED, /* Ctrl-C */
};

/* NULL without memory. Changes the locale's LC_CTYPE: words are to be edited, not bytes. */
struct cli_line *cli_line_new(void);

/* NULL is fine. */
void cli_line_free(struct cli_line *l);

/**
 * cli_line_read() - one line
 * @prompt:    before it
 * @ret_line:  without its end; valid until the next call
 *
 * Return: 0; CLI_LINE_END; CLI_LINE_INTERRUPTED.
 */
MUST_USE int cli_line_read(struct cli_line *l, const char *prompt, struct str *ret_line);

/* Puts a text, of one line or more, into the history. */
void cli_line_remember(struct cli_line *l, const char *text);
