/* SPDX-License-Identifier: MIT */
#include "client/service.h"

#include "mcp/ext.h"

static const struct client_service services[] = {
    {STR_INIT("ollama.generate"), ROUTE_GENERATE, false},
    {STR_INIT("ollama.chat"), ROUTE_CHAT, false},
    {STR_INIT("ollama.embed"), ROUTE_EMBED, false},
    {STR_INIT("ollama.show"), ROUTE_SHOW, false},
    {STR_INIT("ollama.tags"), ROUTE_TAGS, true},
    {STR_INIT("ollama.ps"), ROUTE_PS, true},
    {STR_INIT("ollama.version"), ROUTE_VERSION, true},
};

const struct client_service *client_service_find(struct str name)
{
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        if (str_eq(services[i].name, name) ||
            str_eq(api_route_get(services[i].route)->path, name))
            return &services[i];
    return NULL;
}

bool client_service_is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.s[i] <= ' ' || name.s[i] > '~')
            return false;
    return name.len > 0 && name.len <= MCP_METHOD_MAX;
}
