/* SPDX-License-Identifier: MIT */
#include "gateway/settings.h"

#include "base/addr.h"

#define AT(field) .offset = offsetof(struct gateway_settings, field)

static const char *check_addr(struct str value)
{
    struct addr addr;

    return addr_parse(value, 0, &addr) == 0 ? NULL : "is not an address, as 127.0.0.1:11435";
}

static const struct setting_choice auto_or_none[] = {
    {"auto", 0},
    {"none", NSEC_NEVER},
    {NULL, 0},
};

const struct setting gateway_rows[N_GATEWAY_ROWS] = {
    {.key = "listen.http", .type = SETTING_STRINGS, AT(listen), .def = "127.0.0.1:11435", .min = 1, .max = 16,
     .flag = "--listen", .arg = "ADDR", .check = check_addr, .needs_restart = true,
     .text = "Where clients speak HTTP; repeatable, port 0 takes a free one"},
    {.key = "listen.mcp", .type = SETTING_STRINGS, AT(listen_mcp), .def = "127.0.0.1:11436", .max = 16, .flag = "--mcp",
     .arg = "ADDR", .check = check_addr, .needs_restart = true,
     .text = "Where clients speak MCP, the Message Communication Protocol; repeatable"},
    {.key = "listen.admin", .type = SETTING_STRING, AT(admin), .def = "127.0.0.1:11437", .flag = "--admin", .arg = "ADDR",
     .check = check_addr, .needs_restart = true, .text = "Where health, metrics and the admin API are"},
    {.key = "workers", .type = SETTING_U64, AT(n_workers), .def = "0", .max = 256, .flag = "--workers", .arg = "N",
     .needs_restart = true, .text = "Threads that carry requests; 0: one per core"},
    {.key = "keys_file", .type = SETTING_STRING, AT(keys_file), .flag = "--keys-file", .arg = "FILE", .needs_restart = true,
     .text = "Keys, one name:key:scopes per line; needed for listeners that others can reach"},
    {.key = "allow_anonymous", .type = SETTING_BOOL, AT(allow_anonymous), .def = "false", .needs_restart = true,
     .text = "Serve listeners that others can reach without keys"},
    {.key = "origins", .type = SETTING_STRING, AT(origins), .env = "OLLAMA_ORIGINS", .needs_restart = true,
     .text = "Web origins allowed besides Ollama's defaults, comma-separated, * as wildcard"},
    {.key = "drain_timeout", .type = SETTING_DURATION, AT(drain_timeout_ns), .def = "30s", .max = 86400e9,
     .text = "How long streams may go on after SIGTERM"},
    {.key = "timeouts.metadata", .type = SETTING_DURATION, AT(metadata_timeout_ns), .def = "3s", .min = 1e6, .max = 600e9,
     .text = "Listings, show and probes: they never wait for a model to load"},
    {.key = "timeouts.first_token", .type = SETTING_DURATION, AT(first_token_timeout_ns), .def = "5m", .min = 1e6,
     .max = 86400e9, .choices = setting_none, .text = "From sending to the first record: load and prompt included"},
    {.key = "timeouts.whole_answer", .type = SETTING_DURATION, AT(whole_answer_timeout_ns), .def = "auto",
     .min = 1e6, .max = 86400e9, .choices = auto_or_none,
     .text = "From sending to the first byte of an answer that is not streamed, which comes when all is computed; auto: six times first_token"},
    {.key = "timeouts.between_tokens", .type = SETTING_DURATION, AT(between_tokens_timeout_ns), .def = "60s", .min = 1e6,
     .max = 86400e9, .choices = setting_none, .text = "Between two records of a streamed answer"},
    {.key = "timeouts.total", .type = SETTING_DURATION, AT(total_timeout_ns), .def = "none", .min = 1e6, .max = 86400e9,
     .choices = setting_none, .text = "A whole request, retries included"},
    {.key = "timeouts.head", .type = SETTING_DURATION, AT(http.head_timeout_ns), .def = "10s", .min = 1e6, .max = 600e9,
     .text = "A request head, from its first byte to its last"},
    {.key = "timeouts.body_idle", .type = SETTING_DURATION, AT(http.body_idle_timeout_ns), .def = "30s", .min = 1e6,
     .max = 3600e9, .text = "Between two pieces of a request body"},
    {.key = "timeouts.keep_alive", .type = SETTING_DURATION, AT(http.keep_alive_ns), .def = "75s", .min = 1e6,
     .max = 86400e9, .choices = setting_none, .text = "A client connection without a request is closed after this"},
    {.key = "timeouts.send", .type = SETTING_DURATION, AT(http.send_timeout_ns), .def = "30s", .min = 1e6, .max = 3600e9,
     .text = "A client that takes no byte of its answer for so long is cut off"},
    {.key = "limits.body", .type = SETTING_SIZE, AT(http.body_max_bytes), .def = "64MiB", .min = 1024, .max = 4294967296.0,
     .text = "One request body"},
    {.key = "memory.bodies", .type = SETTING_SIZE, AT(bodies_max_bytes), .def = "1GiB", .min = 1048576,
     .max = 1099511627776.0, .text = "All request bodies held together; above it requests get 503"},
    {.key = "retry.max_retries", .type = SETTING_U64, AT(retry_max), .def = "5", .max = 7,
     .text = "Further attempts of one request"},
    {.key = "retry.base_delay", .type = SETTING_DURATION, AT(retry.base_delay_ns), .def = "100ms", .min = 1e6, .max = 60e9,
     .text = "Delay before the first retry; doubles with each"},
    {.key = "retry.max_delay", .type = SETTING_DURATION, AT(retry.max_delay_ns), .def = "2s", .min = 1e6, .max = 600e9,
     .text = "The longest delay"},
    {.key = "retry.jitter", .type = SETTING_RATIO, AT(retry.jitter), .def = "0.5", .max = 1,
     .text = "Delays are multiplied with 1 - jitter to 1 + jitter"},
    {.key = "retry.budget", .type = SETTING_PERCENT, AT(retry_budget), .def = "10%", .max = 1,
     .text = "Retries as a share of requests; ten in 10 s are always allowed"},
};
