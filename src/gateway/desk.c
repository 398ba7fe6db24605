/* SPDX-License-Identifier: MIT */
#include "gateway/desk.h"

#define RETRIES_ALWAYS 10

int desk_init(struct desk *d, double retry_budget)
{
    *d = (struct desk){0};
    (void)pthread_mutex_init(&d->lock, NULL);
    budget_init(&d->budget, retry_budget, RETRIES_ALWAYS, time_now());
    return fleet_init(&d->fleet, (uint64_t)time_wall());
}

void desk_fini(struct desk *d)
{
    fleet_fini(&d->fleet);
    (void)pthread_mutex_destroy(&d->lock);
}

static void lock(struct desk *d)
{
    (void)pthread_mutex_lock(&d->lock);
}

static void unlock(struct desk *d)
{
    (void)pthread_mutex_unlock(&d->lock);
}

int desk_list_nodes(struct desk *d, const struct fleet_entry *entries, size_t n)
{
    int r;

    lock(d);
    r = fleet_list(&d->fleet, entries, n, time_now());
    unlock(d);
    return r;
}

void desk_set_retry_budget(struct desk *d, double share)
{
    lock(d);
    d->budget.share = share;
    unlock(d);
}

void desk_node_ref(struct desk *d, uint16_t node)
{
    lock(d);
    fleet_ref(&d->fleet, node);
    unlock(d);
}

void desk_node_unref(struct desk *d, uint16_t node)
{
    lock(d);
    fleet_unref(&d->fleet, node);
    unlock(d);
}

bool desk_node_take(struct desk *d, uint16_t node)
{
    bool is_listed;

    lock(d);
    is_listed = d->fleet.nodes[node].life == NODE_LISTED;
    if (is_listed)
        fleet_ref(&d->fleet, node);
    unlock(d);
    return is_listed;
}

bool desk_node_is_listed(struct desk *d, uint16_t node)
{
    bool is;

    lock(d);
    is = d->fleet.nodes[node].life == NODE_LISTED;
    unlock(d);
    return is;
}

size_t desk_n_slots(struct desk *d)
{
    size_t n;

    lock(d);
    n = d->fleet.n_slots;
    unlock(d);
    return n;
}

size_t desk_n_nodes(struct desk *d)
{
    size_t n;

    lock(d);
    n = d->fleet.n_nodes;
    unlock(d);
    return n;
}

int desk_enter(struct desk *d, const struct fleet_ask *ask, bool is_first, nsec_t now,
               struct grant *ret_grant)
{
    uint16_t node;
    int r;

    lock(d);
    if (is_first)
        budget_request(&d->budget, now);
    r = fleet_pick(&d->fleet, ask, now, &node);
    if (r == 0)
        *ret_grant = (struct grant){
            .node = node,
            .is_held = true,
            .granted_at = now,
            .is_resident = models_has(&d->fleet.nodes[node].resident, ask->key, ask->hash),
        };
    unlock(d);
    return r;
}

static void tell(const struct desk *d, enum fleet_news what, uint16_t node, struct desk_news *ret)
{
    *ret = (struct desk_news){.what = what, .node = node};
    if (what == FLEET_NO_NEWS)
        return;
    ret->n_up = fleet_n_up(&d->fleet);
    ret->n_nodes = d->fleet.n_nodes;
    ret->url = d->fleet.nodes[node].url;
    (void)snprintf(ret->name, sizeof(ret->name), "%s", d->fleet.nodes[node].name_text);
    (void)snprintf(ret->why, sizeof(ret->why), "%s", d->fleet.nodes[node].why);
}

void desk_leave(struct desk *d, struct grant *grant, const struct fleet_ask *ask,
                enum call_outcome outcome, const char *why, struct desk_news *ret_news)
{
    const struct fleet_outcome how = {
        .what = outcome,
        .granted_at = grant->granted_at,
        .now = time_now(),
        .why = why,
    };

    lock(d);
    if (outcome == CALL_OK && ask->key.len > 0 && !grant->is_resident)
        fleet_mark_resident(&d->fleet, grant->node, ask->key, ask->hash);
    tell(d, fleet_leave(&d->fleet, grant->node, &how), grant->node, ret_news);
    unlock(d);
    grant->is_held = false;
}

void desk_mark_resident(struct desk *d, struct grant *grant, const struct fleet_ask *ask)
{
    if (grant->is_resident || ask->key.len == 0)
        return;
    grant->is_resident = true;
    lock(d);
    fleet_mark_resident(&d->fleet, grant->node, ask->key, ask->hash);
    unlock(d);
}

struct desk_model desk_model_at(struct desk *d, uint16_t node, const struct fleet_ask *ask)
{
    const struct fleet_node *n = &d->fleet.nodes[node];
    struct desk_model model;

