/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Time
 *
 * A moment or a duration is nsec_t, nanoseconds. Pure modules take `now` as an argument; only
 * shells read a clock.
 */

#include <stdint.h>
#include <time.h>

typedef int64_t nsec_t;

#define NSEC_PER_USEC INT64_C(1000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC  INT64_C(1000000000)
#define NSEC_NEVER    INT64_MAX

/* Monotonic now; never goes backwards, has no meaning across boots. */
static inline nsec_t time_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (nsec_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Wall clock, ns since 1970, for log lines and dates only. */
static inline nsec_t time_wall(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (nsec_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}
