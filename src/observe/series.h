/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Series of a metric, found by their labels
 *
 * An open-addressing table with a bound: when it is full, or memory is, everything new is counted
 * in one series whose labels are all "other". So getting one never fails. Not thread-safe.
 */

#include "api/reason.h"
#include "base/buf.h"
#include "base/hash.h"
#include "observe/histogram.h"

enum series_label {
    SERIES_ROUTE = 1,
    SERIES_MODEL = 2,
    SERIES_NODE = 4,
    SERIES_STATUS = 8,
    SERIES_REASON = 16,
    SERIES_OUTCOME = 32,
};

struct series_labels {
    struct str route; /* texts are cut to 255 bytes, and what is no UTF-8 becomes "?" */
    struct str model;
    struct str node;
    struct str outcome;
    int status;         /* -1: other */
    enum reason reason; /* N_REASONS: other */
};

struct series {
    uint64_t hash;
    struct series_labels labels; /* texts stand behind this struct */
    uint64_t n;
    uint64_t tokens_in;
    uint64_t tokens_out;
    struct histogram queued;
    struct histogram first_record;
    struct histogram between; /* two records */
    struct histogram total;
};

struct series_table {
    unsigned which; /* of enum series_label */
    struct hash_key key;
    struct series **slots; /* a power of two, at most half in use */
    size_t n_slots;
    struct series **all; /* in order of arrival; room for n_slots / 2 */
    size_t n;
    size_t max;
    struct series *last; /* found last, and often the next one too; NULL: none */
    struct series other; /* the overflow; listed when it counted something */
};

/* @which: the labels that tell series of this table apart; others are ignored. */
void series_table_init(struct series_table *t, unsigned which, size_t max);
void series_table_fini(struct series_table *t);

/*
 * The series with these labels, new when there was none; or the overflow. Good until
 * series_table_fini().
 */
struct series *series_get(struct series_table *t, const struct series_labels *labels);

/* By order of arrival, the overflow last; NULL behind the end. */
const struct series *series_at(const struct series_table *t, size_t i);

/*
 * Adds all of @from, whose labels must include those of @t: series fall together where @t has
 * fewer.
 */
void series_add_table(struct series_table *t, const struct series_table *from);

/* `route="/api/chat",model="a"`: those in @which, values escaped. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int series_print_labels(const struct series *s, unsigned which, struct buf *out);
