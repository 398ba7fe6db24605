/* SPDX-License-Identifier: MIT */
#include "sim/job.h"

#include <signal.h>
#include <unistd.h>

#include "json/writer.h"
#include "sim/conn.h"
#include "sim/render.h"

#define BURST   64 /* tokens in one turn of the loop */
#define OUT_MAX ((size_t)256 * 1024 * 1024)

struct sim_conn *sim_job_conn(struct sim_job *job)
{
    return container_of(job, struct sim_conn, job);
}

struct net_stream *sim_job_stream(struct sim_job *job)
{
    return &sim_job_conn(job)->stream;
}

/*
 * Something did not fit into memory: the client sees a broken connection. The job ends when it is
 * closed, its callers go on.
 */
static void fail(struct sim_job *job)
{
    net_stream_close(sim_job_stream(job));
}

void sim_job_put(struct sim_job *job, struct str bytes)
{
    if (buf_put(&job->out, bytes) < 0)
        fail(job);
}

void sim_job_put_string(struct sim_job *job, struct str text)
{
    struct json_writer w;

    json_writer_init(&w, &job->out);
    json_str(&w, text);
    if (json_writer_result(&w) < 0)
        fail(job);
}

void sim_job_done(struct sim_job *job)
{
    sim_sched_leave(&job->ticket);
    net_timer_disarm(&job->timer);
    if (job->task.is_queued) {
        list_remove(&job->task.link);
        job->task.is_queued = false;
    }
    arena_fini(&job->arena);
    buf_fini(&job->out);
    buf_fini(&job->prefix);
    buf_fini(&job->said);
    buf_fini(&job->told);
    job->is_on = false;
}

void sim_job_cancel(struct sim_job *job)
{
    if (!job->is_on)
        return;
    job->sim->n_cancelled++;
    sim_job_done(job);
}

void sim_job_record(struct sim_job *job)
{
    struct sim_conn *c = sim_job_conn(job);

    if (!job->has_begun) {
        job->has_begun = true;
        sim_conn_begin(c, job->format->stream_type);
    }
    sim_conn_chunk(c, buf_str(&job->out));
    buf_reset(&job->out);
}

static void reset(struct sim_job *job)
{
    struct net_stream *s = sim_job_stream(job);

    sim_job_done(job);
    net_stream_reset(s);
}

/* An honest end: the model failed, the server did not. */
static void break_off(struct sim_job *job)
{
    struct sim_conn *c = sim_job_conn(job);
    const struct str text = STR("an error was encountered while running the model: CUDA error");
    bool is_sse = str_eq(job->format->stream_type, STR("text/event-stream"));

    if (!job->has_begun) {
        sim_conn_refuse(c, 500, STR_NULL, text);
        sim_job_done(job);
        return;
    }
    sim_job_put(job, is_sse ? STR("data: ") : STR_NULL);
    if (sim_conn_put_error(c, &job->out, 500, text) < 0) {
        fail(job);
        return;
    }
    sim_job_put(job, is_sse ? STR("\n\n") : STR("\n"));
    sim_job_record(job);
    sim_conn_end(c);
    sim_job_done(job);
}

/* Does what a fault of this request asks for now. Return: true when it struck. */
static bool strike(struct sim_job *job)
{
    if (job->fault.kind == SIM_FAULT_NONE || job->n_tokens != job->fault.after)
        return false;
    if (job->fault.kind == SIM_FAULT_DIE)
        (void)kill(getpid(), SIGKILL);
    job->is_stalled = job->fault.kind == SIM_FAULT_STALL;
    if (job->fault.kind == SIM_FAULT_RESET)
        reset(job);
    else if (job->fault.kind == SIM_FAULT_ERROR)
        break_off(job);
    return job->is_stalled || !job->is_on;
}

/* The record in job->out breaks off in its middle, and the connection with it. */
static void cut(struct sim_job *job)
{
    struct sim_conn *c = sim_job_conn(job);

    if (!job->has_begun)
        sim_conn_begin(c,
                       job->ask.wants_stream ? job->format->stream_type : job->format->whole_type);
    sim_conn_cut(c, buf_str(&job->out));
    sim_job_done(job);
}

