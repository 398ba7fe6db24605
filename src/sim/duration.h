/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Durations as Go writes them
 *
 * "300ms", "1h30m", "-1s", "0": digits with a unit, one or several. Pure.
 */

#include "base/str.h"
#include "base/time.h"

enum {
    SIM_DURATION_NO_UNIT = 1, /* digits without a unit */
    SIM_DURATION_BAD = 2,
};

/**
 * sim_duration_parse() - read a duration
 * @ret_ns:  negative and too long ones too; capped at +-NSEC_NEVER
 *
 * Return: 0; SIM_DURATION_NO_UNIT; SIM_DURATION_BAD.
 */
MUST_USE int sim_duration_parse(struct str text, nsec_t *ret_ns);

/* A keep_alive: negative means for ever, and so does more than a century. */
static inline nsec_t sim_keep_alive_of(nsec_t ns)
{
    return ns < 0 || ns > INT64_C(100) * 366 * 86400 * NSEC_PER_SEC ? NSEC_NEVER : ns;
}
