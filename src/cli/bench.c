/* SPDX-License-Identifier: MIT */
#include "bench/bench.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "bench/report.h"
#include "cli/client.h"

#define REPORT_MAX  ((size_t)256 * 1024)
#define HEADERS_MAX 8192
#define PIECE       65536

/* Requests at once when --connections does not say; an open loop should not be held up by us. */
#define CLOSED_CONNECTIONS 16
#define OPEN_CONNECTIONS   1024

struct bench_options {
    char *model;
    char *prompt;
    char *body;
    struct strings headers;
    int api;
    bool is_whole;
    uint64_t max_tokens;
    double rate;
    uint64_t n_connections;
    uint64_t n_threads;
    uint64_t n_requests;
    nsec_t duration_ns;
    nsec_t warmup_ns;
    nsec_t timeout_ns;
};

static const struct setting_choice apis[] = {
    {"generate", BENCH_GENERATE}, {"chat", BENCH_CHAT}, {"v1", BENCH_V1}, {NULL, 0}};

static const char *check_header(struct str value)
{
    size_t colon = str_find(value, ':');

    if (colon == 0 || colon == value.len || str_find(value, '\r') < value.len ||
        str_find(value, '\n') < value.len)
        return "is not \"Name: value\" without commas";
    return NULL;
}

static const struct setting rows[] = {
    {.type = SETTING_STRING,
     .offset = offsetof(struct bench_options, model),
     .flag = "--model",
     .arg = "NAME",
     .text = "Model to ask; needed without --body"},
    {.type = SETTING_STRING,
     .offset = offsetof(struct bench_options, prompt),
     .def = "Why is the sky blue?",
     .min = 1,
     .flag = "--prompt",
     .arg = "TEXT",
     .text = "What it is asked"},
    {.type = SETTING_U64,
     .offset = offsetof(struct bench_options, max_tokens),
     .flag = "--tokens",
     .arg = "N",
     .text = "Tokens of an answer, at most; 0 leaves it to the model"},
    {.type = SETTING_STRING,
     .offset = offsetof(struct bench_options, body),
     .flag = "--body",
     .arg = "FILE",
     .text = "JSON body to send as it is, instead of model, prompt and tokens; - for stdin"},
    {.type = SETTING_STRINGS,
     .offset = offsetof(struct bench_options, headers),
     .flag = "--header",
     .arg = "FIELD",
     .text =
         "Another header field, \"Name: value\" without commas; over http:// only, may be repeated",
     .check = check_header},
    {.type = SETTING_ENUM,
     .offset = offsetof(struct bench_options, api),
     .def = "generate",
     .flag = "--api",
     .arg = "API",
     .choices = apis,
     .text = "/api/generate, /api/chat or /v1/chat/completions (over http:// only)"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct bench_options, is_whole),
     .flag = "--no-stream",
     .text = "Ask for whole answers; else for streams"},
    {.type = SETTING_RATIO,
     .offset = offsetof(struct bench_options, rate),
     .max = 1e6,
     .flag = "--rate",
     .arg = "R",
     .text = "Open loop: R requests a second, due whatever became of those before; 0: closed loop"},
    {.type = SETTING_U64,
     .offset = offsetof(struct bench_options, n_connections),
     .max = 100000,
     .flag = "--connections",
     .arg = "N",
     .text = "Requests under way at once; over http:// each has a connection. 0: 16, with --rate "
             "1024"},
    {.type = SETTING_U64,
     .offset = offsetof(struct bench_options, n_threads),
     .def = "1",
     .min = 1,
     .max = 256,
     .flag = "--threads",
     .arg = "N",
     .text = "Threads that send and receive"},
    {.type = SETTING_DURATION,
     .offset = offsetof(struct bench_options, duration_ns),
     .def = "10s",
     .min = 1e6,
     .max = 30 * 86400e9,
     .flag = "--duration",
     .arg = "TIME",
     .text = "How long requests begin; those under way are waited for"},
    {.type = SETTING_U64,
     .offset = offsetof(struct bench_options, n_requests),
     .flag = "--requests",
     .arg = "N",
     .text = "Send as many, however long that takes; 0: by duration"},
    {.type = SETTING_DURATION,
     .offset = offsetof(struct bench_options, warmup_ns),
     .def = "0",
     .max = 86400e9,
     .flag = "--warmup",
     .arg = "TIME",
     .text = "Send for so long before anything counts"},
    {.type = SETTING_DURATION,
     .offset = offsetof(struct bench_options, timeout_ns),
     .def = "5m",
     .min = 1e6,
     .max = 86400e9,
     .flag = "--timeout",
     .arg = "TIME",
     .text = "A request without its whole answer by then has failed"},
};

