/* SPDX-License-Identifier: MIT */
#include "bench/driver.h"

#include <errno.h>
#include <stdio.h>

#include "api/answer.h"
#include "api/error_body.h"
#include "base/err.h"

#define CONNECT_TIMEOUT_NS (3 * NSEC_PER_SEC)
#define ERROR_BODY_MAX     4096
#define PAUSE_NS           (100 * NSEC_PER_MSEC) /* of a slot that got no connection */

struct driver_slot {
    struct driver *driver;
    struct list link; /* of the free ones */
    struct attempt attempt;
    struct net_timer timer; /* of the request, or of the pause */
    struct api_answer judge;
    struct buf error; /* body of an answer that is none */
    unsigned status;
    uint64_t n_tokens;
    nsec_t due;
    nsec_t sent;
    nsec_t first; /* token; 0: none yet */
    nsec_t last;
};

/*
 * Counting
 */

static bool is_counted(const struct driver_slot *slot)
{
    return slot->due >= slot->driver->plan.measure_from;
}

static bool is_in_window(const struct driver *d, nsec_t now)
{
    return now >= d->plan.measure_from && now < d->plan.until;
}

static void count_good(struct driver_slot *slot, nsec_t now)
{
    struct driver *d = slot->driver;
    struct tally *t = &d->tally;

    if (is_in_window(d, now)) {
        t->n_ended++;
        if (slot->first == 0)
            t->n_tokens += slot->judge.usage.tokens_out;
    }
    if (!is_counted(slot))
        return;
    t->n_good++;
    hist_put(&t->latency, (uint64_t)(now - slot->due));
    hist_put(&t->service, (uint64_t)(now - slot->sent));
    if (slot->first == 0)
        return;
    hist_put(&t->first_token, (uint64_t)(slot->first - slot->due));
    if (slot->last > slot->first)
        hist_put(&t->speed, (slot->n_tokens - 1) * 1000 * (uint64_t)NSEC_PER_SEC /
                                (uint64_t)(slot->last - slot->first));
}

static void count_token(struct driver_slot *slot, nsec_t now)
{
    struct driver *d = slot->driver;

    slot->n_tokens++;
    if (is_in_window(d, now))
        d->tally.n_tokens++;
    if (slot->first == 0)
        slot->first = now;
    else if (is_counted(slot))
        hist_put(&d->tally.between, (uint64_t)(now - slot->last));
    slot->last = now;
}

/* Due until the end, and no slot was free: they have waited at least until now. */
static void count_unsent(struct driver *d, nsec_t now, nsec_t due)
{
    if (due < d->plan.measure_from)
        return;
    d->tally.n_unsent++;
    hist_put(&d->tally.latency, (uint64_t)(now - due));
}

/*
 * A request
 */

static void set_free(struct driver_slot *slot)
{
    list_put_front(&slot->driver->free, &slot->link);
    net_defer(&slot->driver->loop, &slot->driver->pump);
}

static void end(struct driver_slot *slot, nsec_t now)
{
    struct driver *d = slot->driver;

    d->n_busy--;
    if (is_counted(slot) && now > d->ended_at)
        d->ended_at = now;
    buf_fini(&slot->error);
    net_timer_disarm(&slot->timer);
}

static void end_bad(struct driver_slot *slot, enum tally_fault fault, struct str text)
{
    struct driver *d = slot->driver;

    if (is_counted(slot))
        tally_put_fault(&d->tally, fault, slot->status, text);
    end(slot, time_now());
    if (fault == TALLY_CONNECT || fault == TALLY_LOCAL)
        net_timer_arm(&d->loop, &slot->timer, time_now() + PAUSE_NS);
    else
        set_free(slot);
    net_defer(&d->loop, &d->pump);
}

static void end_refused(struct driver_slot *slot)
{
    struct buf text = BUF_INIT(ERROR_BODY_MAX);
    bool is_told = api_read_error(buf_str(&slot->error), &text) == 0;

    end_bad(slot, TALLY_STATUS, is_told ? buf_str(&text) : str_trim(buf_str(&slot->error)));
    buf_fini(&text);
}

static struct driver_slot *slot_of(struct attempt *a)
{
    return container_of(a, struct driver_slot, attempt);
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    slot_of(a)->status = head->status;
}

static bool is_good_status(const struct driver_slot *slot)
{
    return slot->status >= 200 && slot->status < 300;
}

