/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "call/retry.h"

#define MS   NSEC_PER_MSEC
#define NOW  (1000 * NSEC_PER_SEC)
#define SEED 7

static const struct retry_settings defaults = {
    .max_retries = 5,
    .base_delay_ns = 100 * MS,
    .max_delay_ns = 2000 * MS,
    .jitter = 0.5,
};

/* The defaults without chance: delays are exact. */
static const struct retry_settings exact = {
    .max_retries = 5,
    .base_delay_ns = 100 * MS,
    .max_delay_ns = 2000 * MS,
};

static struct retry_question question_of(enum call_outcome outcome)
{
    return (struct retry_question){
        .outcome = outcome,
        .now = NOW,
        .deadline = NSEC_NEVER,
        .retry_after_ns = -1,
        .has_other = true,
        .max_resumes = 3,
    };
}

static struct retry_answer ask(const struct retry_settings *settings, struct retry_state *s,
                               struct retry_question question)
{
    struct rng rng = {.state = SEED};

    return retry_decide(settings, s, &question, &rng);
}

static void each_outcome_is_retried_and_blamed_as_the_table_says(void **state)
{
    static const struct {
        enum call_outcome outcome;
        const char *name;
        enum call_blame blame;
        unsigned n_same; /* retries at once on the same node, when it happens again and again */
        unsigned n_elsewhere;
    } rows[] = {
        {CALL_OK, "ok", CALL_BLAME_NONE, 0, 0},
        {CALL_CONNECT_FAILED, "connect_failed", CALL_BLAME_DOWN, 0, 5},
        {CALL_STALE_CONNECTION, "stale_connection", CALL_BLAME_NONE, 1, 5},
        {CALL_RESET, "reset", CALL_BLAME_FAILURE, 0, 5},
        {CALL_OVERLOAD, "overload", CALL_BLAME_OVERLOAD, 0, 5},
        {CALL_STATUS_500, "status_500", CALL_BLAME_FAILURE, 0, 1},
        {CALL_STATUS_502_504, "status_502_504", CALL_BLAME_FAILURE, 0, 5},
        {CALL_CALLER_FAULT, "caller_fault", CALL_BLAME_NONE, 0, 0},
        {CALL_DEADLINE, "deadline", CALL_BLAME_LATENCY, 0, 0},
        {CALL_HALF_ANSWER, "half_answer", CALL_BLAME_FAILURE, 0, 5},
        {CALL_BROKEN_ANSWER, "broken_answer", CALL_BLAME_FAILURE, 0, 0},
        {CALL_STALLED, "stalled", CALL_BLAME_LATENCY, 0, 0},
        {CALL_CANCELLED, "cancelled", CALL_BLAME_NONE, 0, 0},
        {CALL_POOL_TIMEOUT, "pool_timeout", CALL_BLAME_OVERLOAD, 0, 5},
    };

    (void)state;
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), N_CALL_OUTCOMES);
    for (size_t i = 0; i < N_CALL_OUTCOMES; i++) {
        struct retry_state s = {0};
        unsigned n_by_verdict[3] = {0};

        for (int round = 0; round < 20; round++)
            n_by_verdict[ask(&defaults, &s, question_of(rows[i].outcome)).verdict]++;
        assert_string_equal(call_rule_get(rows[i].outcome)->name, rows[i].name);
        assert_int_equal(call_rule_get(rows[i].outcome)->blame, rows[i].blame);
        assert_int_equal(n_by_verdict[RETRY_SAME], rows[i].n_same);
        assert_int_equal(n_by_verdict[RETRY_ELSEWHERE], rows[i].n_elsewhere);
        assert_int_equal(s.n_retries, rows[i].n_elsewhere);
    }
}

static void a_stale_connection_is_free_once_then_a_reset(void **state)
{
    struct retry_state s = {0};
    struct retry_answer answer = ask(&exact, &s, question_of(CALL_STALE_CONNECTION));

    (void)state;
    assert_int_equal(answer.verdict, RETRY_SAME);
    assert_int_equal(answer.delay_ns, 0);
    assert_int_equal(s.n_retries, 0);
    answer = ask(&exact, &s, question_of(CALL_STALE_CONNECTION));
    assert_int_equal(answer.verdict, RETRY_ELSEWHERE);
    assert_int_equal(answer.delay_ns, 100 * MS);
    assert_int_equal(s.n_by_outcome[CALL_RESET], 1);
    assert_int_equal(s.n_by_outcome[CALL_STALE_CONNECTION], 1);
}

static void a_stale_connection_is_free_also_without_retries(void **state)
{
    struct retry_settings none = defaults;
    struct retry_state s = {0};

    (void)state;
    none.max_retries = 0;
    assert_int_equal(ask(&none, &s, question_of(CALL_STALE_CONNECTION)).verdict, RETRY_SAME);
    assert_int_equal(ask(&none, &s, question_of(CALL_STALE_CONNECTION)).verdict, RETRY_NO);
    assert_int_equal(ask(&none, &s, question_of(CALL_CONNECT_FAILED)).verdict, RETRY_NO);
}

