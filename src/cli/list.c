/* SPDX-License-Identifier: MIT */
#include "cli/client.h"
#include "cli/models.h"

static const struct cli_model_column columns[] = {
    {.head = "NAME", .member = STR_INIT("name")},
    {.head = "ID", .member = STR_INIT("digest"), .print = cli_model_id},
    {.head = "SIZE", .member = STR_INIT("size"), .print = cli_model_size},
    {.head = "MODIFIED", .member = STR_INIT("modified_at"), .print = cli_model_age},
};

static int print(struct str answer)
{
    return cli_models_print(answer, STR("models"), columns, ARRAY_LEN(columns));
}

static int list(struct cli_client *c)
{
    return cli_ask_json(c, "ollama.tags", "query", STR_NULL, print);
}

static const struct cli_command command = {
    .synopsis = "list [OPTION]...",
    .text = "Lists the models that can be used; of a gateway: those of all its nodes.\n",
    .act = list,
};

int cli_list(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
