/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <stdio.h>

#include "bench/request.h"
#include "json/writer.h"

#define WORDS_MAX 48

static double seconds(nsec_t ns)
{
    return (double)ns / (double)NSEC_PER_SEC;
}

static double per_second(uint64_t n, nsec_t elapsed_ns)
{
    return elapsed_ns > 0 ? (double)n / seconds(elapsed_ns) : 0;
}

/* What the histograms of a result mean. */
static const struct row {
    const char *name; /* for people */
    const char *key;  /* of the JSON object */
    size_t offset;    /* of the histogram in the tally */
    double unit;      /* of the numbers in JSON */
    bool is_open;     /* tells something only for an open loop */
} rows[] = {
    {"latency", "latency_ms", offsetof(struct tally, latency), 1e6, false},
    {"  once sent", "service_ms", offsetof(struct tally, service), 1e6, true},
    {"first token", "first_token_ms", offsetof(struct tally, first_token), 1e6, false},
    {"between tokens", "between_tokens_ms", offsetof(struct tally, between), 1e6, false},
};

static const struct row speed_row = {"tokens/s", "tokens_per_s_of_answer",
                                     offsetof(struct tally, speed), 1e3, false};

static const struct {
    const char *name;
    const char *key;
    double share;
} columns[] = {
    {"p50", "p50", 0.5},       {"p90", "p90", 0.9},          {"p99", "p99", 0.99},
    {"p99.9", "p99_9", 0.999}, {"p99.99", "p99_99", 0.9999},
};

#define N_ROWS    (sizeof(rows) / sizeof(rows[0]))
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct hist *hist_of(const struct tally *t, const struct row *row)
{
    return (const struct hist *)(const void *)((const char *)t + row->offset);
}

static bool is_shown(const struct tally *t, const struct row *row, const struct bench_settings *s)
{
    return hist_of(t, row)->n > 0 && (!row->is_open || s->rate > 0);
}

/*
 * For people
 */

/* "1.23 ms": three digits. */
static const char *print_time(double ns, char out[static WORDS_MAX])
{
    static const struct {
        double ns;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    size_t i = 0;
    double value;

    while (i < 3 && ns < units[i].ns)
        i++;
    value = ns / units[i].ns;
    (void)snprintf(out, WORDS_MAX, "%.*f %s",
                   value >= 99.95   ? 0
                   : value >= 9.995 ? 1
                                    : 2,
                   value, units[i].name);
    return out;
}

static int put_hist(struct buf *out, const struct tally *t, const struct row *row)
{
    const struct hist *h = hist_of(t, row);
    char words[WORDS_MAX];
    int r = buf_printf(out, "%-15s %9s", row->name, print_time((double)h->least, words));

    for (size_t i = 0; i < N_COLUMNS && r == 0; i++)
        r = buf_printf(out, " %9s", print_time((double)hist_at(h, columns[i].share), words));
    if (r == 0)
        r = buf_printf(out, " %9s", print_time((double)h->greatest, words));
    return r == 0 ? buf_printf(out, " %9s\n", print_time(hist_mean(h), words)) : r;
}

static int put_hists(struct buf *out, const struct tally *t, const struct bench_settings *s)
{
    int r;

    if (t->latency.n == 0)
        return 0;
    r = buf_printf(out, "\n%-15s %9s", "", "least");
    for (size_t i = 0; i < N_COLUMNS && r == 0; i++)
        r = buf_printf(out, " %9s", columns[i].name);
    if (r == 0)
        r = buf_printf(out, " %9s %9s\n", "greatest", "mean");
    for (size_t i = 0; i < N_ROWS && r == 0; i++)
        if (is_shown(t, &rows[i], s))
            r = put_hist(out, t, &rows[i]);
    return r;
}

static int put_statuses(struct buf *out, const struct tally *t)
{
    int r = 0;

    for (unsigned i = 0; i < TALLY_STATUSES && r == 0; i++)
        if (t->n_statuses[i] > 0)
            r = buf_printf(out, "  %llu x status %u\n", (unsigned long long)t->n_statuses[i], i);
    return r;
}

static int put_faults(struct buf *out, const struct tally *t)
{
    int r = tally_n_failed(t) > 0 ? buf_printf(out, "\nfailed\n") : 0;

    for (size_t i = 0; i < N_TALLY_FAULTS && r == 0; i++) {
        if (t->n_faults[i] == 0)
            continue;
        r = buf_printf(out, "  %llu x %s: " STR_FMT "\n", (unsigned long long)t->n_faults[i],
                       tally_fault_name((enum tally_fault)i),
                       STR_ARG(str_make(t->texts[i], t->text_lens[i])));
        if (r == 0 && i == TALLY_STATUS)
            r = put_statuses(out, t);
    }
    return r;
}

static int put_subject(struct buf *out, const struct report_subject *subject,
                       const struct bench_result *result)
{
    const struct bench_settings *s = subject->settings;
    int r = buf_printf(out, "%s" STR_FMT ", %s, ", subject->url, STR_ARG(bench_route(s->api)->path),
                       result->is_stream ? "streamed" : "not streamed");

    if (r == 0 && s->rate > 0)
        r = buf_printf(out, "open loop, %.10g a second, up to ", s->rate);
    else if (r == 0)
        r = buf_printf(out, "closed loop, ");
    if (r == 0)
        r = buf_printf(out, "%llu at once, %.2f s%s\n\n", (unsigned long long)s->n_connections,
                       seconds(result->elapsed_ns), result->is_interrupted ? " (interrupted)" : "");
    return r;
}

static int put_counts(struct buf *out, const struct bench_result *result)
{
    const struct tally *t = &result->tally;
    int r = buf_printf(out, "%-15s %llu good, %llu failed; %.1f good a second\n", "requests",
                       (unsigned long long)t->n_good, (unsigned long long)tally_n_failed(t),
                       per_second(t->n_ended, result->elapsed_ns));

    if (r == 0 && t->n_unsent > 0)
        r = buf_printf(out,
                       "%-15s %llu were due and could not be sent: the endpoint is slower than "
                       "the rate, or --connections is too low\n",
                       "", (unsigned long long)t->n_unsent);
    if (r == 0 && t->n_tokens > 0)
        r = buf_printf(out, "%-15s %llu; %.1f a second", "tokens", (unsigned long long)t->n_tokens,
                       per_second(t->n_tokens, result->elapsed_ns));
    if (r == 0 && t->speed.n > 0)
        r = buf_printf(out, "; of an answer %.1f a second (half of them less)",
                       (double)hist_at(&t->speed, 0.5) / speed_row.unit);
    return r == 0 && t->n_tokens > 0 ? buf_put_char(out, '\n') : r;
}

int report_text(struct buf *out, const struct report_subject *subject,
                const struct bench_result *result)
{
    int r = put_subject(out, subject, result);

    if (r == 0)
        r = put_counts(out, result);
    if (r == 0)
        r = put_hists(out, &result->tally, subject->settings);
    return r == 0 ? put_faults(out, &result->tally) : r;
}

/*
 * For programs
 */

static void json_hist(struct json_writer *w, const struct tally *t, const struct row *row)
{
    const struct hist *h = hist_of(t, row);

    json_key(w, row->key);
    json_begin_object(w);
    json_key(w, "n");
    json_u64(w, h->n);
    json_key(w, "least");
    json_double(w, (double)h->least / row->unit, 6);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        json_key(w, columns[i].key);
        json_double(w, (double)hist_at(h, columns[i].share) / row->unit, 6);
    }
    json_key(w, "greatest");
    json_double(w, (double)h->greatest / row->unit, 6);
    json_key(w, "mean");
    json_double(w, hist_mean(h) / row->unit, 6);
    json_end(w);
}

