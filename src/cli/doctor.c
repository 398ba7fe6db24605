/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <inttypes.h>

#include "base/err.h"
#include "cli/config.h"
#include "cli/json.h"

#define PATIENCE_MS     5000
#define VERSION_MAX     ((size_t)256)
#define TEXT_MAX        ((size_t)64 * 1024)
#define JSON_MAX        ((size_t)4 * 1024 * 1024)
#define CLOCK_OFF_MS    5000 /* a Date tells seconds, and an answer may be late */
#define DESCRIPTORS_LOW 4096 /* a request needs two, and there may be thousands */

struct doctor_options {
    char *http;
    char *config;
};

static const struct setting rows[] = {
    {.type = SETTING_STRING,
     .offset = offsetof(struct doctor_options, http),
     .def = CLI_DEFAULT_HTTP,
     .min = 1,
     .max = 2048,
     .flag = "--http",
     .arg = "URL",
     .text = "The gateway's HTTP listener; --host is its MCP listener"},
    {.type = SETTING_STRING,
     .offset = offsetof(struct doctor_options, config),
     .flag = "--config",
     .arg = "FILE",
     .text = "A configuration file to be checked too"},
};

struct exam {
    const struct cli_client *c;
    const struct doctor_options *options;
    size_t n_bad;
    struct json_writer *json; /* with -o json: the lines go here, to be printed at the end */
    struct buf version;       /* of the first node that has one */
    bool do_versions_differ;
    size_t n_clocks; /* that are right */
};

static void tell(struct exam *e, bool is_good, const char *format, ...) PRINTF(3, 4);

static void put_line(bool is_good, const char *text)
{
    struct buf line = BUF_INIT(TEXT_MAX);

    if (buf_printf(&line, "%-4s %s\n", is_good ? "ok" : "BAD", text) == 0)
        cli_put_text(stdout, buf_str(&line));
    buf_fini(&line);
}

static void put_json(struct json_writer *w, bool is_good, const char *text)
{
    json_begin_object(w);
    json_key(w, "ok");
    json_bool(w, is_good);
    json_key(w, "text");
    json_str(w, str_of(text));
    json_end(w);
}

/* A line: what is so, and when it is bad, what to do. */
static void tell(struct exam *e, bool is_good, const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    e->n_bad += !is_good;
    if (e->json != NULL)
        put_json(e->json, is_good, text);
    else
        put_line(is_good, text);
}

/* Return: whether there is an answer; else it is told why. */
static bool ask(struct exam *e, const char *host, const char *endpoint, const char *advice,
                chasqui_reply *ret_reply)
{
    const chasqui_options options = {
        .size = sizeof(options),
        .key = e->c->options.key[0] != '\0' ? e->c->options.key : NULL,
        .timeout_ms = PATIENCE_MS,
        .max_retries = CHASQUI_NO_RETRIES,
    };
    const chasqui_request request = {.size = sizeof(request), .service = endpoint};
    chasqui_client *client;
    int r;

    *ret_reply = (chasqui_reply){0};
    r = chasqui_open(host, &options, &client, &ret_reply->error);
    if (r == CHASQUI_OK) {
        r = chasqui_send(client, &request, ret_reply);
        chasqui_close(client);
    }
    if (r != CHASQUI_OK)
        tell(e, false, "%s: %s. %s", host, ret_reply->error.text,
             r == CHASQUI_UNAUTHENTICATED || r == CHASQUI_PERMISSION_DENIED
                 ? "Give a key that may: CHASQUI_API_KEY or --key"
                 : advice);
    return r == CHASQUI_OK;
}

static void look_at_door(struct exam *e, const char *name, const char *host)
{
    chasqui_reply reply;

    if (ask(e, host, "/api/version", "Is it running there? `chasqui serve` starts a gateway",
            &reply))
        tell(e, true, "%s: %s", host, name);
    chasqui_reply_free(&reply);
}

/*
 * Nodes
 */

