/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers of /v1/chat/completions, /v1/completions and /v1/responses
 */

#include "sim/job.h"

extern const struct sim_format sim_format_v1_chat;
extern const struct sim_format sim_format_v1_completions;
extern const struct sim_format sim_format_v1_responses;
