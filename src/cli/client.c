/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/err.h"

#define HELP_MAX ((size_t)64 * 1024)

/* A person waits: no second try, and enough time for a connection that takes its three seconds. */
#define QUESTION_MS 10000
#define LOADING_MS  300000 /* silence: a model may be loading, as long as Ollama lets it */

static const struct setting_choice outputs[] = {
    {"table", CLI_TABLE},
    {"json", CLI_JSON},
    {NULL, 0},
};

static const struct setting option_rows[] = {
    {.type = SETTING_STRING,
     .offset = offsetof(struct cli_options, host),
     .def = CLI_DEFAULT_HOST,
     .min = 1,
     .max = 2048,
     .flag = "--host",
     .arg = "URL",
     .env = "CHASQUI_HOST",
     .text = "Who is asked: mcp://HOST:PORT or http://HOST:PORT; several with commas"},
    {.type = SETTING_STRING,
     .offset = offsetof(struct cli_options, key),
     .flag = "--key",
     .arg = "KEY",
     .env = "CHASQUI_API_KEY",
     .is_secret = true,
     .text = "Key for a gateway that wants one; without CHASQUI_API_KEY, OLLAMA_API_KEY"},
    {.type = SETTING_ENUM,
     .offset = offsetof(struct cli_options, output),
     .def = "table",
     .flag = "-o",
     .arg = "FORMAT",
     .choices = outputs,
     .text = "table for people, json for programs"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct cli_options, help),
     .flag = "--help",
     .text = "Print this help"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct cli_options, help),
     .flag = "-h",
     .text = "The same"},
};

static const struct setting verbose_row = {.type = SETTING_BOOL,
                                           .offset = offsetof(struct cli_options, is_verbose),
                                           .flag = "--verbose",
                                           .text = "Print timings to stderr"};

static const struct setting admin_row = {
    .type = SETTING_STRING,
    .offset = offsetof(struct cli_options, admin),
    .def = CLI_DEFAULT_ADMIN,
    .min = 1,
    .max = 2048,
    .flag = "--admin",
    .arg = "URL",
    .env = "CHASQUI_ADMIN",
    .text = "The gateway's admin listener, which knows about its nodes",
};

/*
 * Failures
 */

