/* SPDX-License-Identifier: MIT */
#include "observe/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "observe/series.h"

#define OF_EXCHANGES (SERIES_ROUTE | SERIES_MODEL | SERIES_NODE | SERIES_STATUS | SERIES_REASON)

struct metrics {
    pthread_mutex_t lock;          /* of the tables and histograms */
    struct series_table exchanges; /* by route, model, node, status, reason */
    struct series_table attempts;  /* by node and outcome */
    struct histogram loop_lag;
    /* one writer, so no lock; a scrape reads them, and they guard no other memory: relaxed */
    _Atomic int64_t n_in_flight;
    _Atomic uint64_t counters[N_METRICS_COUNTERS];
    _Atomic int64_t gauges[N_METRICS_GAUGES];
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return NULL;
    }
    series_table_init(&m->exchanges, OF_EXCHANGES, METRICS_MAX_SERIES);
    series_table_init(&m->attempts, SERIES_NODE | SERIES_OUTCOME, METRICS_MAX_SERIES);
    return m;
}

struct metrics *metrics_free(struct metrics *m)
{
    if (m == NULL)
        return NULL;
    series_table_fini(&m->exchanges);
    series_table_fini(&m->attempts);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

/* ---- recording ---- */

static void gauge_add(_Atomic int64_t *gauge, int64_t delta)
{
    int64_t value = atomic_load_explicit(gauge, memory_order_relaxed);

    atomic_store_explicit(gauge, value + delta, memory_order_relaxed);
}

static void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

void metrics_exchange_begin(struct metrics *m)
{
    gauge_add(&m->n_in_flight, 1);
}

static nsec_t since_begin(const struct timeline *t, nsec_t moment)
{
    return moment > t->begun ? moment - t->begun : 0;
}

/*
 * A name from outside is a label only when a node serves the model: anybody can ask for a million
 * others.
 */
static struct str model_label(const struct timeline *t)
{
    if (t->model.len == 0)
        return STR("none");
    if (!t->is_known_model)
        return STR("other");
    return t->real.len > 0 ? t->real : t->model;
}

void metrics_exchange_end(struct metrics *m, const struct timeline *t)
{
    struct series_labels labels = {
        .route = t->route != NULL ? t->route->path : STR("none"),
        .model = model_label(t),
        .node = t->node.len > 0 ? t->node : STR("none"),
        .status = t->status,
        .reason = t->reason,
    };
    struct series *s;

    gauge_add(&m->n_in_flight, -1);
    (void)pthread_mutex_lock(&m->lock);
    s = series_get(&m->exchanges, &labels);
    s->n++;
    s->tokens_in += t->usage.tokens_in;
    s->tokens_out += t->usage.tokens_out;
    if (t->queued_ns > 0)
        histogram_put(&s->queued, t->queued_ns);
    if (t->first_record > 0)
        histogram_put(&s->first_record, since_begin(t, t->first_record));
    histogram_add(&s->between, &t->between);
    histogram_put(&s->total, since_begin(t, t->ended));
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_attempt(struct metrics *m, struct str node, const char *outcome)
{
    struct series_labels labels = {.node = node, .outcome = str_of(outcome)};

    (void)pthread_mutex_lock(&m->lock);
    series_get(&m->attempts, &labels)->n++;
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_count(struct metrics *m, enum metrics_counter counter)
{
    counter_add(&m->counters[counter], 1);
}

void metrics_loop_lag(struct metrics *m, nsec_t lag)
{
    (void)pthread_mutex_lock(&m->lock);
    histogram_put(&m->loop_lag, lag > 0 ? lag : 0);
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_gauge_add(struct metrics *m, enum metrics_gauge gauge, int64_t delta)
{
    gauge_add(&m->gauges[gauge], delta);
}

static void add(struct metrics *sum, struct metrics *m)
{
    (void)pthread_mutex_lock(&m->lock);
    series_add_table(&sum->exchanges, &m->exchanges);
    series_add_table(&sum->attempts, &m->attempts);
    histogram_add(&sum->loop_lag, &m->loop_lag);
    (void)pthread_mutex_unlock(&m->lock);
    gauge_add(&sum->n_in_flight, atomic_load_explicit(&m->n_in_flight, memory_order_relaxed));
    for (int i = 0; i < N_METRICS_COUNTERS; i++)
        counter_add(&sum->counters[i], atomic_load_explicit(&m->counters[i], memory_order_relaxed));
    for (int i = 0; i < N_METRICS_GAUGES; i++)
        gauge_add(&sum->gauges[i], atomic_load_explicit(&m->gauges[i], memory_order_relaxed));
}

/* ---- exposition ---- */

struct family {
    const char *name;
    const char *type;
    const char *help;
};

static int print_head(const struct family *f, struct buf *out)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
}

/* One line a series; @value says which of its numbers. */
static int print_counters(const struct family *f, const struct series_table *table,
                          uint64_t (*value)(const struct series *s), struct buf *out)
{
    int r = print_head(f, out);
    size_t i = 0;

    for (const struct series *s; r == 0 && (s = series_at(table, i)) != NULL; i++) {
        r = buf_printf(out, "%s{", f->name);
        if (r == 0)
            r = series_print_labels(s, table->which, out);
        if (r == 0)
            r = buf_printf(out, "} %" PRIu64 "\n", value(s));
    }
    return r;
}

static int print_histograms(const struct family *f, const struct series_table *table,
                            const struct histogram *(*value)(const struct series *s),
                            struct buf *out)
{
    int r = print_head(f, out);
    size_t i = 0;

    for (const struct series *s; r == 0 && (s = series_at(table, i)) != NULL; i++) {
        /* Four values of at most 255 bytes, each byte escaped to two. */
        CLEANUP(buf_fini) struct buf labels = BUF_INIT(4096);

        if (value(s)->n == 0)
            continue;
        r = series_print_labels(s, table->which, &labels);
        if (r == 0)
            r = histogram_print(f->name, buf_str(&labels), value(s), out);
    }
    return r;
}

static uint64_t get_n(const struct series *s)
{
    return s->n;
}

static uint64_t get_tokens_in(const struct series *s)
{
    return s->tokens_in;
}

static uint64_t get_tokens_out(const struct series *s)
{
    return s->tokens_out;
}

static const struct histogram *get_queued(const struct series *s)
{
    return &s->queued;
}

static const struct histogram *get_first_record(const struct series *s)
{
    return &s->first_record;
}

static const struct histogram *get_between(const struct series *s)
{
    return &s->between;
}

static const struct histogram *get_total(const struct series *s)
{
    return &s->total;
}

static const struct family requests = {"chasqui_requests_total", "counter", "Requests answered"};
static const struct family in_flight = {"chasqui_requests_in_flight", "gauge",
                                        "Requests begun and not yet ended"};
static const struct family attempts = {"chasqui_attempts_total", "counter",
                                       "Attempts on nodes, by outcome"};
static const struct family queued = {"chasqui_queue_seconds", "histogram",
                                     "Time in the queue of requests that had to wait for a slot"};
static const struct family first_record = {
    "chasqui_first_record_seconds", "histogram",
    "From a request's first byte to the first record of its answer"};
static const struct family between = {"chasqui_between_records_seconds", "histogram",
                                      "Between two records of a streamed answer"};
static const struct family loop_lag = {"chasqui_loop_lag_seconds", "histogram",
                                       "How late a timer was, each second on each loop"};
static const struct family total = {"chasqui_request_seconds", "histogram",
                                    "From a request's first byte to its end"};
static const struct family tokens_in = {"chasqui_tokens_in_total", "counter",
                                        "Prompt tokens, as nodes count them"};
static const struct family tokens_out = {"chasqui_tokens_out_total", "counter",
                                         "Generated tokens, as nodes count them"};

static const struct family counters[] = {
    [METRICS_PARSE_REJECTS] = {"chasqui_parse_rejects_total", "counter",
                               "Requests refused by the HTTP parser"},
    [METRICS_NODE_REJECTS] = {"chasqui_node_rejects_total", "counter",
                              "Answers of nodes refused by the HTTP parser"},
    [METRICS_RESUMED] = {"chasqui_answers_resumed_total", "counter",
                         "Answers that broke, were continued by another node, and are complete"},
    [METRICS_BROKEN] = {"chasqui_answers_broken_total", "counter",
                        "Answers that had begun and ended with an error instead of their end"},
    [METRICS_CONNECTIONS] = {"chasqui_client_connections_total", "counter", "Connections accepted"},
};

/* Gauges of one family stand together; the second has no head. */
struct gauge {
    struct family family;
    const char *labels;
};

static const struct gauge gauges[] = {
    [METRICS_QUEUED] = {{"chasqui_queue_length", "gauge", "Requests that wait for a slot"}, ""},
    [METRICS_CLIENTS] = {{"chasqui_client_connections", "gauge", "Client connections open"}, ""},
};

static int print_scalars(const struct metrics *sum, struct buf *out)
{
    int r = print_head(&in_flight, out);

    if (r == 0)
        r = buf_printf(out, "%s %" PRId64 "\n", in_flight.name, sum->n_in_flight);
    for (int i = 0; r == 0 && i < N_METRICS_COUNTERS; i++) {
        r = print_head(&counters[i], out);
        if (r == 0)
            r = buf_printf(out, "%s %" PRIu64 "\n", counters[i].name, sum->counters[i]);
    }
    for (int i = 0; r == 0 && i < N_METRICS_GAUGES; i++) {
        if (gauges[i].family.type != NULL)
            r = print_head(&gauges[i].family, out);
        if (r == 0)
            r = buf_printf(out, "%s%s %" PRId64 "\n", gauges[i].family.name, gauges[i].labels,
                           sum->gauges[i]);
    }
    return r;
}

/* Without the status, which the reason tells: sums of the series that differ in it only. */
static int print_by_reason(const struct metrics *sum, struct buf *out)
{
    struct series_table table;
    int r;

    series_table_init(&table, SERIES_ROUTE | SERIES_MODEL | SERIES_NODE | SERIES_REASON,
                      METRICS_MAX_SERIES);
    series_add_table(&table, &sum->exchanges);
    r = print_histograms(&queued, &table, get_queued, out);
    if (r == 0)
        r = print_histograms(&first_record, &table, get_first_record, out);
    if (r == 0)
        r = print_histograms(&between, &table, get_between, out);
    if (r == 0)
        r = print_histograms(&total, &table, get_total, out);
    if (r == 0)
        r = print_counters(&tokens_in, &table, get_tokens_in, out);
    if (r == 0)
        r = print_counters(&tokens_out, &table, get_tokens_out, out);
    series_table_fini(&table);
    return r;
}

static int print(const struct metrics *sum, struct buf *out)
{
    int r = print_counters(&requests, &sum->exchanges, get_n, out);

    if (r == 0)
        r = print_counters(&attempts, &sum->attempts, get_n, out);
    if (r == 0)
        r = print_by_reason(sum, out);
    if (r == 0)
        r = print_head(&loop_lag, out);
    if (r == 0)
        r = histogram_print(loop_lag.name, STR_NULL, &sum->loop_lag, out);
    return r < 0 ? r : print_scalars(sum, out);
}

int metrics_print(struct metrics *const *all, size_t n, struct buf *out)
{
    struct metrics *sum = metrics_new();
    int r;

    if (sum == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        add(sum, all[i]);
    r = print(sum, out);
    (void)metrics_free(sum);
    return r;
}
