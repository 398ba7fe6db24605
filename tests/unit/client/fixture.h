/* SPDX-License-Identifier: MIT */
#pragma once

/* A server of tests/unit/client/server.h, and a client of it. */

#include <chasqui/chasqui.h>

#include "server.h"

struct fixture {
    struct server server;
    chasqui_client *client;
};

static inline int setup(void **state)
{
    static struct fixture f;

    server_start(&f.server);
    *state = &f;
    return chasqui_open(f.server.url, NULL, &f.client, NULL);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    chasqui_close(f->client);
    server_stop(&f->server);
    return 0;
}
