/* SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include <errno.h>

#include "base/err.h"
#include "observe/log.h"

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
     .offset = offsetof(struct serve_settings, print_schema),
     .flag = "--print-schema",
     .text = "Print a JSON Schema of the configuration file, for editors, and end"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct serve_settings, print_manual),
     .flag = "--print-manual",
     .text = "Print the manual page chasqui.yaml(5), and end"},
    {.type = SETTING_BOOL,
     .offset = offsetof(struct serve_settings, print_failures),
     .flag = "--print-failures",
     .text = "Print the table of what is done about each failure in Markdown, and end"},
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
     .needs_restart = true,
     .text = "For people or for programs; auto: by whether a terminal reads it"},
    {.key = "log.access",
     .type = SETTING_STRING,
     .offset = offsetof(struct serve_settings, access),
     .def = "stdout",
     .needs_restart = true,
     .text = "Where one line per request goes: stdout, off, or a file"},
};

struct cli_config *cli_config_new(void)
{
    struct cli_config *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->rooms[0] =
        (struct settings_room){"command and log", serve_rows, ARRAY_LEN(serve_rows), &c->own};
    c->rooms[1] = (struct settings_room){"gateway", gateway_rows, N_GATEWAY_ROWS, &c->base.gateway};
    c->rooms[2] = (struct settings_room){"nodes", fleet_rows, N_FLEET_ROWS, &c->base.fleet};
    c->rooms[3] = (struct settings_room){"connections to nodes", upstream_rows, N_UPSTREAM_ROWS,
                                         &c->base.upstream};
    c->rooms[4] =
        (struct settings_room){"models", model_rows, N_MODEL_ROWS, &c->base.gateway.models};
    c->rooms[5] =
        (struct settings_room){"resume", resume_rows, N_RESUME_ROWS, &c->base.gateway.resume};
    if (settings_init(&c->settings, c->rooms, ARRAY_LEN(c->rooms)) < 0) {
        free(c);
        return NULL;
    }
    return c;
}

void cli_config_free(struct cli_config *c)
{
    if (c == NULL)
        return;
    settings_fini(&c->settings);
    free(c);
}

/* Without a node named: OLLAMA_HOST, else Ollama's own place. */
static int default_node(struct cli_config *c, struct buf *errors)
{
    const char *host = getenv("OLLAMA_HOST");

    if (c->base.fleet.nodes.n > 0)
        return 0;
    if (host == NULL || str_trim(str_of(host)).len == 0)
        host = "http://127.0.0.1:11434";
    return settings_set(&c->settings, "nodes", str_of(host), SETTING_FROM_ENV, errors);
}

/* A name is a label of metrics and logs: it must say which node is meant. */
static int check_nodes(struct cli_config *c, struct buf *errors)
{
    const struct node_settings *nodes = c->base.fleet.nodes.items;
    const size_t n = c->base.fleet.nodes.n;
    char(*names)[FLEET_NAME_MAX] = calloc(n, sizeof(*names));
    int r = 0;

    if (names == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct url url;

        if (url_parse_node(str_of(nodes[i].url), &url) == 0)
            node_settings_name(&nodes[i], &url, names[i]);
        for (size_t k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0) {
                r = settings_error(&c->settings, "nodes", i, errors,
                                   "two nodes are called `%s`: give each a name of its own",
                                   names[i]);
                break;
            }
    }
    free(names);
    return r;
}

static int check_origins(struct cli_config *c, struct buf *errors)
{
    struct str bad = guard_find_bad_origin(str_of(c->base.gateway.origins));

    if (bad.len == 0)
        return 0;
    return settings_error(&c->settings, "origins", SETTINGS_NO_ITEM, errors,
                          "`" STR_FMT "` matches no origin: it needs a scheme, as in "
                          "https://app.example, or a wildcard",
                          STR_ARG(bad));
}

/* What no row can see alone. */
static int check(struct cli_config *c, struct buf *errors)
{
    int r = check_nodes(c, errors);

    return check_origins(c, errors) < 0 ? -EX_CONFIG : r;
}

static int load_file(struct cli_config *c, struct str text, struct buf *errors)
{
    if (text.s != NULL)
        return settings_load_text(&c->settings, "configuration", text, errors);
    if (c->own.config[0] == '\0')
        return 0;
    return settings_load_yaml(&c->settings, c->own.config, errors);
}

int cli_config_load(struct cli_config *c, int argc, char **argv, struct str text,
                    struct buf *errors)
{
    int result = settings_parse_args(&c->settings, argc, argv, NULL, errors);
    int r;

    if (result < 0 || c->own.help)
        return result;
    result = settings_load_env(&c->settings, errors);
    r = load_file(c, text, errors);
    result = r < 0 ? r : result;
    r = default_node(c, errors);
    if (r == 0)
        r = check(c, errors);
    c->base.gateway.is_mcp_default =
        settings_origin(&c->settings, "listen.mcp") == SETTING_FROM_DEFAULT;
    c->base.gateway.retry.max_retries = (unsigned)c->base.gateway.retry_max;
    return r < 0 ? r : result;
}