    lock(d);
    model.digest = models_digest(&n->models, ask->key, ask->hash);
    model.can_render = n->can_render;
    unlock(d);
    return model;
}

bool desk_is_resident(struct desk *d, uint16_t node, const struct fleet_ask *ask)
{
    bool is;

    lock(d);
    is = models_has(&d->fleet.nodes[node].resident, ask->key, ask->hash);
    unlock(d);
    return is;
}

bool desk_may_retry(struct desk *d, const struct grant *grant, enum call_outcome outcome)
{
    const struct fleet_outcome how = {
        .what = outcome, .granted_at = grant->granted_at, .now = time_now()};
    bool may;

    lock(d);
    may = fleet_charge(&d->fleet, grant->node, &how, &d->budget);
    unlock(d);
    return may;
}

enum fleet_other desk_look_for_other(struct desk *d, const struct fleet_ask *ask, uint16_t node,
                                     nsec_t now)
{
    enum fleet_other other;

    lock(d);
    other = fleet_look_for_other(&d->fleet, ask, node, now);
    unlock(d);
    return other;
}

void desk_report(struct desk *d, uint16_t node, struct fleet_report *report,
                 struct desk_news *ret_news)
{
    lock(d);
    tell(d, fleet_apply(&d->fleet, node, report, time_now()), node, ret_news);
    unlock(d);
}

static void ref_all(struct desk *d, const uint16_t *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fleet_ref(&d->fleet, nodes[i]);
}

int desk_place(struct desk *d, const struct placement *policy, const struct place_question *q,
               uint16_t *out, size_t *ret_n)
{
    int r;

    lock(d);
    r = fleet_place(&d->fleet, policy, q, out, ret_n);
    ref_all(d, out, *ret_n);
    unlock(d);
    return r;
}

int desk_place_blob(struct desk *d, const struct placement *policy, uint16_t *out, size_t *ret_n)
{
    int r;

    lock(d);
    r = fleet_place_blob(&d->fleet, policy, time_now(), out, ret_n);
    ref_all(d, out, *ret_n);
    unlock(d);
    return r;
}

void desk_blob_put(struct desk *d, uint64_t blob, uint16_t node)
{
    lock(d);
    fleet_blob_put(&d->fleet, blob, node, time_now());
    unlock(d);
}

size_t desk_n_up(struct desk *d)
{
    size_t n;

    lock(d);
    n = fleet_n_up(&d->fleet);
    unlock(d);
    return n;
}

void desk_version(struct desk *d, char out[static 64])
{
    lock(d);
    (void)snprintf(out, 64, "%s", fleet_lowest_version(&d->fleet));
    unlock(d);
}

static void copy_node(const struct fleet_node *n, struct desk_node *ret_node)
{
    *ret_node = (struct desk_node){
        .url = n->url,
        .is_leaving = n->life == NODE_LEAVING,
        .state = n->state,
        .is_ejected = ejection_is_out(&n->ejection, time_now()),
        .in_flight = n->in_flight,
        .n_granted = n->n_granted,
        .n_models = n->models.n_models,
        .n_resident = n->resident.n_models,
        .since = n->since,
    };
    (void)snprintf(ret_node->name, sizeof(ret_node->name), "%s", n->name_text);
    (void)snprintf(ret_node->version, sizeof(ret_node->version), "%s", n->version);
    (void)snprintf(ret_node->why, sizeof(ret_node->why), "%s", n->why);
}

bool desk_look(struct desk *d, uint16_t node, struct desk_node *ret_node)
{
    const struct fleet_node *n = &d->fleet.nodes[node];
    bool is_there;

    lock(d);
    is_there = n->life != NODE_FREE;
    if (is_there)
        copy_node(n, ret_node);
    unlock(d);
    return is_there;
}

bool desk_take_up(struct desk *d, uint16_t node, struct desk_node *ret_node)
{
    const struct fleet_node *n = &d->fleet.nodes[node];
    bool is_up;

    lock(d);
    is_up = n->life == NODE_LISTED && n->state == NODE_UP;
    if (is_up) {
        copy_node(n, ret_node);
        fleet_ref(&d->fleet, node);
    }
    unlock(d);
    return is_up;
}

int desk_models(struct desk *d, uint16_t node, bool is_loaded, struct buf *out)
{
    const struct fleet_node *n = &d->fleet.nodes[node];
    const struct models *models = is_loaded ? &n->resident : &n->models;
    int r = 0;

    lock(d);
    for (size_t i = 0; i < models->n_slots && r == 0; i++) {
        struct model_key key;

        if (models->slots[i].key == NULL || model_key_parse(str_of(models->slots[i].key), &key) < 0)
            continue;
        r = buf_put(out, model_key_short(&key));
        if (r == 0)
            r = buf_put_char(out, '\0');
    }
    unlock(d);
    return r;
}
