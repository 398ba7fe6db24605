/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Commands
 *
 * One file per command; main.c has the table. A command gets the arguments behind its name (argv[0]
 * is the name) and returns the exit code.
 */

#include <stdbool.h>
#include <string.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_REFUSED = 4, /* by who is asked: no valid key, not allowed, too often */
    EXIT_INTERRUPTED = 130,
};

/*
 * By this argument, alone, main.c asks every command for its options: entries of a manual page, on
 * stdout.
 */
#define CLI_PRINT_OPTIONS "--print-options"

static inline bool cli_is_asked_for_options(int argc, char *const *argv)
{
    return argc == 2 && strcmp(argv[1], CLI_PRINT_OPTIONS) == 0;
}

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_sim(int argc, char **argv);
int cli_version(int argc, char **argv);

/* Clients of a gateway or an Ollama: see client.h. */
int cli_run(int argc, char **argv);
int cli_embed(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_nodes(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_pull(int argc, char **argv);
int cli_create(int argc, char **argv);
int cli_cp(int argc, char **argv);
int cli_rm(int argc, char **argv);
int cli_stop(int argc, char **argv);
int cli_echo(int argc, char **argv);

/* The load generator. */
int cli_bench(int argc, char **argv);
