/* SPDX-License-Identifier: MIT */
#include "mcp/pool.h"

#include "mcp/state.h"

struct mcp_spare {
    struct mcp_spare *next;
};

static const struct kind {
    size_t size;
    uint32_t n_max; /* kept for the next one */
} kinds[N_MCP_KINDS] = {
    [MCP_KIND_CALL] = {sizeof(struct mcp_call), 1024},
    [MCP_KIND_SMALL] = {sizeof(struct mcp_out) + MCP_SMALL_CAP, 1024},
    [MCP_KIND_RUN] = {sizeof(struct mcp_out) + MCP_RUN_CAP, 512},
    [MCP_KIND_BATCH] = {sizeof(struct mcp_batch), 16},
};

void *mcp_pool_resize(struct mcp_pool *pool, void *p, size_t n)
{
    if (pool->memory != NULL)
        return pool->memory->resize(pool->memory, p, n);
    if (n > 0)
        return realloc(p, n);
    free(p);
    return NULL;
}

void mcp_pool_init(struct mcp_pool *pool, struct mcp_memory *memory)
{
    *pool = (struct mcp_pool){.memory = memory};
}

void mcp_pool_fini(struct mcp_pool *pool)
{
    for (unsigned kind = 0; kind < N_MCP_KINDS; kind++) {
        while (pool->spare[kind] != NULL) {
            struct mcp_spare *spare = pool->spare[kind];

            pool->spare[kind] = spare->next;
            (void)mcp_pool_resize(pool, spare, 0);
        }
        pool->n_spare[kind] = 0;
    }
}

void *mcp_pool_get(struct mcp_pool *pool, enum mcp_kind kind)
{
    struct mcp_spare *spare = pool->spare[kind];

    if (spare == NULL)
        return mcp_pool_resize(pool, NULL, kinds[kind].size);
    pool->spare[kind] = spare->next;
    pool->n_spare[kind]--;
    return spare;
}

void mcp_pool_put(struct mcp_pool *pool, enum mcp_kind kind, void *p)
{
    struct mcp_spare *spare = p;

    if (p == NULL)
        return;
    if (pool->n_spare[kind] == kinds[kind].n_max) {
        (void)mcp_pool_resize(pool, p, 0);
        return;
    }
    spare->next = pool->spare[kind];
    pool->spare[kind] = spare;
    pool->n_spare[kind]++;
}
