/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Links: how calls reach an endpoint
 *
 * One implementation a scheme: link_mcp.c over connections that carry many calls, link_http.c over
 * the gateway's own HTTP client. A link tells a call what comes with client_call_record() and
 * client_call_tried(). Loop's thread only.
 */

#include "base/addr.h"
#include "call/pool.h"
#include "client/call.h"
#include "upstream/upstream.h"

struct client_endpoint;

enum {
    CLIENT_BUSY = 1, /* no room now: client_channel_wake() when there is */
};

struct client_link_ops {
    const char *name;
    int (*init)(struct client_endpoint *e);
    /* Begins a try. Return: 0; CLIENT_BUSY; -errno the call cannot be sent. */
    int (*start)(struct client_endpoint *e, chasqui_call *call);
    /* Ends a try; nothing is told any more. */
    void (*drop)(chasqui_call *call, enum mcp_cancel reason);
    /* The reader of a stream has taken @cost bytes of records. */
    void (*take)(chasqui_call *call, uint32_t cost);
    /* Whether calls that wait may hope for it: it is connected, or being connected. */
    bool (*is_hopeful)(const struct client_endpoint *e);
    /* no call is open; memory may go when the loop has run out */
    void (*close)(struct client_endpoint *e);
};

extern const struct client_link_ops client_link_mcp;
extern const struct client_link_ops client_link_http;

struct client_endpoint {
    struct chasqui_client *client;
    const struct client_link_ops *ops;
    struct url url;
    uint32_t n_open; /* tries */

    /* of connecting, by the channel */
    struct retry_state failures;
    nsec_t failing_until; /* 0: it is not failing */
    unsigned failed_with; /* then: code */

    /* MCP */
    struct list conns;
    struct pool pool;
    struct net_timer sweep;
    uint32_t n_conns;
    uint32_t n_opening;
    bool is_greeted; /* a server there has answered HELLO */
    bool is_plain;   /* the next connection is */

    /* HTTP */
    struct upstream upstream;
};
