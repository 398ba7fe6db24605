/* SPDX-License-Identifier: MIT */
#include "fleet/fleet.h"

#include <errno.h>

#define N_RANKS       3
#define SLOW_START_NS (30 * NSEC_PER_SEC)

static bool was_tried(const struct fleet_ask *ask, size_t index)
{
    for (size_t i = 0; i < ask->n_tried; i++)
        if (ask->tried[i] == index)
            return true;
    return false;
}

/* For new requests. */
static bool is_open(const struct fleet_node *node)
{
    return node->life == NODE_LISTED && node->state == NODE_UP && !node->is_drained;
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
    if (fleet_is_out(node, now))
        return 2;
    return was_tried(ask, index) ? 1 : 0;
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

static bool is_warm(const struct fleet_node *node, const struct fleet_ask *ask)
{
    const struct slots *latest;

    if (ask->key.len == 0)
        return false;
    latest = slots_find_latest(&node->slots, ask->hash);
    if (latest != NULL && latest->what.options != ask->options)
        return false; /* it would be loaded anew */
    return models_has(&node->resident, ask->key, ask->hash) ||
           (latest != NULL && latest->n_busy > 0); /* or it is being loaded */
}

/* After an ejection a node gets its share little by little. */
static uint32_t weight_of(const struct fleet_node *node, nsec_t now)
{
    nsec_t back = now - node->ejection.until;
    uint32_t full = node->weight * FLEET_WEIGHT_ONE;
    uint32_t part;

    if (node->ejection.until == 0 || back >= SLOW_START_NS)
        return full;
    part = (uint32_t)((double)full * (double)(back > 0 ? back : 0) / SLOW_START_NS);
    return part > full / 10 ? part : full / 10;
}

/*
 * Until a slot is free for the last of those who wait. Where the latest ones take longer than
 * others did, it goes on about as long as it has lasted.
 */
static nsec_t predict_wait(const struct fleet_node *node, const struct residency *what,
                           uint64_t n_waiting, nsec_t now)
{
    const struct slots *s = slots_find(&node->slots, what);
    nsec_t service = s != NULL ? slots_service(s) : -1;
    uint32_t limit = slots_limit(&node->slots, node->slots_setting, what);
    nsec_t wait;

    if (service < 0)
        return -1;
    wait = (nsec_t)((double)service * (double)n_waiting / limit);
    return wait > now - s->used_at ? wait : now - s->used_at;
}

static struct balance_node candidate(const struct fleet *f, size_t index,
                                     const struct fleet_ask *ask, uint64_t n_waiting, nsec_t now)
{
    const struct fleet_node *node = &f->nodes[index];
    const struct residency what = {ask->hash, ask->options};

    return (struct balance_node){
        .index = (uint16_t)index,
        .weight = weight_of(node, now),
        .tier = node->tier,
        .in_flight = node->in_flight,
        .n_free =
            ask->needs_slot ? slots_free(&node->slots, node->slots_setting, &what) : SLOTS_ANY,
        .is_warm = is_warm(node, ask),
        .loaded_bytes = node->loaded_bytes,
        .wait = predict_wait(node, &what, n_waiting, now),
        .turn = node->turn,
        .pass = node->pass > f->pass ? node->pass : f->pass,
        .name = node->name_hash,
    };
}

/* Those of the best rank there is. Return: how many. */
static size_t find_candidates(struct fleet *f, const struct fleet_ask *ask, uint64_t n_waiting,
                              nsec_t now, bool *ret_is_known)
{
    unsigned best = N_RANKS;
    size_t n = 0;

    *ret_is_known = ask->key.len == 0;
    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];
        unsigned its;

        if (node->life != NODE_LISTED || !has_model(node, ask))
            continue;
        *ret_is_known = true;
        if (!is_open(node) || !serves(node, ask))
            continue;
        its = rank(node, ask, i, now);
        if (its > best)
            continue;
        n = its < best ? 0 : n;
        best = its;
        f->candidates[n++] = candidate(f, i, ask, n_waiting, now);
    }
    return n;
}

