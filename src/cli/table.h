/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tables for people, sizes and ages
 *
 * Cells are put one after the other, a row is as many as there are heads. Columns are as wide as
 * their widest cell, with four spaces between them, as Ollama prints its lists. The first failure
 * sticks and comes out at the end.
 */

#include "base/buf.h"
#include "base/time.h"

#define CLI_COLUMNS_MAX 9

struct cli_table {
    const char *const *heads;
    size_t n_columns; /* 1..CLI_COLUMNS_MAX */
    struct buf cells; /* each ends in a NUL byte */
    size_t n_cells;
    int err;
};

/* @heads must outlive the table. */
void cli_table_init(struct cli_table *t, const char *const *heads, size_t n_columns);

/* Control characters in it become '?'. */
void cli_table_put(struct cli_table *t, struct str cell);

/* Prints heads and rows to stdout, frees everything. Return: 0, or the first failure. */
MUST_USE int cli_table_print(struct cli_table *t);

#define CLI_WORDS_MAX 48

/* "2.0 GB", in powers of ten, as Ollama has it. */
void cli_print_size(uint64_t bytes, char out[static CLI_WORDS_MAX]);

/**
 * cli_print_age() - "3 weeks ago", "4 minutes from now"
 * @time:  RFC 3339; what is something else is "-"
 * @now:   wall clock, ns
 *
 * Beyond 100 years it is "Never" (behind us) or "Forever".
 */
void cli_print_age(struct str time, nsec_t now, char out[static CLI_WORDS_MAX]);
