/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Retry policy
 *
 * One table says what a failure means: whether the next attempt may be made, where, when, and whom
 * to blame (gateway.md section 4). Pure: time, randomness and the state of the fleet are arguments.
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/rng.h"
#include "base/time.h"

/* How an attempt ended. */
enum call_outcome {
    CALL_OK,               /* an answer that is no failure of the node; 4xx but 429 included */
    CALL_CONNECT_FAILED,   /* refused, unreachable, name not found, TLS, connect time-out */
    CALL_STALE_CONNECTION, /* a pooled connection was closed before anything of the answer came */
    CALL_RESET,            /* reset, EOF or nonsense after sending, nothing relayed */
    CALL_OVERLOAD,         /* 429, 503 */
    CALL_STATUS_500,       /* 500 with a text that is not the caller's fault */
    CALL_STATUS_502_504,   /* 502, 504, other 5xx */
    CALL_CALLER_FAULT,     /* other 4xx, 500 that the caller caused */
    CALL_DEADLINE,         /* our own time ran out */
    CALL_HALF_ANSWER,      /* one that is no stream was cut, and the client has nothing of it */
    CALL_BROKEN_ANSWER,    /* it failed after the first record reached the client */
    CALL_STALLED,          /* then nothing more came in time */
    CALL_CANCELLED,        /* the client left */
    CALL_POOL_TIMEOUT,     /* no connection to the node became free in time */
    N_CALL_OUTCOMES
};

enum call_blame {
    CALL_BLAME_NONE,
    CALL_BLAME_DOWN,     /* the node is out until a probe succeeds */
    CALL_BLAME_FAILURE,  /* feeds ejection */
    CALL_BLAME_OVERLOAD, /* never ejects */
    CALL_BLAME_LATENCY,
};

struct call_rule {
    const char *name; /* of the outcome, for logs and metrics */
    const char *text; /* what happened, for the reference */
    enum call_blame blame;
    bool is_retried;
    /* at once, on a fresh connection to the same node, free of budget, once per exchange */
    bool is_free;
    unsigned max_retries; /* own limit of this row; 0: the policy's */
    bool is_elsewhere;    /* only on another node; without one the failure stands */
    bool is_resume;       /* only where the rest of the answer can be had from another attempt */
};

const struct call_rule *call_rule_get(enum call_outcome outcome);

struct retry_settings {
    unsigned max_retries; /* 5 */
    nsec_t base_delay_ns; /* 100 ms */
    nsec_t max_delay_ns;  /* 2 s */
    double jitter;        /* 0.5: the delay is multiplied with U(1 - jitter, 1 + jitter) */
};

/* A node that asks for a longer wait (Retry-After) is not waited for: its answer is passed on. */
#define RETRY_MAX_WAIT_NS (60 * NSEC_PER_SEC)

/* Of one exchange, {0} at its start. */
struct retry_state {
    unsigned n_retries; /* made so far, free ones not counted */
    /* of them, and free ones, by what made them necessary */
    unsigned n_by_outcome[N_CALL_OUTCOMES];
};

struct retry_question {
    enum call_outcome outcome;
    nsec_t now;
    nsec_t deadline;       /* NSEC_NEVER: none */
    nsec_t retry_after_ns; /* of the node's answer; < 0: not given */
    bool has_other;        /* there is another candidate node */
    bool is_other_idle;    /* and one has nothing in flight */
    bool can_resume;       /* the answer can be continued */
    unsigned max_resumes;  /* how often one is, of the retries */
};

enum retry_verdict {
    RETRY_NO,        /* the policy says no: pass the failure on */
    RETRY_SAME,      /* again at once, fresh connection, same node; takes no budget */
    RETRY_ELSEWHERE, /* after delay_ns; the caller asks the budget first */
};

struct retry_answer {
    enum retry_verdict verdict;
    nsec_t delay_ns;
};

/**
 * retry_decide() - what to do after a failed attempt
 * @state:  counts the retry when the verdict is one
 * @rng:    for jitter
 *
 * The delay before retry k is min(base 2^(k-1), max) x U(1-j, 1+j); none when another node is idle;
 * exactly retry_after_ns where given and no other node is idle. No retry that would begin at or
 * after the deadline. A second stale connection counts as a reset.
 */
struct retry_answer retry_decide(const struct retry_settings *settings, struct retry_state *state,
                                 const struct retry_question *question, struct rng *rng);