static void compare_version(struct exam *e, struct str version)
{
    if (e->version.len == 0)
        (void)!buf_put(&e->version, version);
    else if (version.len > 0 && !str_eq(version, buf_str(&e->version)))
        e->do_versions_differ = true;
}

static const char *advice_for(struct str state)
{
    if (str_eq(state, STR("ejected")))
        return "It answers badly; its log says why. It is tried again by itself";
    if (str_eq(state, STR("unknown")))
        return "It has not been asked yet: look again";
    return "On that machine: OLLAMA_HOST=0.0.0.0 ollama serve";
}

/* Nodes that tell no time (a gateway over MCP) have null. */
static void look_at_clock(struct exam *e, struct str node, struct str name)
{
    struct str ahead = cli_json_member(node, STR("clock_ahead_ms"));
    bool is_behind = ahead.len > 0 && ahead.s[0] == '-';
    uint64_t ms;

    if (str_to_u64(str_from(ahead, is_behind ? 1 : 0), &ms) < 0)
        return;
    if (ms <= CLOCK_OFF_MS)
        e->n_clocks++;
    else
        tell(e, false,
             "node " STR_FMT ": its clock is %" PRIu64 " s %s the gateway's. Logs and times of "
             "expiry will not match: on both machines, timedatectl set-ntp true",
             STR_ARG(name), ms / 1000, is_behind ? "behind" : "ahead of");
}

/* Return: 0, <0. */
static int look_at_node(struct exam *e, struct str node)
{
    enum {
        NAME,
        URL,
        STATE,
        WHY,
        VERSION,
        N_MEMBERS
    };
    static const struct str members[] = {STR_INIT("name"), STR_INIT("url"), STR_INIT("state"),
                                         STR_INIT("why"), STR_INIT("version")};
    struct buf texts[N_MEMBERS];
    struct str all[N_MEMBERS];
    int r = 0;

    for (size_t i = 0; i < N_MEMBERS; i++) {
        texts[i] = BUF_INIT(TEXT_MAX);
        r = r < 0 ? r : cli_json_text(cli_json_member(node, members[i]), &texts[i]);
        all[i] = buf_str(&texts[i]);
    }
    if (r == 0 && str_eq(all[STATE], STR("up")))
        tell(e, true, "node " STR_FMT " " STR_FMT ": up, version " STR_FMT, STR_ARG(all[NAME]),
             STR_ARG(all[URL]), STR_ARG(all[VERSION]));
    else if (r == 0 && !str_eq(all[STATE], STR("leaving")))
        tell(e, false, "node " STR_FMT " " STR_FMT ": " STR_FMT ": " STR_FMT ". %s",
             STR_ARG(all[NAME]), STR_ARG(all[URL]), STR_ARG(all[STATE]), STR_ARG(all[WHY]),
             advice_for(all[STATE]));
    if (r == 0)
        look_at_clock(e, node, all[NAME]);
    compare_version(e, all[VERSION]);
    for (size_t i = 0; i < N_MEMBERS; i++)
        buf_fini(&texts[i]);
    return r;
}

static void look_at_nodes(struct exam *e, struct str answer)
{
    struct json_reader r;
    struct str node;
    int rc = -1;

    if (cli_json_begin(&r, cli_json_member(answer, STR("nodes"))))
        while ((rc = cli_json_next(&r, &node)) == 0)
            if (look_at_node(e, node) < 0)
                break;
    if (rc <= 0)
        tell(e, false, "%s: the answer cannot be read. Is it a gateway's admin listener?",
             e->c->options.admin);
    else if (e->do_versions_differ)
        tell(e, false, "the nodes' versions differ. Answers may too: bring all to one version");
    else if (e->version.len > 0)
        tell(e, true, "the nodes' versions are the same");
    if (e->n_clocks > 0)
        tell(e, true, "clocks: %zu within %d s of the gateway's", e->n_clocks, CLOCK_OFF_MS / 1000);
}

