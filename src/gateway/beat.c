/* SPDX-License-Identifier: MIT */
#include "gateway/beat.h"

static void arm(struct beat *b, nsec_t now)
{
    b->due = now + NSEC_PER_SEC;
    net_timer_arm(b->loop, &b->timer, b->due);
}

static void on_due(struct net_timer *timer)
{
    struct beat *b = container_of(timer, struct beat, timer);
    nsec_t now = time_now();

    metrics_loop_lag(b->metrics, now - b->due);
    arm(b, now);
}

int beat_start(struct beat *b, struct net_loop *loop, struct metrics *metrics)
{
    int r;

    *b = (struct beat){.loop = loop, .metrics = metrics};
    r = net_timer_init(loop, &b->timer, on_due);
    if (r == 0)
        arm(b, time_now());
    return r;
}

void beat_stop(struct beat *b)
{
    if (b->loop != NULL)
        net_timer_fini(b->loop, &b->timer);
}