/* Only the lowest tier that can serve now; where none can, all stay. Return: how many. */
static size_t keep_lowest_tier(struct balance_node *nodes, size_t n)
{
    uint32_t tier = UINT32_MAX;
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++)
        if (nodes[i].n_free > 0 && nodes[i].tier < tier)
            tier = nodes[i].tier;
    if (tier == UINT32_MAX)
        return n;
    for (size_t i = 0; i < n; i++)
        if (nodes[i].tier == tier)
            nodes[n_kept++] = nodes[i];
    return n_kept;
}

/* A home where the model is not loaded any more has nothing to offer. */
static size_t find_home(const struct fleet *f, size_t n, const struct balance_ask *question,
                        const char **ret_why)
{
    size_t at = BALANCE_WAIT;

    if (f->routing.by_session) {
        *ret_why = "session";
        at = balance_find_home(f->candidates, n, question);
    }
    if (at == BALANCE_WAIT && f->routing.by_prefix) {
        *ret_why = "prefix";
        at = balance_find_known(f->candidates, n, question);
    }
    return at == BALANCE_WAIT || f->candidates[at].is_warm ? at : BALANCE_WAIT;
}

static size_t decide(struct fleet *f, size_t n, const struct fleet_ask *ask, nsec_t now,
                     const char **ret_why)
{
    const struct balance_ask question = {
        .source = ask->source,
        .home = ask->session != 0
                    ? affinity_home(&f->affinity, ask->session, f->routing.session_idle_ns, now)
                    : BALANCE_NO_HOME,
        .bounded_load = f->routing.bounded_load,
        .load_ns = f->load_ns,
        .rng = &f->rng,
    };
    const struct balance_ops *ops =
        balance_get(ask->is_inference ? f->routing.strategy : BALANCE_LEAST_LOADED);
    size_t at = ask->is_inference ? find_home(f, n, &question, ret_why) : BALANCE_WAIT;

    if (at != BALANCE_WAIT)
        return at;
    *ret_why = ops->name;
    return ops->pick(f->candidates, n, &question);
}

static struct prefix_known look_at_prefix(struct fleet *f, size_t n, const struct fleet_ask *ask)
{
    struct prefix_known known = {0};

    if (ask->prefix == NULL || ask->prefix->n == 0)
        return known;
    known = affinity_look(&f->affinity, ask->prefix);
    for (size_t i = 0; i < n && known.n > 0; i++)
        f->candidates[i].n_known = prefix_is_known_by(&known, f->candidates[i].index) ? known.n : 0;
    return known;
}

/* Wherever it goes, from now on it is there. */
static void remember(struct fleet *f, const struct fleet_ask *ask, const struct prefix_known *known,
                     uint16_t node, nsec_t now)
{
    if (ask->session != 0)
        affinity_put_home(&f->affinity, ask->session, node, now);
    if (ask->prefix != NULL)
        affinity_learn(&f->affinity, ask->prefix, known, node, now);
}

int fleet_pick(struct fleet *f, const struct fleet_ask *ask, uint64_t n_waiting, nsec_t now,
               struct fleet_choice *ret_choice)
{
    const struct balance_node *chosen;
    struct prefix_known known;
    const char *why;
    bool is_known;
    size_t n = find_candidates(f, ask, n_waiting, now, &is_known);
    size_t at;
    int r;

    if (n == 0)
        return is_known ? FLEET_NO_NODE : FLEET_NO_MODEL;
    n = keep_lowest_tier(f->candidates, n);
    known = look_at_prefix(f, n, ask);
    at = decide(f, n, ask, now, &why);
    if (at == BALANCE_WAIT)
        return FLEET_BUSY;
    chosen = &f->candidates[at];
    r = take(f, chosen->index, ask, now, ret_choice);
    if (r < 0)
        return r == -ENOBUFS ? FLEET_BUSY : r; /* who waits must have somebody to wait for */
    remember(f, ask, &known, chosen->index, now);
    ret_choice->why = why;
    ret_choice->is_load = !chosen->is_warm;
    f->nodes[chosen->index].pass = chosen->pass + 1.0 / chosen->weight;
    f->pass = chosen->pass;
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

        if (is_open(node) && service > 0)
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

        if (i == index || !is_open(node) || !serves(node, ask) || rank(node, ask, i, now) > 0)
            continue;
        if (node->in_flight == 0)
            return FLEET_OTHER_IDLE;
        other = FLEET_OTHER;
    }
    return other;
}
