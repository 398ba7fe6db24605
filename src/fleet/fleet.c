/* SPDX-License-Identifier: MIT */
#include "fleet/fleet.h"

#include <assert.h>
#include <errno.h>

#include "fleet/place.h"

#define FIRST_LOAD_NS (5 * NSEC_PER_SEC) /* before any was seen */

int fleet_init(struct fleet *f, uint64_t seed)
{
    *f = (struct fleet){.rng = {.state = seed},
                        .hash_key = hash_key_make(),
                        .routing = {.strategy = BALANCE_LEAST_LOADED, .bounded_load = 1.25},
                        .load_ns = FIRST_LOAD_NS,
                        .settle_at = NSEC_NEVER};
    f->nodes = calloc(FLEET_MAX_SLOTS, sizeof(struct fleet_node));
    f->candidates = calloc(FLEET_MAX_SLOTS, sizeof(struct balance_node));
    if (f->nodes == NULL || f->candidates == NULL)
        return -ENOMEM;
    return affinity_init(&f->affinity);
}

static void free_slot(struct fleet_node *node)
{
    models_fini(&node->models);
    models_fini(&node->resident);
    slots_fini(&node->slots);
    *node = (struct fleet_node){.life = NODE_FREE};
}

void fleet_fini(struct fleet *f)
{
    for (size_t i = 0; i < f->n_slots; i++)
        free_slot(&f->nodes[i]);
    free(f->nodes);
    free(f->candidates);
    affinity_fini(&f->affinity);
}

bool fleet_is_idle(const struct fleet *f)
{
    for (size_t i = 0; i < f->n_slots; i++)
        if (f->nodes[i].in_flight > 0 || slots_n_held(&f->nodes[i].slots) > 0)
            return false;
    return true;
}

uint64_t fleet_stable_hash(struct str text)
{
    return hash_bytes((struct hash_key){1, 2}, text);
}

/*
 * The list
 */

static void free_if_unused(struct fleet_node *node)
{
    if (node->life == NODE_LEAVING && node->n_refs == 0 && node->in_flight == 0)
        free_slot(node);
}

void fleet_ref(struct fleet *f, uint16_t index)
{
    assert(f->nodes[index].life != NODE_FREE);

    f->nodes[index].n_refs++;
}

void fleet_unref(struct fleet *f, uint16_t index)
{
    assert(f->nodes[index].n_refs > 0);

    f->nodes[index].n_refs--;
    free_if_unused(&f->nodes[index]);
}

static bool is_same_url(const struct url *a, const struct url *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->addr.host, b->addr.host) == 0 &&
           a->addr.port == b->addr.port && strcmp(a->path, b->path) == 0;
}

/* The slot of @entry, also while it leaves; NULL: none. */
static struct fleet_node *find_slot(struct fleet *f, const struct fleet_entry *entry)
{
    for (size_t i = 0; i < f->n_slots; i++) {
        struct fleet_node *node = &f->nodes[i];

        if (node->life != NODE_FREE && str_eq(node->name, entry->name) &&
            is_same_url(&node->url, &entry->url))
            return node;
    }
    return NULL;
}

static bool has_room(struct fleet *f, const struct fleet_entry *entries, size_t n)
{
    size_t n_new = 0;
    size_t n_free = FLEET_MAX_SLOTS;

    for (size_t i = 0; i < n; i++)
        n_new += find_slot(f, &entries[i]) == NULL;
    for (size_t i = 0; i < f->n_slots; i++)
        n_free -= f->nodes[i].life != NODE_FREE;
    return n_new <= n_free;
}

static void swap_models(struct models *a, struct models *b)
{
    struct models t = *a;

    *a = *b;
    *b = t;
}

/* It is the same server under another name. */
static void take_over(struct fleet_node *node, struct fleet_node *old)
{
    node->state = old->state;
    node->since = old->since;
    node->ejection = old->ejection;
    memcpy(node->why, old->why, sizeof(node->why));
    memcpy(node->version, old->version, sizeof(node->version));
    swap_models(&node->models, &old->models);
    swap_models(&node->resident, &old->resident);
}

/* A gateway has a queue of its own, and slots that are not seen from here. */
static void configure(struct fleet_node *node, const struct fleet_entry *entry)
{
    bool is_gateway = str_eq(str_of(node->url.scheme), STR("mcp"));

    node->weight = entry->weight > 0 ? entry->weight : 1;
    node->tier = entry->tier;
    node->slots_setting = entry->slots == SLOTS_AUTO && is_gateway ? SLOTS_ANY : entry->slots;
}

