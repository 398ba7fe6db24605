/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The request that a run sends: made once, shared by all threads. Pure.
 */

#include "api/route.h"
#include "bench/bench.h"
#include "upstream/attempt.h"

#define BENCH_BODY_MAX ((size_t)64 * 1024 * 1024)

struct bench_request {
    const struct api_route *route;
    bool is_stream;
    struct buf body; /* unless it was given */
    struct buf fields;
    struct attempt_request attempt; /* points into these and into the settings */
};

/* What a name of --api means. */
const struct api_route *bench_route(enum bench_api api);

/* Return: 0; -EINVAL the given body is no request with a model; -ENOBUFS, -ENOMEM. */
MUST_USE int bench_request_init(struct bench_request *q, const struct bench_settings *settings);
void bench_request_fini(struct bench_request *q);