void cli_put_text(FILE *out, struct str text)
{
    if (!isatty(fileno(out))) {
        (void)fwrite(text.s, 1, text.len, out);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.s[i];

        (void)fputc((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : c, out);
    }
}

int cli_put_json(const struct json_writer *w)
{
    int r = json_writer_result(w);

    if (r == 0)
        r = buf_put_char(w->out, '\n');
    if (r == 0)
        (void)fwrite(w->out->data, 1, w->out->len, stdout);
    return r;
}

int cli_complain(const char *format, ...)
{
    va_list args;

    (void)fputs("chasqui: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return EXIT_FAILED;
}

static const char *advice_unreachable(const struct cli_client *c)
{
    if (str_starts(str_of(c->options.host), STR("http:")))
        return "Is it running? `chasqui serve` starts a gateway (HTTP port 11435), `ollama serve` "
               "an "
               "Ollama (11434).";
    return "`chasqui serve` starts a gateway (MCP port 11436, HTTP 11435); an Ollama itself is "
           "asked "
           "with --host http://127.0.0.1:11434.";
}

/* What an error means here; those without a row are EXIT_FAILED. */
static const struct verdict {
    int code;
    bool is_theirs; /* only when the other side made it: here it says that memory is short */
    int exit;
    const char *advice;
} verdicts[] = {
    {CHASQUI_UNAUTHENTICATED, false, EXIT_REFUSED, "A key is given with CHASQUI_API_KEY or --key."},
    {CHASQUI_PERMISSION_DENIED, false, EXIT_REFUSED,
     "Who runs the gateway decides what a key may do."},
    {CHASQUI_RESOURCE_EXHAUSTED, true, EXIT_REFUSED, "Try again later."},
    {CHASQUI_OVERLOADED, false, EXIT_FAILED, "Try again later."},
    {CHASQUI_NOT_FOUND, false, EXIT_FAILED, "`chasqui list` tells which models there are."},
    {CHASQUI_PROTOCOL, false, EXIT_FAILED,
     "Does this port speak that protocol? A gateway has MCP on 11436 and HTTP on 11435."},
};

/* Nobody there has answered: there was no connection, or whoever took it speaks something else. */
static bool is_unreachable(const struct cli_client *c, const chasqui_error *error)
{
    bool is_theirs =
        error->origin == CHASQUI_ORIGIN_GATEWAY || error->origin == CHASQUI_ORIGIN_NODE;
    chasqui_stats stats = {.size = sizeof(stats)};

    if (error->code != CHASQUI_UNAVAILABLE || is_theirs || (error->flags & CHASQUI_PARTIAL) != 0)
        return false;
    return (error->flags & CHASQUI_NOT_PROCESSED) != 0 ||
           (chasqui_get_stats(c->client, &stats) == CHASQUI_OK && stats.connects == 0);
}

static struct verdict judge(const struct cli_client *c, const chasqui_error *error)
{
    struct verdict v = {error->code, false, EXIT_FAILED, NULL};
    bool is_theirs = error->origin != CHASQUI_ORIGIN_LOCAL;

    if (is_unreachable(c, error)) {
        v.exit = EXIT_UNREACHABLE;
        v.advice = advice_unreachable(c);
    }
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
        if (verdicts[i].code == error->code && (is_theirs || !verdicts[i].is_theirs))
            v = verdicts[i];
    return v;
}

int cli_fail(const struct cli_client *c, const char *what, const chasqui_error *error)
{
    struct verdict v;

    if (atomic_load(&c->is_interrupted))
        return EXIT_INTERRUPTED;
    v = judge(c, error);
    (void)fflush(stdout);
    (void)fprintf(stderr, "chasqui: %s: %s", c->options.host, what != NULL ? what : "");
    cli_put_text(stderr, str_of(error->text));
    (void)fputc('\n', stderr);
    if (v.advice != NULL)
        (void)fprintf(stderr, "%s\n", v.advice);
    return v.exit;
}

/*
 * Ctrl-C
 */

/* A context may be cancelled by any thread, but not by a signal handler; so a thread waits. */
static void *watch(void *arg)
{
    struct cli_client *c = arg;
    sigset_t set;
    int sig;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    while (sigwait(&set, &sig) == 0 && !atomic_load(&c->is_over)) {
        (void)pthread_mutex_lock(&c->lock);
        if (atomic_exchange(&c->is_interrupted, true))
            _exit(EXIT_INTERRUPTED);
        chasqui_context_cancel(c->context);
        (void)pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

static int watch_start(struct cli_client *c)
{
    struct sigaction now;
    sigset_t set;
    int r;

    /* Who was started to ignore it (nohup, a job in the background) goes on ignoring it. */
    if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        return 0;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    r = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (r == 0)
        r = pthread_create(&c->watcher, NULL, watch, c);
    c->is_watched = r == 0;
    return -r;
}

static void watch_stop(struct cli_client *c)
{
    if (!c->is_watched)
        return;
    atomic_store(&c->is_over, true);
    (void)pthread_kill(c->watcher, SIGINT);
    (void)pthread_join(c->watcher, NULL);
}

/*
 * Asking
 */

static const chasqui_class_options classes[] = {
    {.size = sizeof(chasqui_class_options),
     .name = "query",
     .timeout_ms = QUESTION_MS,
     .max_retries = CHASQUI_NO_RETRIES,
     .flags = CHASQUI_IDEMPOTENT},
    {.size = sizeof(chasqui_class_options),
     .name = "answer",
     .timeout_ms = CHASQUI_NEVER,
     .silence_ms = LOADING_MS,
     .max_retries = CHASQUI_NO_RETRIES},
};

int cli_connect(struct cli_client *c)
{
    const chasqui_options options = {
        .size = sizeof(options),
        .key = c->options.key[0] != '\0' ? c->options.key : NULL,
        .timeout_ms = QUESTION_MS,
        .max_retries = CHASQUI_NO_RETRIES,
        .classes = classes,
        .n_classes = ARRAY_LEN(classes),
    };
    chasqui_error error;

    if (c->client != NULL)
        return EXIT_DONE;
    c->context = chasqui_context_new(NULL);
    if (c->context == NULL || watch_start(c) < 0)
        return cli_complain("out of memory");
    if (chasqui_open(c->options.host, &options, &c->client, &error) == CHASQUI_OK)
        return EXIT_DONE;
    (void)cli_complain("%s: %s", c->options.host, error.text);
    return error.code == CHASQUI_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int cli_renew(struct cli_client *c)
{
    chasqui_context *old = c->context;
    chasqui_context *fresh = chasqui_context_new(NULL);

    if (fresh == NULL)
        return cli_complain("out of memory");
    (void)pthread_mutex_lock(&c->lock);
    c->context = fresh;
    atomic_store(&c->is_interrupted, false);
    (void)pthread_mutex_unlock(&c->lock);
    chasqui_context_unref(old);
    return EXIT_DONE;
}

int cli_ask(struct cli_client *c, const char *service, const char *class_name, struct str payload,
            chasqui_reply *ret_reply)
{
    chasqui_request request = {
        .size = sizeof(request),
        .service = service,
        .payload = chasqui_bytes_make(payload.s, payload.len),
        .class_name = class_name,
    };
    int code = cli_connect(c);

    *ret_reply = (chasqui_reply){0};
    if (code != EXIT_DONE)
        return code;
    request.context = c->context;
    if (chasqui_send(c->client, &request, ret_reply) != CHASQUI_OK)
        return cli_fail(c, NULL, &ret_reply->error);
    return EXIT_DONE;
}

static int print_answer(const struct cli_client *c, struct str answer,
                        int (*print)(struct str answer))
{
    int r;

    if (c->options.output == CLI_JSON) {
        answer = str_trim(answer);
        (void)fwrite(answer.s, 1, answer.len, stdout);
        (void)fputc('\n', stdout);
        return EXIT_DONE;
    }
    r = print(answer);
    if (r < 0)
        return cli_complain("%s: the answer cannot be read: %s", c->options.host, err_text(r));
    return EXIT_DONE;
}

int cli_ask_json(struct cli_client *c, const char *service, const char *class_name,
                 struct str payload, int (*print)(struct str answer))
{
    chasqui_reply reply;
    int code = cli_ask(c, service, class_name, payload, &reply);

    if (code == EXIT_DONE)
        code = print_answer(c, cli_str(reply.body), print);
    chasqui_reply_free(&reply);
    return code;
}

/*
 * A command
 */

static int print_help(const struct cli_command *command, const struct settings *s)
{
    struct buf text = BUF_INIT(HELP_MAX);
    int r = settings_help(s, &text);

    (void)printf("Usage: chasqui %s\n\n%s\n", command->synopsis, command->text);
    if (r == 0)
        (void)fwrite(text.data, 1, text.len, stdout);
    (void)printf(
        "\nExit codes: 0 done, 1 failed, 2 usage, 3 unreachable, 4 refused, 130 interrupted.\n");
    buf_fini(&text);
    return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int parse(struct cli_client *c, const struct cli_command *command, struct settings *s,
                 int argc, char **argv)
{
    struct buf errors = BUF_INIT(HELP_MAX);
    int r = settings_parse_args(s, argc, argv, &c->operands, &errors);
    bool is_count_wrong =
        c->operands.n < command->min_operands || c->operands.n > command->max_operands;

    if (r == 0 && !c->options.help)
        r = settings_load_env(s, &errors);
    if (r == 0 && !c->options.help && is_count_wrong)
        r = buf_printf(&errors, "Usage: chasqui %s\n", command->synopsis) < 0 ? -ENOMEM : -EINVAL;
    if (errors.len > 0)
        (void)fwrite(errors.data, 1, errors.len, stderr);
    if (r < 0)
        (void)fprintf(stderr, "`chasqui %.*s --help` tells more.\n",
                      (int)strcspn(command->synopsis, " "), command->synopsis);
    buf_fini(&errors);
    return r;
}

static int act(struct cli_client *c, const struct cli_command *command, struct settings *s,
               int argc, char **argv)
{
    const char *other_key = getenv("OLLAMA_API_KEY");

    if (parse(c, command, s, argc, argv) < 0)
        return EXIT_USAGE;
    if (c->options.help)
        return print_help(command, s);
    if (c->options.key[0] == '\0' && other_key != NULL) {
        free(c->options.key);
        c->options.key = str_dup(str_of(other_key));
        if (c->options.key == NULL)
            return cli_complain("out of memory");
    }
    return command->act(c);
}

bool cli_flush(struct cli_client *c)
{
    if (c->output_error == 0 && (ferror(stdout) || fflush(stdout) != 0))
        c->output_error = errno != 0 ? errno : EIO;
    return c->output_error == 0;
}

/* What could not be written is a failure, but who stops reading knows that himself. */
static int close_output(struct cli_client *c, int code)
{
    if (cli_flush(c))
        return code;
    if (c->output_error != EPIPE)
        (void)cli_complain("cannot write the result: %s", strerrordesc_np(c->output_error));
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

int cli_print_options(const struct settings_room *rooms, size_t n_rooms)
{
    struct buf text = BUF_INIT(HELP_MAX);
    int r = settings_flags_manual(rooms, n_rooms, &text);

    if (r == 0)
        (void)fwrite(text.data, 1, text.len, stdout);
    buf_fini(&text);
    return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

int cli_print_common_options(void)
{
    const struct settings_room room = {"options of all client commands", option_rows,
                                       ARRAY_LEN(option_rows), NULL};

    return cli_print_options(&room, 1);
}

int cli_client_run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_client c = {.command = command, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct settings_room rooms[4];
    size_t n_rooms = 0;
    struct settings settings;
    int code;

    if (command->own != NULL)
        rooms[n_rooms++] = *command->own;
    if (command->has_admin)
        rooms[n_rooms++] = (struct settings_room){"options", &admin_row, 1, &c.options};
    if (command->has_verbose)
        rooms[n_rooms++] = (struct settings_room){"options", &verbose_row, 1, &c.options};
    if (cli_is_asked_for_options(argc, argv))
        return cli_print_options(rooms, n_rooms);
    rooms[n_rooms++] = (struct settings_room){"options of all client commands", option_rows,
                                              ARRAY_LEN(option_rows), &c.options};
    if (settings_init(&settings, rooms, n_rooms) < 0)
        return cli_complain("out of memory");
    code = act(&c, command, &settings, argc, argv);
    code = close_output(&c, code);
    watch_stop(&c);
    chasqui_close(c.client);
    chasqui_context_unref(c.context);
    strings_fini(&c.operands);
    settings_fini(&settings);
    return code;
}
