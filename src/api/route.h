/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Routes
 *
 * What a path means, by table: whose API it belongs to, which methods it has, and how it is
 * answered. Pure.
 */

#include "base/str.h"
#include "http/h1.h"

enum api_family {
    API_OLLAMA,    /* errors are {"error":"text"} */
    API_OPENAI,    /* {"error":{"message","type","param","code"}} */
    API_ANTHROPIC, /* {"type":"error","error":{"type","message"}} */
};

enum api_route_id {
    ROUTE_ROOT, /* / */
    ROUTE_VERSION,
    ROUTE_TAGS,
    ROUTE_PS,
    ROUTE_SHOW,
    ROUTE_GENERATE,
    ROUTE_CHAT,
    ROUTE_EMBED,
    ROUTE_EMBEDDINGS,
    ROUTE_V1_CHAT,
    ROUTE_V1_COMPLETIONS,
    ROUTE_V1_EMBEDDINGS,
    ROUTE_V1_RESPONSES,
    ROUTE_V1_MESSAGES,
    ROUTE_V1_MODELS,
    ROUTE_V1_MODEL, /* /v1/models/NAME */
    ROUTE_PULL,
    ROUTE_PUSH,
    ROUTE_CREATE,
    ROUTE_COPY,
    ROUTE_DELETE,
    ROUTE_BLOB, /* /api/blobs/DIGEST */
    ROUTE_ME,
    ROUTE_SIGNOUT,
    ROUTE_USER_KEY,
    ROUTE_EXPERIMENTAL,
    N_ROUTES
};

enum api_work {
    API_LOCAL,     /* the gateway answers */
    API_MERGED,    /* every node is asked, the answers are merged */
    API_METADATA,  /* one node that has the model, at once: never waits for a load */
    API_INFERENCE, /* one node that has the model; may wait for a load and for a slot */
    API_MANAGED,   /* the nodes that a policy names change what models they have */
    API_BLOB,      /* a file for a model to be created: its body flows and is not held */
};

enum api_access {
    API_FOR_ALL,      /* everybody who may use the gateway */
    API_FOR_ADMINS,   /* who manages models */
    API_SWITCHED_OFF, /* likewise, and only where it was switched on by name */
};

struct api_route {
    enum api_route_id id;
    struct str path;  /* also its label in metrics and logs; ending in '/': one segment more */
    unsigned methods; /* of enum h1_method */
    enum api_family family;
    enum api_work work;
    enum api_access access;
    bool streams_by_default; /* without "stream" in the body */
    const char *switch_name; /* API_SWITCHED_OFF: what it is switched on by */
};

const struct api_route *api_route_get(enum api_route_id id);

/* Behind the path of a route that has one segment more: that segment. */
static inline struct str api_route_arg(const struct api_route *route, struct str path)
{
    return str_from(path, route->path.len);
}

enum {
    API_ROUTE_NOT_FOUND = 1,
    /* the path with one trailing slash less is a route: answer 301 (GET) or 307, as Ollama does */
    API_ROUTE_REDIRECT = 2,
};

/**
 * api_route_find() - the route of a path, exactly as spelled
 *
 * Case, "//", "%2e" and the like do not match anything, so no spelling reaches a route around a
 * rule for it.
 *
 * Return: 0 and *ret_route; API_ROUTE_REDIRECT and *ret_route; API_ROUTE_NOT_FOUND.
 */
MUST_USE int api_route_find(struct str path, const struct api_route **ret_route);

/*
 * The family whose error shape fits a path that may not be a route: /v1/messages, /v1/..., else
 * Ollama's.
 */
enum api_family api_family_of_path(struct str path);

/* "GET, HEAD" for the Allow field; written to @out. Return: @out. */
const char *api_allow(unsigned methods, char out[static 64]);
