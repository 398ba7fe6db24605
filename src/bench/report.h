/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reports of a run: for people and for programs. Pure.
 */

#include "base/buf.h"
#include "bench/bench.h"

/* What a report says of the run itself, from the settings it was begun with. */
struct report_subject {
    const char *url;
    const struct bench_settings *settings;
};

/* Text, some twenty lines. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int report_text(struct buf *out, const struct report_subject *subject,
                         const struct bench_result *result);

/* One JSON object and a line feed. Times are milliseconds. Return: likewise. */
MUST_USE int report_json(struct buf *out, const struct report_subject *subject,
                         const struct bench_result *result);