static void retries_of_all_kinds_end_at_five(void **state)
{
    static const enum call_outcome mixed[] = {
        CALL_CONNECT_FAILED, CALL_STATUS_500, CALL_RESET, CALL_OVERLOAD, CALL_STATUS_502_504,
    };
    struct retry_state s = {0};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(&defaults, &s, question_of(mixed[i])).verdict, RETRY_ELSEWHERE);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(&defaults, &s, question_of(mixed[i])).verdict, RETRY_NO);
    assert_int_equal(s.n_retries, 5);
}

static void a_second_500_is_final_also_between_others(void **state)
{
    struct retry_state s = {0};

    (void)state;
    assert_int_equal(ask(&defaults, &s, question_of(CALL_STATUS_500)).verdict, RETRY_ELSEWHERE);
    assert_int_equal(ask(&defaults, &s, question_of(CALL_RESET)).verdict, RETRY_ELSEWHERE);
    assert_int_equal(ask(&defaults, &s, question_of(CALL_STATUS_500)).verdict, RETRY_NO);
    assert_int_equal(ask(&defaults, &s, question_of(CALL_RESET)).verdict, RETRY_ELSEWHERE);
}

static void delays_double_up_to_the_cap(void **state)
{
    static const nsec_t want_ms[] = {100, 200, 400, 800, 1600, 2000, 2000, 2000};
    struct retry_settings many = exact;
    struct retry_state s = {0};

    (void)state;
    many.max_retries = 1000;
    for (size_t i = 0; i < sizeof(want_ms) / sizeof(want_ms[0]); i++)
        assert_int_equal(ask(&many, &s, question_of(CALL_RESET)).delay_ns, want_ms[i] * MS);
    s.n_retries = 999;
    assert_int_equal(ask(&many, &s, question_of(CALL_RESET)).delay_ns, 2000 * MS);
}

static void a_base_above_the_cap_is_cut(void **state)
{
    struct retry_settings odd = exact;
    struct retry_state s = {0};

    (void)state;
    odd.base_delay_ns = 9000 * MS;
    assert_int_equal(ask(&odd, &s, question_of(CALL_RESET)).delay_ns, 2000 * MS);
    odd.base_delay_ns = 0;
    assert_int_equal(ask(&odd, &s, question_of(CALL_RESET)).delay_ns, 0);
}

static void jitter_spreads_evenly_around_the_delay(void **state)
{
    enum {
        N = 10000
    };
    struct rng rng = {.state = SEED};

    (void)state;
    for (unsigned k = 0; k < 5; k++) {
        struct retry_question question = question_of(CALL_RESET);
        nsec_t middle = (100 * MS) << k;
        nsec_t min = NSEC_NEVER;
        nsec_t max = 0;
        nsec_t sum = 0;

        for (int i = 0; i < N; i++) {
            struct retry_state s = {.n_retries = k};
            nsec_t delay = retry_decide(&defaults, &s, &question, &rng).delay_ns;

            min = delay < min ? delay : min;
            max = delay > max ? delay : max;
            sum += delay;
        }
        assert_in_range(min, middle / 2, middle / 2 + middle / 100);
        assert_in_range(max, middle * 3 / 2 - middle / 100, middle * 3 / 2);
        assert_in_range(sum / N, middle - middle / 50, middle + middle / 50);
    }
}

static void an_idle_node_is_asked_at_once(void **state)
{
    static const enum call_outcome retried[] = {
        CALL_CONNECT_FAILED, CALL_RESET, CALL_OVERLOAD, CALL_STATUS_500, CALL_STATUS_502_504,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(retried) / sizeof(retried[0]); i++) {
        struct retry_state s = {0};
        struct retry_question question = question_of(retried[i]);
        struct retry_answer answer;

        question.is_other_idle = true;
        question.retry_after_ns = 3600 * NSEC_PER_SEC;
        answer = ask(&defaults, &s, question);
        assert_int_equal(answer.verdict, RETRY_ELSEWHERE);
        assert_int_equal(answer.delay_ns, 0);
    }
}

static void a_500_is_not_asked_of_the_same_node_again(void **state)
{
    struct retry_state s = {0};
    struct retry_question question = question_of(CALL_STATUS_500);

    (void)state;
    question.has_other = false;
    assert_int_equal(ask(&defaults, &s, question).verdict, RETRY_NO);
    question.has_other = true;
    assert_int_equal(ask(&defaults, &s, question).verdict, RETRY_ELSEWHERE);
}

