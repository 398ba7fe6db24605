/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observe/metrics.h"
#include "observe/series.h"

static struct timeline chat(const char *model, const char *node, int status)
{
    return (struct timeline){
        .route = api_route_get(ROUTE_CHAT),
        .model = str_of(model),
        .node = str_of(node),
        .is_known_model = true,
        .status = status,
        .reason = status == 200 ? REASON_none : REASON_node_5xx,
        .begun = NSEC_PER_SEC,
        .first_record = NSEC_PER_SEC + 10 * NSEC_PER_MSEC,
        .ended = 3 * NSEC_PER_SEC,
        .usage = {.tokens_in = 10, .tokens_out = 20},
        /* two pauses of 40 ms */
        .between = {.buckets = {[3] = 2}, .n = 2, .sum_ns = 80 * (uint64_t)NSEC_PER_MSEC},
    };
}

static const char *print(struct metrics *const *all, size_t n, struct buf *out)
{
    buf_reset(out);
    assert_int_equal(metrics_print(all, n, out), 0);
    assert_int_equal(buf_put_char(out, '\0'), 0);
    return out->data;
}

static size_t count_lines_with(const char *text, const char *begin)
{
    size_t n = 0;

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        n += strncmp(line, begin, strlen(begin)) == 0;
        if (*line == '\0')
            break;
    }
    return n;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two lines with equal name and labels make a scrape fail. */
static void assert_no_series_twice(const char *text)
{
    char *copy = str_dup(str_of(text));
    char **lines = calloc(200000, sizeof(char *));
    size_t n = 0;

    assert_non_null(copy);
    assert_non_null(lines);
    for (char *line = copy, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *value;

        *end = '\0';
        value = line[0] != '#' ? strrchr(line, ' ') : NULL;
        if (value != NULL)
            *value = '\0';
        assert_true(n < 200000);
        lines[n++] = line;
    }
    qsort(lines, n, sizeof(char *), compare_lines);
    for (size_t i = 1; i < n; i++)
        assert_string_not_equal(lines[i - 1], lines[i]);
    free(lines);
    free(copy);
}

