/* SPDX-License-Identifier: MIT */
#include "sim/ollama.h"

#include "json/writer.h"
#include "sim/node.h"
#include "sim/render.h"

static bool is_chat(const struct sim_job *job)
{
    return job->ask.dialect == SIM_CHAT;
}

/* {"model":"tiny","created_at":" is the same in every record. */
static void put_prefix(struct sim_job *job)
{
    char stamp[40];

    if (job->prefix.len == 0) {
        size_t before = job->out.len;

        sim_job_put(job, STR("{\"model\":"));
        sim_job_put_string(job, job->ask.model);
        sim_job_put(job, STR(",\"created_at\":\""));
        if (buf_put(&job->prefix, str_from(buf_str(&job->out), before)) < 0)
            buf_reset(&job->prefix); /* made again next time */
    } else {
        sim_job_put(job, buf_str(&job->prefix));
    }
    sim_job_put(job, sim_clock_stamp(&job->sim->clock, time_wall(), stamp));
}

static void put_text(struct sim_job *job, struct str text)
{
    put_prefix(job);
    if (is_chat(job)) {
        sim_job_put(job, STR("\",\"message\":{\"role\":\"assistant\",\"content\":"));
        sim_job_put_string(job, text);
        sim_job_put(job, STR("}"));
    } else {
        sim_job_put(job, STR("\",\"response\":"));
        sim_job_put_string(job, text);
    }
}

static void token(struct sim_job *job, struct str text)
{
    put_text(job, text);
    sim_job_put(job, STR(",\"done\":false}\n"));
}

static void put_number(struct sim_job *job, struct str name, uint64_t value)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);

    if (value == 0) /* Go leaves zeros out */
        return;
    sim_job_put(job, STR(",\""));
    sim_job_put(job, name);
    sim_job_put(job, STR("\":"));
    sim_job_put(job, str_make(digits, (size_t)n));
}

/* Deprecated and of no use but for its presence: a few numbers that depend on the prompt. */
static void put_context(struct sim_job *job)
{
    char numbers[96];
    int n = snprintf(numbers, sizeof(numbers), ",\"context\":[%u,%u]",
                     (unsigned)(job->text.hash % 32000), (unsigned)(job->text.token % 32000));

    if (!is_chat(job) && !job->ask.is_raw)
        sim_job_put(job, str_make(numbers, (size_t)n));
}

/* total - load - prompt - eval is the wait for a slot, exactly. */
static void put_durations(struct sim_job *job)
{
    const struct sim_ticket *t = &job->ticket;

    put_number(job, STR("total_duration"), (uint64_t)(job->ended_at - job->arrived_at));
    put_number(job, STR("load_duration"), (uint64_t)(t->loaded_at - job->arrived_at));
    put_number(job, STR("prompt_eval_count"), job->n_prompt);
    put_number(job, STR("prompt_eval_duration"), (uint64_t)(job->first_at - t->granted_at));
    put_number(job, STR("eval_count"), job->n_tokens);
    put_number(job, STR("eval_duration"), (uint64_t)(job->ended_at - job->first_at));
}

static void put_done(struct sim_job *job, struct str reason)
{
    if (is_chat(job)) {
        sim_job_put(job, STR(",\"done_reason\":"));
        sim_job_put_string(job, reason);
        sim_job_put(job, STR(",\"done\":true"));
    } else {
        sim_job_put(job, STR(",\"done\":true,\"done_reason\":"));
        sim_job_put_string(job, reason);
    }
}

static void end(struct sim_job *job)
{
    put_text(job, STR_NULL);
    put_done(job, job->done_reason);
    put_context(job);
    put_durations(job);
    sim_job_put(job, STR("}\n"));
    sim_job_record(job);
}

static void whole(struct sim_job *job, struct str text)
{
    bool unloads = job->ask.has_keep_alive && job->ask.keep_alive_ns == 0;

    put_text(job, text);
    if (job->ticket.is_load_only) {
        put_done(job, unloads ? STR("unload") : STR("load"));
    } else {
        put_done(job, job->done_reason);
        put_context(job);
        put_durations(job);
    }
    sim_job_put(job, STR("}"));
}

#define FORMAT(name_) \
    { \
        .name = (name_), .stream_type = STR_INIT("application/x-ndjson"), \
        .whole_type = STR_INIT("application/json; charset=utf-8"), .token = token, .end = end, \
        .whole = whole \
    }

const struct sim_format sim_format_generate = FORMAT("generate");
const struct sim_format sim_format_chat = FORMAT("chat");

static void rendered(struct sim_job *job, struct str text)
{
    struct buf prompt CLEANUP(buf_fini) = BUF_INIT((size_t)256 * 1024 * 1024);
    struct str echo;

    put_text(job, text);
    if (sim_render(&job->ask, job->sim->settings->profile, &prompt, &echo) < 0)
        buf_reset(&prompt);
    sim_job_put(job, STR(",\"done\":false,\"_debug_info\":{\"rendered_template\":"));
    sim_job_put_string(job, buf_str(&prompt));
    sim_job_put(job, STR(",\"image_count\":0}}"));
}

const struct sim_format sim_format_rendered = {.name = "rendered",
                                               .whole_type =
                                                   STR_INIT("application/json; charset=utf-8"),
                                               .whole = rendered};
