/* SPDX-License-Identifier: MIT */
#include "cli/answer.h"

#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/chat.h"

#define PIECE 65536

/*
 * The prompt: what stdin has, then the operands, with spaces between them, as `ollama run` has it
 */

static int read_all(struct buf *out)
{
    ssize_t n;
    int r;

    do {
        r = buf_reserve(out, PIECE);
        if (r < 0)
            return r;
        n = read(STDIN_FILENO, out->data + out->len, PIECE);
        if (n > 0)
            out->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : 0;
}

static int join_operands(struct buf *prompt, const struct strings *operands)
{
    int r = 0;

    for (size_t i = 1; i < operands->n && r == 0; i++) {
        if (prompt->len > 0)
            r = buf_put_char(prompt, ' ');
        if (r == 0)
            r = buf_put(prompt, str_of(operands->items[i]));
    }
    return r;
}

/* Return: EXIT_DONE, else the failure is told. */
static int make_prompt(struct buf *prompt, const struct strings *operands)
{
    int r = isatty(STDIN_FILENO) ? 0 : read_all(prompt);

    if (r == 0)
        r = join_operands(prompt, operands);
    if (r == 0 && prompt->len == 0) {
        (void)cli_complain("a prompt is needed, as an argument or on stdin");
        return EXIT_USAGE;
    }
    if (r == 0 && memchr(prompt->data, '\0', prompt->len) != NULL)
        return cli_complain("the prompt is no text: it has a NUL byte");
    if (r == 0)
        r = buf_put_char(prompt, '\0');
    return r < 0 ? cli_complain("the prompt: %s", err_text(r)) : EXIT_DONE;
}

/*
 * The answer
 */

/* With -o json the answer comes in one piece and is printed as it came. */
static int ask(struct cli_client *c, const char *prompt)
{
    struct cli_page page = {.c = c};
    chasqui_generate_request request = {
        .size = sizeof(request),
        .model = c->operands.items[0],
        .prompt = prompt,
        .context = c->context,
        .on_text = c->options.output == CLI_JSON ? NULL : cli_page_put,
        .user = &page,
    };
    chasqui_answer answer;
    int code = EXIT_DONE;
    int r = chasqui_generate(c->client, &request, &answer);

    if (r == CHASQUI_OK && c->options.output == CLI_JSON)
        cli_page_put(&page, answer.json);
    cli_page_end(&page);
    if (r != CHASQUI_OK)
        code = cli_page_fail(&page, &answer);
    else if (c->options.is_verbose)
        cli_print_timings(&answer);
    chasqui_answer_free(&answer);
    return code;
}

/* Somebody sits there and has said nothing yet. */
static bool is_conversation(const struct cli_client *c)
{
    return c->operands.n == 1 && c->options.output == CLI_TABLE && isatty(STDIN_FILENO) &&
           isatty(STDOUT_FILENO);
}

static int run(struct cli_client *c)
{
    struct buf prompt = BUF_INIT(CLI_TEXT_MAX);
    int code;

    if (is_conversation(c))
        return cli_chat(c);
    code = make_prompt(&prompt, &c->operands);
    if (code == EXIT_DONE)
        code = cli_connect(c);
    if (code == EXIT_DONE)
        code = ask(c, prompt.data);
    buf_fini(&prompt);
    return code;
}

static const struct cli_command command = {
    .synopsis = "run MODEL [PROMPT...] [OPTION]...",
    .text =
        "Asks MODEL and prints the answer as it comes. What stands on stdin goes before PROMPT.\n"
        "Ctrl-C ends it, and the node's work.\n\n"
        "Without a prompt, on a terminal: a conversation. Ctrl-C stops an answer or clears the "
        "line,\nCtrl-D or /bye leaves, /? tells more. Lines are kept in "
        "$XDG_STATE_HOME/chasqui/history\n(~/.local/state without it).\n",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .has_verbose = true,
    .act = run,
};

int cli_run(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