/* For who reads the report; without memory there are no words. */
static void keep_error(struct driver_slot *slot, struct str bytes)
{
    if (buf_put(&slot->error, str_head(bytes, ERROR_BODY_MAX - slot->error.len)) < 0)
        buf_reset(&slot->error);
}

static void count_bytes(struct driver *d, size_t n, nsec_t now)
{
    if (is_in_window(d, now))
        d->tally.n_bytes += n;
}

static void on_record(struct attempt *a, struct str record)
{
    struct driver_slot *slot = slot_of(a);
    nsec_t now = time_now();

    count_bytes(slot->driver, record.len, now);
    api_answer_record(&slot->judge, a->is_sse, record);
    if (slot->judge.state == API_ANSWER_OPEN)
        count_token(slot, now);
    else if (slot->judge.state == API_ANSWER_ERROR)
        keep_error(slot, record);
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct driver_slot *slot = slot_of(a);

    count_bytes(slot->driver, bytes.len, time_now());
    if (is_good_status(slot))
        api_answer_bytes(&slot->judge, bytes);
    else
        keep_error(slot, bytes);
}

static void on_flush(struct attempt *a)
{
    (void)a; /* nothing is kept that points into what was read */
}

static void end_good(struct driver_slot *slot)
{
    nsec_t now = time_now();

    count_good(slot, now);
    end(slot, now);
    set_free(slot);
}

static void end_stream(struct driver_slot *slot)
{
    switch (api_answer_end_stream(&slot->judge)) {
    case API_VERDICT_COMPLETE:
    case API_VERDICT_REPETITION:
        end_good(slot);
        break;
    case API_VERDICT_ERROR:
        end_bad(slot, TALLY_ERROR, str_trim(buf_str(&slot->error)));
        break;
    case API_VERDICT_INCOMPLETE:
        end_bad(slot, TALLY_INCOMPLETE, STR("the stream ended before it said that it is complete"));
        break;
    }
}

static void on_end(struct attempt *a)
{
    struct driver_slot *slot = slot_of(a);

    if (!is_good_status(slot)) {
        end_refused(slot);
    } else if (a->is_stream) {
        end_stream(slot);
    } else {
        api_answer_end_bytes(&slot->judge);
        end_good(slot);
    }
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    enum tally_fault fault = TALLY_RESET;

    if (err == -EACCES) { /* over mcp:// the connection is refused, not the request */
        slot_of(a)->status = 401;
        end_bad(slot_of(a), TALLY_STATUS, STR("a valid key is needed"));
        return;
    }
    if (outcome == CALL_CONNECT_FAILED)
        fault = TALLY_CONNECT;
    else if (outcome == CALL_OVERLOAD)
        fault = TALLY_LOCAL; /* no room in the connections over mcp:// */
    end_bad(slot_of(a), fault, str_of(err_text(err)));
}

static const struct attempt_ops ops = {
    .name = "bench",
    .on_head = on_head,
    .on_record = on_record,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
};

static void on_due(struct net_timer *timer)
{
    struct driver_slot *slot = container_of(timer, struct driver_slot, timer);
    char text[64];
    int n;

    if (!attempt_is_running(&slot->attempt)) {
        set_free(slot);
        return;
    }
    attempt_cancel(&slot->attempt);
    n = snprintf(text, sizeof(text), "no whole answer within %.3g s",
                 (double)slot->driver->plan.timeout_ns / NSEC_PER_SEC);
    end_bad(slot, TALLY_TIMEOUT, str_make(text, (size_t)n));
}

static void begin(struct driver_slot *slot, nsec_t due, nsec_t now)
{
    struct driver *d = slot->driver;
    int r;

    slot->due = due;
    slot->sent = now;
    slot->first = 0;
    slot->last = 0;
    slot->n_tokens = 0;
    slot->status = 0;
    api_answer_init(&slot->judge, d->request->route);
    d->n_begun++;
    d->n_counted += is_counted(slot);
    d->n_busy++;
    r = attempt_start(&slot->attempt, &ops, &d->upstream, &d->request->attempt, false);
    if (r < 0)
        end_bad(slot, TALLY_LOCAL, str_of(err_text(r)));
    else if (d->plan.timeout_ns != NSEC_NEVER)
        net_timer_arm(&d->loop, &slot->timer, now + d->plan.timeout_ns);
}

/*
 * The plan
 */