static void retry_after_is_kept_exactly(void **state)
{
    static const struct {
        nsec_t retry_after_ns;
        enum retry_verdict verdict;
    } rows[] = {
        {0, RETRY_ELSEWHERE},
        {1, RETRY_ELSEWHERE},
        {7 * NSEC_PER_SEC, RETRY_ELSEWHERE}, /* over max_delay_ns */
        {RETRY_MAX_WAIT_NS, RETRY_ELSEWHERE},
        {RETRY_MAX_WAIT_NS + 1, RETRY_NO},
        {NSEC_NEVER, RETRY_NO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct retry_state s = {0};
        struct retry_question question = question_of(CALL_OVERLOAD);
        struct retry_answer answer;

        question.retry_after_ns = rows[i].retry_after_ns;
        answer = ask(&defaults, &s, question);
        assert_int_equal(answer.verdict, rows[i].verdict);
        if (answer.verdict == RETRY_ELSEWHERE)
            assert_int_equal(answer.delay_ns, rows[i].retry_after_ns);
        assert_int_equal(s.n_retries, rows[i].verdict == RETRY_ELSEWHERE);
    }
}

static void nothing_begins_at_or_after_the_deadline(void **state)
{
    static const struct {
        enum call_outcome outcome;
        nsec_t left_ns;
        nsec_t retry_after_ns;
        bool is_other_idle;
        enum retry_verdict verdict;
    } rows[] = {
        {CALL_RESET, 100 * MS + 1, -1, false, RETRY_ELSEWHERE},
        {CALL_RESET, 100 * MS, -1, false, RETRY_NO},
        {CALL_RESET, 1, -1, true, RETRY_ELSEWHERE},
        {CALL_RESET, 0, -1, true, RETRY_NO},
        {CALL_RESET, -5, -1, true, RETRY_NO},
        {CALL_OVERLOAD, NSEC_PER_SEC, NSEC_PER_SEC, false, RETRY_NO},
        {CALL_OVERLOAD, NSEC_PER_SEC + 1, NSEC_PER_SEC, false, RETRY_ELSEWHERE},
        {CALL_OVERLOAD, NSEC_PER_SEC, NSEC_PER_SEC, true, RETRY_ELSEWHERE},
        {CALL_STALE_CONNECTION, 1, -1, false, RETRY_SAME},
        {CALL_STALE_CONNECTION, 0, -1, false, RETRY_NO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct retry_state s = {0};
        struct retry_question question = question_of(rows[i].outcome);
        enum retry_verdict verdict;

        question.deadline = NOW + rows[i].left_ns;
        question.retry_after_ns = rows[i].retry_after_ns;
        question.is_other_idle = rows[i].is_other_idle;
        verdict = ask(&exact, &s, question).verdict;
        if (verdict != rows[i].verdict)
            fail_msg("row %zu: verdict %d", i, (int)verdict);
        assert_int_equal(s.n_retries, verdict == RETRY_ELSEWHERE);
    }
}

static void a_refused_retry_changes_no_count(void **state)
{
    struct retry_state s = {0};
    struct retry_state zero = {0};
    struct retry_question late = question_of(CALL_RESET);

    (void)state;
    late.deadline = NOW;
    for (unsigned i = 0; i < N_CALL_OUTCOMES; i++) {
        late.outcome = (enum call_outcome)i;
        assert_int_equal(ask(&defaults, &s, late).verdict, RETRY_NO);
    }
    assert_memory_equal(&s, &zero, sizeof(s));
}

static void a_broken_answer_is_continued_three_times_where_it_can_be(void **state)
{
    struct retry_question question = question_of(CALL_BROKEN_ANSWER);
    struct retry_state s = {0};

    (void)state;
    assert_int_equal(ask(&defaults, &s, question).verdict, RETRY_NO);
    question.can_resume = true;
    for (int i = 0; i < 3; i++) {
        question.outcome = i == 1 ? CALL_STALLED : CALL_BROKEN_ANSWER;
        assert_int_equal(ask(&defaults, &s, question).verdict, RETRY_ELSEWHERE);
    }
    assert_int_equal(ask(&defaults, &s, question).verdict, RETRY_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_outcome_is_retried_and_blamed_as_the_table_says),
        cmocka_unit_test(a_broken_answer_is_continued_three_times_where_it_can_be),
        cmocka_unit_test(a_stale_connection_is_free_once_then_a_reset),
        cmocka_unit_test(a_stale_connection_is_free_also_without_retries),
        cmocka_unit_test(retries_of_all_kinds_end_at_five),
        cmocka_unit_test(a_second_500_is_final_also_between_others),
        cmocka_unit_test(delays_double_up_to_the_cap),
        cmocka_unit_test(a_base_above_the_cap_is_cut),
        cmocka_unit_test(jitter_spreads_evenly_around_the_delay),
        cmocka_unit_test(an_idle_node_is_asked_at_once),
        cmocka_unit_test(a_500_is_not_asked_of_the_same_node_again),
        cmocka_unit_test(retry_after_is_kept_exactly),
        cmocka_unit_test(nothing_begins_at_or_after_the_deadline),
        cmocka_unit_test(a_refused_retry_changes_no_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
