/* SPDX-License-Identifier: MIT */
#include "sim/openai.h"

#include <stdio.h>

#include "sim/put.h"

static bool is_chat(const struct sim_job *job)
{
    return job->ask.dialect == SIM_V1_CHAT;
}

static void put_base(struct sim_job *job, struct str object)
{
    sim_putf(job, "{\"id\":\"%s-%u\",\"object\":\"" STR_FMT "\",\"created\":%lld",
             is_chat(job) ? "chatcmpl" : "cmpl", (unsigned)(job->id % 999), STR_ARG(object),
             (long long)(job->arrived_wall / NSEC_PER_SEC));
}

static void put_model(struct sim_job *job)
{
    sim_job_put(job, STR(",\"model\":"));
    sim_job_put_string(job, job->ask.model);
    sim_job_put(job, STR(",\"system_fingerprint\":\"fp_ollama\""));
}

static void put_usage(struct sim_job *job, uint64_t n_prompt, uint64_t n_tokens)
{
    sim_putf(job,
             ",\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu}",
             (unsigned long long)n_prompt, (unsigned long long)n_tokens,
             (unsigned long long)(n_prompt + n_tokens));
}

static void put_reason(struct sim_job *job, struct str reason)
{
    sim_job_put(job, STR(",\"finish_reason\":"));
    if (reason.len > 0)
        sim_job_put_string(job, reason);
    else
        sim_job_put(job, STR("null"));
}

/* What stands in front of the text is the same in every chunk: made once. */
static void put_prefix(struct sim_job *job)
{
    if (job->prefix.len > 0) {
        sim_job_put(job, buf_str(&job->prefix));
        return;
    }
    sim_job_put(job, STR("data: "));
    put_base(job, is_chat(job) ? STR("chat.completion.chunk") : STR("text_completion"));
    if (is_chat(job)) {
        put_model(job);
        sim_job_put(
            job, STR(",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"));
    } else {
        sim_job_put(job, STR(",\"choices\":[{\"text\":"));
    }
    /* made again next time */
    if (buf_put(&job->prefix, buf_str(&job->out)) < 0)
        buf_reset(&job->prefix);
}

static void put_chunk(struct sim_job *job, struct str text, struct str reason)
{
    put_prefix(job);
    sim_job_put_string(job, text);
    sim_job_put(job, is_chat(job) ? STR("}") : STR(",\"index\":0"));
    put_reason(job, reason);
    sim_job_put(job, STR("}]"));
    if (!is_chat(job)) {
        put_model(job);
        if (job->ask.wants_usage)
            put_usage(job, 0, 0);
    }
    sim_job_put(job, STR("}\n\n"));
}

static void token(struct sim_job *job, struct str text)
{
    put_chunk(job, text, STR_NULL);
}

static void end(struct sim_job *job)
{
    put_chunk(job, STR_NULL, job->done_reason);
    sim_job_record(job);
    if (job->ask.wants_usage) {
        sim_job_put(job, STR("data: "));
        put_base(job, is_chat(job) ? STR("chat.completion.chunk") : STR("text_completion"));
        if (is_chat(job))
            put_model(job);
        sim_job_put(job, STR(",\"choices\":[]"));
        if (!is_chat(job))
            put_model(job);
        put_usage(job, job->n_prompt, job->n_tokens);
        sim_job_put(job, STR("}\n\n"));
        sim_job_record(job);
    }
    sim_job_put(job, STR("data: [DONE]\n\n"));
    sim_job_record(job);
}

static void whole(struct sim_job *job, struct str text)
{
    put_base(job, is_chat(job) ? STR("chat.completion") : STR("text_completion"));
    put_model(job);
    sim_job_put(job, STR(",\"choices\":[{"));
    if (is_chat(job)) {
        sim_job_put(job, STR("\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
        sim_job_put_string(job, text);
        sim_job_put(job, STR("}"));
    } else {
        sim_job_put(job, STR("\"text\":"));
        sim_job_put_string(job, text);
        sim_job_put(job, STR(",\"index\":0"));
    }
    put_reason(job, job->done_reason);
    sim_job_put(job, STR("}]"));
    put_usage(job, job->n_prompt, job->n_tokens);
    sim_job_put(job, STR("}\n"));
}

#define FORMAT(name_) \
    { \
        .name = (name_), .stream_type = STR_INIT("text/event-stream"), \
        .whole_type = STR_INIT("application/json"), .token = token, .end = end, .whole = whole \
    }

const struct sim_format sim_format_v1_chat = FORMAT("v1_chat");
const struct sim_format sim_format_v1_completions = FORMAT("v1_completions");
