/* SPDX-License-Identifier: MIT */
#include "fleet/fleet.h"

#include <assert.h>
#include <errno.h>

int fleet_init(struct fleet *f, const struct str *names, const struct url *urls, size_t n,
               uint64_t seed)
{
    assert(n > 0 && n <= FLEET_MAX_NODES);

    *f = (struct fleet){.n_nodes = n, .rng = {.state = seed}, .hash_key = hash_key_make()};
    f->nodes = calloc(n, sizeof(struct fleet_node));
    if (f->nodes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        f->nodes[i].name = names[i];
        f->nodes[i].url = urls[i];
        f->nodes[i].lost_at = -1;
        f->nodes[i].charged_at = -1;
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

static bool has_model(const struct fleet_node *node, const struct fleet_ask *ask)
{
    return ask->key.len == 0 || models_has(&node->models, ask->key, ask->hash);
}

static bool serves(const struct fleet_node *node, const struct fleet_ask *ask)
{
    return has_model(node, ask) &&
           !(ask->needs_http && str_eq(str_of(node->url.scheme), STR("mcp")));
}

/* The smaller the better; nodes of one rank are equals. */
static unsigned rank(const struct fleet_node *node, const struct fleet_ask *ask, size_t index,
                     nsec_t now)
{
    if (ejection_is_out(&node->ejection, now))
        return 2;
    return was_tried(ask, index) ? 1 : 0;
}

/* Among equals: the least in flight, and of those the one whose last turn is longest ago. */
static bool is_before(const struct fleet_node *a, const struct fleet_node *b)
{
    return a->in_flight != b->in_flight ? a->in_flight < b->in_flight : a->turn < b->turn;
}

int fleet_pick(struct fleet *f, const struct fleet_ask *ask, nsec_t now, uint16_t *ret_index)
{
    size_t best = f->n_nodes;
    unsigned best_rank = 0;
    bool is_known = ask->key.len == 0;

    for (size_t i = 0; i < f->n_nodes; i++) {
        const struct fleet_node *node = &f->nodes[i];
        unsigned node_rank;

        is_known = is_known || has_model(node, ask);
        if (!serves(node, ask) || node->state != NODE_UP)
            continue;
        node_rank = rank(node, ask, i, now);
        if (best == f->n_nodes || node_rank < best_rank ||
            (node_rank == best_rank && is_before(node, &f->nodes[best]))) {
            best = i;
            best_rank = node_rank;
        }
    }
    if (best == f->n_nodes)
        return is_known ? FLEET_NO_NODE : FLEET_NO_MODEL;
    f->nodes[best].in_flight++;
    f->nodes[best].n_granted++;
    f->nodes[best].turn = ++f->turn;
    *ret_index = (uint16_t)best;
    return 0;
}

enum fleet_other fleet_look_for_other(const struct fleet *f, const struct fleet_ask *ask,
                                      uint16_t index, nsec_t now)
{
    enum fleet_other other = FLEET_ALONE;

    for (size_t i = 0; i < f->n_nodes; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (i == index || node->state != NODE_UP || !serves(node, ask) ||
            rank(node, ask, i, now) > 0)
            continue;
        if (node->in_flight == 0)
            return FLEET_OTHER_IDLE;
        other = FLEET_OTHER;
    }
    return other;
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

static enum fleet_news blame_failure(struct fleet *f, struct fleet_node *node, const char *why,
                                     nsec_t now)
{
    if (ejection_feed(&node->ejection, /* failed= */ true, now) != EJECTION_DUE ||
        !may_eject(f, now))
        return FLEET_NO_NEWS;
    ejection_eject(&node->ejection, now, &f->rng);
    (void)snprintf(node->why, sizeof(node->why), "%s", why);
    return FLEET_NODE_EJECTED;
}

static bool is_lost_connection(enum call_outcome what)
{
    return what == CALL_CONNECT_FAILED || what == CALL_RESET || what == CALL_BROKEN_ANSWER;
}

/* Whether the attempt had begun before @at, the last event of this kind. */
static bool is_same_event(nsec_t at, const struct fleet_outcome *outcome)
{
    return is_lost_connection(outcome->what) && outcome->granted_at <= at;
}

enum fleet_news fleet_leave(struct fleet *f, uint16_t index, const struct fleet_outcome *outcome)
{
    struct fleet_node *node = &f->nodes[index];

    assert(node->in_flight > 0);
    node->in_flight--;
    if (outcome->what == CALL_OK || outcome->what == CALL_CALLER_FAULT) {
        (void)ejection_feed(&node->ejection, /* failed= */ false, outcome->now);
        return FLEET_NO_NEWS;
    }
    switch (call_rule_get(outcome->what)->blame) {
    case CALL_BLAME_DOWN:
        /* A refusal of before the node came back says nothing about it now. */
        if (node->state == NODE_DOWN || outcome->granted_at < node->since)
            return FLEET_NO_NEWS;
        set_state(node, NODE_DOWN, outcome->why, outcome->now);
        models_fini(&node->resident);
        return FLEET_NODE_DOWN;
    case CALL_BLAME_FAILURE:
        if (is_same_event(node->lost_at, outcome))
            return FLEET_NO_NEWS;
        if (is_lost_connection(outcome->what))
            node->lost_at = outcome->now;
        return blame_failure(f, node, outcome->why, outcome->now);
    case CALL_BLAME_NONE:
    case CALL_BLAME_OVERLOAD:
    case CALL_BLAME_LATENCY:
        break;
    }
    return FLEET_NO_NEWS;
}

bool fleet_charge(struct fleet *f, uint16_t index, const struct fleet_outcome *outcome,
                  struct budget *budget)
{
    struct fleet_node *node = &f->nodes[index];

    if (is_same_event(node->charged_at, outcome))
        return true;
    if (!budget_take(budget, outcome->now))
        return false;
    if (is_lost_connection(outcome->what))
        node->charged_at = outcome->now;
    return true;
}

static void swap_models(struct models *a, struct models *b)
{
    struct models t = *a;

    *a = *b;
    *b = t;
}

/* What has answered here is loaded, as long as it is listed. */
static void keep_proven(const struct fleet_node *node, struct fleet_report *report)
{
    if (node->state == NODE_UP)
        models_add_common(&report->resident, &node->resident, &report->listed);
}

enum fleet_news fleet_apply(struct fleet *f, uint16_t index, struct fleet_report *report,
                            nsec_t now)
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
    ejection_reset(&node->ejection, now);
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
