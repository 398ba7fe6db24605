/* SPDX-License-Identifier: MIT */
#include "bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "bench/driver.h"
#include "net/signal.h"

#define SETTLE_NS (20 * NSEC_PER_MSEC) /* until all threads run */

/* A run, as the thread that waits for it sees it. */
struct bench {
    struct net_loop loop;
    struct net_signal interrupt;
    struct bench_request request;
    struct driver **drivers;
    size_t n_drivers;
    size_t n_running;
    bool is_interrupted;
};

static struct bench *bench_of(struct net_loop *loop)
{
    return container_of(loop, struct bench, loop);
}

static void on_over(struct net_mail *mail)
{
    struct driver *d = container_of(mail, struct driver, over);

    if (--bench_of(d->home)->n_running == 0)
        net_loop_stop(d->home);
}

static void on_interrupt(struct net_signal *signal, int number)
{
    struct bench *b = container_of(signal, struct bench, interrupt);

    if (b->is_interrupted)
        _exit(128 + number);
    b->is_interrupted = true;
    for (size_t i = 0; i < b->n_drivers; i++)
        driver_stop(b->drivers[i]);
}

/* A connection takes a descriptor: as many as the system lets us have. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* The @i-th of @n parts of @whole, which differ by one at most. */
static uint64_t part(uint64_t whole, uint64_t i, uint64_t n)
{
    return whole / n + (i < whole % n ? 1 : 0);
}

static struct driver_plan plan_of(const struct bench_settings *s, nsec_t begin, uint64_t i,
                                  uint64_t n)
{
    struct driver_plan plan = {
        .begin = begin,
        .measure_from = begin + s->warmup_ns,
        .until = NSEC_NEVER,
        .timeout_ns = s->timeout_ns,
        .n_requests = UINT64_MAX,
        .n_slots = part(s->n_connections, i, n),
    };

    if (s->n_requests > 0)
        plan.n_requests = part(s->n_requests, i, n);
    else
        plan.until = plan.measure_from + s->duration_ns;
    if (s->rate > 0) {
        plan.interval_ns = (double)n * (double)NSEC_PER_SEC / s->rate;
        plan.offset_ns = (double)i * (double)NSEC_PER_SEC / s->rate;
    }
    return plan;
}

static int start_one(struct bench *b, const struct bench_settings *s,
                     const struct driver_plan *plan)
{
    struct driver *d = calloc(1, sizeof(*d));
    int r;

    if (d == NULL)
        return -ENOMEM;
    d->over.deliver = on_over;
    r = driver_start(d, s, &b->request, plan, &b->loop);
    if (r < 0) {
        free(d);
        return r;
    }
    b->drivers[b->n_drivers++] = d;
    b->n_running++;
    return 0;
}

/* More threads than connections or requests would have nothing to do. */
static uint64_t n_threads(const struct bench_settings *s)
{
    uint64_t n = s->n_threads < s->n_connections ? s->n_threads : s->n_connections;

    return s->n_requests > 0 && s->n_requests < n ? s->n_requests : n;
}

static int start_all(struct bench *b, const struct bench_settings *s, nsec_t begin)
{
    uint64_t n = n_threads(s);
    int r = 0;

    b->drivers = calloc(n, sizeof(struct driver *));
    if (b->drivers == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < n && r == 0; i++) {
        struct driver_plan plan = plan_of(s, begin, i, n);

        r = start_one(b, s, &plan);
    }
    if (r < 0)
        for (size_t i = 0; i < b->n_drivers; i++)
            driver_stop(b->drivers[i]);
    return r;
}

static void collect(struct bench *b, const struct bench_settings *s, nsec_t begin,
                    struct bench_result *result)
{
    nsec_t from = begin + s->warmup_ns;
    nsec_t end = from;

    for (size_t i = 0; i < b->n_drivers; i++) {
        const struct driver *d = b->drivers[i];

        tally_merge(&result->tally, &d->tally);
        end = d->ended_at > end ? d->ended_at : end;
    }
    if (s->n_requests == 0 && end > from + s->duration_ns)
        end = from + s->duration_ns;
    if (s->n_requests == 0 && !b->is_interrupted)
        end = from + s->duration_ns;
    result->elapsed_ns = end - from;
    result->is_stream = b->request.is_stream;
    result->is_interrupted = b->is_interrupted;
}

static int run(struct bench *b, const struct bench_settings *s, struct bench_result *result)
{
    nsec_t begin = time_now() + SETTLE_NS;
    int r = net_signal_start(&b->loop, &b->interrupt, SIGINT, on_interrupt);

    if (r == 0)
        r = start_all(b, s, begin);
    if (b->n_running > 0)
        net_loop_run(&b->loop);
    for (size_t i = 0; i < b->n_drivers; i++)
        driver_join(b->drivers[i]);
    if (r == 0)
        collect(b, s, begin, result);
    for (size_t i = 0; i < b->n_drivers; i++)
        free(b->drivers[i]);
    free(b->drivers);
    net_signal_stop(&b->interrupt);
    return r;
}

int bench_run(const struct bench_settings *settings, struct bench_result *ret_result)
{
    struct bench b = {0};
    int r;

    if (settings->api == BENCH_V1 && str_eq(str_of(settings->url.scheme), STR("mcp")))
        return -EOPNOTSUPP;
    r = bench_request_init(&b.request, settings);
    if (r < 0)
        return r;
    raise_limit();
    r = net_loop_init(&b.loop);
    if (r == 0) {
        r = run(&b, settings, ret_result);
        net_loop_fini(&b.loop);
    }
    bench_request_fini(&b.request);
    return r;
}
