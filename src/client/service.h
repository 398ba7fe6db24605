/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Services and endpoints: two names for one thing
 *
 * What MCP calls "ollama.chat" is POST /api/chat over HTTP. A name that begins with '/' is an endpoint.
 */

#include "api/route.h"

struct client_service {
    struct str name;
    enum api_route_id route;
    bool is_get;
};

/* By either name; NULL: no service has it. */
const struct client_service *client_service_find(struct str name);

/* Whether it can be a name at all: 1..128 printable ASCII characters, no space. */
bool client_service_is_name(struct str name);
