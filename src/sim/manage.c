/* SPDX-License-Identifier: MIT */
#include "sim/manage.h"

#include <stdio.h>

#include "json/writer.h"
#include "sim/routes.h"

#define N_PULL_STEPS 10 /* of the bar */
#define BLOB_SIZE    UINT64_C(1000000000)
#define NDJSON       STR("application/x-ndjson")
#define JSON         STR("application/json")

static struct sim_conn *conn_of(struct sim_progress *p)
{
    return container_of(p, struct sim_conn, progress);
}

/*
 * Blobs
 */

static bool has_blob(const struct sim_store *store, struct str digest)
{
    for (size_t i = 0; i < SIM_BLOBS_MAX; i++)
        if (str_eq_nocase(digest, str_of(store->blobs[i])))
            return true;
    return false;
}

static void put_blob(struct sim_store *store, const char *digest)
{
    (void)snprintf(store->blobs[store->n_blobs++ % SIM_BLOBS_MAX], SHA256_HEX_LEN + 1, "%s",
                   digest);
}

/* The hex digits of "sha256:..."; empty: it is no digest. */
static struct str hex_of(struct str digest)
{
    struct str hex = str_from(digest, 7);

    if (!str_starts(digest, STR("sha256")) || hex.len != SHA256_HEX_LEN ||
        (digest.s[6] != ':' && digest.s[6] != '-'))
        return STR_NULL;
    for (size_t i = 0; i < hex.len; i++)
        if (strchr("0123456789abcdefABCDEF", hex.s[i]) == NULL)
            return STR_NULL;
    return hex;
}

static void answer_empty(struct sim_conn *c, int status)
{
    sim_conn_answer(c, status, STR_NULL, STR_NULL, STR_NULL);
}

static void end_upload(struct sim_conn *c, struct str hex)
{
    char digest[SHA256_HEX_LEN + 1];
    char text[256];

    sha256_end(&c->blob, digest);
    if (str_eq_nocase(hex, str_of(digest))) {
        put_blob(&c->sim->store, digest);
        answer_empty(c, 201);
        return;
    }
    (void)snprintf(text, sizeof(text), "digest mismatch, expected \"%s\", got \"sha256:%s\"",
                   c->arg, digest);
    sim_conn_refuse(c, 400, STR_NULL, str_of(text));
}

void sim_blob(struct sim_conn *c)
{
    struct str hex = hex_of(str_of(c->arg));
    bool is_there = hex.len > 0 && has_blob(&c->sim->store, hex);
    char text[320];

    if (hex.len == 0) {
        sim_conn_refuse(c, 400, STR_NULL, STR("invalid digest format"));
    } else if (is_there) {
        answer_empty(c, 200);
    } else if (c->is_to_head) {
        (void)snprintf(text, sizeof(text), "blob \"%s\" not found", c->arg);
        sim_conn_refuse(c, 404, STR_NULL, str_of(text));
    } else {
        end_upload(c, hex);
    }
}

/*
 * Progress
 */

static void send_line(struct sim_progress *p, const char *line)
{
    if (p->is_stream)
        sim_conn_chunk(conn_of(p), str_of(line));
}

static void send_status(struct sim_progress *p, const char *status)
{
    char line[320];

    (void)snprintf(line, sizeof(line), "{\"status\":\"%s\"}\n", status);
    send_line(p, line);
}

static void send_bar(struct sim_progress *p, const char *verb, unsigned done)
{
    char line[400];

    (void)snprintf(line, sizeof(line),
                   "{\"status\":\"%s %.12s\",\"digest\":\"sha256:%s\",\"total\":%llu,"
                   "\"completed\":%llu}\n",
                   verb, p->digest, p->digest, (unsigned long long)BLOB_SIZE,
                   (unsigned long long)(BLOB_SIZE / N_PULL_STEPS * done));
    send_line(p, line);
}

void sim_progress_cancel(struct sim_progress *p)
{
    p->sim->store.n_changing -= p->is_on;
    p->is_on = false;
    net_timer_disarm(&p->timer);
}