static const char *const expected[] = {
    "# HELP chasqui_requests_total Requests answered\n",
    "# TYPE chasqui_requests_total counter\n",
    "chasqui_requests_total{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",status=\"200\",reason=\"none\"} 2\n",
    "chasqui_requests_total{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",status=\"502\",reason=\"node_5xx\"} 1\n",
    "# HELP chasqui_attempts_total Attempts on nodes, by outcome\n",
    "# TYPE chasqui_attempts_total counter\n",
    "chasqui_attempts_total{node=\"n1\",outcome=\"ok\"} 2\n",
    "chasqui_attempts_total{node=\"n1\",outcome=\"reset\"} 1\n",
    "# HELP chasqui_queue_seconds Time in the queue of requests that had to wait for a slot\n",
    "# TYPE chasqui_queue_seconds histogram\n",
    "# HELP chasqui_first_record_seconds From a request's first byte to the first record of its "
    "answer\n",
    "# TYPE chasqui_first_record_seconds histogram\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.005\"} 0\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.01\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.025\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.05\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.1\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.25\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.5\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"1.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"2.5\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"5.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"10.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"30.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"60.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"120.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"300.0\"} 2\n",
    "chasqui_first_record_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"+Inf\"} 2\n",
    "chasqui_first_record_seconds_sum{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"none\"} "
    "0.020000000\n",
    "chasqui_first_record_seconds_count{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\"} 2\n",
    "# HELP chasqui_between_records_seconds Between two records of a streamed answer\n",
    "# TYPE chasqui_between_records_seconds histogram\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.005\"} 0\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.01\"} 0\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.025\"} 0\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.05\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.1\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.25\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.5\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"1.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"2.5\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"5.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"10.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"30.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"60.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"120.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"300.0\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"+Inf\"} 4\n",
    "chasqui_between_records_seconds_sum{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\"} 0.160000000\n",
    "chasqui_between_records_seconds_count{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\"} 4\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.005\"} 0\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.01\"} 0\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.025\"} 0\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.05\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.1\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.25\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.5\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"1.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"2.5\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"5.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"10.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"30.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"60.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"120.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"300.0\"} 2\n",
    "chasqui_between_records_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"+Inf\"} 2\n",
    "chasqui_between_records_seconds_sum{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\"} 0.080000000\n",
    "chasqui_between_records_seconds_count{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\"} 2\n",
    "# HELP chasqui_request_seconds From a request's first byte to its end\n",
    "# TYPE chasqui_request_seconds histogram\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.005\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.01\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.025\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.05\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.1\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.25\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"0.5\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"1.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"2.5\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"5.0\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"10.0\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"30.0\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"60.0\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"120.0\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"300.0\"} 2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"none\",le=\"+Inf\"} 2\n",
    "chasqui_request_seconds_sum{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"none\"} "
    "4.000000000\n",
    "chasqui_request_seconds_count{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"none\"} "
    "2\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.005\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.01\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.025\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.05\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.1\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.25\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"0.5\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"1.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"2.5\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"5.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"10.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"30.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"60.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"120.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"300.0\"} 0\n",
    "chasqui_request_seconds_bucket{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\",le=\"+Inf\"} 1\n",
    "chasqui_request_seconds_sum{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\"} "
    "401.000000001\n",
    "chasqui_request_seconds_count{route=\"/api/"
    "chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\"} 1\n",
    "# HELP chasqui_tokens_in_total Prompt tokens, as nodes count them\n",
    "# TYPE chasqui_tokens_in_total counter\n",
    "chasqui_tokens_in_total{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"none\"} 20\n",
    "chasqui_tokens_in_total{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\"} 10\n",
    "# HELP chasqui_tokens_out_total Generated tokens, as nodes count them\n",
    "# TYPE chasqui_tokens_out_total counter\n",
    "chasqui_tokens_out_total{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"none\"} 40\n",
    "chasqui_tokens_out_total{route=\"/api/chat\",model=\"a\",node=\"n1\",reason=\"node_5xx\"} "
    "20\n",
    "# HELP chasqui_loop_lag_seconds How late a timer was, each second on each loop\n",
    "# TYPE chasqui_loop_lag_seconds histogram\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.005\"} 1\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.01\"} 1\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.025\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.05\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.1\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.25\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"0.5\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"1.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"2.5\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"5.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"10.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"30.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"60.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"120.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"300.0\"} 2\n",
    "chasqui_loop_lag_seconds_bucket{le=\"+Inf\"} 2\n",
    "chasqui_loop_lag_seconds_sum 0.021000000\n",
    "chasqui_loop_lag_seconds_count 2\n",
    "# HELP chasqui_requests_in_flight Requests begun and not yet ended\n",
    "# TYPE chasqui_requests_in_flight gauge\n",
    "chasqui_requests_in_flight 1\n",
    "# HELP chasqui_parse_rejects_total Requests refused by the HTTP parser\n",
    "# TYPE chasqui_parse_rejects_total counter\n",
    "chasqui_parse_rejects_total 2\n",
    "# HELP chasqui_node_rejects_total Answers of nodes refused by the HTTP parser\n",
    "# TYPE chasqui_node_rejects_total counter\n",
    "chasqui_node_rejects_total 0\n",
    "# HELP chasqui_answers_resumed_total Answers that broke, were continued by another node, and "
    "are complete\n",
    "# TYPE chasqui_answers_resumed_total counter\n",
    "chasqui_answers_resumed_total 0\n",
    "# HELP chasqui_answers_broken_total Answers that had begun and ended with an error instead of "
    "their end\n",
    "# TYPE chasqui_answers_broken_total counter\n",
    "chasqui_answers_broken_total 0\n",
    "# HELP chasqui_client_connections_total Connections accepted\n",
    "# TYPE chasqui_client_connections_total counter\n",
    "chasqui_client_connections_total 0\n",
    "# HELP chasqui_queue_length Requests that wait for a slot\n",
    "# TYPE chasqui_queue_length gauge\n",
    "chasqui_queue_length 0\n",
    "# HELP chasqui_client_connections Client connections open\n",
    "# TYPE chasqui_client_connections gauge\n",
    "chasqui_client_connections 3\n",
};

