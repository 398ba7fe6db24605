/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"

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

/* What is being printed. */
struct page {
    struct cli_client *c;
    char last; /* byte printed; 0: none */
};

/* Who does not read on wants no more words: the rest is not asked for. */
static void on_text(void *user, chasqui_bytes text)
{
    struct page *page = user;

    if (text.len == 0 || page->c->output_error != 0)
        return;
    cli_put_text(stdout, cli_str(text));
    page->last = cli_str(text).s[text.len - 1];
    if (!cli_flush(page->c))
        chasqui_context_cancel(page->c->context);
}

static void end_line(const struct page *page)
{
    if (page->c->output_error == 0 && page->last != 0 && page->last != '\n')
        (void)fputc('\n', stdout);
}

/* "4.6481", "20": as many decimals as are needed. */
static void print_decimal(double value)
{
    char text[32];
    size_t n = (size_t)snprintf(text, sizeof(text), "%.9f", value);

    while (text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    (void)fwrite(text, 1, n, stderr);
}

/* As Go prints a duration: "1m4.6481s", "342.546ms". */
static void print_duration(const char *name, uint64_t ns)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}, {NSEC_PER_USEC, "µs"}, {1, "ns"}};
    const uint64_t minute = 60 * (uint64_t)NSEC_PER_SEC;
    size_t i = 0;

    if (ns == 0)
        return;
    (void)fprintf(stderr, "%-21s ", name);
    if (ns >= 60 * minute)
        (void)fprintf(stderr, "%lluh", (unsigned long long)(ns / (60 * minute)));
    if (ns >= minute)
        (void)fprintf(stderr, "%llum", (unsigned long long)(ns / minute % 60));
    while (ns < units[i].ns)
        i++;
    print_decimal((double)(ns % minute) / (double)units[i].ns);
    (void)fprintf(stderr, "%s\n", units[i].name);
}

static void print_rate(const char *name, uint64_t tokens, uint64_t ns)
{
    if (tokens > 0 && ns > 0)
        (void)fprintf(stderr, "%-21s %.2f tokens/s\n", name,
                      (double)tokens * (double)NSEC_PER_SEC / (double)ns);
}

static void print_count(const char *name, uint64_t tokens)
{
    if (tokens > 0)
        (void)fprintf(stderr, "%-21s %llu token(s)\n", name, (unsigned long long)tokens);
}

static void print_timings(const chasqui_answer *a)
{
    (void)fflush(stdout);
    (void)fputc('\n', stderr);
    print_duration("total duration:", a->total_ns);
    print_duration("load duration:", a->load_ns);
    print_count("prompt eval count:", a->prompt_tokens);
    print_duration("prompt eval duration:", a->prompt_ns);
    print_rate("prompt eval rate:", a->prompt_tokens, a->prompt_ns);
    print_count("eval count:", a->answer_tokens);
    print_duration("eval duration:", a->answer_ns);
    print_rate("eval rate:", a->answer_tokens, a->answer_ns);
}

static int fail(const struct page *page, const chasqui_answer *answer)
{
    /* the cancelled call is no news */
    if (page->c->output_error != 0)
        return EXIT_FAILED;
    return cli_fail(page->c, page->last != 0 ? "the answer is not complete: " : NULL,
                    &answer->error);
}

/* With -o json the answer comes in one piece and is printed as it came. */
static int ask(struct cli_client *c, const char *prompt)
{
    struct page page = {.c = c};
    chasqui_generate_request request = {
        .size = sizeof(request),
        .model = c->operands.items[0],
        .prompt = prompt,
        .context = c->context,
        .on_text = c->options.output == CLI_JSON ? NULL : on_text,
        .user = &page,
    };
    chasqui_answer answer;
    int code = EXIT_DONE;
    int r = chasqui_generate(c->client, &request, &answer);

    if (r == CHASQUI_OK && c->options.output == CLI_JSON)
        on_text(&page, answer.json);
    end_line(&page);
    if (r != CHASQUI_OK)
        code = fail(&page, &answer);
    else if (c->options.is_verbose)
        print_timings(&answer);
    chasqui_answer_free(&answer);
    return code;
}

static int run(struct cli_client *c)
{
    struct buf prompt = BUF_INIT(CLI_TEXT_MAX);
    int code = make_prompt(&prompt, &c->operands);

    if (code == EXIT_DONE)
        code = cli_connect(c);
    if (code == EXIT_DONE)
        code = ask(c, prompt.data);
    buf_fini(&prompt);
    return code;
}

static const struct cli_command command = {
    .synopsis = "run MODEL [PROMPT...] [OPTION]...",
    .text = "Asks MODEL and prints the answer as it comes. What stands on stdin goes before "
            "PROMPT. Ctrl-C ends it, and the "
            "node's work.\n",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .has_verbose = true,
    .act = run,
};

int cli_run(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
