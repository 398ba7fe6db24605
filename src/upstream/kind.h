/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Kinds of nodes. Private to upstream/.
 *
 * An attempt speaks HTTP/1.1 to an Ollama (conn.c) or MCP to another Chasqui (mcp.c). Both keep the
 * promises of attempt.h.
 */

#include "upstream/attempt.h"

struct upstream_kind {
    const char *name; /* the scheme of its URLs */
    int (*init)(struct upstream *u);
    int (*start)(struct attempt *a, bool is_fresh); /* Return: as attempt_start() */
    void (*cancel)(struct attempt *a);              /* it is running */
    void (*pause)(struct attempt *a);
    void (*resume)(struct attempt *a);
    void (*retire)(struct upstream *u); /* closes what carries nothing */
    void (*close)(struct upstream *u);
};

/* A connection is gone; with the last one a retired upstream is empty. */
void upstream_gone(struct upstream *u);

extern const struct upstream_kind upstream_http;
extern const struct upstream_kind upstream_mcp;
