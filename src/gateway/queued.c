/* SPDX-License-Identifier: MIT */
#include "gateway/queued.h"

#include "gateway/gateway.h"
#include "gateway/relay.h"

#define COME_BACK_MAX_S 3600

static struct desk *desk_of(const struct exchange *ex)
{
    return &ex->worker->gateway->desk;
}

void queued_begin(struct exchange *ex)
{
    nsec_t t = ex->view->settings->queue_timeout_ns;
    nsec_t due = t == NSEC_NEVER ? NSEC_NEVER : ex->turn.in.waiter.since + t;

    ex->state = EXCHANGE_QUEUED;
    ex->tl.is_known_model = ex->ask.key.len > 0;
    exchange_goes_abroad(ex);
    metrics_gauge_add(ex->worker->metrics, METRICS_QUEUED, 1);
    net_timer_arm(&ex->worker->loop, &ex->timer, due < ex->deadline ? due : ex->deadline);
}

/* Once for each queued_begin(). */
static void end_wait(struct exchange *ex)
{
    ex->tl.queued_ns += time_now() - ex->turn.in.waiter.since;
    metrics_gauge_add(ex->worker->metrics, METRICS_QUEUED, -1);
    exchange_came_back(ex);
}

void queued_on_turn(struct desk_request *request)
{
    struct exchange *ex = container_of(request, struct exchange, turn);

    end_wait(ex);
    if (ex->state == EXCHANGE_QUEUED) {
        ex->grant = request->in.grant;
        exchange_take_turn(ex, request->in.result);
    } else if (request->in.result == 0) {
        desk_give_back(desk_of(ex), &request->in.grant, &ex->ask);
    }
}

void queued_leave(struct exchange *ex)
{
    if (ex->state == EXCHANGE_QUEUED && desk_leave_line(desk_of(ex), &ex->turn))
        end_wait(ex);
}

void queued_out_of_time(struct exchange *ex)
{
    enum reason reason = time_now() >= ex->deadline ? REASON_deadline : REASON_queue_timeout;

    if (!desk_leave_line(desk_of(ex), &ex->turn))
        return; /* it was called in the last moment */
    end_wait(ex);
    queued_refuse(ex, reason);
}

void queued_refuse(struct exchange *ex, enum reason reason)
{
    nsec_t wait = desk_predict(desk_of(ex), &ex->ask);
    nsec_t seconds = (wait + NSEC_PER_SEC - 1) / NSEC_PER_SEC;

    ex->come_back_s = (unsigned)(wait < NSEC_PER_SEC         ? 1
                                 : seconds < COME_BACK_MAX_S ? seconds
                                                             : COME_BACK_MAX_S);
    exchange_refuse(ex, reason, NULL);
}
