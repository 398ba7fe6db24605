/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers of Ollama's own API
 */

#include "sim/job.h"

extern const struct sim_format sim_format_generate;
extern const struct sim_format sim_format_chat;

/*
 * The prompt instead of an answer, {"model":...,"_debug_info":{"rendered_template":...}}, with
 * sim_job_answer().
 */
extern const struct sim_format sim_format_rendered;
