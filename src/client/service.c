/* SPDX-License-Identifier: MIT */
#include "client/service.h"

#include "mcp/ext.h"

const struct codec_service *client_service_find(struct str name)
{
    const struct codec_service *service = codec_service_find(name);
    const struct api_route *route;

    if (service != NULL && service->route != N_ROUTES)
        return service;
    return api_route_find(name, &route) == 0 ? codec_service_of_route(route->id) : NULL;
}

bool client_service_is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.s[i] <= ' ' || name.s[i] > '~')
            return false;
    return name.len > 0 && name.len <= MCP_METHOD_MAX;
}
