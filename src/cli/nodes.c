/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <inttypes.h>

#include "cli/json.h"
#include "cli/models.h"
#include "json/writer.h"

static int print_count(struct str node, struct str value, struct buf *cell)
{
    struct json_reader r;
    struct str element;
    size_t n = 0;
    int rc = 0;

    (void)node;
    if (!cli_json_begin(&r, value))
        return 0;
    while ((rc = cli_json_next(&r, &element)) == 0)
        n++;
    return rc < 0 ? rc : buf_printf(cell, "%zu", n);
}

static int print_names(struct str node, struct str value, struct buf *cell)
{
    struct json_reader r;
    struct str element;
    int rc = 0;

    (void)node;
    if (!cli_json_begin(&r, value))
        return 0;
    while (rc == 0 && (rc = cli_json_next(&r, &element)) == 0) {
        if (cell->len > 0)
            rc = buf_put(cell, STR(", "));
        if (rc == 0)
            rc = cli_json_text(element, cell);
    }
    return rc < 0 ? rc : 0;
}

/* "3 open, 1 idle, 2 waiting, of 20": connections to the node. */
static int print_pool(struct str node, struct str value, struct buf *cell)
{
    uint64_t n_waiting = cli_json_u64(cli_json_member(value, STR("waiting")));
    uint64_t max = cli_json_u64(cli_json_member(value, STR("max")));
    int r;

    (void)node;
    r = buf_printf(cell, "%" PRIu64 " open, %" PRIu64 " idle",
                   cli_json_u64(cli_json_member(value, STR("open"))),
                   cli_json_u64(cli_json_member(value, STR("idle"))));
    if (r == 0 && n_waiting > 0)
        r = buf_printf(cell, ", %" PRIu64 " waiting", n_waiting);
    return r == 0 && max > 0 ? buf_printf(cell, ", of %" PRIu64, max) : r;
}

static const struct cli_model_column columns[] = {
    {.head = "NAME", .member = STR_INIT("name")},
    {.head = "URL", .member = STR_INIT("url")},
    {.head = "STATE", .member = STR_INIT("state")},
    {.head = "VERSION", .member = STR_INIT("version")},
    {.head = "MODELS", .member = STR_INIT("models"), .print = print_count},
    {.head = "LOADED", .member = STR_INIT("loaded"), .print = print_names},
    {.head = "IN FLIGHT", .member = STR_INIT("in_flight")},
    {.head = "POOL", .member = STR_INIT("pool"), .print = print_pool},
    {.head = "WHY", .member = STR_INIT("why")},
};

static int print(struct str answer)
{
    return cli_models_print(answer, STR("nodes"), columns, ARRAY_LEN(columns));
}

/* The gateway is asked for @is_drained, and answers with all nodes. */
static int drain(struct cli_client *c, struct str name, bool is_drained)
{
    struct buf body = BUF_INIT(4096);
    struct json_writer w;
    int code;

    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_key(&w, "name");
    json_str(&w, name);
    json_key(&w, "drain");
    json_bool(&w, is_drained);
    json_end(&w);
    if (json_writer_result(&w) < 0)
        code = cli_complain("the name is too long");
    else
        code = cli_ask_json(c, "/admin/nodes", "query", buf_str(&body), print);
    buf_fini(&body);
    return code;
}

static int act(struct cli_client *c)
{
    struct str verb = c->operands.n > 0 ? str_of(c->operands.items[0]) : STR_NULL;
    bool is_drain = str_eq(verb, STR("drain"));

    if (c->operands.n == 0)
        return cli_ask_json(c, "/admin/nodes", "query", STR_NULL, print);
    if (c->operands.n == 2 && (is_drain || str_eq(verb, STR("undrain"))))
        return drain(c, str_of(c->operands.items[1]), is_drain);
    (void)cli_complain("nodes takes nothing, or drain NODE, or undrain NODE");
    return EXIT_USAGE;
}

static int nodes(struct cli_client *c)
{
    free(c->options.host);
    c->options.host = c->options.admin;
    c->options.admin = NULL;
    return act(c);
}

static const struct cli_command command = {
    .synopsis = "nodes [drain NODE | undrain NODE] [OPTION]...",
    .text = "Lists the nodes of a gateway: state and why, version, models, what they have "
            "loaded, requests\nin flight, connections. With -o json all that is known.\n"
            "drain: nothing new goes to NODE, what runs there goes on. undrain: it is in use "
            "again.\n",
    .max_operands = 2,
    .has_admin = true,
    .act = nodes,
};

int cli_nodes(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
