/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the SSE formats share
 */

#include "sim/job.h"

/* Appends to job->out; for short texts without peer's bytes. */
void sim_putf(struct sim_job *job, const char *format, ...) PRINTF(2, 3);

/* Begins an event with a name, "event: name\ndata: ". */
void sim_put_event(struct sim_job *job, const char *name);

/* Ends the event and sends it. */
void sim_send_event(struct sim_job *job);
