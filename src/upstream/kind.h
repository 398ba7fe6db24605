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

/*
 * For connections. Counting; when one that is opened now will be too old; attempts in line, and the
 * first of them, which is out of it then.
 */
void upstream_count(struct upstream *u, int idle_delta, int busy_delta);
nsec_t upstream_death(struct upstream *u, nsec_t now);
void upstream_wait(struct upstream *u, struct attempt *a);
void upstream_unwait(struct upstream *u, struct attempt *a);
struct attempt *upstream_next(struct upstream *u);
void upstream_warmed(struct upstream *u, bool is_open);
void upstream_cooled(struct upstream *u); /* one fewer is idle */

/* A connection is gone; with the last one a retired upstream is empty. */
void upstream_gone(struct upstream *u);

extern const struct upstream_kind upstream_http;
extern const struct upstream_kind upstream_mcp;
