/* SPDX-License-Identifier: MIT */
#include "fleet/fleet.h"

#include <assert.h>
#include <errno.h>

int fleet_init(struct fleet *f, const struct str *names, const struct url *urls, size_t n, uint64_t seed)
{
    assert(n > 0 && n <= FLEET_MAX_NODES);

    *f = (struct fleet){.n_nodes = n, .rng = {.state = seed}, .hash_key = hash_key_make()};
    f->nodes = calloc(n, sizeof(struct fleet_node));
    if (f->nodes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        f->nodes[i].name = names[i];
        f->nodes[i].url = urls[i];
        f->nodes[i].charged_at = -NSEC_PER_SEC;
    }
    return 0;
}

void fleet_fini(struct fleet *f)
{
    for (size_t i = 0; i < f->n_nodes; i++) {
        models_fini(&f->nodes[i].models);
        models_fini(&f->nodes[i].resident);
    }
    free(f->nodes);
}

static bool was_tried(const struct fleet_ask *ask, size_t index)
{
    for (size_t i = 0; i < ask->n_tried; i++)
        if (ask->tried[i] == index)
            return true;
    return false;
}

static bool serves(const struct fleet_node *node, const struct fleet_ask *ask)
{
    return ask->key.len == 0 || models_has(&node->models, ask->key, ask->hash);
}

/* The smaller the better; nodes of one rank are equals. */
static unsigned rank(const struct fleet_node *node, const struct fleet_ask *ask, size_t index, nsec_t now)
{
    if (ejection_is_out(&node->ejection, now))
        return 2;
    return was_tried(ask, index) ? 1 : 0;
}

int fleet_pick(struct fleet *f, const struct fleet_ask *ask, nsec_t now, uint16_t *ret_index)
{
    size_t best = f->n_nodes;
    unsigned best_rank = 0;
    bool is_known = ask->key.len == 0;

    f->turn = (f->turn + 1) % f->n_nodes;
    for (size_t step = 0; step < f->n_nodes; step++) {
        size_t i = (f->turn + step) % f->n_nodes;
        const struct fleet_node *node = &f->nodes[i];
        unsigned node_rank;

        if (!serves(node, ask))
            continue;
        is_known = true;
        if (node->state != NODE_UP)
            continue;
        node_rank = rank(node, ask, i, now);
        if (best == f->n_nodes || node_rank < best_rank ||
            (node_rank == best_rank && node->in_flight < f->nodes[best].in_flight)) {
            best = i;
            best_rank = node_rank;
        }
    }
    if (best == f->n_nodes)
        return is_known ? FLEET_NO_NODE : FLEET_NO_MODEL;
    f->nodes[best].in_flight++;
    f->nodes[best].n_granted++;
    *ret_index = (uint16_t)best;
    return 0;
}

bool fleet_has_idle_other(const struct fleet *f, const struct fleet_ask *ask, uint16_t index, nsec_t now)
{
    for (size_t i = 0; i < f->n_nodes; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (i != index && node->state == NODE_UP && node->in_flight == 0 && serves(node, ask) &&
            rank(node, ask, i, now) == 0)
            return true;
    }
    return false;
}

static void set_state(struct fleet_node *node, enum node_state state, const char *why, nsec_t now)
{
    node->state = state;
    node->since = now;
    (void)snprintf(node->why, sizeof(node->why), "%s", why);
}

/* At most half of the nodes that are up may be out, and never the last. */
static bool may_eject(const struct fleet *f, nsec_t now)
{
    size_t n_up = fleet_n_up(f);
    size_t n_out = 0;

    for (size_t i = 0; i < f->n_nodes; i++)
        n_out += f->nodes[i].state == NODE_UP && ejection_is_out(&f->nodes[i].ejection, now);
    return (n_out + 1) * 2 <= n_up;
}

static enum fleet_news blame_failure(struct fleet *f, struct fleet_node *node, const char *why, nsec_t now)
{
    if (ejection_feed(&node->ejection, /* failed= */ true, now) != EJECTION_DUE || !may_eject(f, now))
        return FLEET_NO_NEWS;
    ejection_eject(&node->ejection, now, &f->rng);
    (void)snprintf(node->why, sizeof(node->why), "%s", why);
    return FLEET_NODE_EJECTED;
}

enum fleet_news fleet_leave(struct fleet *f, uint16_t index, enum call_outcome outcome, const char *why, nsec_t now)
{
    struct fleet_node *node = &f->nodes[index];

    assert(node->in_flight > 0);
    node->in_flight--;
    if (outcome == CALL_OK || outcome == CALL_CALLER_FAULT) {
        (void)ejection_feed(&node->ejection, /* failed= */ false, now);
        return FLEET_NO_NEWS;
    }
    switch (call_rule_get(outcome)->blame) {
    case CALL_BLAME_DOWN:
        if (node->state == NODE_DOWN)
            return FLEET_NO_NEWS;
        set_state(node, NODE_DOWN, why, now);
        models_fini(&node->resident);
        return FLEET_NODE_DOWN;
    case CALL_BLAME_FAILURE:
        return blame_failure(f, node, why, now);
    case CALL_BLAME_NONE:
    case CALL_BLAME_OVERLOAD:
    case CALL_BLAME_LATENCY:
        break;
    }
    return FLEET_NO_NEWS;
}

static void swap_models(struct models *a, struct models *b)
{
    struct models t = *a;

    *a = *b;
    *b = t;
}

/* Before 0.30 /api/ps also lists what is still loading: then only what has answered here counts as loaded. */
static void keep_proven(const struct fleet_node *node, struct fleet_report *report)
{
    if (node->state == NODE_UP && strverscmp(report->version, "0.30") < 0)
        models_keep_common(&report->resident, &node->resident);
}

enum fleet_news fleet_apply(struct fleet *f, uint16_t index, struct fleet_report *report, nsec_t now)
{
    struct fleet_node *node = &f->nodes[index];
    enum node_state before = node->state;

    if (!report->is_ok) {
        if (before == NODE_DOWN)
            return FLEET_NO_NEWS;
        set_state(node, NODE_DOWN, report->why, now);
        return FLEET_NODE_DOWN;
    }
    keep_proven(node, report);
    swap_models(&node->models, &report->models);
    swap_models(&node->resident, &report->resident);
    (void)snprintf(node->version, sizeof(node->version), "%s", report->version);
    if (before == NODE_UP)
        return FLEET_NO_NEWS;
    set_state(node, NODE_UP, "", now);
    ejection_reset(&node->ejection);
    return FLEET_NODE_UP;
}

void fleet_mark_resident(struct fleet *f, uint16_t index, struct str key, uint64_t hash)
{
    /* Without memory it stays unmarked, which costs a load that goes on longer than it must. */
    (void)!models_put(&f->nodes[index].resident, key, hash);
}

size_t fleet_n_up(const struct fleet *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_nodes; i++)
        n += f->nodes[i].state == NODE_UP;
    return n;
}

bool fleet_knows_model(const struct fleet *f, struct str key, uint64_t hash)
{
    for (size_t i = 0; i < f->n_nodes; i++)
        if (models_has(&f->nodes[i].models, key, hash))
            return true;
    return false;
}

const char *fleet_lowest_version(const struct fleet *f)
{
    const char *lowest = "";

    for (size_t i = 0; i < f->n_nodes; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (node->state == NODE_UP && (lowest[0] == '\0' || strverscmp(node->version, lowest) < 0))
            lowest = node->version;
    }
    return lowest;
}
