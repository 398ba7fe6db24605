/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Metrics
 *
 * Each worker owns a struct metrics and records exchanges in it; the admin thread adds all workers
 * up when it is scraped. The tables of a struct have a lock, taken by its worker and by a scrape and by
 * nobody else; its single numbers are written by the worker alone. Series are bounded: label values come from tables, from the node list and from known
 * models; beyond METRICS_MAX_SERIES everything lands in one series whose labels are "other". Text
 * is Prometheus' exposition format 0.0.4.
 */

#include "base/buf.h"
#include "observe/timeline.h"

#define METRICS_MAX_SERIES 2048 /* three histograms of 18 lines each: 15 MB of text */

struct metrics;

struct metrics *metrics_new(void);               /* NULL without memory */
struct metrics *metrics_free(struct metrics *m); /* accepts NULL; returns NULL */

/*
 * An exchange began / ended. Counted: chasqui_requests_total{route,model,node,status,reason},
 * chasqui_requests_in_flight, chasqui_attempts_total{node,outcome}; by route, model, node and
 * reason the histograms chasqui_queue_seconds, chasqui_first_record_seconds,
 * chasqui_between_records_seconds and
 * chasqui_request_seconds, and chasqui_tokens_in_total, chasqui_tokens_out_total.
 */
void metrics_exchange_begin(struct metrics *m);
void metrics_exchange_end(struct metrics *m, const struct timeline *t);
void metrics_attempt(struct metrics *m, struct str node, const char *outcome);

enum metrics_counter {
    METRICS_PARSE_REJECTS, /* chasqui_parse_rejects_total: requests refused by the HTTP parser */
    METRICS_NODE_REJECTS,  /* chasqui_node_rejects_total: answers of nodes refused by it */
    METRICS_RESUMED,       /* chasqui_answers_resumed_total: broke, went on, and are complete */
    METRICS_BROKEN,        /* chasqui_answers_broken_total: ended before they were complete */
    METRICS_CONNECTIONS,   /* chasqui_client_connections_total */
    N_METRICS_COUNTERS
};

void metrics_count(struct metrics *m, enum metrics_counter counter);

enum metrics_gauge {
    METRICS_QUEUED,  /* chasqui_queue_length */
    METRICS_CLIENTS, /* chasqui_client_connections: open ones */
    N_METRICS_GAUGES
};

void metrics_gauge_add(struct metrics *m, enum metrics_gauge gauge, int64_t delta);

/* How late a timer of the thread's loop was: chasqui_loop_lag_seconds. */
void metrics_loop_lag(struct metrics *m, nsec_t lag);

/* Appends the sum of @n structs. Each family has HELP and TYPE. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int metrics_print(struct metrics *const *all, size_t n, struct buf *out);
