/* SPDX-License-Identifier: MIT */
#include "fleet/fleet.h"

#define N_RANKS 3

static bool was_tried(const struct fleet_ask *ask, size_t index)
{
    for (size_t i = 0; i < ask->n_tried; i++)
        if (ask->tried[i] == index)
            return true;
    return false;
}

static bool is_up(const struct fleet_node *node)
{
    return node->life == NODE_LISTED && node->state == NODE_UP;
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

/* What it holds of the node, when it may have it at all. Return: 0, -ENOBUFS, -ENOMEM. */
static int take(struct fleet *f, size_t index, const struct fleet_ask *ask, nsec_t now,
                struct fleet_choice *ret_choice)
{
    struct fleet_node *node = &f->nodes[index];
    const struct residency what = {ask->hash, ask->options};
    int r = 0;

    *ret_choice = (struct fleet_choice){.node = (uint16_t)index, .slot = {.index = SLOTS_NONE}};
    if (ask->needs_slot && node->slots_setting != SLOTS_ANY)
        r = slots_take(&node->slots, node->slots_setting, &what, now, &ret_choice->slot);
    if (r < 0)
        return r;
    node->in_flight++;
    node->n_granted++;
    node->turn = ++f->turn;
    return 0;
}

static bool has_free_slot(const struct fleet_node *node, const struct fleet_ask *ask)
{
    const struct residency what = {ask->hash, ask->options};

    return !ask->needs_slot || slots_free(&node->slots, node->slots_setting, &what) > 0;
}

/* The best rank that there is of nodes that are up; N_RANKS: there is none. */
static unsigned best_rank(const struct fleet *f, const struct fleet_ask *ask, nsec_t now,
                          bool *ret_is_known)
{
    unsigned best = N_RANKS;

    *ret_is_known = ask->key.len == 0;
    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];

        *ret_is_known = *ret_is_known || (node->life == NODE_LISTED && has_model(node, ask));
        if (is_up(node) && serves(node, ask) && rank(node, ask, i, now) < best)
            best = rank(node, ask, i, now);
    }
    return best;
}

int fleet_pick(struct fleet *f, const struct fleet_ask *ask, nsec_t now,
               struct fleet_choice *ret_choice)
{
    size_t best = FLEET_MAX_SLOTS;
    bool is_known;
    unsigned the_rank = best_rank(f, ask, now, &is_known);

    if (the_rank == N_RANKS)
        return is_known ? FLEET_NO_NODE : FLEET_NO_MODEL;
    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (!is_up(node) || !serves(node, ask) || rank(node, ask, i, now) != the_rank ||
            !has_free_slot(node, ask))
            continue;
        if (best == FLEET_MAX_SLOTS || is_before(node, &f->nodes[best]))
            best = i;
    }
    if (best == FLEET_MAX_SLOTS || take(f, best, ask, now, ret_choice) < 0)
        return FLEET_BUSY;
    return 0;
}

bool fleet_wants_begin(const struct fleet *f, const struct fleet_choice *choice)
{
    const struct fleet_node *node = &f->nodes[choice->node];

    return slots_wants_begin(&node->slots, node->slots_setting, &choice->slot);
}

bool fleet_begin(struct fleet *f, struct fleet_choice *choice)
{
    return slots_begin(&f->nodes[choice->node].slots, &choice->slot);
}

nsec_t fleet_predict(const struct fleet *f, const struct fleet_ask *ask, uint64_t position)
{
    const struct residency what = {ask->hash, ask->options};
    double per_ns = 0; /* requests that end, of all nodes together */

    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];
        const struct slots *s = slots_find(&node->slots, &what);
        nsec_t service = s != NULL ? slots_service(s) : -1;

        if (is_up(node) && service > 0)
            per_ns +=
                (double)slots_limit(&node->slots, node->slots_setting, &what) / (double)service;
    }
    return per_ns > 0 ? (nsec_t)((double)position / per_ns) : -1;
}

enum fleet_other fleet_look_for_other(const struct fleet *f, const struct fleet_ask *ask,
                                      uint16_t index, nsec_t now)
{
    enum fleet_other other = FLEET_ALONE;

    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (i == index || !is_up(node) || !serves(node, ask) || rank(node, ask, i, now) > 0)
            continue;
        if (node->in_flight == 0)
            return FLEET_OTHER_IDLE;
        other = FLEET_OTHER;
    }
    return other;
}
