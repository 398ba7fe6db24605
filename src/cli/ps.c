/* SPDX-License-Identifier: MIT */
#include "cli/client.h"
#include "cli/json.h"
#include "cli/models.h"

/* How much of it the graphics card holds. */
static int print_processor(struct str model, struct str value, struct buf *cell)
{
    uint64_t size = cli_json_u64(cli_json_member(model, STR("size")));
    uint64_t vram = cli_json_u64(value);
    unsigned cpu;

    if (vram == 0)
        return buf_put(cell, STR("100% CPU"));
    if (vram == size)
        return buf_put(cell, STR("100% GPU"));
    if (vram > size)
        return buf_put(cell, STR("Unknown"));
    cpu = (unsigned)(100.0 * (double)(size - vram) / (double)size + 0.5);
    return buf_printf(cell, "%u%%/%u%% CPU/GPU", cpu, 100 - cpu);
}

static const struct cli_model_column columns[] = {
    {.head = "NAME", .member = STR_INIT("name")},
    {.head = "ID", .member = STR_INIT("digest"), .print = cli_model_id},
    {.head = "SIZE", .member = STR_INIT("size"), .print = cli_model_size},
    {.head = "PROCESSOR", .member = STR_INIT("size_vram"), .print = print_processor},
    {.head = "CONTEXT", .member = STR_INIT("context_length")},
    {.head = "UNTIL", .member = STR_INIT("expires_at"), .print = cli_model_age},
    {.head = "NODE", .member = STR_INIT("node")},
};

static int print(struct str answer)
{
    return cli_models_print(answer, STR("models"), columns, ARRAY_LEN(columns));
}

static int ps(struct cli_client *c)
{
    return cli_ask_json(c, "ollama.ps", "query", STR_NULL, print);
}

static const struct cli_command command = {
    .synopsis = "ps [OPTION]...",
    .text = "Lists the models that are loaded; of a gateway: on which node.\n",
    .act = ps,
};

int cli_ps(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