static void say(struct sim_job *job, struct str text)
{
    bool is_cut = job->fault.kind == SIM_FAULT_CUT && job->n_tokens == job->fault.after + 1;

    if (!job->ask.wants_stream) {
        if (buf_put(&job->said, text) < 0) {
            fail(job);
        } else if (is_cut) {
            job->format->whole(job, buf_str(&job->said));
            cut(job);
        }
        return;
    }
    if (job->format->begin != NULL && !job->has_begun)
        job->format->begin(job);
    job->format->token(job, text);
    if (is_cut)
        cut(job);
    else
        sim_job_record(job);
}

static void finish(struct sim_job *job)
{
    struct sim_conn *c = sim_job_conn(job);

    if (job->echo.len > 0) /* nothing was left to say behind it */
        say(job, job->echo);
    job->ended_at = time_now();
    if (job->n_tokens == 0)
        job->first_at = job->ended_at;
    if (job->ask.wants_stream) {
        if (job->format->begin != NULL && !job->has_begun)
            job->format->begin(job);
        job->format->end(job);
    } else {
        job->format->whole(job, buf_str(&job->said));
    }
    job->sim->n_served++;
    sim_sched_leave(&job->ticket);
    if (job->ask.wants_stream)
        sim_conn_end(c);
    else
        sim_conn_answer(c, 200, job->format->whole_type, STR_NULL, buf_str(&job->out));
    sim_job_done(job);
}

/* Length of the longest end of @text that a stop string begins with. */
static size_t undecided(const struct sim_ask *ask, struct str text)
{
    size_t longest = 0;

    for (size_t i = 0; i < ask->n_stops; i++)
        for (size_t n = ask->stops[i].len - 1; n > longest; n--)
            if (n <= text.len && str_ends(text, str_head(ask->stops[i], n)))
                longest = n;
    return longest;
}

static size_t first_stop(const struct sim_ask *ask, struct str text)
{
    size_t first = text.len;

    for (size_t i = 0; i < ask->n_stops; i++) {
        size_t at = str_search(text, ask->stops[i]);

        first = at < first ? at : first;
    }
    return first;
}

/* Says what no stop string can claim any more, and ends at one. */
static void say_up_to_stop(struct sim_job *job, struct str text, bool is_last)
{
    struct buf held CLEANUP(buf_fini) = job->said;
    struct str all;
    size_t stop;

    job->said = BUF_INIT(OUT_MAX);
    if (buf_put(&held, text) < 0) {
        fail(job);
        return;
    }
    all = buf_str(&held);
    stop = first_stop(&job->ask, all);
    if (stop < all.len) {
        job->done_reason = STR("stop");
        all = str_head(all, stop);
    } else if (!is_last) {
        size_t keep = undecided(&job->ask, all);

        if (buf_put(&job->said, str_from(all, all.len - keep)) < 0) {
            fail(job);
            return;
        }
        all = str_head(all, all.len - keep);
    }
    if (all.len > 0)
        say(job, all);
}

static bool is_over(const struct sim_job *job)
{
    return job->done_reason.len > 0;
}

/* One token. Return: false when there is nothing more to do for now. */
static bool produce(struct sim_job *job)
{
    const struct sim_settings *settings = job->sim->settings;
    char token[SIM_TOKEN_MAX];
    struct str text;

    if (strike(job))
        return false;
    text = sim_text_next(&job->text, token);
    if (job->n_tokens++ == 0)
        job->first_at = time_now();
    if (job->text.token >= settings->answer_tokens)
        job->done_reason = STR("stop");
    else if (job->ask.max_tokens > 0 && job->n_tokens >= (uint64_t)job->ask.max_tokens)
        job->done_reason = STR("length");
    if (job->echo.len > 0) {
        struct buf both CLEANUP(buf_fini) = BUF_INIT(OUT_MAX);

        if (buf_put(&both, job->echo) < 0 || buf_put(&both, text) < 0) {
            fail(job);
            return false;
        }
        job->echo = STR_NULL;
        say(job, buf_str(&both));
    } else if (job->ask.n_stops > 0 && job->ask.wants_stream) {
        say_up_to_stop(job, text, is_over(job));
    } else {
        say(job, text);
    }
    return job->is_on;
}

/* Not streamed, the whole text can be looked at. */
static void stop_whole(struct sim_job *job)
{
    size_t stop = first_stop(&job->ask, buf_str(&job->said));

    if (job->ask.wants_stream || stop == job->said.len)
        return;
    job->said.len = stop;
    job->done_reason = STR("stop");
}

