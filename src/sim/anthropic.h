/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers of /v1/messages
 */

#include "sim/job.h"

extern const struct sim_format sim_format_v1_messages;
