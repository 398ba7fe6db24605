/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the client commands share
 *
 * A command is a description and an act. cli_client_run() reads flags and operands, prints help or
 * says what is wrong with them, runs the act, and closes everything. An act asks with cli_ask() or
 * cli_ask_json(), writes results to stdout with stdio, and returns the exit code. Whoever finds a
 * failure tells it, on stderr, and returns its code; nobody tells it twice.
 *
 * Ctrl-C ends what is being asked: the call is cancelled, over the wire too, and the code is
 * EXIT_INTERRUPTED. Until cli_connect() it ends the process as usual, and so does a second one.
 * No colours anywhere, so there is nothing for NO_COLOR to switch off.
 */

#include <pthread.h>
#include <stdatomic.h>

#include <chasqui/chasqui.h>

#include "cli/cli.h"
#include "config/settings.h"
#include "json/writer.h"

#define CLI_DEFAULT_HOST  "mcp://127.0.0.1:11436"
#define CLI_DEFAULT_HTTP  "http://127.0.0.1:11435"
#define CLI_DEFAULT_ADMIN "http://127.0.0.1:11437"
#define CLI_TEXT_MAX      ((size_t)32 * 1024 * 1024) /* of a prompt or a body */

enum cli_output {
    CLI_TABLE, /* for people */
    CLI_JSON,  /* the answer as it came */
};

/* Target of the flags that all commands have. */
struct cli_options {
    char *host;
    char *key;
    char *admin;     /* where a command has the flag */
    int output;      /* enum cli_output */
    bool is_verbose; /* where a command has the flag */
    bool help;
};

struct cli_command;

struct cli_client {
    const struct cli_command *command;
    struct cli_options options;
    struct strings operands;
    chasqui_client *client; /* NULL until cli_connect() */
    chasqui_context *context;
    pthread_mutex_t lock; /* of context and is_interrupted, which the watcher has to see as one */
    int output_error;     /* errno of a write to stdout; 0: none */
    pthread_t watcher;    /* waits for Ctrl-C */
    bool is_watched;
    atomic_bool is_interrupted; /* set by the watcher */
    atomic_bool is_over;        /* for the watcher: the next signal is its own end */
};

struct cli_command {
    const char *synopsis; /* "list [OPTION]..." */
    const char *text;     /* what it does, for help */
    size_t min_operands;
    size_t max_operands;
    bool has_verbose;
    bool has_admin;
    const struct settings_room *own; /* flags of this command alone; NULL: none */
    int (*act)(struct cli_client *c);
};

/* A whole command. Return: the exit code. */
int cli_client_run(const struct cli_command *command, int argc, char **argv);

/* Flags as entries of a manual page, to stdout. Return: the exit code. */
int cli_print_options(const struct settings_room *rooms, size_t n_rooms);

/* Those that all client commands have. Return: the exit code. */
int cli_print_common_options(void);

/* Makes client and context, if there are none yet. Return: EXIT_DONE, else the failure is told. */
MUST_USE int cli_connect(struct cli_client *c);

/* After Ctrl-C, or before the next question: a fresh context. Return: as cli_connect(). */
MUST_USE int cli_renew(struct cli_client *c);

/**
 * cli_ask() - one request, one answer
 * @class_name:  of the call, see <chasqui/client.h>; NULL: "request"
 * @ret_reply:   filled in any case; chasqui_reply_free() it
 *
 * Return: EXIT_DONE, else the failure is told.
 */
MUST_USE int cli_ask(struct cli_client *c, const char *service, const char *class_name,
                     struct str payload, chasqui_reply *ret_reply);

/**
 * cli_ask_json() - ask, and print what comes
 * @print:  the answer for people; 0 or <0. With -o json the answer is printed as it came, on a line
 *
 * Return: EXIT_DONE, else the failure is told.
 */
MUST_USE int cli_ask_json(struct cli_client *c, const char *service, const char *class_name,
                          struct str payload, int (*print)(struct str answer));

/* Tells an error, and what to do about it. @what: before it, or NULL. Return: its exit code. */
int cli_fail(const struct cli_client *c, const char *what, const chasqui_error *error);

/* Tells any other failure: "chasqui: TEXT". Return: EXIT_FAILED. */
int cli_complain(const char *format, ...) PRINTF(1, 2);

/* Sends to stdout what is buffered. Return: whether all that was ever written could be. */
bool cli_flush(struct cli_client *c);

/* Writes text that somebody else wrote: control characters do not reach a terminal. */
void cli_put_text(FILE *out, struct str text);

/* Writes the JSON text that @w has made, as a line on stdout. Return: 0; <0, nothing is written. */
MUST_USE int cli_put_json(const struct json_writer *w);

static inline struct str cli_str(chasqui_bytes b)
{
    return str_make(b.data, b.len);
}
