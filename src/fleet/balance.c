/* SPDX-License-Identifier: MIT */
#include "fleet/balance.h"

#include <assert.h>
#include <math.h>

typedef bool before_fn(const struct balance_node *a, const struct balance_node *b);

/* The first of those with a free slot. */
static size_t find_first(const struct balance_node *nodes, size_t n, before_fn *is_before)
{
    size_t best = BALANCE_WAIT;

    for (size_t i = 0; i < n; i++)
        if (nodes[i].n_free > 0 && (best == BALANCE_WAIT || is_before(&nodes[i], &nodes[best])))
            best = i;
    return best;
}

static bool has_earlier_turn(const struct balance_node *a, const struct balance_node *b)
{
    return a->turn < b->turn;
}

static bool has_earlier_pass(const struct balance_node *a, const struct balance_node *b)
{
    if (a->pass < b->pass || a->pass > b->pass)
        return a->pass < b->pass;
    return has_earlier_turn(a, b);
}

/* For its weight; one that is idle is idle, whatever its weight. */
static bool is_less_loaded(const struct balance_node *a, const struct balance_node *b)
{
    uint64_t of_a = (uint64_t)a->in_flight * b->weight;
    uint64_t of_b = (uint64_t)b->in_flight * a->weight;

    return of_a != of_b ? of_a < of_b : has_earlier_turn(a, b);
}

/* Without the model: nothing has to go where nothing is loaded. */
static bool is_easier_to_load(const struct balance_node *a, const struct balance_node *b)
{
    if (a->loaded_bytes != b->loaded_bytes)
        return a->loaded_bytes < b->loaded_bytes;
    return is_less_loaded(a, b);
}

static bool is_warmer(const struct balance_node *a, const struct balance_node *b)
{
    if (a->is_warm != b->is_warm)
        return a->is_warm;
    return a->is_warm ? is_less_loaded(a, b) : is_easier_to_load(a, b);
}

static size_t round_robin(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    (void)ask;
    return find_first(nodes, n, has_earlier_turn);
}

static size_t weighted(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    (void)ask;
    return find_first(nodes, n, has_earlier_pass);
}

static size_t least_loaded(const struct balance_node *nodes, size_t n,
                           const struct balance_ask *ask)
{
    (void)ask;
    return find_first(nodes, n, is_less_loaded);
}

/* The @k-th of those with a free slot. */
static size_t find_free(const struct balance_node *nodes, size_t n, size_t k)
{
    size_t i = 0;

    while (i < n && (nodes[i].n_free == 0 || k-- > 0))
        i++;
    return i;
}

/* Mitzenmacher, The Power of Two Choices, 2001. */
static size_t p2c(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    size_t n_free = 0;
    size_t a;
    size_t b;

    for (size_t i = 0; i < n; i++)
        n_free += nodes[i].n_free > 0;
    if (n_free == 0)
        return BALANCE_WAIT;
    a = (size_t)rng_below(ask->rng, n_free);
    b = n_free > 1 ? (a + 1 + (size_t)rng_below(ask->rng, n_free - 1)) % n_free : a;
    a = find_free(nodes, n, a);
    b = find_free(nodes, n, b);
    return is_less_loaded(&nodes[b], &nodes[a]) ? b : a;
}

/* Mirrokni et al., Consistent Hashing with Bounded Loads, 2017. */
static double bound_of(const struct balance_node *nodes, size_t n, double bounded_load)
{
    uint64_t n_in_flight = 1; /* with the one that comes */
    uint64_t n_weights = 0;

    for (size_t i = 0; i < n; i++) {
        n_in_flight += nodes[i].in_flight;
        n_weights += nodes[i].weight;
    }
    return bounded_load * (double)n_in_flight / (double)n_weights;
}

static bool is_within(const struct balance_node *node, double bound)
{
    return node->n_free > 0 && node->in_flight + 1 <= ceil(bound * node->weight);
}

bool balance_has_room(const struct balance_node *nodes, size_t n, const struct balance_node *node,
                      double bounded_load)
{
    return is_within(node, bound_of(nodes, n, bounded_load));
}

/* Rendezvous hashing (Thaler, Ravishankar 1998), by weight: who leaves moves only its own clients. */
static double score(const struct balance_node *node, uint64_t source)
{
    struct rng mix = {.state = node->name ^ source};
    double u = rng_unit(&mix);

    return -(double)node->weight / log(u > 0 ? u : 0x1.0p-60);
}

static size_t source_hash(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    double bound = bound_of(nodes, n, ask->bounded_load);
    size_t best = BALANCE_WAIT;
    double best_score = 0;

    for (size_t i = 0; i < n && ask->source != 0; i++) {
        double s = score(&nodes[i], ask->source);

        if (!is_within(&nodes[i], bound) || (best != BALANCE_WAIT && s <= best_score))
            continue;
        best = i;
        best_score = s;
    }
    return best != BALANCE_WAIT ? best : least_loaded(nodes, n, ask);
}

size_t balance_find_home(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    for (size_t i = 0; i < n && ask->home != BALANCE_NO_HOME; i++)
        if (nodes[i].index == ask->home)
            return balance_has_room(nodes, n, &nodes[i], ask->bounded_load) ? i : BALANCE_WAIT;
    return BALANCE_WAIT;
}

size_t balance_find_known(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    double bound = bound_of(nodes, n, ask->bounded_load);
    size_t best = BALANCE_WAIT;

    for (size_t i = 0; i < n; i++) {
        if (nodes[i].n_known == 0 || !is_within(&nodes[i], bound))
            continue;
        if (best == BALANCE_WAIT || nodes[i].n_known > nodes[best].n_known ||
            (nodes[i].n_known == nodes[best].n_known && is_less_loaded(&nodes[i], &nodes[best])))
            best = i;
    }
    return best;
}

static size_t cookie(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    size_t home = balance_find_home(nodes, n, ask);

    return home != BALANCE_WAIT ? home : least_loaded(nodes, n, ask);
}

static size_t prefix(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    size_t known = balance_find_known(nodes, n, ask);

    return known != BALANCE_WAIT ? known : least_loaded(nodes, n, ask);
}

/* A node that has the model is free sooner than another would have loaded it. */
static bool is_worth_waiting(const struct balance_node *nodes, size_t n, nsec_t load_ns)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].is_warm && nodes[i].wait >= 0 && nodes[i].wait < load_ns)
            return true;
    return false;
}

static size_t warm(const struct balance_node *nodes, size_t n, const struct balance_ask *ask)
{
    size_t best = find_first(nodes, n, is_warmer);

    if (best == BALANCE_WAIT || nodes[best].is_warm || !is_worth_waiting(nodes, n, ask->load_ns))
        return best;
    return BALANCE_WAIT;
}

static const struct balance_ops strategies[N_BALANCE_STRATEGIES] = {
    [BALANCE_ROUND_ROBIN] = {"round-robin", round_robin},
    [BALANCE_WEIGHTED] = {"weighted", weighted},
    [BALANCE_LEAST_LOADED] = {"least-loaded", least_loaded},
    [BALANCE_P2C] = {"p2c", p2c},
    [BALANCE_SOURCE_HASH] = {"source-hash", source_hash},
    [BALANCE_COOKIE] = {"cookie", cookie},
    [BALANCE_PREFIX] = {"prefix", prefix},
    [BALANCE_WARM] = {"warm", warm},
};

const struct balance_ops *balance_get(enum balance_strategy strategy)
{
    assert((unsigned)strategy < N_BALANCE_STRATEGIES);

    return &strategies[strategy];
}
