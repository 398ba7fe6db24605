/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Flights: a change of the models of one node, on its way
 *
 *   flight_join() ──► head ──► (record | bytes)* ──► end       on the joiner's loop
 *         └─────────────── flight_leave() ──────────► end
 *
 * They run on the control loop, whoever asks for them, so that all who want the same of a node
 * share one: a pull of a model that is being pulled is joined. A flight ends when the node's answer
 * does, or when the last who waits for it leaves.
 *
 * A seat is a place in a flight. What comes for it is copied and mailed to its loop. A reader that
 * is behind misses progress, never the last record or the end.
 */

#include "call/retry.h"
#include "net/loop.h"
#include "upstream/attempt.h"

struct control;
struct flight;
struct flight_seat;

struct flight_head {
    int status;
    bool is_stream;
    struct str type; /* Content-Type; valid during the call */
};

struct flight_ops {
    const char *name;
    void (*on_head)(struct flight_seat *s, const struct flight_head *head);
    void (*on_record)(struct flight_seat *s, struct str record);
    void (*on_bytes)(struct flight_seat *s, struct str bytes); /* of an answer not streamed */
    /* Exactly once; the seat is its owner's again. */
    void (*on_end)(struct flight_seat *s, enum call_outcome outcome, const char *why);
};

struct flight_seat {
    const struct flight_ops *ops;
    struct control *control;
    struct net_loop *from; /* where the callbacks run */
    uint16_t node;         /* the owner has a reference of it until the end */
    /*
     * Of a flight that is not shared: stays until the end, fields and all. Of a shared one `body`
     * alone counts, and is copied.
     */
    const struct attempt_request *request;
    struct str share; /* flights to a node with the same text are one; empty: not shared */

    struct net_mail join_mail; /* private from here on */
    struct net_mail leave_mail;
    struct list link; /* control's */
    struct flight *flight;
    struct flight_note *end_note; /* so that the end can always be told */
    /* notes under way; control adds, the owner's loop takes away, relaxed: it only bounds */
    _Atomic unsigned n_unread;
    bool has_missed; /* control's: the last record was not sent */
    bool has_left;   /* the owner's: nothing but the end is told */
};

/* The control loop has ended: what was left of flights goes; close before its fini, free behind it. */
void flights_close(struct control *c);
void flights_free(struct control *c);

/* @s: ops, control, from, node, request and share are set. Return: 0, -ENOMEM nothing was begun. */
MUST_USE int flight_join(struct flight_seat *s);

/* Nothing but on_end follows; it comes later. Twice is once. */
void flight_leave(struct flight_seat *s);