static void add(struct fleet *f, const struct fleet_entry *entry, nsec_t now)
{
    struct fleet_node *node = f->nodes;

    while (node->life != NODE_FREE)
        node++;
    if ((size_t)(node - f->nodes) == f->n_slots)
        f->n_slots++;
    *node = (struct fleet_node){
        .life = NODE_LISTED, .url = entry->url, .since = now, .lost_at = -1, .charged_at = -1};
    (void)snprintf(node->name_text, sizeof(node->name_text), STR_FMT, STR_ARG(entry->name));
    node->name = str_of(node->name_text);
    node->name_hash = fleet_stable_hash(node->name);
    configure(node, entry);
    fleet_blob_forget(f, (uint16_t)(node - f->nodes));
    for (size_t i = 0; i < f->n_slots; i++) {
        struct fleet_node *old = &f->nodes[i];

        if (old->life == NODE_LEAVING && old->state != NODE_UNKNOWN &&
            is_same_url(&old->url, &node->url)) {
            take_over(node, old);
            return;
        }
    }
}

int fleet_list(struct fleet *f, const struct fleet_entry *entries, size_t n, nsec_t now)
{
    if (!has_room(f, entries, n))
        return -ENOBUFS;
    for (size_t i = 0; i < f->n_slots; i++)
        if (f->nodes[i].life == NODE_LISTED)
            f->nodes[i].life = NODE_LEAVING;
    for (size_t i = 0; i < n; i++) {
        struct fleet_node *node = find_slot(f, &entries[i]);

        if (node == NULL)
            continue;
        node->life = NODE_LISTED;
        configure(node, &entries[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (find_slot(f, &entries[i]) == NULL)
            add(f, &entries[i], now);
    f->n_nodes = n;
    for (size_t i = 0; i < f->n_slots; i++)
        free_if_unused(&f->nodes[i]);
    return 0;
}

/*
 * What happens to nodes
 */

bool fleet_drain(struct fleet *f, struct str name, bool is_drained)
{
    bool is_there = false;

    for (size_t i = 0; i < f->n_slots; i++) {
        struct fleet_node *node = &f->nodes[i];

        if (node->life != NODE_LISTED || !str_eq(node->name, name))
            continue;
        node->is_drained = is_drained;
        is_there = true;
    }
    return is_there;
}

static bool is_up(const struct fleet_node *node)
{
    return node->life == NODE_LISTED && node->state == NODE_UP;
}

static void set_state(struct fleet_node *node, enum node_state state, const char *why, nsec_t now)
{
    node->state = state;
    node->since = now;
    (void)snprintf(node->why, sizeof(node->why), "%s", why);
}

bool fleet_is_out(const struct fleet_node *node, nsec_t now)
{
    return node->needs_proof || ejection_is_out(&node->ejection, now);
}

bool fleet_wants_proof(const struct fleet *f, uint16_t index, nsec_t now)
{
    const struct fleet_node *node = &f->nodes[index];

    return node->needs_proof && !ejection_is_out(&node->ejection, now);
}

/* At most half of the nodes that are up may be out, and never the last. */
static bool may_eject(const struct fleet *f, nsec_t now)
{
    size_t n_up = fleet_n_up(f);
    size_t n_out = 0;

    for (size_t i = 0; i < f->n_slots; i++)
        n_out += is_up(&f->nodes[i]) && fleet_is_out(&f->nodes[i], now);
    return (n_out + 1) * 2 <= n_up;
}

/* Its HTTP server may answer although generation is dead: a token must show that it is not. */
static void eject(struct fleet *f, struct fleet_node *node, nsec_t now)
{
    ejection_eject(&node->ejection, now, &f->rng);
    node->needs_proof =
        node->resident.n_models > 0 && str_eq(str_of(node->url.scheme), STR("http"));
}

static enum fleet_news blame_failure(struct fleet *f, struct fleet_node *node, const char *why,
                                     nsec_t now)
{
    if (ejection_feed(&node->ejection, /* failed= */ true, now) != EJECTION_DUE ||
        !may_eject(f, now))
        return FLEET_NO_NEWS;
    eject(f, node, now);
    (void)snprintf(node->why, sizeof(node->why), "%s", why);
    return FLEET_NODE_EJECTED;
}

static bool is_lost_connection(enum call_outcome what)
{
    return what == CALL_CONNECT_FAILED || what == CALL_RESET || what == CALL_HALF_ANSWER ||
           what == CALL_BROKEN_ANSWER;
}

/* Whether the attempt had begun before @at, the last event of this kind. */
static bool is_same_event(nsec_t at, const struct fleet_outcome *outcome)
{
    return is_lost_connection(outcome->what) && outcome->granted_at <= at;
}

static enum fleet_news blame(struct fleet *f, struct fleet_node *node,
                             const struct fleet_outcome *outcome)
{
    if (node->life != NODE_LISTED)
        return FLEET_NO_NEWS;
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

/* The node may still be at work on it. */
static bool was_cut_off(enum call_outcome what)
{
    return what == CALL_CANCELLED || what == CALL_DEADLINE || what == CALL_STALLED;
}

/* Of late: an average in which each new one counts a quarter. */
static void learn_load(struct fleet *f, uint64_t load_ns)
{
    if (load_ns == 0)
        return;
    f->load_ns = f->has_load ? f->load_ns + ((nsec_t)load_ns - f->load_ns) / 4 : (nsec_t)load_ns;
    f->has_load = true;
}

static void leave_slot(struct fleet *f, struct fleet_choice *choice,
                       const struct fleet_outcome *outcome)
{
    struct fleet_node *node = &f->nodes[choice->node];
    struct slot *slot = &choice->slot;
    nsec_t due;

    if (!was_cut_off(outcome->what)) {
        if (outcome->what == CALL_OK && outcome->told != NULL && choice->is_load)
            learn_load(f, outcome->told->load_ns);
        slots_give(&node->slots, slot, outcome->what == CALL_OK ? outcome->told : NULL,
                   outcome->now);
        return;
    }
    due = slots_keep(&node->slots, slot, outcome->now);
    if (due < f->settle_at)
        f->settle_at = due;
}

enum fleet_news fleet_leave(struct fleet *f, struct fleet_choice *choice,
                            const struct fleet_outcome *outcome)
{
    struct fleet_node *node = &f->nodes[choice->node];
    enum fleet_news news;

    assert(node->in_flight > 0);
    node->in_flight--;
    leave_slot(f, choice, outcome);
    news = blame(f, node, outcome);
    free_if_unused(node);
    return news;
}

void fleet_give_back(struct fleet *f, struct fleet_choice *choice)
{
    struct fleet_node *node = &f->nodes[choice->node];

    assert(node->in_flight > 0);
    node->in_flight--;
    slots_give(&node->slots, &choice->slot, NULL, 0);
    free_if_unused(node);
}

bool fleet_settle(struct fleet *f, nsec_t now)
{
    bool has_freed = false;

    if (now < f->settle_at)
        return false;
    f->settle_at = NSEC_NEVER;
    for (size_t i = 0; i < f->n_slots; i++) {
        nsec_t next = slots_settle(&f->nodes[i].slots, now, &has_freed);

        if (next < f->settle_at)
            f->settle_at = next;
    }
    return has_freed;
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

/* Only a model that is loaded is asked for a proof. */
static enum fleet_news take_proof(struct fleet *f, struct fleet_node *node, enum fleet_proof proof,
                                  nsec_t now)
{
    if (!node->needs_proof || ejection_is_out(&node->ejection, now))
        return FLEET_NO_NEWS;
    if (proof == PROOF_FAILED) {
        eject(f, node, now);
        (void)snprintf(node->why, sizeof(node->why), "generates nothing for a probe");
        return FLEET_NODE_EJECTED;
    }
    if (proof == PROOF_GIVEN || node->resident.n_models == 0) {
        node->needs_proof = false;
        node->ejection.until = now; /* its slow start begins */
    }
    return FLEET_NO_NEWS;
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

    if (node->life != NODE_LISTED)
        return FLEET_NO_NEWS;
    if (!report->is_ok) {
        if (before == NODE_DOWN)
            return FLEET_NO_NEWS;
        set_state(node, NODE_DOWN, report->why, now);
        return FLEET_NODE_DOWN;
    }
    keep_proven(node, report);
    swap_models(&node->models, &report->models);
    swap_models(&node->resident, &report->resident);
    node->loaded_bytes = report->loaded_bytes;
    node->has_clock = report->has_clock;
    node->clock_ms = report->clock_ms;
    (void)snprintf(node->version, sizeof(node->version), "%s", report->version);
    node->can_render =
        strcmp(node->url.scheme, "http") == 0 && strverscmp(node->version, "0.30") >= 0;
    if (before == NODE_UP)
        return take_proof(f, node, report->proof, now);
    node->needs_proof = false;
    slots_forget(&node->slots);
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

    for (size_t i = 0; i < f->n_slots; i++)
        n += is_up(&f->nodes[i]);
    return n;
}

const char *fleet_lowest_version(const struct fleet *f)
{
    const char *lowest = "";

    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (is_up(node) && (lowest[0] == '\0' || strverscmp(node->version, lowest) < 0))
            lowest = node->version;
    }
    return lowest;
}
