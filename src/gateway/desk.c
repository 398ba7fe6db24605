/* SPDX-License-Identifier: MIT */
#include "gateway/desk.h"

#define RETRIES_ALWAYS 10

int desk_init(struct desk *d, double retry_budget, struct queue_limits limits)
{
    *d = (struct desk){0};
    queue_init(&d->queue, limits);
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

bool desk_is_idle(struct desk *d)
{
    bool is;

    lock(d);
    is = d->queue.n_waiting == 0 && fleet_is_idle(&d->fleet);
    unlock(d);
    return is;
}

/*
 * The queue. Who is called is told by mail when the lock is free again.
 */

static void on_mail(struct net_mail *mail)
{
    struct desk_request *q = container_of(mail, struct desk_request, mail);

    q->on_turn(q);
}

static void unlock_and_call(struct desk *d, struct list *called)
{
    unlock(d);
    for (struct list *it = list_first(called); it != NULL; it = list_first(called)) {
        struct desk_request *q = container_of(it, struct desk_request, in.called);

        list_remove(it);
        q->mail.deliver = on_mail;
        net_mail_post(q->loop, &q->mail);
    }
}

int desk_list_nodes(struct desk *d, const struct fleet_entry *entries, size_t n)
{
    nsec_t now = time_now();
    struct list called;
    int r;

    list_init(&called);
    lock(d);
    r = fleet_list(&d->fleet, entries, n, now);
    dispatch_serve_all(&d->fleet, &d->queue, now, &called);
    unlock_and_call(d, &called);
    return r;
}

bool desk_drain(struct desk *d, struct str name, bool is_drained)
{
    struct list called;
    bool is_there;

    list_init(&called);
    lock(d);
    is_there = fleet_drain(&d->fleet, name, is_drained);
    dispatch_serve_all(&d->fleet, &d->queue, time_now(), &called);
    unlock_and_call(d, &called);
    return is_there;
}

void desk_set_routing(struct desk *d, struct fleet_routing routing)
{
    lock(d);
    d->fleet.routing = routing;
    unlock(d);
}

void desk_set_queue_limits(struct desk *d, struct queue_limits limits)
{
    lock(d);
    d->queue.limits = limits;
    unlock(d);
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

int desk_enter(struct desk *d, struct desk_request *request, nsec_t now, struct grant *ret_grant)
{
    struct list called;
    int r;

    list_init(&called);
    lock(d);
    if (request->in.is_first)
        budget_request(&d->budget, now);
    r = dispatch_enter(&d->fleet, &d->queue, &request->in, now, &called);
    if (r == 0)
        *ret_grant = request->in.grant;
    unlock_and_call(d, &called);
    return r;
}

bool desk_leave_line(struct desk *d, struct desk_request *request)
{
    struct list called;
    bool was_there;

    list_init(&called);
    lock(d);
    was_there = dispatch_leave_line(&d->fleet, &d->queue, &request->in, time_now(), &called);
    unlock_and_call(d, &called);
    return was_there;
}

nsec_t desk_predict(struct desk *d, const struct fleet_ask *ask)
{
    const struct queue_line *line;
    nsec_t wait;

    lock(d);
    line = queue_find(&d->queue, ask->hash);
    wait = fleet_predict(&d->fleet, ask, (line != NULL ? line->n_waiting : 0) + 1);
    unlock(d);
    return wait;
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

nsec_t desk_leave(struct desk *d, struct grant *grant, const struct fleet_ask *ask,
                  const struct fleet_outcome *how, struct desk_news *ret_news)
{
    struct fleet_outcome outcome = *how;
    enum fleet_news news;
    struct list called;
    nsec_t settle_at;

    outcome.granted_at = grant->granted_at;
    outcome.now = time_now();
    list_init(&called);
    lock(d);
    news = dispatch_leave(&d->fleet, grant, ask, &outcome);
    tell(d, news, grant->node, ret_news);
    if (news != FLEET_NO_NEWS)
        dispatch_serve_all(&d->fleet, &d->queue, outcome.now, &called);
    else if (d->queue.n_waiting > 0)
        dispatch_serve(&d->fleet, &d->queue, ask->hash, outcome.now, &called);
    settle_at = d->fleet.settle_at;
    unlock_and_call(d, &called);
    return settle_at;
}

void desk_give_back(struct desk *d, struct grant *grant, const struct fleet_ask *ask)
{
    struct list called;

    list_init(&called);
    lock(d);
    fleet_give_back(&d->fleet, &grant->choice);
    dispatch_serve(&d->fleet, &d->queue, ask->hash, time_now(), &called);
    unlock_and_call(d, &called);
    grant->is_held = false;
}

nsec_t desk_settle(struct desk *d, nsec_t now)
{
    struct list called;
    nsec_t settle_at;

    list_init(&called);
    lock(d);
    if (fleet_settle(&d->fleet, now))
        dispatch_serve_all(&d->fleet, &d->queue, now, &called);
    settle_at = d->fleet.settle_at;
    unlock_and_call(d, &called);
    return settle_at;
}

void desk_begun(struct desk *d, struct grant *grant, const struct fleet_ask *ask)
{
    struct list called;

    if (ask->key.len == 0 || (grant->is_resident && !grant->wants_begin))
        return;
    list_init(&called);
    lock(d);
    if (dispatch_begun(&d->fleet, grant, ask))
        dispatch_serve(&d->fleet, &d->queue, ask->hash, time_now(), &called);
    unlock_and_call(d, &called);
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
    nsec_t now = time_now();
    struct list called;

    list_init(&called);
    lock(d);
    tell(d, fleet_apply(&d->fleet, node, report, now), node, ret_news);
    (void)fleet_settle(&d->fleet, now);
    /* also those that an ejection kept waiting, which is over */
    dispatch_serve_all(&d->fleet, &d->queue, now, &called);
    unlock_and_call(d, &called);
}

bool desk_wants_proof(struct desk *d, uint16_t node)
{
    bool wants;

    lock(d);
    wants = fleet_wants_proof(&d->fleet, node, time_now());
    unlock(d);
    return wants;
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
        .is_drained = n->is_drained,
        .is_leaving = n->life == NODE_LEAVING,
        .state = n->state,
        .is_ejected = fleet_is_out(n, time_now()),
        .in_flight = n->in_flight,
        .slots_setting = n->slots_setting,
        .n_granted = n->n_granted,
        .n_models = n->models.n_models,
        .n_resident = n->resident.n_models,
        .since = n->since,
        .has_clock = n->has_clock,
        .clock_ms = n->clock_ms,
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

size_t desk_slots(struct desk *d, uint16_t node, struct desk_slots out[static SLOTS_MAX])
{
    const struct fleet_node *n = &d->fleet.nodes[node];
    size_t n_out;

    lock(d);
    for (n_out = 0; n_out < n->slots.n; n_out++) {
        const struct slots *s = &n->slots.at[n_out];
        const char *key = models_find(&n->models, s->what.model);

        out[n_out] = (struct desk_slots){
            .options = s->what.options,
            .n_busy = s->n_busy,
            .limit = slots_limit(&n->slots, n->slots_setting, &s->what),
            .service_ns = slots_service(s),
        };
        if (key != NULL)
            (void)snprintf(out[n_out].model, sizeof(out[n_out].model), "%s", key);
    }
    unlock(d);
    return n_out;
}

uint64_t desk_n_waiting(struct desk *d)
{
    uint64_t n;

    lock(d);
    n = d->queue.n_waiting;
    unlock(d);
    return n;
}
