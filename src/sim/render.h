/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The prompt of a request, as its model sees it. Pure.
 */

#include "base/buf.h"
#include "sim/ask.h"

/**
 * sim_render() - the prompt as the model sees it
 * @profile:   what a trailing assistant message does
 * @out:       appended to
 * @ret_echo:  what the answer repeats at its beginning
 *
 * Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int sim_render(const struct sim_ask *ask, enum sim_profile profile, struct buf *out,
                        struct str *ret_echo);
