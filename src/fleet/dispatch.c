/* SPDX-License-Identifier: MIT */
#include "fleet/dispatch.h"

/* Return: as fleet_pick(). */
static int grant(struct fleet *f, struct dispatch_request *request, uint64_t n_waiting, nsec_t now)
{
    const struct fleet_ask *ask = request->ask;
    struct fleet_choice choice;
    int r = fleet_pick(f, ask, n_waiting, now, &choice);

    if (r == 0)
        request->grant = (struct grant){
            .node = choice.node,
            .is_held = true,
            .wants_begin = fleet_wants_begin(f, &choice),
            .choice = choice,
            .granted_at = now,
            .is_resident = models_has(&f->nodes[choice.node].resident, ask->key, ask->hash),
        };
    return r;
}

/* Calls from the front of the line all whose wait is over. */
static void serve_line(struct fleet *f, struct queue *q, struct queue_line *line, nsec_t now,
                       struct list *called)
{
    for (uint64_t n = line->n_waiting; n > 0; n--) {
        struct queue_waiter *w = queue_head(line);
        struct dispatch_request *request = container_of(w, struct dispatch_request, waiter);

        request->result = grant(f, request, n, now);
        if (request->result == FLEET_BUSY)
            return;
        queue_remove(q, w); /* with the last one the line is gone */
        list_put_back(called, &request->called);
    }
}

void dispatch_serve(struct fleet *f, struct queue *q, uint64_t model, nsec_t now,
                    struct list *called)
{
    struct queue_line *line = queue_find(q, model);

    if (line != NULL)
        serve_line(f, q, line, now, called);
}

void dispatch_serve_all(struct fleet *f, struct queue *q, nsec_t now, struct list *called)
{
    list_for_each_safe (it, &q->lines)
        serve_line(f, q, container_of(it, struct queue_line, link), now, called);
}

/* Nobody goes before those who wait, but who has had its turn already. */
static bool must_wait(const struct queue *q, const struct dispatch_request *request)
{
    return request->is_first && request->ask->needs_slot && q->n_waiting > 0 &&
           queue_find(q, request->ask->hash) != NULL;
}

static int stand_in_line(struct fleet *f, struct queue *q, struct dispatch_request *request,
                         nsec_t now, struct list *called)
{
    uint64_t model = request->ask->hash;
    bool is_behind = queue_find(q, model) != NULL;

    request->waiter = (struct queue_waiter){.n_bytes = request->n_bytes, .since = now};
    if (queue_put(q, &request->waiter, model, request->is_first) != 0)
        return DISPATCH_QUEUE_FULL;
    if (is_behind)
        dispatch_serve(f, q, model, now, called);
    return DISPATCH_QUEUED;
}

int dispatch_enter(struct fleet *f, struct queue *q, struct dispatch_request *request, nsec_t now,
                   struct list *called)
{
    int r = FLEET_BUSY;

    if (fleet_settle(f, now))
        dispatch_serve_all(f, q, now, called);
    if (!must_wait(q, request))
        r = grant(f, request, 1, now);
    return r == FLEET_BUSY ? stand_in_line(f, q, request, now, called) : r;
}

bool dispatch_leave_line(struct fleet *f, struct queue *q, struct dispatch_request *request,
                         nsec_t now, struct list *called)
{
    if (request->waiter.line == NULL)
        return false;
    queue_remove(q, &request->waiter);
    dispatch_serve(f, q, request->ask->hash, now, called);
    return true;
}

bool dispatch_begun(struct fleet *f, struct grant *grant, const struct fleet_ask *ask)
{
    if (!grant->is_resident)
        fleet_mark_resident(f, grant->node, ask->key, ask->hash);
    grant->is_resident = true;
    if (!grant->wants_begin)
        return false;
    grant->wants_begin = false;
    return fleet_begin(f, &grant->choice);
}

enum fleet_news dispatch_leave(struct fleet *f, struct grant *grant, const struct fleet_ask *ask,
                               const struct fleet_outcome *outcome)
{
    if (outcome->what == CALL_OK && ask->key.len > 0 && !grant->is_resident)
        fleet_mark_resident(f, grant->node, ask->key, ask->hash);
    grant->is_held = false;
    return fleet_leave(f, &grant->choice, outcome);
}
