/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run has counted
 *
 * One a thread, added up at the end. Times are nanoseconds. Pure, bounded: how requests fail is a
 * table of reasons and of HTTP statuses, with the words of the first failure of each reason.
 */

#include "base/str.h"
#include "base/time.h"
#include "bench/hist.h"

/* How a request ends that has no whole, good answer. */
enum tally_fault {
    TALLY_CONNECT,    /* no connection */
    TALLY_RESET,      /* the connection broke, or what came is no answer */
    TALLY_TIMEOUT,    /* it took longer than it may */
    TALLY_STATUS,     /* an HTTP status that is not 2xx */
    TALLY_ERROR,      /* an error record in a stream */
    TALLY_INCOMPLETE, /* a stream ended without saying that it is complete */
    TALLY_LOCAL,      /* not sent: no descriptors, no memory, no room in the connections */
    N_TALLY_FAULTS
};

#define TALLY_STATUSES 600
#define TALLY_TEXT_MAX 200

struct tally {
    uint64_t n_good;
    uint64_t n_unsent; /* open loop: due, and never sent, for too many were under way */
    uint64_t n_faults[N_TALLY_FAULTS];
    uint64_t n_statuses[TALLY_STATUSES]; /* of TALLY_STATUS; 0: none of three digits */
    char texts[N_TALLY_FAULTS][TALLY_TEXT_MAX];
    size_t text_lens[N_TALLY_FAULTS];

    /* In the measured window, of requests that began in it or before */
    uint64_t n_ended; /* good ones */
    uint64_t n_tokens;
    uint64_t n_bytes; /* of answers */

    struct hist latency;     /* to the end, from when the request was due */
    struct hist service;     /* the same from when it was sent */
    struct hist first_token; /* of streams, from when it was due */
    struct hist between;     /* tokens of a stream */
    struct hist speed;       /* of an answer: tokens in 1000 s, from its first to its last */
};

/* @text: what is known about it, kept of the first one. @status: with TALLY_STATUS, else 0. */
void tally_put_fault(struct tally *t, enum tally_fault fault, unsigned status, struct str text);

uint64_t tally_n_failed(const struct tally *t);

/* Adds what @from counted to @to. */
void tally_merge(struct tally *to, const struct tally *from);

/* "connect", "status", ...: for reports. */
const char *tally_fault_name(enum tally_fault fault);
