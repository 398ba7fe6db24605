/* SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include "cli/cli.h"

#define TEXT_MAX (1024 * 1024)

static void free_config(struct gateway_config *config)
{
    cli_config_free(cli_config_of(config));
}

static const struct config_ops check_ops = {
    .name = "check",
    .free = free_config,
};

/* Also what lies outside the file: the keys file, and who could reach the listeners. */
static int judge(struct cli_config *c, struct buf *errors)
{
    struct view *view;
    int r = view_new(&check_ops, &c->base, &view, errors);

    if (r == 0)
        view_unref(view);
    return r;
}

int cli_check_file(const char *path, struct buf *errors)
{
    char flag[] = "--config";
    char *argv[] = {flag, flag, (char *)(uintptr_t)path, NULL}; /* only read */
    struct cli_config *c = cli_config_new();
    int r;

    if (c == NULL)
        return -1;
    r = cli_config_load(c, 3, argv, STR_NULL, errors);
    if (r == 0)
        return judge(c, errors);
    cli_config_free(c);
    return r;
}

int cli_check(int argc, char **argv)
{
    struct buf errors = BUF_INIT(TEXT_MAX);
    int r;

    if (cli_is_asked_for_options(argc, argv))
        return EXIT_DONE; /* it has none */
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)printf("Usage: chasqui check FILE\n\nReads a configuration file as `chasqui serve "
                     "--config FILE` would, with its keys file,\nand tells all that is wrong with "
                     "it. Exit code: 0 nothing is, 1 something is, 2 usage.\n");
        return EXIT_DONE;
    }
    if (argc != 2 || argv[1][0] == '-') {
        (void)fprintf(stderr, "Usage: chasqui check FILE\n");
        return EXIT_USAGE;
    }
    r = cli_check_file(argv[1], &errors);
    if (errors.len > 0)
        (void)fwrite(errors.data, 1, errors.len, stderr);
    buf_fini(&errors);
    if (r == 0)
        (void)printf("%s: ok\n", argv[1]);
    return r == 0 ? EXIT_DONE : EXIT_FAILED;
}
