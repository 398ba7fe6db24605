/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include "bench/report.h"

#define MS 1000000

/* Ten good requests of 1..10 ms, two that failed. */
static void fill(struct bench_result *result)
{
    struct tally *t = &result->tally;

    *result = (struct bench_result){.elapsed_ns = 2 * NSEC_PER_SEC, .is_stream = true};
    t->n_good = t->n_ended = 10;
    t->n_tokens = 40;
    for (uint64_t i = 1; i <= 10; i++)
        hist_put(&t->latency, i * MS);
    hist_put(&t->first_token, MS);
    hist_put(&t->speed, 25500);
    tally_put_fault(t, TALLY_STATUS, 503, STR("the queue is full"));
    tally_put_fault(t, TALLY_RESET, 0, STR("connection reset by peer"));
}

static bool says(const struct buf *out, const char *words)
{
    return str_search(buf_str(out), str_of(words)) < out->len;
}

static void people_are_told_counts_times_and_failures(void **state)
{
    static struct bench_result result;
    struct bench_settings s = {.n_connections = 4};
    const struct report_subject subject = {"http://h:1", &s};
    struct buf out = BUF_INIT(16384);

    (void)state;
    fill(&result);
    assert_int_equal(report_text(&out, &subject, &result), 0);
    assert_true(says(&out, "http://h:1/api/generate, streamed, closed loop, 4 at once, 2.00 s\n"));
    assert_true(says(&out, "10 good, 2 failed; 5.0 good a second\n"));
    assert_true(says(&out, "40; 20.0 a second; of an answer 25.5 a second"));
    assert_true(says(&out, "latency           1.00 ms   5.01 ms"));
    assert_true(says(&out, "  1 x status: the queue is full\n  1 x status 503\n"));
    assert_true(says(&out, "  1 x reset: connection reset by peer\n"));
    assert_false(says(&out, "once sent"));
    assert_false(says(&out, "between tokens"));
    buf_fini(&out);
}

static void an_open_loop_tells_what_it_could_not_send(void **state)
{
    static struct bench_result result;
    struct bench_settings s = {.n_connections = 4, .rate = 0.5};
    const struct report_subject subject = {"http://h:1", &s};
    struct buf out = BUF_INIT(16384);

    (void)state;
    fill(&result);
    result.tally.n_unsent = 3;
    hist_put(&result.tally.service, MS);
    assert_int_equal(report_text(&out, &subject, &result), 0);
    assert_true(says(&out, "open loop, 0.5 a second, up to 4 at once"));
    assert_true(says(&out, " 3 were due and could not be sent"));
    assert_true(says(&out, "  once sent       1.00 ms"));
    buf_fini(&out);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void programs_get_the_same_as_json(void **state)
{
    static struct bench_result result;
    struct bench_settings s = {.n_connections = 4, .n_threads = 1};
    const struct report_subject subject = {"http://h:1", &s};
    struct buf out = BUF_INIT(16384);
    json_t *root;

    (void)state;
    fill(&result);
    assert_int_equal(report_json(&out, &subject, &result), 0);
    root = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "loop")), "closed");
    assert_int_equal((int)number(root, "good"), 10);
    assert_int_equal((int)number(root, "failed"), 2);
    assert_int_equal((int)number(root, "requests_per_s"), 5);
    assert_int_equal((int)number(json_object_get(root, "latency_ms"), "greatest"), 10);
    assert_int_equal((int)number(json_object_get(root, "statuses"), "503"), 1);
    assert_int_equal(json_array_size(json_object_get(root, "failures")), 2);
    assert_null(json_object_get(root, "service_ms"));
    json_decref(root);
    buf_fini(&out);
}

static void a_run_without_an_answer_has_a_report(void **state)
{
    static const struct bench_result result;
    struct bench_settings s = {.n_connections = 1};
    const struct report_subject subject = {"mcp://h:1", &s};
    struct buf out = BUF_INIT(16384);

    (void)state;
    assert_int_equal(report_text(&out, &subject, &result), 0);
    assert_true(says(&out, "0 good, 0 failed; 0.0 good a second"));
    assert_int_equal(report_json(&out, &subject, &result), 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_are_told_counts_times_and_failures),
        cmocka_unit_test(an_open_loop_tells_what_it_could_not_send),
        cmocka_unit_test(programs_get_the_same_as_json),
        cmocka_unit_test(a_run_without_an_answer_has_a_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
