/* SPDX-License-Identifier: MIT */
#include "sim/embed.h"

#include "base/rng.h"
#include "sim/node.h"
#include "sim/put.h"

#define N_DIMENSIONS 32
#define N_BYTES      (N_DIMENSIONS * sizeof(float))

/* Return: dimensions, at most @want unless that is 0. */
static size_t make_vector(const struct sim_job *job, struct str text, size_t want,
                          float v[static N_DIMENSIONS])
{
    struct rng r = {.state = sim_hash(job->sim->settings->seed, job->ticket.model->name) ^
                             sim_hash(1, text)};
    size_t n = want > 0 && want < N_DIMENSIONS ? want : N_DIMENSIONS;

    for (size_t i = 0; i < n; i++)
        v[i] = (float)(rng_unit(&r) * 4 - 2);
    return n;
}

/*
 * Square root by Newton's method: not worth linking libm. @x is between 0 and 200 here, where 20
 * steps are plenty.
 */
static double root(double x)
{
    double y = x > 1 ? x : 1;

    for (int i = 0; i < 20; i++)
        y = (y + x / y) / 2;
    return y;
}

static void normalise(float *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    for (size_t i = 0; i < n && sum > 0; i++)
        v[i] = (float)((double)v[i] / root(sum));
}

static void put_vector(struct sim_job *job, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sim_putf(job, "%s%.9g", i > 0 ? "," : "[", (double)v[i]);
    sim_job_put(job, STR("]"));
}

/* Little-endian floats in base64. */
static void put_base64(struct sim_job *job, const float *v, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char bytes[N_BYTES + 2] = {0};
    size_t len = n * sizeof(float);

    memcpy(bytes, v, len);
    sim_job_put(job, STR("\""));
    for (size_t i = 0; i < len; i += 3) {
        uint32_t w = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        char four[4] = {digits[w >> 18], digits[w >> 12 & 63], digits[w >> 6 & 63], digits[w & 63]};

        if (i + 1 >= len)
            four[2] = '=';
        if (i + 2 >= len)
            four[3] = '=';
        sim_job_put(job, str_make(four, 4));
    }
    sim_job_put(job, STR("\""));
}

static uint64_t count_inputs(const struct sim_job *job)
{
    uint64_t n = 0;

    for (const struct sim_message *m = job->ask.first; m != NULL; m = m->next)
        n += sim_count_tokens(m->content);
    return n;
}

static void embed(struct sim_job *job)
{
    float v[N_DIMENSIONS];

    sim_job_put(job, STR("{\"model\":"));
    sim_job_put_string(job, job->ask.model);
    sim_job_put(job, STR(",\"embeddings\":["));
    for (const struct sim_message *m = job->ask.first; m != NULL; m = m->next) {
        size_t n = make_vector(job, m->content, job->ask.dimensions, v);

        normalise(v, n);
        sim_job_put(job, m == job->ask.first ? STR("") : STR(","));
        put_vector(job, v, n);
    }
    sim_job_put(job, STR("]"));
    if (job->ask.first != NULL)
        sim_putf(job, ",\"total_duration\":%lld,\"load_duration\":%lld,\"prompt_eval_count\":%llu",
                 (long long)(job->ended_at - job->arrived_at),
                 (long long)(job->ticket.loaded_at - job->arrived_at),
                 (unsigned long long)count_inputs(job));
    sim_job_put(job, STR("}"));
}

static void embeddings(struct sim_job *job)
{
    float v[N_DIMENSIONS];

    sim_job_put(job, STR("{\"embedding\":"));
    if (job->ask.prompt.len > 0)
        put_vector(job, v, make_vector(job, job->ask.prompt, 0, v));
    else
        sim_job_put(job, STR("[]"));
    sim_job_put(job, STR("}"));
}

static void v1_embeddings(struct sim_job *job)
{
    unsigned long long n_tokens = count_inputs(job);
    unsigned index = 0;
    float v[N_DIMENSIONS];

    sim_job_put(job, STR("{\"object\":\"list\",\"data\":["));
    for (const struct sim_message *m = job->ask.first; m != NULL; m = m->next) {
        size_t n = make_vector(job, m->content, job->ask.dimensions, v);

        normalise(v, n);
        sim_putf(job, "%s{\"object\":\"embedding\",\"embedding\":", index > 0 ? "," : "");
        if (job->ask.wants_base64)
            put_base64(job, v, n);
        else
            put_vector(job, v, n);
        sim_putf(job, ",\"index\":%u}", index++);
    }
    sim_job_put(job, STR("],\"model\":"));
    sim_job_put_string(job, job->ask.model);
    sim_putf(job, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}\n", n_tokens,
             n_tokens);
}

const struct sim_format sim_format_embed = {
    .name = "embed", .whole_type = STR_INIT("application/json; charset=utf-8"), .instead = embed};
const struct sim_format sim_format_embeddings = {.name = "embeddings",
                                                 .whole_type =
                                                     STR_INIT("application/json; charset=utf-8"),
                                                 .instead = embeddings};
const struct sim_format sim_format_v1_embeddings = {
    .name = "v1_embeddings", .whole_type = STR_INIT("application/json"), .instead = v1_embeddings};