/* When the next request is due; NSEC_NEVER: there is none. */
static nsec_t next_due(const struct driver *d, nsec_t now)
{
    const struct driver_plan *p = &d->plan;
    nsec_t due = now;

    if (p->interval_ns > 0)
        due = p->begin + (nsec_t)(p->offset_ns + (double)d->n_begun * p->interval_ns);
    else if (now < p->begin)
        due = p->begin;
    return d->is_stopped || d->n_counted == p->n_requests || due >= p->until ? NSEC_NEVER : due;
}

static void finish(struct driver *d)
{
    for (size_t i = 0; i < d->plan.n_slots; i++)
        net_timer_fini(&d->loop, &d->slots[i].timer);
    net_ticker_close(&d->ticker);
    upstream_close(&d->upstream);
    net_loop_stop(&d->loop);
}

/* Begins what is due. It is called again at a slot's end and by the ticker. */
static void on_pump(struct net_task *task)
{
    struct driver *d = container_of(task, struct driver, pump);
    nsec_t now = time_now();
    nsec_t due;

    while ((due = next_due(d, now)) != NSEC_NEVER) {
        struct list *slot = list_first(&d->free);

        if (due > now) {
            net_ticker_arm(&d->ticker, due);
            return;
        }
        if (now >= d->plan.until) {
            count_unsent(d, now, due);
            d->n_begun++;
            continue;
        }
        if (slot == NULL)
            return;
        list_remove(slot);
        begin(container_of(slot, struct driver_slot, link), due, now);
        now = time_now();
    }
    if (d->n_busy == 0 && !d->loop.is_stopping)
        finish(d);
}

static void on_ticker(struct net_ticker *ticker)
{
    on_pump(&container_of(ticker, struct driver, ticker)->pump);
}

static void on_stop(struct net_mail *mail)
{
    struct driver *d = container_of(mail, struct driver, stop);

    if (d->loop.is_stopping)
        return;
    d->is_stopped = true;
    d->ended_at = time_now();
    for (size_t i = 0; i < d->plan.n_slots; i++) {
        if (!attempt_is_running(&d->slots[i].attempt))
            continue;
        attempt_cancel(&d->slots[i].attempt);
        end(&d->slots[i], d->ended_at);
    }
    net_defer(&d->loop, &d->pump);
}

void driver_stop(struct driver *d)
{
    d->stop.deliver = on_stop;
    net_mail_post(&d->loop, &d->stop);
}

/*
 * Life
 */

static int init_slots(struct driver *d)
{
    int r = 0;

    list_init(&d->free);
    d->slots = calloc(d->plan.n_slots, sizeof(*d->slots));
    if (d->slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < d->plan.n_slots && r == 0; i++) {
        struct driver_slot *slot = &d->slots[i];

        slot->driver = d;
        slot->error = BUF_INIT(ERROR_BODY_MAX);
        list_put_back(&d->free, &slot->link);
        r = net_timer_init(&d->loop, &slot->timer, on_due);
    }
    return r;
}

static int init(struct driver *d, const struct bench_settings *settings)
{
    int r = net_loop_init(&d->loop);

    if (r < 0)
        return r;
    d->pump.run = on_pump;
    d->upstream_settings = (struct upstream_settings){
        .connect_timeout_ns = CONNECT_TIMEOUT_NS,
        .idle_timeout_ns = NSEC_NEVER,
        .keepalive_interval_ns = NSEC_NEVER,
        .max_idle = d->plan.n_slots,
        .key = settings->key,
    };
    r = upstream_init(&d->upstream, &d->loop, &d->upstream_settings, STR("bench"), &settings->url);
    if (r == 0)
        r = net_ticker_init(&d->loop, &d->ticker, on_ticker);
    if (r == 0)
        r = init_slots(d);
    return r;
}

static void fini(struct driver *d)
{
    net_ticker_close(&d->ticker);
    upstream_close(&d->upstream);
    net_loop_fini(&d->loop);
    free(d->slots);
}

static void *run(void *arg)
{
    struct driver *d = arg;

    net_loop_run(&d->loop);
    net_mail_post(d->home, &d->over);
    return NULL;
}

int driver_start(struct driver *d, const struct bench_settings *settings,
                 const struct bench_request *request, const struct driver_plan *plan,
                 struct net_loop *home)
{
    int r;

    d->plan = *plan;
    d->request = request;
    d->home = home;
    r = init(d, settings);
    if (r == 0) {
        net_defer(&d->loop, &d->pump);
        r = -pthread_create(&d->thread, NULL, run, d);
    }
    if (r < 0)
        fini(d);
    return r;
}

void driver_join(struct driver *d)
{
    (void)pthread_join(d->thread, NULL);
    fini(d);
}
