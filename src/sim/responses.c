/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "net/stream.h"
#include "sim/openai.h"
#include "sim/put.h"

/* {"type":...,"sequence_number":N, and more to come. */
static void put_event(struct sim_job *job, const char *type)
{
    sim_put_event(job, type);
    sim_putf(job, "{\"type\":\"%s\",\"sequence_number\":%llu", type,
             (unsigned long long)job->n_events++);
}

static void send_event(struct sim_job *job)
{
    sim_job_put(job, STR("}"));
    sim_send_event(job);
}

static void put_item_id(struct sim_job *job)
{
    sim_putf(job, ",\"item_id\":\"msg_%llu\",\"output_index\":0,\"content_index\":0",
             (unsigned long long)job->id);
}

static void put_part(struct sim_job *job, struct str text)
{
    sim_job_put(job, STR("{\"type\":\"output_text\",\"text\":"));
    sim_job_put_string(job, text);
    sim_job_put(job, STR(",\"annotations\":[],\"logprobs\":[]}"));
}

static void put_item(struct sim_job *job, const char *status, const struct str *text)
{
    sim_putf(job,
             "{\"id\":\"msg_%llu\",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\","
             "\"content\":[",
             (unsigned long long)job->id, status);
    if (text != NULL)
        put_part(job, *text);
    sim_job_put(job, STR("]}"));
}

/* The response object; @text is NULL while there is none. */
static void put_response(struct sim_job *job, const char *status, const struct str *text)
{
    sim_putf(job,
             "{\"id\":\"resp_%llu\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\","
             "\"model\":",
             (unsigned long long)job->id, (long long)(job->arrived_wall / NSEC_PER_SEC), status);
    sim_job_put_string(job, job->ask.model);
    sim_job_put(job, STR(",\"output\":["));
    if (text != NULL)
        put_item(job, "completed", text);
    sim_job_put(job, STR("],\"error\":null,\"incomplete_details\":null,\"usage\":"));
    if (text == NULL) {
        sim_job_put(job, STR("null}"));
        return;
    }
    sim_putf(job, "{\"input_tokens\":%llu,\"output_tokens\":%llu,\"total_tokens\":%llu}}",
             (unsigned long long)job->n_prompt, (unsigned long long)job->n_tokens,
             (unsigned long long)(job->n_prompt + job->n_tokens));
}

static void begin(struct sim_job *job)
{
    static const char *const types[] = {"response.created", "response.in_progress"};

    for (size_t i = 0; i < 2; i++) {
        put_event(job, types[i]);
        sim_job_put(job, STR(",\"response\":"));
        put_response(job, "in_progress", NULL);
        send_event(job);
    }
    put_event(job, "response.output_item.added");
    sim_job_put(job, STR(",\"output_index\":0,\"item\":"));
    put_item(job, "in_progress", NULL);
    send_event(job);
    put_event(job, "response.content_part.added");
    put_item_id(job);
    sim_job_put(job, STR(",\"part\":"));
    put_part(job, STR_NULL);
    send_event(job);
}

static void token(struct sim_job *job, struct str text)
{
    if (buf_put(&job->told, text) < 0)
        net_stream_close(sim_job_stream(job));
    put_event(job, "response.output_text.delta");
    put_item_id(job);
    sim_job_put(job, STR(",\"delta\":"));
    sim_job_put_string(job, text);
    sim_job_put(job, STR(",\"logprobs\":[]}\n\n"));
}

static void end(struct sim_job *job)
{
    struct str text = buf_str(&job->told);

    put_event(job, "response.output_text.done");
    put_item_id(job);
    sim_job_put(job, STR(",\"text\":"));
    sim_job_put_string(job, text);
    sim_job_put(job, STR(",\"logprobs\":[]"));
    send_event(job);
    put_event(job, "response.content_part.done");
    put_item_id(job);
    sim_job_put(job, STR(",\"part\":"));
    put_part(job, text);
    send_event(job);
    put_event(job, "response.output_item.done");
    sim_job_put(job, STR(",\"output_index\":0,\"item\":"));
    put_item(job, "completed", &text);
    send_event(job);
    put_event(job, "response.completed");
    sim_job_put(job, STR(",\"response\":"));
    put_response(job, "completed", &text);
    send_event(job);
}

static void whole(struct sim_job *job, struct str text)
{
    put_response(job, "completed", &text);
    sim_job_put(job, STR("\n"));
}

const struct sim_format sim_format_v1_responses = {.name = "v1_responses",
                                                   .stream_type = STR_INIT("text/event-stream"),
                                                   .whole_type = STR_INIT("application/json"),
                                                   .begin = begin,
                                                   .token = token,
                                                   .end = end,
                                                   .whole = whole};
