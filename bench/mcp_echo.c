/* SPDX-License-Identifier: MIT */

/*
 * The smallest MCP server on src/wire: "echo" answers at once, "hold" never does.
 * usage: mcp_echo PORT
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/stream.h"
#include "wire/wire.h"

struct server {
    struct net_loop loop;
    struct net_listener listener;
    struct mcp_settings settings;
    struct mcp_pool pool;
};

static void on_request(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    if (str_eq(m->ext->method, STR("hold")))
        return;
    if (mcp_call_respond(call, NULL, m->body) < 0) {
        const struct mcp_error error =
            MCP_ERROR_MAKE(MCP_TOO_LARGE, 0, MCP_ORIGIN_GATEWAY, STR("too long"));

        mcp_call_fail(call, NULL, &error);
    }
    wire_wake(wire_of(s));
}

static void on_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    const struct mcp_error error =
        MCP_ERROR_MAKE(MCP_CANCELLED, 0, MCP_ORIGIN_GATEWAY, STR("cancelled"));

    (void)reason;
    mcp_call_fail(call, NULL, &error);
    wire_wake(wire_of(s));
}

static const struct mcp_session_ops session_ops = {
    .name = "mcp_echo",
    .on_request = on_request,
    .on_cancel = on_cancel,
};

static void on_closed(struct wire *w)
{
    wire_fini(w);
    free(w);
}

static const struct wire_ops wire_ops = {.name = "mcp_echo", .on_closed = on_closed};

static void on_connection(struct net_listener *listener)
{
    struct server *server = container_of(listener, struct server, listener);
    const struct wire_setup setup = {
        .loop = &server->loop,
        .ops = &wire_ops,
        .settings = &server->settings,
        .session_ops = &session_ops,
        .pool = &server->pool,
    };
    struct wire *w = calloc(1, sizeof(*w));

    if (w == NULL)
        net_listener_refuse(listener);
    else if (wire_accept(w, &setup, listener) < 0 && !w->stream.is_open)
        free(w);
}

int main(int argc, char **argv)
{
    static struct server server;
    struct addr at;
    int fd;

    if (addr_parse(argc > 1 ? str_of(argv[1]) : STR("127.0.0.1:0"), 0, &at) < 0 ||
        net_loop_init(&server.loop) < 0 || net_listen_fds(&at, 1, &fd) < 0)
        return 1;
    server.settings = mcp_settings_default;
    mcp_pool_init(&server.pool, NULL);
    if (net_listener_open(&server.loop, &server.listener, fd, on_connection) < 0)
        return 1;
    (void)printf("%u\n", at.port);
    (void)fflush(stdout);
    net_loop_run(&server.loop);
    return 0;
}
