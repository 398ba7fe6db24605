/* SPDX-License-Identifier: MIT */
#include "gateway/desk.h"

#define RETRIES_ALWAYS 10

int desk_init(struct desk *d, const struct str *names, const struct url *urls, size_t n,
              double retry_budget)
{
    *d = (struct desk){0};
    (void)pthread_mutex_init(&d->lock, NULL);
    budget_init(&d->budget, retry_budget, RETRIES_ALWAYS, time_now());
    return fleet_init(&d->fleet, names, urls, n, (uint64_t)time_wall());
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

void desk_look(struct desk *d, uint16_t node, struct desk_node *ret_node)
{
    const struct fleet_node *n = &d->fleet.nodes[node];

    lock(d);
    *ret_node = (struct desk_node){
        .name = n->name,
        .url = n->url,
        .state = n->state,
        .is_ejected = ejection_is_out(&n->ejection, time_now()),
        .in_flight = n->in_flight,
        .n_granted = n->n_granted,
        .n_models = n->models.n_models,
        .n_resident = n->resident.n_models,
        .since = n->since,
    };
    (void)snprintf(ret_node->version, sizeof(ret_node->version), "%s", n->version);
    (void)snprintf(ret_node->why, sizeof(ret_node->why), "%s", n->why);
    unlock(d);
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
