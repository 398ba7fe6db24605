/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include "admin/admin.h"
#include "config/settings.h"
#include "fleet/settings.h"
#include "gateway/gateway.h"
#include "observe/log.h"
#include "upstream/settings.h"

#define TEXT_MAX (1024 * 1024)

/* Settings of the command itself and of the log. */
struct serve_settings {
    char *config;
    bool print_config;
    bool print_reference;
    bool help;
    int log_level;
    int log_format;
    char *access;
};

static const struct setting_choice levels[] = {
    {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN}, {"error", LOG_ERROR}, {NULL, 0},
};

static const struct setting_choice formats[] = {
    {"auto", LOG_AUTO},
    {"human", LOG_HUMAN},
    {"json", LOG_JSON},
    {NULL, 0},
};

static const struct setting serve_rows[] = {
    {.type = SETTING_STRING,
     .offset = offsetof(struct serve_settings, config),
     .flag = "--config",
     .arg = "FILE",
     .text = "Configuration file (YAML)"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct serve_settings, print_config),
     .flag = "--print-config",
     .text = "Print the effective configuration with the origin of each value, and end"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct serve_settings, print_reference),
     .flag = "--print-reference",
     .text = "Print the tables of all settings in Markdown, and end"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct serve_settings, help),
     .flag = "--help",
     .text = "Print this help"},
    {.key = "log.level",
     .type = SETTING_ENUM,
     .offset = offsetof(struct serve_settings, log_level),
     .def = "info",
     .choices = levels,
     .text = "The least important events that are logged"},
    {.key = "log.format",
     .type = SETTING_ENUM,
     .offset = offsetof(struct serve_settings, log_format),
     .def = "auto",
     .choices = formats,
     .text = "For people or for programs; auto: by whether a terminal reads it"},
    {.key = "log.access",
     .type = SETTING_STRING,
     .offset = offsetof(struct serve_settings, access),
     .def = "stdout",
     .text = "Where one line per request goes: stdout, off, or a file"},
};

/* Everything `serve` can be told, by room. */
struct serve {
    struct serve_settings own;
    struct gateway_settings gateway;
    struct upstream_settings upstream;
    struct fleet_settings fleet;
    struct settings settings;
    struct settings_room rooms[4];
};

static int join_rooms(struct serve *s)
{
    s->rooms[0] =
        (struct settings_room){"command and log", serve_rows, ARRAY_LEN(serve_rows), &s->own};
    s->rooms[1] = (struct settings_room){"gateway", gateway_rows, N_GATEWAY_ROWS, &s->gateway};
    s->rooms[2] = (struct settings_room){"nodes", fleet_rows, N_FLEET_ROWS, &s->fleet};
    s->rooms[3] = (struct settings_room){"connections to nodes", upstream_rows, N_UPSTREAM_ROWS,
                                         &s->upstream};
    return settings_init(&s->settings, s->rooms, ARRAY_LEN(s->rooms));
}

/* Without a node named: OLLAMA_HOST, else Ollama's own place. */
static int default_node(struct serve *s, struct buf *errors)
{
    const char *host = getenv("OLLAMA_HOST");

    if (s->fleet.nodes.n > 0)
        return 0;
    if (host == NULL || str_trim(str_of(host)).len == 0)
        host = "http://127.0.0.1:11434";
    return settings_set(&s->settings, "nodes", str_of(host), SETTING_FROM_ENV, errors);
}

static int load(struct serve *s, int argc, char **argv, struct buf *errors)
{
    int r = settings_parse_args(&s->settings, argc, argv, NULL, errors);

    if (r < 0 || s->own.help)
        return r;
    r = settings_load_env(&s->settings, errors);
    if (r == 0 && s->own.config[0] != '\0')
        r = settings_load_yaml(&s->settings, s->own.config, errors);
    if (r == 0)
        r = default_node(s, errors);
    s->gateway.is_mcp_default = settings_origin(&s->settings, "listen.mcp") == SETTING_FROM_DEFAULT;
    s->gateway.retry.max_retries = (unsigned)s->gateway.retry_max;
    return r;
}

static int print(const struct serve *s, int (*make)(const struct settings *, struct buf *))
{
    struct buf text = BUF_INIT(TEXT_MAX);
    int r = make(&s->settings, &text);

    if (r == 0)
        (void)fwrite(text.data, 1, text.len, stdout);
    buf_fini(&text);
    return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int print_help(const struct serve *s)
{
    (void)printf("Usage: chasqui serve [OPTION]...\n\nRuns the gateway: clients speak the Ollama "
                 "or OpenAI API to it, it carries each "
                 "request to the right node.\n");
    return print(s, settings_help);
}

static int run(const struct serve *s)
{
    const struct log_settings log = {
        .level = (enum log_level)s->own.log_level,
        .format = (enum log_format)s->own.log_format,
        .access = s->own.access,
        .program = "chasqui",
    };
    int r = log_start(&log);
    int code;

    if (r < 0) {
        (void)fprintf(stderr, "chasqui: cannot open the access log %s: %s\n", s->own.access,
                      strerrordesc_np(-r));
        return EXIT_FAILED;
    }
    code = gateway_run(&s->gateway, &s->upstream, &s->fleet, &admin_ops);
    log_stop();
    return code;
}

int cli_serve(int argc, char **argv)
{
    struct serve s = {0};
    struct buf errors = BUF_INIT(TEXT_MAX);
    bool is_usage;
    int code;
    int r = join_rooms(&s);

    if (r == 0)
        r = load(&s, argc, argv, &errors);
    is_usage = s.own.config == NULL || s.own.config[0] == '\0';
    if (errors.len > 0)
        (void)fwrite(errors.data, 1, errors.len, stderr);
    if (r < 0 && is_usage)
        (void)fprintf(stderr, "`chasqui serve --help` tells the options.\n");
    if (r < 0)
        code = is_usage ? EXIT_USAGE : EXIT_FAILED;
    else if (s.own.help)
        code = print_help(&s);
    else if (s.own.print_config)
        code = print(&s, settings_print);
    else if (s.own.print_reference)
        code = print(&s, settings_reference);
    else
        code = run(&s);
    settings_fini(&s.settings);
    buf_fini(&errors);
    return code;
}
