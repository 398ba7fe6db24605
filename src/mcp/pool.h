/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory of sessions
 *
 * All sessions of one thread share a pool: it keeps what a small call needs (its object, its
 * message, the buffer of a write) for the next one, so that calls allocate nothing once the pool is
 * warm and an idle session holds nothing. What it keeps is bounded. Everything that sessions
 * allocate comes through mcp_pool_resize(), so a test can fail the n-th allocation. Not thread-
 * safe.
 */

#include "base/str.h"

/* Where memory comes from. NULL stands for libc. */
struct mcp_memory {
    /* As realloc(), except that n == 0 always frees and returns NULL. */
    void *(*resize)(struct mcp_memory *m, void *p, size_t n);
};

enum mcp_kind {
    MCP_KIND_CALL,  /* struct mcp_call */
    MCP_KIND_SMALL, /* a message of up to MCP_SMALL_CAP bytes */
    MCP_KIND_RUN,   /* small chunks of a stream, up to MCP_RUN_CAP bytes */
    MCP_KIND_BATCH, /* the frames of one write */
    N_MCP_KINDS,
};

struct mcp_pool {
    struct mcp_memory *memory;
    struct mcp_spare *spare[N_MCP_KINDS];
    uint32_t n_spare[N_MCP_KINDS];
};

void mcp_pool_init(struct mcp_pool *pool, struct mcp_memory *memory);

/* All sessions are gone. */
void mcp_pool_fini(struct mcp_pool *pool);

/* An object of @kind, uninitialised, or NULL without memory. */
void *mcp_pool_get(struct mcp_pool *pool, enum mcp_kind kind);

/* Gives an object back; NULL is fine. */
void mcp_pool_put(struct mcp_pool *pool, enum mcp_kind kind, void *p);

/* As struct mcp_memory's resize. */
void *mcp_pool_resize(struct mcp_pool *pool, void *p, size_t n);
