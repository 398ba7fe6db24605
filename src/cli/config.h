/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The gateway's configuration, joined from the settings rows of all rooms
 *
 * What `serve` reads at its start and again at each reload, and what `check` judges.
 */

#include "config/settings.h"
#include "gateway/view.h"

/* Settings of the command itself and of the log. */
struct serve_settings {
    char *config;
    bool print_config;
    bool print_reference;
    bool print_schema;
    bool print_manual;
    bool print_failures;
    bool help;
    int log_level;
    int log_format;
    char *access;
};

struct cli_config {
    struct gateway_config base;
    struct serve_settings own;
    struct settings settings;
    struct settings_room rooms[6];
};

static inline struct cli_config *cli_config_of(const struct gateway_config *base)
{
    return container_of((struct gateway_config *)(uintptr_t)base, struct cli_config, base);
}

/* Defaults. NULL without memory. */
struct cli_config *cli_config_new(void);
void cli_config_free(struct cli_config *c);

/**
 * cli_config_load() - flags, environment, file
 * @argv:  as serve has it
 * @text:  the file; .s NULL: the one that --config names
 *
 * Return: 0; -EX_CONFIG with texts in @errors, all problems in one run; -ENOMEM.
 */
MUST_USE int cli_config_load(struct cli_config *c, int argc, char **argv, struct str text,
                             struct buf *errors);

/**
 * cli_check_file() - what `check` judges: the file, its keys file, who could reach the listeners
 * @errors:  all that is wrong with them
 *
 * Return: 0 nothing is; <0.
 */
MUST_USE int cli_check_file(const char *path, struct buf *errors);