static void succeed(struct sim_progress *p)
{
    struct sim_conn *c = conn_of(p);

    sim_progress_cancel(p);
    if (p->what != SIM_PUSH && sim_sched_add(&p->sim->sched, str_of(p->model),
                                             p->what == SIM_CREATE ? p->digest : NULL) < 0) {
        net_stream_close(&c->stream);
    } else if (p->is_stream) {
        send_status(p, "success");
        sim_conn_end(c);
    } else {
        sim_conn_answer(c, 200, JSON, STR_NULL, STR("{\"status\":\"success\"}"));
    }
}

/* @status: what an answer that is not streamed has; @member of it in a record. */
static void fail(struct sim_progress *p, int status, const char *member, const char *text)
{
    struct sim_conn *c = conn_of(p);
    char line[400];

    sim_progress_cancel(p);
    (void)snprintf(line, sizeof(line), "{\"error\":\"%s\"%s}%s", text, p->is_stream ? member : "",
                   p->is_stream ? "\n" : "");
    if (!p->is_stream) {
        sim_conn_answer(c, status, JSON, STR_NULL, str_of(line));
        return;
    }
    send_line(p, line);
    sim_conn_end(c);
}

static void step_pull(struct sim_progress *p)
{
    static const char *const ends[] = {"verifying sha256 digest", "writing manifest"};

    if (p->step == 0)
        send_status(p, "pulling manifest");
    else if (p->step == 1 && strstr(p->model, "missing") != NULL)
        fail(p, 500, "", "pull model manifest: file does not exist");
    else if (p->step <= N_PULL_STEPS)
        send_bar(p, "pulling", p->step);
    else if (p->step <= N_PULL_STEPS + 2)
        send_status(p, ends[p->step - N_PULL_STEPS - 1]);
    else
        succeed(p);
}

static void step_push(struct sim_progress *p)
{
    if (p->step == 0)
        send_status(p, "retrieving manifest");
    else if (p->step <= N_PULL_STEPS)
        send_bar(p, "pushing", p->step);
    else if (p->step == N_PULL_STEPS + 1)
        send_status(p, "pushing manifest");
    else
        succeed(p);
}

static void step_create(struct sim_progress *p)
{
    static const char *const steps[] = {"parsing GGUF", "using existing layer", "writing manifest"};

    if (p->step == 0 && p->digest[0] == '\0')
        fail(p, 400, ",\"status\":400", "neither 'from' or 'files' was specified");
    else if (p->step == 0 && p->digest[0] == '?')
        fail(p, 500, "", "pull model manifest: file does not exist");
    else if (p->step == 0 && p->digest[0] == '!')
        fail(p, 400, ",\"status\":400", "unknown type");
    else if (p->step < 3)
        send_status(p, steps[p->step]);
    else
        succeed(p);
}

static void on_step(struct net_timer *timer)
{
    struct sim_progress *p = container_of(timer, struct sim_progress, timer);
    nsec_t interval = p->sim->settings->token_interval_ns;

    do {
        if (p->what == SIM_PULL)
            step_pull(p);
        else if (p->what == SIM_PUSH)
            step_push(p);
        else
            step_create(p);
        p->step++;
    } while (p->is_on && interval == 0);
    if (p->is_on)
        net_timer_arm(&p->sim->loop, &p->timer, time_now() + interval);
}

int sim_progress_init(struct sim_progress *p, struct sim *sim)
{
    *p = (struct sim_progress){.sim = sim};
    return net_timer_init(&sim->loop, &p->timer, on_step);
}

void sim_progress_fini(struct sim_progress *p)
{
    sim_progress_cancel(p);
    net_timer_fini(&p->sim->loop, &p->timer);
}