static void the_workers_are_summed_into_one_exposition(void **state)
{
    struct metrics *all[] = {metrics_new(), metrics_new()};
    struct timeline good = chat("a", "n1", 200);
    struct timeline bad = chat("a", "n1", 502);
    struct buf out = BUF_INIT(1 << 20);
    const char *text;

    (void)state;
    bad.first_record = 0;
    bad.ended = bad.begun + 401 * NSEC_PER_SEC + 1;
    for (size_t i = 0; i < 2; i++) {
        metrics_exchange_begin(all[i]);
        metrics_exchange_begin(all[i]);
        metrics_exchange_end(all[i], &good);
        metrics_attempt(all[i], STR("n1"), "ok");
        metrics_count(all[i], METRICS_PARSE_REJECTS);
    }
    metrics_exchange_end(all[1], &bad);
    metrics_attempt(all[1], STR("n1"), "reset");
    metrics_loop_lag(all[0], NSEC_PER_MSEC);
    metrics_loop_lag(all[1], 20 * NSEC_PER_MSEC);
    metrics_gauge_add(all[0], METRICS_CLIENTS, 5);
    metrics_gauge_add(all[1], METRICS_CLIENTS, -2);
    text = print(all, 2, &out);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(strncmp(text, expected[i], strlen(expected[i])), 0);
        text += strlen(expected[i]);
    }
    assert_string_equal(text, "");
    for (size_t i = 0; i < 2; i++)
        assert_null(metrics_free(all[i]));
    buf_fini(&out);
}

static void series_are_bounded_and_the_rest_is_other(void **state)
{
    struct metrics *m = metrics_new();
    struct timeline named_so = chat("other", "other", 200);
    struct buf out = BUF_INIT(64 << 20);
    const char *text;

    (void)state;
    metrics_exchange_begin(m);
    metrics_exchange_end(m, &named_so);
    for (int i = 0; i < METRICS_MAX_SERIES + 500; i++) {
        char model[32];
        struct timeline t;

        (void)snprintf(model, sizeof(model), "m%d", i);
        t = chat(model, "n1", 200);
        metrics_exchange_begin(m);
        metrics_exchange_end(m, &t);
        metrics_exchange_begin(m);
        metrics_exchange_end(m, &t);
    }
    text = print(&m, 1, &out);
    assert_int_equal(count_lines_with(text, "chasqui_requests_total{"), METRICS_MAX_SERIES + 1);
    assert_non_null(strstr(
        text,
        "chasqui_requests_total{route=\"other\",model=\"other\",node=\"other\",status=\"other\","
        "reason=\"other\"} 1002\n"));
    assert_non_null(strstr(text,
                           "chasqui_tokens_in_total{route=\"other\",model=\"other\",node=\"other\","
                           "reason=\"other\"} 10020\n"));
    assert_int_equal(count_lines_with(text, "chasqui_request_seconds_count{"),
                     METRICS_MAX_SERIES + 1);
    assert_no_series_twice(text);
    assert_null(metrics_free(m));
    buf_fini(&out);
}

/* Each worker has room, their sum has not. */
static void a_series_called_other_is_the_overflow(void **state)
{
    struct metrics *all[] = {metrics_new(), metrics_new()};
    struct buf out = BUF_INIT(1 << 20);
    const char *text;

    (void)state;
    metrics_attempt(all[0], STR("other"), "other");
    for (int i = 0; i < METRICS_MAX_SERIES + 100; i++) {
        char node[32];

        (void)snprintf(node, sizeof(node), "n%d", i);
        metrics_attempt(all[i % 2], str_of(node), "ok");
    }
    text = print(all, 2, &out);
    assert_non_null(strstr(text, "chasqui_attempts_total{node=\"other\",outcome=\"other\"} 101\n"));
    assert_no_series_twice(text);
    for (size_t i = 0; i < 2; i++)
        assert_null(metrics_free(all[i]));
    buf_fini(&out);
}

