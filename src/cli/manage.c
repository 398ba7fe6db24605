/* SPDX-License-Identifier: MIT */
#include "cli/manage.h"

#include "base/err.h"
#include "cli/progress.h"
#include "json/writer.h"

#define BODY_MAX ((size_t)64 * 1024)

/* MCP has no services for what changes models: it goes over HTTP. Return: EXIT_DONE, else
 * the failure is told. */
static int use_http(struct cli_client *c)
{
    if (!str_starts(str_of(c->options.host), STR("mcp://")))
        return EXIT_DONE;
    if (!str_eq(str_of(c->options.host), STR(CLI_DEFAULT_HOST))) {
        (void)cli_complain("%s: models are managed over HTTP; give --host " CLI_DEFAULT_HTTP,
                           c->options.host);
        return EXIT_USAGE;
    }
    free(c->options.host);
    c->options.host = str_dup(STR(CLI_DEFAULT_HTTP));
    return c->options.host != NULL ? EXIT_DONE : cli_complain("out of memory");
}

/* {"NAME":"VALUE",...}; ends with a NULL name. Return: 0, <0. */
static int put_body(struct buf *body, const char *const *pairs)
{
    struct json_writer w;

    json_writer_init(&w, body);
    json_begin_object(&w);
    for (; pairs[0] != NULL; pairs += 2) {
        json_key(&w, pairs[0]);
        json_str(&w, str_of(pairs[1]));
    }
    json_end(&w);
    return json_writer_result(&w);
}

/*
 * What takes its time: pull, and create by cli_manage()
 */

static int judge(struct cli_client *c, const struct cli_progress *p, const chasqui_reply *reply)
{
    if (reply != NULL && reply->error.code != CHASQUI_OK)
        return cli_fail(c, NULL, &reply->error);
    if (p->errors.len == 0 && p->has_succeeded)
        return EXIT_DONE;
    (void)fprintf(stderr, "chasqui: %s: ", c->options.host);
    cli_put_text(stderr, p->errors.len > 0 ? buf_str(&p->errors)
                                           : STR("it ended without saying that it is done"));
    (void)fputc('\n', stderr);
    return EXIT_FAILED;
}

static int follow(struct cli_client *c, chasqui_stream *stream)
{
    struct cli_progress progress;
    const chasqui_reply *reply;
    chasqui_bytes record;
    int code;

    cli_progress_init(&progress);
    while (chasqui_stream_next(stream, &record) == CHASQUI_OK)
        cli_progress_put(&progress, cli_str(record));
    reply = chasqui_stream_reply(stream);
    if (reply != NULL && reply->error.code == CHASQUI_OK && reply->body.len > 0)
        cli_progress_put(&progress, cli_str(reply->body));
    cli_progress_end(&progress);
    code = judge(c, &progress, reply);
    cli_progress_fini(&progress);
    return code;
}

int cli_manage(struct cli_client *c, const char *endpoint, struct str body)
{
    chasqui_request request = {.size = sizeof(request),
                               .service = endpoint,
                               .payload = chasqui_bytes_make(body.s, body.len),
                               .class_name = "answer"};
    chasqui_stream *stream = NULL;
    int code = use_http(c);

    if (code == EXIT_DONE)
        code = cli_connect(c);
    request.context = c->context;
    if (code == EXIT_DONE && chasqui_stream_open(c->client, &request, &stream) != CHASQUI_OK)
        code = cli_complain("out of memory");
    if (code == EXIT_DONE)
        code = follow(c, stream);
    chasqui_stream_free(stream);
    return code;
}

static int pull(struct cli_client *c)
{
    const char *const pairs[] = {"model", c->operands.items[0], NULL};
    struct buf body = BUF_INIT(BODY_MAX);
    int code = put_body(&body, pairs) < 0 ? cli_complain("the name is too long")
                                          : cli_manage(c, "/api/pull", buf_str(&body));

    buf_fini(&body);
    return code;
}

static const struct cli_command pull_command = {
    .synopsis = "pull MODEL [OPTION]...",
    .text =
        "Fetches a model; through a gateway to the nodes that its placement names. Ctrl-C ends\n"
        "it; what was fetched is used by the next pull.\n",
    .min_operands = 1,
    .max_operands = 1,
    .act = pull,
};

int cli_pull(int argc, char **argv)
{
    return cli_client_run(&pull_command, argc, argv);
}

/*
 * Copy, remove, stop
 */

/* Asks, and says on stderr what was done. */
static int change(struct cli_client *c, const char *service, const char *const *pairs,
                  const char *done)
{
    struct buf body = BUF_INIT(BODY_MAX);
    chasqui_reply reply;
    int code;

    if (put_body(&body, pairs) < 0)
        return cli_complain("the name is too long");
    code = cli_ask(c, service, "answer", buf_str(&body), &reply);
    chasqui_reply_free(&reply);
    buf_fini(&body);
    if (code == EXIT_DONE)
        (void)fprintf(stderr, "%s '%s'\n", done, c->operands.items[c->operands.n - 1]);
    return code;
}

static int cp(struct cli_client *c)
{
    const char *const pairs[] = {"source", c->operands.items[0], "destination",
                                 c->operands.items[1], NULL};
    int code = use_http(c);

    return code == EXIT_DONE ? change(c, "/api/copy", pairs, "copied to") : code;
}

static int rm(struct cli_client *c)
{
    const char *const pairs[] = {"model", c->operands.items[0], NULL};
    int code = use_http(c);

    return code == EXIT_DONE ? change(c, "/api/delete", pairs, "deleted") : code;
}

static int stop(struct cli_client *c)
{
    const char *const pairs[] = {"model", c->operands.items[0], "keep_alive", "0s", NULL};

    return change(c, "ollama.generate", pairs, "stopped");
}

static const struct cli_command cp_command = {
    .synopsis = "cp SOURCE DESTINATION [OPTION]...",
    .text = "Copies a model to another name; through a gateway on every node that has it.\n",
    .min_operands = 2,
    .max_operands = 2,
    .act = cp,
};

static const struct cli_command rm_command = {
    .synopsis = "rm MODEL [OPTION]...",
    .text = "Removes a model; through a gateway from every node that has it.\n",
    .min_operands = 1,
    .max_operands = 1,
    .act = rm,
};

static const struct cli_command stop_command = {
    .synopsis = "stop MODEL [OPTION]...",
    .text = "Unloads a model from the memory of a node that has it loaded.\n",
    .min_operands = 1,
    .max_operands = 1,
    .act = stop,
};

int cli_cp(int argc, char **argv)
{
    return cli_client_run(&cp_command, argc, argv);
}

int cli_rm(int argc, char **argv)
{
    return cli_client_run(&rm_command, argc, argv);
}

int cli_stop(int argc, char **argv)
{
    return cli_client_run(&stop_command, argc, argv);
}
