/* SPDX-License-Identifier: MIT */
#include "call/retry.h"

#include <assert.h>

static const struct call_rule rules[N_CALL_OUTCOMES] = {
    [CALL_OK] = {.name = "ok", .text = "an answer that is no failure"},
    [CALL_CONNECT_FAILED] = {.name = "connect_failed",
                             .text =
                                 "refused, unreachable, name not found, time-out while connecting",
                             .blame = CALL_BLAME_DOWN,
                             .is_retried = true},
    [CALL_STALE_CONNECTION] =
        {.name = "stale_connection",
         .text = "a pooled connection was closed before anything of the answer came",
         .is_retried = true,
         .is_free = true},
    [CALL_RESET] = {.name = "reset",
                    .text = "the connection ended, or nonsense came, before the first record",
                    .blame = CALL_BLAME_FAILURE,
                    .is_retried = true},
    [CALL_OVERLOAD] = {.name = "overload",
                       .text = "429 or 503",
                       .blame = CALL_BLAME_OVERLOAD,
                       .is_retried = true},
    /* Many a 500 is the request's own doing; a second node that says the same settles it. */
    [CALL_STATUS_500] = {.name = "status_500",
                         .text = "500, and its text is not the caller's fault",
                         .blame = CALL_BLAME_FAILURE,
                         .is_retried = true,
                         .max_retries = 1,
                         .is_elsewhere = true},
    [CALL_STATUS_502_504] = {.name = "status_502_504",
                             .text = "any other 5xx",
                             .blame = CALL_BLAME_FAILURE,
                             .is_retried = true},
    [CALL_CALLER_FAULT] = {.name = "caller_fault",
                           .text = "any other 4xx, or a 500 that is the caller's fault"},
    [CALL_DEADLINE] = {.name = "deadline",
                       .text = "a time of ours ran out before the first record",
                       .blame = CALL_BLAME_LATENCY},
    [CALL_HALF_ANSWER] = {.name = "half_answer",
                          .text = "an answer that is not streamed was cut, before it was whole",
                          .blame = CALL_BLAME_FAILURE,
                          .is_retried = true},
    [CALL_BROKEN_ANSWER] = {.name = "broken_answer",
                            .text = "the answer ended, or was cut, in its middle",
                            .blame = CALL_BLAME_FAILURE,
                            .is_retried = true,
                            .is_resume = true},
    [CALL_STALLED] =
        {.name = "stalled",
         .text = "nothing more came in the middle of an answer for `timeouts.between_tokens`",
         .blame = CALL_BLAME_LATENCY,
         .is_retried = true,
         .is_resume = true},
    [CALL_CANCELLED] = {.name = "cancelled", .text = "the client went away"},
    /* It has waited long enough for one. */
    [CALL_POOL_TIMEOUT] = {.name = "pool_timeout",
                           .text = "no connection to the node became free in time",
                           .blame = CALL_BLAME_OVERLOAD,
                           .is_retried = true,
                           .is_elsewhere = true},
};

const struct call_rule *call_rule_get(enum call_outcome outcome)
{
    assert((unsigned)outcome < N_CALL_OUTCOMES);

    return &rules[outcome];
}

/* Before retry @k, counted from 1. */
static nsec_t backoff(const struct retry_settings *settings, unsigned k, struct rng *rng)
{
    nsec_t max = settings->max_delay_ns;
    nsec_t delay = settings->base_delay_ns < max ? settings->base_delay_ns : max;
    double factor;

    /* Doubling stops at the cap, so no number of retries overflows. */
    for (unsigned i = 1; i < k && delay > 0 && delay < max; i++)
        delay = delay > max / 2 ? max : delay * 2;
    factor = 1.0 - settings->jitter + 2.0 * settings->jitter * rng_unit(rng);
    return (nsec_t)((double)delay * factor);
}

static nsec_t delay_of(const struct retry_settings *settings, const struct retry_state *state,
                       const struct retry_question *question, struct rng *rng)
{
    if (question->is_other_idle)
        return 0;
    if (question->retry_after_ns >= 0)
        return question->retry_after_ns;
    return backoff(settings, state->n_retries + 1, rng);
}

static bool is_in_time(const struct retry_question *question, nsec_t delay)
{
    if (question->deadline == NSEC_NEVER)
        return true;
    return question->now < question->deadline && delay < question->deadline - question->now;
}

static unsigned n_resumes(const struct retry_state *state)
{
    return state->n_by_outcome[CALL_BROKEN_ANSWER] + state->n_by_outcome[CALL_STALLED];
}

struct retry_answer retry_decide(const struct retry_settings *settings, struct retry_state *state,
                                 const struct retry_question *question, struct rng *rng)
{
    const struct retry_answer no = {.verdict = RETRY_NO};
    enum call_outcome outcome = question->outcome;
    const struct call_rule *rule = call_rule_get(outcome);
    nsec_t delay;

    if (rule->is_elsewhere && !question->has_other)
        return no;
    if (rule->is_resume && (!question->can_resume || n_resumes(state) >= question->max_resumes))
        return no;
    if (!rule->is_retried || !is_in_time(question, 0))
        return no;
    if (rule->is_free) {
        if (state->n_by_outcome[outcome] == 0) {
            state->n_by_outcome[outcome]++;
            return (struct retry_answer){.verdict = RETRY_SAME};
        }
        outcome = CALL_RESET;
        rule = call_rule_get(outcome);
    }
    if (state->n_retries >= settings->max_retries)
        return no;
    if (rule->max_retries > 0 && state->n_by_outcome[outcome] >= rule->max_retries)
        return no;
    if (question->retry_after_ns > RETRY_MAX_WAIT_NS && !question->is_other_idle)
        return no;
    delay = delay_of(settings, state, question, rng);
    if (!is_in_time(question, delay))
        return no;
    state->n_retries++;
    state->n_by_outcome[outcome]++;
    return (struct retry_answer){.verdict = RETRY_ELSEWHERE, .delay_ns = delay};
}