static void only_known_models_become_labels(void **state)
{
    struct metrics *m = metrics_new();
    struct timeline t = chat("secret-project", "", 404);
    struct buf out = BUF_INIT(1 << 20);
    const char *text;

    (void)state;
    t.is_known_model = false;
    metrics_exchange_begin(m);
    metrics_exchange_end(m, &t);
    t.model = STR_NULL;
    t.route = NULL;
    metrics_exchange_begin(m);
    metrics_exchange_end(m, &t);
    text = print(&m, 1, &out);
    assert_null(strstr(text, "secret-project"));
    assert_non_null(strstr(text, "{route=\"/api/chat\",model=\"other\",node=\"none\","));
    assert_non_null(strstr(text, "{route=\"none\",model=\"none\",node=\"none\","));
    assert_null(metrics_free(m));
    buf_fini(&out);
}

static void hostile_label_values_neither_break_lines_nor_repeat_series(void **state)
{
    static const char *const nodes[] = {
        "a\"} 1\nx{b=\"", "\\",    "\n",   "\xff", "\xfe", "\xc3\xa4", "\xed\xa0\x80", "?",
        "????",           "other", "none", "",     "\xc3"};
    struct metrics *all[] = {metrics_new(), metrics_new()};
    struct buf out = BUF_INIT(4 << 20);
    char long_name[400];
    const char *text;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(nodes) / sizeof(nodes[0]); i++) {
        struct timeline t = chat("other", nodes[i / 2], i % 2 == 0 ? 200 : 502);

        metrics_exchange_begin(all[i % 2]);
        metrics_exchange_end(all[i % 2], &t);
        metrics_attempt(all[i % 2], t.node, "other");
    }
    memset(long_name, 'x', sizeof(long_name));
    for (size_t len = 254; len <= 400; len++)
        metrics_attempt(all[0], str_make(long_name, len), "long");
    text = print(all, 2, &out);
    assert_non_null(strstr(text, "node=\"a\\\"} 1\\nx{b=\\\"\""));
    assert_non_null(strstr(text, "node=\"\\\\\""));
    assert_non_null(strstr(text, "node=\"\xc3\xa4\""));
    assert_null(strstr(text, "\xff"));
    assert_non_null(strstr(text, "node=\"?\",outcome=\"other\"} 8\n"));
    assert_no_series_twice(text);
    for (size_t i = 0; i < 2; i++)
        assert_null(metrics_free(all[i]));
    buf_fini(&out);
}

struct bound {
    nsec_t duration;
    size_t bucket;
};

static void a_bucket_includes_its_bound(void **state)
{
    static const struct bound rows[] = {
        {0, 0},
        {5 * NSEC_PER_MSEC, 0},
        {5 * NSEC_PER_MSEC + 1, 1},
        {NSEC_PER_SEC, 7},
        {300 * NSEC_PER_SEC, 14},
        {300 * NSEC_PER_SEC + 1, 15},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct histogram h = {0};

        histogram_put(&h, rows[i].duration);
        assert_int_equal(h.buckets[rows[i].bucket], 1);
    }
}

static void a_full_buffer_is_told(void **state)
{
    struct metrics *m = metrics_new();
    struct buf out = BUF_INIT(100);

    (void)state;
    assert_int_equal(metrics_print(&m, 1, &out), -ENOBUFS);
    assert_null(metrics_free(m));
    assert_null(metrics_free(NULL));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_workers_are_summed_into_one_exposition),
        cmocka_unit_test(series_are_bounded_and_the_rest_is_other),
        cmocka_unit_test(a_series_called_other_is_the_overflow),
        cmocka_unit_test(only_known_models_become_labels),
        cmocka_unit_test(hostile_label_values_neither_break_lines_nor_repeat_series),
        cmocka_unit_test(a_bucket_includes_its_bound),
        cmocka_unit_test(a_full_buffer_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
