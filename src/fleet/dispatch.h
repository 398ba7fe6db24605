/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Dispatch: who gets a node now, and who waits for one
 *
 * The fleet and the queue together: a request is granted a node or stands in the line of its model;
 * whatever frees a slot calls those whose wait is over, from the front. This is all that the
 * gateway's desk decides, without its lock and its mail, so that a simulated fleet can be driven by
 * the same rules. Pure; not thread-safe.
 */

#include "fleet/fleet.h"
#include "fleet/queue.h"

struct grant {
    uint16_t node;
    bool is_held;
    bool wants_begin; /* dispatch_begun() is to be called */
    struct fleet_choice choice;
    nsec_t granted_at;
    bool is_resident; /* the model was loaded there when the grant was given */
};

/* Who wants a grant; embedded by it, and in use as long as it waits. */
struct dispatch_request {
    const struct fleet_ask *ask; /* stays as it is while it waits */
    bool is_first;               /* of its exchange; a later attempt stands in front */
    size_t n_bytes;              /* held in memory while it waits */
    int result;                  /* when it was called: as of fleet_pick(), FLEET_BUSY never */
    struct grant grant;          /* set only on 0 */
    struct queue_waiter waiter;
    struct list called; /* in the list of those whose wait is over */
};

enum {
    DISPATCH_QUEUED = 16,
    DISPATCH_QUEUE_FULL = 17,
};

/**
 * dispatch_enter() - a node for @request, or a place in the line
 * @called:  gets the requests whose wait this has ended, by their `called`
 *
 * Return: as fleet_pick(), but for FLEET_BUSY: DISPATCH_QUEUED or DISPATCH_QUEUE_FULL.
 */
MUST_USE int dispatch_enter(struct fleet *f, struct queue *q, struct dispatch_request *request,
                            nsec_t now, struct list *called);

/* Who waits no longer may have stood in front of others. Return: whether it did wait. */
bool dispatch_leave_line(struct fleet *f, struct queue *q, struct dispatch_request *request,
                         nsec_t now, struct list *called);

/* Slots of nodes may be free for who waits for @model, or for any. */
void dispatch_serve(struct fleet *f, struct queue *q, uint64_t model, nsec_t now,
                    struct list *called);
void dispatch_serve_all(struct fleet *f, struct queue *q, nsec_t now, struct list *called);

/* The model has begun to answer: it is loaded there. Return: whether there may be more slots now. */
bool dispatch_begun(struct fleet *f, struct grant *grant, const struct fleet_ask *ask);

/* As fleet_leave(); on CALL_OK the model of @ask is loaded there. Others may be served then. */
enum fleet_news dispatch_leave(struct fleet *f, struct grant *grant, const struct fleet_ask *ask,
                               const struct fleet_outcome *outcome);
