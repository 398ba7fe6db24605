/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The queue: requests that wait for a slot
 *
 * A line per model, first come first served; who comes back after a failed attempt stands in front.
 * Each line is bounded by count and by the bytes of the bodies in it. Pure; lives behind the desk's
 * lock, as the fleet does.
 */

#include "base/list.h"
#include "base/str.h"
#include "base/time.h"

struct queue_line;

/* Embedded by who waits. */
struct queue_waiter {
    struct list link;
    struct queue_line *line; /* NULL: it does not wait */
    size_t n_bytes;
    nsec_t since;
};

struct queue_line {
    struct list link;
    uint64_t model;
    struct list waiters;
    uint64_t n_waiting;
    uint64_t n_bytes;
};

struct queue_limits {
    uint64_t n_max;
    uint64_t bytes_max;
};

struct queue {
    struct list lines; /* none is empty */
    uint64_t n_waiting;
    struct queue_limits limits; /* of each line */
};

enum {
    QUEUE_FULL = 1,
};

void queue_init(struct queue *q, struct queue_limits limits);

/* The line of @model; NULL: nobody waits for it. */
struct queue_line *queue_find(const struct queue *q, uint64_t model);

/**
 * queue_put() - @w waits
 * @is_first:  for the first time: at the end; else in front
 *
 * Return: 0; QUEUE_FULL, also without memory for a line.
 */
MUST_USE int queue_put(struct queue *q, struct queue_waiter *w, uint64_t model, bool is_first);

/* It waits no longer; who does not wait is left alone. The line may be gone then. */
void queue_remove(struct queue *q, struct queue_waiter *w);

static inline struct queue_waiter *queue_head(const struct queue_line *line)
{
    return container_of(list_first(&line->waiters), struct queue_waiter, link);
}