static int read_file(const char *path, struct buf *out)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    size_t n = 1;
    int r = file != NULL ? 0 : -errno;

    while (r == 0 && n > 0) {
        r = buf_reserve(out, PIECE);
        if (r < 0)
            break;
        n = fread(out->data + out->len, 1, PIECE, file);
        out->len += n;
        r = n == 0 && ferror(file) ? -EIO : 0;
    }
    if (file != NULL && file != stdin)
        (void)fclose(file);
    return r == 0 && out->len == 0 ? -ENODATA : r;
}

static int put_headers(struct buf *out, const struct strings *headers)
{
    int r = 0;

    for (size_t i = 0; i < headers->n && r == 0; i++)
        r = buf_printf(out, "%s\r\n", headers->items[i]);
    return r;
}

/* What the settings point to. */
struct texts {
    struct buf body;
    struct buf fields;
};

/* Return: EXIT_DONE, else the problem is told. */
static int fill(struct bench_settings *s, const struct cli_client *c, struct texts *texts)
{
    const struct bench_options *o = c->command->own->target;
    const struct url_ports ports = {.mcp = CHASQUI_MCP_PORT, .http = CHASQUI_HTTP_PORT};
    int r = 0;

    *s = (struct bench_settings){
        .key = str_of(c->options.key),
        .api = (enum bench_api)o->api,
        .model = str_of(o->model),
        .prompt = str_of(o->prompt),
        .max_tokens = o->max_tokens,
        .is_stream = !o->is_whole,
        .n_threads = o->n_threads,
        .n_connections = o->n_connections,
        .rate = o->rate,
        .n_requests = o->n_requests,
        .duration_ns = o->duration_ns,
        .warmup_ns = o->warmup_ns,
        .timeout_ns = o->timeout_ns,
    };
    if (s->n_connections == 0)
        s->n_connections = s->rate > 0 ? OPEN_CONNECTIONS : CLOSED_CONNECTIONS;
    if (url_parse_endpoint(str_of(c->options.host), ports, &s->url) < 0) {
        (void)cli_complain("%s: not one mcp://HOST:PORT or http://HOST:PORT", c->options.host);
        return EXIT_USAGE;
    }
    if (o->body[0] != '\0') {
        r = read_file(o->body, &texts->body);
        s->body = buf_str(&texts->body);
    }
    if (r < 0)
        return cli_complain("%s: %s", o->body, err_text(r));
    if (put_headers(&texts->fields, &o->headers) < 0)
        return cli_complain("the header fields are too long");
    s->fields = buf_str(&texts->fields);
    if (s->body.len == 0 && s->model.len == 0) {
        (void)cli_complain("whom to ask? --model NAME (`chasqui list` tells which there are), or "
                           "--body FILE");
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

/* Return: EXIT_DONE, else the failure is told. */
static int run(const struct cli_client *c, const struct bench_settings *s,
               struct bench_result *result)
{
    int r = bench_run(s, result);

    if (r == -EINVAL)
        (void)cli_complain("the body is no request of this API: a JSON object with a \"model\" is "
                           "needed, see --api");
    else if (r == -EOPNOTSUPP)
        (void)cli_complain("%s: /v1 is not spoken over mcp://; use the http:// door (port 11435)",
                           c->options.host);
    else if (r == -EMFILE || r == -ENFILE)
        (void)cli_complain("no more descriptors: raise `ulimit -n`, or use fewer --connections");
    else if (r < 0)
        (void)cli_complain("cannot begin: %s", err_text(r));
    return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

static const char *advice_of(enum tally_fault fault, unsigned status)
{
    if (fault == TALLY_CONNECT)
        return "Is it running? --host says who is asked: a gateway has MCP on 11436 and HTTP on "
               "11435, an Ollama HTTP on 11434.";
    if (status == 401)
        return "A key is given with CHASQUI_API_KEY or --key.";
    if (status == 404)
        return "`chasqui list` tells which models there are.";
    return "The request itself is refused: more of them would tell nothing.";
}

/* What the first request says about all others. Return: EXIT_DONE when they are worth sending. */
static int judge_first(const struct cli_client *c, const struct tally *t)
{
    enum tally_fault fault = TALLY_CONNECT;
    unsigned status = 0;

    if (t->n_good > 0)
        return EXIT_DONE;
    while (fault + 1 < N_TALLY_FAULTS && t->n_faults[fault] == 0)
        fault++;
    while (fault == TALLY_STATUS && status + 1 < TALLY_STATUSES && t->n_statuses[status] == 0)
        status++;
    (void)cli_complain("%s: the first request failed (%s%.0u): " STR_FMT, c->options.host,
                       status > 0 ? "status " : tally_fault_name(fault), status,
                       STR_ARG(str_make(t->texts[fault], t->text_lens[fault])));
    if (fault != TALLY_CONNECT && (status < 400 || status == 429 || status >= 500))
        return EXIT_DONE; /* that may be what is to be measured */
    (void)fprintf(stderr, "%s\n", advice_of(fault, status));
    if (fault == TALLY_CONNECT)
        return EXIT_UNREACHABLE;
    return status == 401 || status == 403 ? EXIT_REFUSED : EXIT_FAILED;
}

/* One request before all others, not counted: it tells what would fail a million times. */
static int try_one(const struct cli_client *c, const struct bench_settings *settings,
                   struct bench_result *result)
{
    struct bench_settings one = *settings;
    int code;

    one.rate = 0;
    one.n_threads = one.n_connections = one.n_requests = 1;
    one.warmup_ns = 0;
    code = run(c, &one, result);
    if (code == EXIT_DONE)
        code = result->is_interrupted ? EXIT_INTERRUPTED : judge_first(c, &result->tally);
    *result = (struct bench_result){0};
    return code;
}

static int print(const struct cli_client *c, const struct bench_settings *settings,
                 const struct bench_result *result)
{
    const struct report_subject subject = {c->options.host, settings};
    struct buf out = BUF_INIT(REPORT_MAX);
    int r = c->options.output == CLI_JSON ? report_json(&out, &subject, result)
                                          : report_text(&out, &subject, result);

    if (r == 0)
        cli_put_text(stdout, buf_str(&out));
    buf_fini(&out);
    if (r < 0)
        return cli_complain("the report: %s", err_text(r));
    if (result->is_interrupted)
        return EXIT_INTERRUPTED;
    return result->tally.n_good > 0 ? EXIT_DONE : EXIT_FAILED;
}

static int bench(struct cli_client *c)
{
    struct bench_result *result CLEANUP(freep) = calloc(1, sizeof(*result));
    struct texts texts = {.body = BUF_INIT(CLI_TEXT_MAX), .fields = BUF_INIT(HEADERS_MAX)};
    struct bench_settings settings;
    int code;

    if (result == NULL)
        return cli_complain("out of memory");
    code = fill(&settings, c, &texts);
    if (code == EXIT_DONE)
        code = try_one(c, &settings, result);
    if (code == EXIT_DONE)
        code = run(c, &settings, result);
    if (code == EXIT_DONE)
        code = print(c, &settings, result);
    buf_fini(&texts.body);
    buf_fini(&texts.fields);
    return code;
}

int cli_bench(int argc, char **argv)
{
    struct bench_options options = {0};
    const struct settings_room own = {"options", rows, ARRAY_LEN(rows), &options};
    const struct cli_command command = {
        .synopsis = "bench --model NAME [OPTION]...",
        .text =
            "Sends requests to a gateway or an Ollama and reports latency, tokens and failures.\n\n"
            "Closed loop: --connections N requests are always under way. Open loop: --rate R, and "
            "latency\nbegins when a request was due, so that a stall counts for all who would have "
            "come meanwhile.\nA first request, not counted, finds out whether the others make "
            "sense. Ctrl-C ends the run and\nreports what there is.\n\n"
            "Examples:\n"
            "  chasqui bench --host http://127.0.0.1:11434 --model llama3.2 --tokens 32\n"
            "  chasqui bench --host mcp://127.0.0.1:11436 --model llama3.2 --rate 50 --duration "
            "60s "
            "-o json\n",
        .own = &own,
        .act = bench,
    };

    return cli_client_run(&command, argc, argv);
}
