/* SPDX-License-Identifier: MIT */
#include "fleet/queue.h"

#include <stdlib.h>

void queue_init(struct queue *q, struct queue_limits limits)
{
    *q = (struct queue){.limits = limits};
    list_init(&q->lines);
}

struct queue_line *queue_find(const struct queue *q, uint64_t model)
{
    list_for_each (it, &q->lines) {
        struct queue_line *line = container_of(it, struct queue_line, link);

        if (line->model == model)
            return line;
    }
    return NULL;
}

static struct queue_line *add_line(struct queue *q, uint64_t model)
{
    struct queue_line *line = calloc(1, sizeof(*line));

    if (line == NULL)
        return NULL;
    line->model = model;
    list_init(&line->waiters);
    list_put_back(&q->lines, &line->link);
    return line;
}

int queue_put(struct queue *q, struct queue_waiter *w, uint64_t model, bool is_first)
{
    struct queue_line *line = queue_find(q, model);

    if (q->limits.n_max == 0)
        return QUEUE_FULL;
    if (line != NULL && is_first &&
        (line->n_waiting >= q->limits.n_max || line->n_bytes + w->n_bytes > q->limits.bytes_max))
        return QUEUE_FULL;
    if (line == NULL)
        line = add_line(q, model);
    if (line == NULL)
        return QUEUE_FULL;
    w->line = line;
    if (is_first)
        list_put_back(&line->waiters, &w->link);
    else
        list_put_front(&line->waiters, &w->link);
    line->n_waiting++;
    line->n_bytes += w->n_bytes;
    q->n_waiting++;
    return 0;
}

void queue_remove(struct queue *q, struct queue_waiter *w)
{
    struct queue_line *line = w->line;

    if (line == NULL)
        return;
    w->line = NULL;
    list_remove(&w->link);
    line->n_waiting--;
    line->n_bytes -= w->n_bytes;
    q->n_waiting--;
    if (line->n_waiting > 0)
        return;
    list_remove(&line->link);
    free(line);
}
