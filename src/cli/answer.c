/* SPDX-License-Identifier: MIT */
#include "cli/answer.h"

#include "base/time.h"

void cli_page_put(void *user, chasqui_bytes text)
{
    struct cli_page *page = user;

    if (text.len == 0 || page->c->output_error != 0)
        return;
    cli_put_text(stdout, cli_str(text));
    page->last = cli_str(text).s[text.len - 1];
    if (!cli_flush(page->c))
        chasqui_context_cancel(page->c->context);
}

void cli_page_end(const struct cli_page *page)
{
    if (page->c->output_error == 0 && page->last != 0 && page->last != '\n')
        (void)fputc('\n', stdout);
}

int cli_page_fail(const struct cli_page *page, const chasqui_answer *answer)
{
    /* the cancelled call is no news */
    if (page->c->output_error != 0)
        return EXIT_FAILED;
    return cli_fail(page->c, page->last != 0 ? "the answer is not complete: " : NULL,
                    &answer->error);
}

/*
 * Timings
 */

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

void cli_print_timings(const chasqui_answer *a)
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