static void work(struct sim_job *job)
{
    nsec_t interval = job->sim->settings->token_interval_ns;

    for (int i = 0; i < BURST; i++) {
        if (net_stream_unsent(sim_job_stream(job)) > 0)
            return; /* sim_job_go_on() */
        if (!is_over(job) && interval > 0) {
            nsec_t due = job->ticket.granted_at + interval * (nsec_t)(job->n_tokens + 1);

            if (time_now() < due) {
                net_timer_arm(&job->sim->loop, &job->timer, due);
                return;
            }
        }
        if (is_over(job)) {
            finish(job);
            return;
        }
        if (!produce(job))
            return;
        stop_whole(job);
    }
    net_defer(&job->sim->loop, &job->task);
}

void sim_job_go_on(struct sim_job *job)
{
    if (job->is_on && job->ticket.stage == SIM_RUNNING && !job->is_stalled)
        net_defer(&job->sim->loop, &job->task);
}

static void on_due(struct net_timer *timer)
{
    sim_job_go_on(container_of(timer, struct sim_job, timer));
}

static void on_task(struct net_task *task)
{
    struct sim_job *job = container_of(task, struct sim_job, task);

    if (!job->is_on)
        return;
    if (job->format->instead == NULL && !job->ticket.is_load_only) {
        work(job);
        return;
    }
    job->first_at = job->ended_at = time_now();
    if (job->format->instead != NULL) {
        job->format->instead(job);
    } else {
        job->ask.wants_stream = false;
        job->format->whole(job, STR_NULL);
    }
    sim_sched_leave(&job->ticket);
    job->sim->n_served++;
    sim_conn_answer(sim_job_conn(job), 200, job->format->whole_type, STR_NULL, buf_str(&job->out));
    sim_job_done(job);
}

static void on_granted(struct sim_ticket *ticket)
{
    struct sim_job *job = container_of(ticket, struct sim_job, ticket);

    net_defer(&job->sim->loop, &job->task);
}

int sim_job_init(struct sim_job *job, struct sim *sim)
{
    *job = (struct sim_job){.sim = sim, .task = {.run = on_task}};
    list_init(&job->ticket.link);
    return net_timer_init(&sim->loop, &job->timer, on_due);
}

void sim_job_fini(struct sim_job *job)
{
    sim_job_cancel(job);
    net_timer_fini(&job->sim->loop, &job->timer);
}

/* Renders the prompt and finds where its answer goes on. */
static int begin_text(struct sim_job *job, const struct sim_model *model)
{
    struct buf prompt CLEANUP(buf_fini) = BUF_INIT(OUT_MAX);
    int r = sim_render(&job->ask, job->sim->settings->profile, &prompt, &job->echo);

    if (r < 0)
        return r;
    job->n_prompt = sim_count_tokens(buf_str(&prompt));
    sim_text_begin(&job->text, sim_hash(job->sim->settings->seed ^ job->ask.seed, model->name),
                   buf_str(&prompt));
    /* everything was said before */
    if (job->text.token >= job->sim->settings->answer_tokens)
        job->done_reason = STR("stop");
    return 0;
}

static void begin(struct sim_job *job, const struct sim_format *format)
{
    job->format = format;
    job->is_on = true;
    job->has_begun = false;
    job->is_stalled = false;
    job->n_prompt = 0;
    job->n_tokens = 0;
    job->n_events = 0;
    job->echo = STR_NULL;
    job->out = BUF_INIT(OUT_MAX);
    job->prefix = BUF_INIT(OUT_MAX);
    job->said = BUF_INIT(OUT_MAX);
    job->told = BUF_INIT(OUT_MAX);
    job->arrived_at = time_now();
    job->arrived_wall = time_wall();
    job->id = job->sim->n_ids++;
    job->done_reason = STR_NULL;
}

void sim_job_answer(struct sim_job *job, const struct sim_format *format)
{
    begin(job, format);
    format->whole(job, STR_NULL);
    sim_conn_answer(sim_job_conn(job), 200, format->whole_type, STR_NULL, buf_str(&job->out));
    sim_job_done(job);
}

void sim_job_start(struct sim_job *job, struct sim_model *model, const struct sim_format *format)
{
    begin(job, format);
    job->ticket.on_granted = on_granted;
    if (job->ask.has_keep_alive)
        sim_sched_keep(model, job->ask.keep_alive_ns);
    if (format->instead == NULL && !job->ticket.is_load_only && begin_text(job, model) < 0) {
        fail(job);
        return;
    }
    sim_sched_enter(model, &job->ticket);
}
