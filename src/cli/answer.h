/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An answer on the terminal
 *
 * Its words go to stdout as they come, and a line end behind the last; timings go to stderr, as
 * Ollama prints them. Who does not read on wants no more words: the rest is not asked for.
 */

#include "cli/client.h"

/* What is being printed. */
struct cli_page {
    struct cli_client *c;
    char last; /* byte printed; 0: none */
};

/* A chasqui_text_fn. @user: the page */
void cli_page_put(void *user, chasqui_bytes text);

/* The line is ended. */
void cli_page_end(const struct cli_page *page);

/* Tells why the answer is not there, or not all of it. Return: the exit code. */
int cli_page_fail(const struct cli_page *page, const chasqui_answer *answer);

void cli_print_timings(const chasqui_answer *answer);