static void json_subject(struct json_writer *w, const struct report_subject *subject,
                         const struct bench_result *result)
{
    const struct bench_settings *s = subject->settings;

    json_key(w, "url");
    json_str(w, str_of(subject->url));
    json_key(w, "path");
    json_str(w, bench_route(s->api)->path);
    json_key(w, "stream");
    json_bool(w, result->is_stream);
    json_key(w, "loop");
    json_str(w, s->rate > 0 ? STR("open") : STR("closed"));
    json_key(w, "rate");
    json_double(w, s->rate, 3);
    json_key(w, "connections");
    json_u64(w, s->n_connections);
    json_key(w, "threads");
    json_u64(w, s->n_threads);
}

static void json_counts(struct json_writer *w, const struct bench_result *result)
{
    const struct tally *t = &result->tally;
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = {
        {"good", t->n_good},     {"failed", tally_n_failed(t)}, {"unsent", t->n_unsent},
        {"tokens", t->n_tokens}, {"bytes", t->n_bytes},
    };

    json_key(w, "elapsed_s");
    json_double(w, seconds(result->elapsed_ns), 6);
    json_key(w, "interrupted");
    json_bool(w, result->is_interrupted);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        json_key(w, counts[i].key);
        json_u64(w, counts[i].n);
    }
    json_key(w, "requests_per_s");
    json_double(w, per_second(t->n_ended, result->elapsed_ns), 3);
    json_key(w, "tokens_per_s");
    json_double(w, per_second(t->n_tokens, result->elapsed_ns), 3);
}

static void json_faults(struct json_writer *w, const struct tally *t)
{
    json_key(w, "failures");
    json_begin_array(w);
    for (size_t i = 0; i < N_TALLY_FAULTS; i++) {
        if (t->n_faults[i] == 0)
            continue;
        json_begin_object(w);
        json_key(w, "reason");
        json_str(w, str_of(tally_fault_name((enum tally_fault)i)));
        json_key(w, "n");
        json_u64(w, t->n_faults[i]);
        json_key(w, "first");
        json_str(w, str_make(t->texts[i], t->text_lens[i]));
        json_end(w);
    }
    json_end(w);
    json_key(w, "statuses");
    json_begin_object(w);
    for (size_t i = 0; i < TALLY_STATUSES; i++) {
        char digits[U64_DIGITS_MAX];

        if (t->n_statuses[i] == 0)
            continue;
        json_key_str(w, str_make(digits, str_put_u64(i, digits)));
        json_u64(w, t->n_statuses[i]);
    }
    json_end(w);
}

int report_json(struct buf *out, const struct report_subject *subject,
                const struct bench_result *result)
{
    const struct tally *t = &result->tally;
    struct json_writer w;
    int r;

    json_writer_init(&w, out);
    json_begin_object(&w);
    json_subject(&w, subject, result);
    json_counts(&w, result);
    for (size_t i = 0; i < N_ROWS; i++)
        if (is_shown(t, &rows[i], subject->settings))
            json_hist(&w, t, &rows[i]);
    if (t->speed.n > 0)
        json_hist(&w, t, &speed_row);
    json_key(&w, "histogram_error");
    json_double(&w, HIST_ERROR, 4);
    json_faults(&w, t);
    json_end(&w);
    r = json_writer_result(&w);
    return r == 0 ? buf_put_char(out, '\n') : r;
}
