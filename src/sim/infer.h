/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Requests to models: reads them, refuses what the real node refuses, starts the job
 */

#include "sim/conn.h"

void sim_infer(struct sim_conn *c);
