/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Vectors: a function of model and text, 32 numbers
 */

#include "sim/job.h"

extern const struct sim_format sim_format_embed;
extern const struct sim_format sim_format_embeddings;
extern const struct sim_format sim_format_v1_embeddings;
