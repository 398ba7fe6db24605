/* SPDX-License-Identifier: MIT */
#include "sim/put.h"

#include <stdarg.h>
#include <stdio.h>

void sim_putf(struct sim_job *job, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_job_put(job, str_make(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

void sim_put_event(struct sim_job *job, const char *name)
{
    sim_putf(job, "event: %s\ndata: ", name);
}

void sim_send_event(struct sim_job *job)
{
    sim_job_put(job, STR("\n\n"));
    sim_job_record(job);
}
