/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <errno.h>

#include "admin/admin.h"
#include "cli/config.h"
#include "cli/failures.h"
#include "gateway/gateway.h"
#include "observe/log.h"

#define TEXT_MAX (1024 * 1024)

/*
 * Configurations for the gateway while it runs
 */

/* The command line, which wins over any file; written before the first thread. */
static struct {
    int argc;
    char **argv;
} command;

static int load_config(struct str text, struct gateway_config **ret_config, struct buf *errors)
{
    struct cli_config *c = cli_config_new();
    int r = c == NULL ? -ENOMEM : cli_config_load(c, command.argc, command.argv, text, errors);

    if (r == 0)
        *ret_config = &c->base;
    else
        cli_config_free(c);
    return r;
}

static void free_config(struct gateway_config *config)
{
    cli_config_free(cli_config_of(config));
}

struct changes {
    config_change_fn *fn;
    void *arg;
    bool needs_restart; /* the ones looked for */
};

static int on_change(void *arg, const struct setting *row)
{
    const struct changes *c = arg;

    return row->needs_restart == c->needs_restart ? c->fn(c->arg, row->key, row->needs_restart) : 0;
}

static int compare_configs(const struct gateway_config *first, const struct gateway_config *before,
                           const struct gateway_config *now, config_change_fn *fn, void *arg)
{
    struct changes changes = {.fn = fn, .arg = arg};
    int r = settings_compare(&cli_config_of(before)->settings, &cli_config_of(now)->settings,
                             on_change, &changes);

    if (r != 0)
        return r;
    changes.needs_restart = true;
    return settings_compare(&cli_config_of(first)->settings, &cli_config_of(now)->settings,
                            on_change, &changes);
}

static int print_config(const struct gateway_config *config, struct buf *out)
{
    return settings_print(&cli_config_of(config)->settings, out);
}

static void adopt_config(const struct gateway_config *config)
{
    log_set_level((enum log_level)cli_config_of(config)->own.log_level);
}

static const struct config_ops config_ops = {
    .name = "serve",
    .load = load_config,
    .free = free_config,
    .compare = compare_configs,
    .print = print_config,
    .adopt = adopt_config,
};

/*
 * The command
 */

static int print(const struct cli_config *c, int (*make)(const struct settings *, struct buf *))
{
    struct buf text = BUF_INIT(TEXT_MAX);
    int r = make(&c->settings, &text);

    if (r == 0)
        (void)fwrite(text.data, 1, text.len, stdout);
    buf_fini(&text);
    return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int print_help(const struct cli_config *c)
{
    (void)printf("Usage: chasqui serve [OPTION]...\n\nRuns the gateway: clients speak the Ollama "
                 "or OpenAI API to it, it carries each "
                 "request to the right node.\n");
    return print(c, settings_help);
}

/* Takes @c over. */
static int run(struct cli_config *c)
{
    const struct log_settings log = {
        .level = (enum log_level)c->own.log_level,
        .format = (enum log_format)c->own.log_format,
        .access = c->own.access,
        .program = "chasqui",
    };
    int r = log_start(&log);
    int code;

    if (r < 0) {
        (void)fprintf(stderr, "chasqui: cannot open the access log %s: %s\n", c->own.access,
                      strerrordesc_np(-r));
        cli_config_free(c);
        return EXIT_FAILED;
    }
    code = gateway_run(&c->base, &config_ops, &admin_ops);
    log_stop();
    return code;
}

static int print_manual(const struct settings *s, struct buf *out)
{
    int r = buf_put(
        out,
        STR(".TH CHASQUI.YAML 5\n"
            ".SH NAME\nchasqui.yaml \\- configuration of the gateway chasqui\n"
            ".SH DESCRIPTION\n"
            "What\n.B chasqui serve \\-\\-config\nreads: YAML, without anchors, aliases and tags.\n"
            "A dot in a key below is a level in the file.\n"
            "Durations are written 250ms, 5s, 2m, 1h, sizes 64KiB, 1GiB.\n"
            "${NAME} in a value is an environment variable, ${NAME:\\-text} has a default.\n"
            "A flag wins over the environment, that over the file.\n.PP\n"
            ".B chasqui check FILE\ntells all that is wrong with a file.\n"
            "SIGHUP makes the gateway read it again; what needs a restart says so.\n"
            ".SH SETTINGS\n"));

    if (r == 0)
        r = settings_manual(s, out);
    return r < 0 ? r : buf_put(out, STR(".SH SEE ALSO\n.BR libchasqui (3)\n"));
}

/* What is printed instead of running. Return: the function that makes it; NULL: nothing is. */
static int (*what_to_print(const struct cli_config *c))(const struct settings *, struct buf *)
{
    if (c->own.print_config)
        return settings_print;
    if (c->own.print_schema)
        return settings_schema;
    if (c->own.print_manual)
        return print_manual;
    if (c->own.print_failures)
        return failures_print;
    return c->own.print_reference ? settings_reference : NULL;
}

static int refuse(const struct cli_config *c)
{
    bool is_usage = c->own.config == NULL || c->own.config[0] == '\0';

    if (is_usage)
        (void)fprintf(stderr, "`chasqui serve --help` tells the options.\n");
    return is_usage ? EXIT_USAGE : EXIT_FAILED;
}

static int act(struct cli_config *c, int r)
{
    int code;

    if (r == 0 && !c->own.help && what_to_print(c) == NULL)
        return run(c);
    if (r < 0)
        code = refuse(c);
    else
        code = c->own.help ? print_help(c) : print(c, what_to_print(c));
    cli_config_free(c);
    return code;
}

int cli_serve(int argc, char **argv)
{
    struct cli_config *c = cli_config_new();
    struct buf errors = BUF_INIT(TEXT_MAX);
    int r;

    if (c == NULL)
        return EXIT_FAILED;
    if (cli_is_asked_for_options(argc, argv)) {
        r = cli_print_options(c->settings.rooms, c->settings.n_rooms);
        cli_config_free(c);
        return r;
    }
    command.argc = argc;
    command.argv = argv;
    r = cli_config_load(c, argc, argv, STR_NULL, &errors);
    if (errors.len > 0)
        (void)fwrite(errors.data, 1, errors.len, stderr);
    buf_fini(&errors);
    return act(c, r);
}
