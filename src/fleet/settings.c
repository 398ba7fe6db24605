/* SPDX-License-Identifier: MIT */
#include "fleet/settings.h"

#include "base/addr.h"

static const char *check_url(struct str value)
{
    struct url url;

    return url_parse_node(value, &url) == 0 ? NULL
                                            : "is not the URL of a node, as http://10.0.0.11:11434";
}

void node_settings_name(const struct node_settings *node, const struct url *url,
                        char out[static FLEET_NAME_MAX])
{
    if (node->name[0] != '\0')
        (void)snprintf(out, FLEET_NAME_MAX, "%s", node->name);
    else
        (void)addr_print(&url->addr, out);
}

static const struct setting_choice auto_slots[] = {
    {"auto", SLOTS_AUTO},
    {NULL, 0},
};

static const struct setting_choice strategies[] = {
    {"round-robin", BALANCE_ROUND_ROBIN},
    {"weighted", BALANCE_WEIGHTED},
    {"least-loaded", BALANCE_LEAST_LOADED},
    {"p2c", BALANCE_P2C},
    {"source-hash", BALANCE_SOURCE_HASH},
    {"cookie", BALANCE_COOKIE},
    {"prefix", BALANCE_PREFIX},
    {"warm", BALANCE_WARM},
    {NULL, 0},
};

static const struct setting_choice affinities[] = {
    {"header", 0}, {"cookie", 1}, {"source", 2}, {"prefix", 3}, {NULL, 0},
};

bool fleet_settings_has_affinity(const struct fleet_settings *s, struct str name)
{
    for (size_t i = 0; i < s->affinity.n; i++)
        if (str_eq(str_of(s->affinity.items[i]), name))
            return true;
    return false;
}

struct fleet_routing fleet_settings_routing(const struct fleet_settings *s)
{
    struct fleet_routing routing = s->routing;

    routing.by_prefix = fleet_settings_has_affinity(s, STR("prefix"));
    routing.by_session = s->affinity.n > (routing.by_prefix ? 1U : 0U);
    return routing;
}

static const struct setting node_rows[] = {
    {.key = "name",
     .type = SETTING_STRING,
     .offset = offsetof(struct node_settings, name),
     .min = 0,
     .max = 64,
     .text = "Name in logs and metrics; host:port where absent"},
    {.key = "url",
     .type = SETTING_STRING,
     .offset = offsetof(struct node_settings, url),
     .is_required = true,
     .check = check_url,
     .text = "Where the node listens, as OLLAMA_HOST has it"},
    {.key = "slots",
     .type = SETTING_U64,
     .offset = offsetof(struct node_settings, slots),
     .def = "auto",
     .min = 1,
     .max = 65536,
     .choices = auto_slots,
     .text = "Requests at once for each model, as OLLAMA_NUM_PARALLEL has it; others wait here; "
             "auto: found out"},
    {.key = "weight",
     .type = SETTING_U64,
     .offset = offsetof(struct node_settings, weight),
     .def = "1",
     .min = 1,
     .max = 100,
     .text = "Its share of the load, next to others"},
    {.key = "tier",
     .type = SETTING_U64,
     .offset = offsetof(struct node_settings, tier),
     .def = "0",
     .max = 9,
     .text = "The lowest tier that can serve at once does: edge 0, centre 1"},
};

static const struct setting_shape node_shape = {
    .rows = node_rows,
    .n_rows = ARRAY_LEN(node_rows),
    .size = sizeof(struct node_settings),
    .lead = "url",
};

const struct setting fleet_rows[N_FLEET_ROWS] = {
    {.key = "nodes",
     .type = SETTING_OBJECTS,
     .offset = offsetof(struct fleet_settings, nodes),
     .max = 1024,
     .flag = "--node",
     .arg = "URL",
     .shape = &node_shape,
     .text = "Ollama nodes; repeatable. Without any: OLLAMA_HOST, else http://127.0.0.1:11434"},
    {.key = "routing.strategy",
     .type = SETTING_ENUM,
     .offset = offsetof(struct fleet_settings, routing.strategy),
     .def = "warm",
     .choices = strategies,
     .text = "Which of the nodes that have the model and a free slot is chosen"},
    {.key = "routing.affinity",
     .type = SETTING_STRINGS,
     .offset = offsetof(struct fleet_settings, affinity),
     .def = "header,prefix",
     .max = 4,
     .choices = affinities,
     .text = "What goes before the strategy, where the model is loaded: the node of the session "
             "that a request names (header: X-Session-Id, or SESSION of MCP; cookie; source: the "
             "client's address), or that knows most of its prompt (prefix)"},
    {.key = "routing.cookie_key",
     .type = SETTING_STRING,
     .offset = offsetof(struct fleet_settings, cookie_key),
     .max = 512,
     .is_secret = true,
     .text = "Signs the cookie chasqui_session; the same for several gateways before the same "
             "clients. Without it one is made at each start"},
    {.key = "routing.session_idle",
     .type = SETTING_DURATION,
     .offset = offsetof(struct fleet_settings, routing.session_idle_ns),
     .def = "30m",
     .min = 1e9,
     .max = 86400e9,
     .text = "A session without requests is forgotten after this"},
    {.key = "routing.bounded_load",
     .type = SETTING_RATIO,
     .offset = offsetof(struct fleet_settings, routing.bounded_load),
     .def = "1.25",
     .min = 1,
     .max = 100,
     .text = "A node that a client or a session always goes to gets at most so much of the mean "
             "load; others get the rest"},
    {.key = "connection_pool.health_check_interval",
     .type = SETTING_DURATION,
     .offset = offsetof(struct fleet_settings, probe_interval_ns),
     .def = "10s",
     .min = 1e7,
     .max = 3600e9,
     .text = "Time between two probes of a node; one that is down is asked every second"},
};
