/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The load generator
 *
 * Sends the same request to one endpoint, an Ollama or a gateway, over http:// or mcp://, and
 * counts what comes back.
 *
 * Open loop (a rate): request n is due at n / rate, whatever became of those before it, as with
 * callers who do not know of each other. Its latency begins when it was due, not when it could be
 * sent: an endpoint that stalls does not hide the requests that it kept from being sent
 * ("coordinated omission"). What could not be sent until the end counts with the time that it had
 * waited. Closed loop (no rate): as many requests as there are connections are under way, the next
 * begins when one ends.
 *
 * Each thread has a loop and connections of its own; the one that calls waits, and listens for
 * SIGINT.
 */

#include "base/addr.h"
#include "bench/tally.h"

enum bench_api {
    BENCH_GENERATE, /* /api/generate */
    BENCH_CHAT,     /* /api/chat */
    BENCH_V1,       /* /v1/chat/completions */
};

struct bench_settings {
    struct url url;
    struct str key;    /* empty: none */
    struct str fields; /* further ones of HTTP, "Name: value\r\n"...; not told over mcp:// */

    enum bench_api api;
    struct str body; /* as it is; empty: made of these: */
    struct str model;
    struct str prompt;
    uint64_t max_tokens; /* 0: as many as the model likes */
    bool is_stream;

    uint64_t n_threads;
    uint64_t n_connections; /* over http://; requests under way at once, over both */
    double rate;            /* requests a second; 0: closed loop */
    uint64_t n_requests;    /* behind the warm-up; 0: by time */
    nsec_t duration_ns;     /* behind the warm-up; without n_requests */
    nsec_t warmup_ns;       /* requests due in it are sent and not counted */
    nsec_t timeout_ns;      /* of a request */
};

struct bench_result {
    struct tally tally;
    nsec_t elapsed_ns; /* that was measured */
    bool is_stream;    /* a stream was asked for */
    bool is_interrupted;
};

/**
 * bench_run() - the whole run; blocks until it is over
 * @ret_result:  large: not on the stack. Zeroed by the caller; also filled when interrupted
 *
 * Return: 0; -EINVAL the body is no request of the API; -EOPNOTSUPP the endpoint is mcp:// and has
 * no such service; -errno it could not begin.
 */
MUST_USE int bench_run(const struct bench_settings *settings, struct bench_result *ret_result);