/*
 * The process, and its file
 */

/* The value of a metric without labels; 0 when there is none. */
static uint64_t metric_of(struct str page, struct str name)
{
    uint64_t value = 0;

    while (page.len > 0) {
        struct str line = str_split(&page, '\n');
        struct str word = str_split(&line, ' ');

        if (str_eq(word, name) && str_to_u64(str_trim(line), &value) == 0)
            return value;
    }
    return 0;
}

static void look_at_descriptors(struct exam *e)
{
    chasqui_reply reply;
    uint64_t max;

    if (ask(e, e->c->options.admin, "/metrics", "Is it a gateway's admin listener?", &reply)) {
        max = metric_of(cli_str(reply.body), STR("process_max_fds"));
        tell(e, max >= DESCRIPTORS_LOW, "descriptors: the gateway may have %" PRIu64 "%s", max,
             max >= DESCRIPTORS_LOW ? ""
                                    : ". Raise it: `ulimit -n 65536` before it starts, "
                                      "LimitNOFILE= of its unit");
    }
    chasqui_reply_free(&reply);
}

static void look_at_config(struct exam *e)
{
    struct buf errors = BUF_INIT(TEXT_MAX);

    if (cli_check_file(e->options->config, &errors) == 0)
        tell(e, true, "%s: valid", e->options->config);
    else
        tell(e, false, "%s: not valid. All that is wrong:\n" STR_FMT, e->options->config,
             STR_ARG(str_trim(buf_str(&errors))));
    buf_fini(&errors);
}

static void look_at_admin(struct exam *e)
{
    chasqui_reply reply;

    if (ask(e, e->c->options.admin, "/admin/nodes",
            "Is it running there? --admin names the admin listener", &reply)) {
        tell(e, true, "%s: admin listener", e->c->options.admin);
        look_at_nodes(e, cli_str(reply.body));
        look_at_descriptors(e);
    }
    chasqui_reply_free(&reply);
}

static void examine(struct exam *e)
{
    look_at_door(e, "gateway over HTTP", e->options->http);
    look_at_door(e, "gateway over MCP", e->c->options.host);
    look_at_admin(e);
    if (e->options->config[0] != '\0')
        look_at_config(e);
}

/* {"checks":[{"ok":true,"text":"..."},...],"bad":0}. Return: 0, <0. */
static int examine_to_json(struct exam *e)
{
    struct buf out = BUF_INIT(JSON_MAX);
    struct json_writer w;
    int r;

    json_writer_init(&w, &out);
    e->json = &w;
    json_begin_object(&w);
    json_key(&w, "checks");
    json_begin_array(&w);
    examine(e);
    json_end(&w);
    json_key(&w, "bad");
    json_u64(&w, e->n_bad);
    json_end(&w);
    r = cli_put_json(&w);
    buf_fini(&out);
    return r;
}

static int doctor(struct cli_client *c)
{
    struct exam e = {.c = c, .options = c->command->own->target, .version = BUF_INIT(VERSION_MAX)};
    int r = 0;

    if (c->options.output == CLI_JSON)
        r = examine_to_json(&e);
    else
        examine(&e);
    buf_fini(&e.version);
    if (r < 0)
        return cli_complain("the result: %s", err_text(r));
    return e.n_bad == 0 ? EXIT_DONE : EXIT_FAILED;
}

int cli_doctor(int argc, char **argv)
{
    struct doctor_options options = {0};
    const struct settings_room own = {"options", rows, ARRAY_LEN(rows), &options};
    const struct cli_command command = {
        .synopsis = "doctor [OPTION]...",
        .text = "Looks at a gateway, its nodes, their clocks and its descriptors: a line each, ok, "
                "or what to do.\n"
                "Exit code 1 when something is bad.\n",
        .own = &own,
        .has_admin = true,
        .act = doctor,
    };

    return cli_client_run(&command, argc, argv);
}
