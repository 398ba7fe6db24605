/* SPDX-License-Identifier: MIT */
#include "gateway/nodes.h"

#include <errno.h>

#include "gateway/gateway.h"

struct worker_node {
    struct upstream upstream;
    struct worker_nodes *nodes;
    struct list link; /* while leaving */
    uint16_t index;
};

static struct desk *desk_of(const struct worker_nodes *n)
{
    return &n->worker->gateway->desk;
}

static void on_empty(struct upstream *u)
{
    struct worker_node *node = container_of(u, struct worker_node, upstream);

    list_remove(&node->link);
    desk_node_unref(desk_of(node->nodes), node->index);
    free(node);
}

/* Workers keep some open each, together what the setting says. */
static uint32_t share_of_warm(const struct worker *w)
{
    size_t n = w->gateway->n_workers;
    size_t index = (size_t)(w - w->gateway->workers);

    return (uint32_t)((w->view->upstream->min_idle + n - 1 - index) / n);
}

static struct worker_node *make(struct worker_nodes *n, uint16_t index)
{
    struct worker *w = n->worker;
    struct worker_node *node = calloc(1, sizeof(*node));

    if (node == NULL)
        return NULL;
    node->nodes = n;
    node->index = index;
    list_init(&node->link);
    if (upstream_init(&node->upstream, &w->loop, w->view->upstream,
                      desk_node_name(desk_of(n), index), desk_node_url(desk_of(n), index)) < 0) {
        upstream_close(&node->upstream);
        free(node);
        return NULL;
    }
    upstream_join(&node->upstream, &n->worker->gateway->quota, index);
    upstream_keep_warm(&node->upstream, share_of_warm(n->worker));
    desk_node_ref(desk_of(n), index);
    return node;
}

/* Connections that are to be warm before anybody asks. */
static void make_warm(struct worker_nodes *n)
{
    if (share_of_warm(n->worker) == 0)
        return;
    for (size_t i = 0; i < desk_n_slots(desk_of(n)); i++) {
        if (n->at[i] != NULL || !desk_node_take(desk_of(n), (uint16_t)i))
            continue;
        n->at[i] = make(n, (uint16_t)i);
        desk_node_unref(desk_of(n), (uint16_t)i);
    }
}

static void on_sweep(struct net_task *task)
{
    struct worker_nodes *n = container_of(task, struct worker_nodes, sweep);

    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++) {
        struct worker_node *node = n->at[i];

        if (node == NULL || desk_node_is_listed(desk_of(n), (uint16_t)i))
            continue;
        n->at[i] = NULL;
        list_put_back(&n->leaving, &node->link);
        upstream_retire(&node->upstream, on_empty);
    }
    make_warm(n);
}

int worker_nodes_init(struct worker_nodes *n, struct worker *w)
{
    *n = (struct worker_nodes){.worker = w, .sweep = {.run = on_sweep}};
    list_init(&n->leaving);
    n->at = calloc(FLEET_MAX_SLOTS, sizeof(struct worker_node *));
    if (n->at == NULL)
        return -ENOMEM;
    net_defer(&w->loop, &n->sweep);
    return 0;
}

struct upstream *worker_nodes_get(struct worker_nodes *n, uint16_t node)
{
    if (n->at[node] == NULL) {
        n->at[node] = make(n, node);
        /* The grant may be of a node that has left meanwhile: nobody would part from it again. */
        net_defer(&n->worker->loop, &n->sweep);
    }
    return n->at[node] != NULL ? &n->at[node]->upstream : NULL;
}

void worker_nodes_configure(struct worker_nodes *n)
{
    const struct upstream_settings *settings = n->worker->view->upstream;

    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++)
        if (n->at[i] != NULL) {
            upstream_configure(&n->at[i]->upstream, settings);
            upstream_keep_warm(&n->at[i]->upstream, share_of_warm(n->worker));
        }
    list_for_each (it, &n->leaving)
        upstream_configure(&container_of(it, struct worker_node, link)->upstream, settings);
    net_defer(&n->worker->loop, &n->sweep);
}

/* From here on all of them are in `leaving`. */
void worker_nodes_close(struct worker_nodes *n)
{
    if (n->at == NULL)
        return;
    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++) {
        if (n->at[i] != NULL)
            list_put_back(&n->leaving, &n->at[i]->link);
        n->at[i] = NULL;
    }
    list_for_each (it, &n->leaving)
        upstream_close(&container_of(it, struct worker_node, link)->upstream);
}

void worker_nodes_fini(struct worker_nodes *n)
{
    if (n->at == NULL)
        return;
    list_for_each_safe (it, &n->leaving)
        free(container_of(it, struct worker_node, link));
    free(n->at);
}
