/* SPDX-License-Identifier: MIT */
#include "sim/anthropic.h"

#include "sim/put.h"

static const char *stop_reason(const struct sim_job *job)
{
    return str_eq(job->done_reason, STR("length")) ? "max_tokens" : "end_turn";
}

static void put_head(struct sim_job *job)
{
    sim_putf(job, "{\"id\":\"msg_%llu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
             (unsigned long long)job->id);
    sim_job_put_string(job, job->ask.model);
    sim_job_put(job, STR(",\"content\":["));
}

static void put_usage(struct sim_job *job, uint64_t n_tokens)
{
    sim_putf(job, "\"usage\":{\"input_tokens\":%llu,\"output_tokens\":%llu}",
             (unsigned long long)job->n_prompt, (unsigned long long)n_tokens);
}

static void begin(struct sim_job *job)
{
    sim_put_event(job, "message_start");
    sim_job_put(job, STR("{\"type\":\"message_start\",\"message\":"));
    put_head(job);
    sim_job_put(job, STR("],\"stop_reason\":null,\"stop_sequence\":null,"));
    put_usage(job, 0);
    sim_job_put(job, STR("}}"));
    sim_send_event(job);
    sim_put_event(job, "content_block_start");
    sim_job_put(job, STR("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{"
                         "\"type\":\"text\",\"text\":\"\"}}"));
    sim_send_event(job);
}

static void token(struct sim_job *job, struct str text)
{
    sim_put_event(job, "content_block_delta");
    sim_job_put(job, STR("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_"
                         "delta\",\"text\":"));
    sim_job_put_string(job, text);
    sim_job_put(job, STR("}}\n\n"));
}

static void end(struct sim_job *job)
{
    sim_put_event(job, "content_block_stop");
    sim_job_put(job, STR("{\"type\":\"content_block_stop\",\"index\":0}"));
    sim_send_event(job);
    sim_put_event(job, "message_delta");
    sim_putf(
        job,
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},",
        stop_reason(job));
    put_usage(job, job->n_tokens);
    sim_job_put(job, STR("}"));
    sim_send_event(job);
    sim_put_event(job, "message_stop");
    sim_job_put(job, STR("{\"type\":\"message_stop\"}"));
    sim_send_event(job);
}

static void whole(struct sim_job *job, struct str text)
{
    put_head(job);
    sim_job_put(job, STR("{\"type\":\"text\",\"text\":"));
    sim_job_put_string(job, text);
    sim_putf(job, "}],\"stop_reason\":\"%s\",\"stop_sequence\":null,", stop_reason(job));
    put_usage(job, job->n_tokens);
    sim_job_put(job, STR("}\n"));
}

const struct sim_format sim_format_v1_messages = {.name = "v1_messages",
                                                  .stream_type = STR_INIT("text/event-stream"),
                                                  .whole_type = STR_INIT("application/json"),
                                                  .begin = begin,
                                                  .token = token,
                                                  .end = end,
                                                  .whole = whole};
