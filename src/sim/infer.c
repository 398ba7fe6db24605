/* SPDX-License-Identifier: MIT */
#include "sim/infer.h"

#include <stdio.h>

#include "sim/anthropic.h"
#include "sim/embed.h"
#include "sim/ollama.h"
#include "sim/openai.h"
#include "sim/routes.h"

static const struct dialect {
    enum sim_dialect dialect;
    const struct sim_format *format;
    /* how a missing model is told: "x", with the hint to pull it; else 'x' */
    unsigned is_quoted : 1;
    unsigned needs_model : 1; /* no model name: 400, else a model '' that is not found */
    const char *does;         /* "NAME" does not support ... on a model for embeddings */
} dialects[] = {
    {SIM_GENERATE, &sim_format_generate, 0, 0, "generate"},
    {SIM_CHAT, &sim_format_chat, 1, 1, "chat"},
    {SIM_EMBED, &sim_format_embed, 1, 0, NULL},
    {SIM_EMBEDDINGS, &sim_format_embeddings, 1, 1, NULL},
    {SIM_V1_CHAT, &sim_format_v1_chat, 1, 1, "chat"},
    {SIM_V1_COMPLETIONS, &sim_format_v1_completions, 0, 0, "generate"},
    {SIM_V1_EMBEDDINGS, &sim_format_v1_embeddings, 1, 0, NULL},
    {SIM_V1_RESPONSES, &sim_format_v1_responses, 1, 1, "chat"},
    {SIM_V1_MESSAGES, &sim_format_v1_messages, 1, 1, "chat"},
};

static const struct dialect *find_dialect(enum sim_dialect dialect)
{
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
        if (dialects[i].dialect == dialect)
            return &dialects[i];
    return NULL;
}

static void PRINTF(3, 4) refuse(struct sim_conn *c, int status, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_conn_refuse(c, status, STR_NULL, str_of(text));
}

static bool is_of_one_prompt(const struct sim_ask *ask)
{
    return (ask->dialect & (SIM_GENERATE | SIM_V1_COMPLETIONS)) != 0;
}

/* What a request may not ask of any model. Return: true when it was refused. */
static bool refuse_request(struct sim_conn *c, const struct sim_ask *ask)
{
    if (ask->is_raw && (ask->has_template || ask->has_context || ask->system.len > 0))
        refuse(c, 400, "raw mode does not support template, system, or context");
    else if ((ask->dialect & (SIM_V1_CHAT | SIM_V1_MESSAGES)) != 0 && ask->first == NULL)
        refuse(c, 400, "[] is too short - 'messages'");
    else if (ask->dialect == SIM_V1_MESSAGES && ask->max_tokens < 1)
        refuse(c, 400, "max_tokens is required and must be positive");
    else if (ask->dialect == SIM_V1_EMBEDDINGS && ask->first == NULL)
        refuse(c, 400, "invalid input");
    else
        return false;
    return true;
}

static bool refuse_model(struct sim_conn *c, const struct sim_ask *ask, const struct dialect *d,
                         const struct sim_model *m)
{
    struct str name = str_head(ask->model, 300);

    c->is_understood = true;
    if (d->needs_model && name.len == 0)
        refuse(c, 400, "model is required");
    else if (m == NULL && d->is_quoted)
        refuse(c, 404, "model \"" STR_FMT "\" not found, try pulling it first", STR_ARG(name));
    else if (m == NULL)
        refuse(c, 404, "model '" STR_FMT "' not found", STR_ARG(name));
    else if (m->is_embedding && d->does != NULL)
        refuse(c, 400, "\"" STR_FMT "\" does not support %s", STR_ARG(name), d->does);
    else if (ask->wants_thinking)
        refuse(c, 400, "registry.ollama.ai/library/" STR_FMT " does not support thinking",
               STR_ARG(m->name));
    else
        return false;
    return true;
}

static bool is_busy(struct sim_conn *c, struct sim_fault fault)
{
    char extra[64] = "";

    if (fault.kind != SIM_FAULT_BUSY)
        return false;
    if (fault.retry_after > 0)
        (void)snprintf(extra, sizeof(extra), "Retry-After: %llu\r\n",
                       (unsigned long long)fault.retry_after);
    sim_conn_refuse(c, 503, str_of(extra),
                    STR("server busy, please try again.  maximum pending requests exceeded"));
    return true;
}

/* From 0.30 on a node can show a prompt instead of answering it. */
static bool shows_prompts(const struct sim *sim)
{
    unsigned major = 0;
    unsigned minor = 0;
    char version[32];

    (void)snprintf(version, sizeof(version), STR_FMT,
                   STR_ARG(str_head(sim->settings->version, 31)));
    return sscanf(version, "%u.%u", &major, &minor) == 2 && (major > 0 || minor >= 30);
}

/* "Load it and keep it for no time" does not load, and does not wait. */
static void unload(struct sim_job *job, struct sim_model *m, const struct sim_format *format)
{
    sim_sched_expire(m);
    sim_job_answer(job, format);
}

static void start(struct sim_conn *c, const struct dialect *d, struct sim_model *m)
{
    struct sim_job *job = &c->job;
    const struct sim_ask *ask = &job->ask;
    bool is_empty = is_of_one_prompt(ask) ? ask->prompt.len == 0 : ask->first == NULL;

    job->ticket.is_load_only = is_empty && (ask->dialect & (SIM_GENERATE | SIM_CHAT)) != 0;
    if (job->ticket.is_load_only && ask->has_keep_alive && ask->keep_alive_ns == 0)
        unload(job, m, d->format);
    else
        sim_job_start(job, m, d->format);
}

void sim_infer(struct sim_conn *c)
{
    struct sim_job *job = &c->job;
    const struct dialect *d = find_dialect(c->route->dialect);
    struct sim_model *m;
    int r;

    arena_init(&job->arena, 4 * SIM_BODY_MAX);
    c->is_understood = false;
    r = sim_ask_parse(d->dialect, buf_str(&c->body), &job->arena, &job->ask);
    if (r != 0) {
        sim_conn_refuse(c, r == SIM_ASK_REFUSED ? job->ask.status : 500, STR_NULL,
                        str_of(job->ask.error));
        arena_fini(&job->arena);
        return;
    }
    m = sim_sched_find(&c->sim->sched, job->ask.model);
    if (refuse_request(c, &job->ask) || refuse_model(c, &job->ask, d, m)) {
        arena_fini(&job->arena);
        return;
    }
    job->fault = sim_fault_take(&c->sim->next_fault);
    if (is_busy(c, job->fault) || sim_spoil_begin(c, job->fault)) {
        arena_fini(&job->arena);
        return;
    }
    if (job->ask.is_render_only && shows_prompts(c->sim))
        sim_job_answer(job, &sim_format_rendered);
    else
        start(c, d, m);
}