/* What a model made of @ask has as its digest, or a mark of what is wrong with it. */
static void name_created(struct sim_progress *p, const struct sim_ask *ask, struct str body)
{
    struct sha256 s;

    p->digest[0] = '\0';
    if (ask->from.len > 0 && sim_sched_find(&p->sim->sched, ask->from) == NULL)
        (void)snprintf(p->digest, sizeof(p->digest), "?");
    for (const struct sim_message *m = ask->first; m != NULL; m = m->next)
        if (!has_blob(&p->sim->store, hex_of(m->content)))
            (void)snprintf(p->digest, sizeof(p->digest), "!");
    if (p->digest[0] != '\0' || (ask->from.len == 0 && ask->first == NULL))
        return;
    sha256_init(&s);
    sha256_feed(&s, body);
    sha256_end(&s, p->digest);
}

static void begin(struct sim_conn *c, const struct sim_ask *ask)
{
    struct sim_progress *p = &c->progress;
    struct sha256 s;

    p->what = ask->dialect;
    p->step = 0;
    p->is_on = true;
    p->is_stream = ask->wants_stream;
    (void)snprintf(p->model, sizeof(p->model), STR_FMT, STR_ARG(ask->model));
    if (p->what == SIM_CREATE) {
        name_created(p, ask, buf_str(&c->body));
    } else {
        sha256_init(&s);
        sha256_feed(&s, ask->model);
        sha256_end(&s, p->digest);
    }
    c->sim->store.n_pulls += p->what == SIM_PULL;
    c->sim->store.n_changing++;
    if (p->is_stream)
        sim_conn_begin(c, NDJSON);
    on_step(&p->timer);
}

/*
 * Requests
 */

static void refuse_name(struct sim_conn *c, int status, const char *format, struct str name)
{
    char text[512];
    size_t at = (size_t)(strchr(format, '@') - format);

    (void)snprintf(text, sizeof(text), "%.*s" STR_FMT "%s", (int)at, format,
                   STR_ARG(str_head(name, 300)), format + at + 1);
    sim_conn_refuse(c, status, STR_NULL, str_of(text));
}

static void copy(struct sim_conn *c, const struct sim_ask *ask)
{
    const struct sim_model *source = sim_sched_find(&c->sim->sched, ask->from);

    if (ask->model.len == 0)
        sim_conn_refuse(c, 400, STR_NULL, STR("destination \"\" is invalid"));
    else if (source == NULL)
        refuse_name(c, 404, "model \"@\" not found", ask->from);
    else if (sim_sched_add(&c->sim->sched, ask->model, source->digest) < 0)
        sim_conn_refuse(c, 500, STR_NULL, STR("no space left on device"));
    else
        answer_empty(c, 200);
}

static void delete_model(struct sim_conn *c, const struct sim_ask *ask)
{
    struct sim_model *model = sim_sched_find(&c->sim->sched, ask->model);

    if (ask->model.len == 0) {
        sim_conn_refuse(c, 400, STR_NULL, STR("name \"\" is invalid"));
    } else if (model == NULL) {
        refuse_name(c, 404, "model '@' not found", ask->model);
    } else {
        sim_sched_delete(model);
        answer_empty(c, 200);
    }
}

static void run(struct sim_conn *c, const struct sim_ask *ask)
{
    if (ask->dialect == SIM_COPY)
        copy(c, ask);
    else if (ask->dialect == SIM_DELETE)
        delete_model(c, ask);
    else if (ask->model.len == 0)
        sim_conn_refuse(c, 400, STR_NULL,
                        ask->dialect == SIM_PUSH ? STR("model is required")
                                                 : STR("invalid model name"));
    else
        begin(c, ask);
}

void sim_manage(struct sim_conn *c)
{
    struct arena arena;
    struct sim_ask ask;
    int r;

    arena_init(&arena, SIM_BODY_MAX);
    r = sim_ask_parse(c->route->dialect, buf_str(&c->body), &arena, &ask);
    c->is_understood = true;
    if (r == 0)
        run(c, &ask);
    else
        sim_conn_refuse(c, r == SIM_ASK_REFUSED ? ask.status : 500, STR_NULL, str_of(ask.error));
    arena_fini(&arena);
}
