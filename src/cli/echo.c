/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

static int print_json(struct str text)
{
    struct buf out = BUF_INIT(2 * CLI_TEXT_MAX);
    struct json_writer w;
    int r;

    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_key(&w, "echo");
    json_str(&w, text);
    json_end(&w);
    r = cli_put_json(&w);
    buf_fini(&out);
    return r;
}

static int echo(struct cli_client *c)
{
    chasqui_reply reply;
    int code = cli_ask(c, "echo", NULL, str_of(c->operands.items[0]), &reply);

    if (code == EXIT_DONE && c->options.output == CLI_JSON) {
        if (print_json(cli_str(reply.body)) < 0)
            code = cli_complain("out of memory");
    } else if (code == EXIT_DONE) {
        cli_put_text(stdout, cli_str(reply.body));
        (void)fputc('\n', stdout);
    }
    chasqui_reply_free(&reply);
    return code;
}

static const struct cli_command command = {
    .synopsis = "echo TEXT [OPTION]...",
    .text = "Sends TEXT to a gateway and prints what comes back. Over mcp:// only.\n",
    .min_operands = 1,
    .max_operands = 1,
    .act = echo,
};

int cli_echo(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
