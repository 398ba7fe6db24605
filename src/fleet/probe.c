/* SPDX-License-Identifier: MIT */
#include "fleet/probe.h"

#include <errno.h>

#include "api/merge.h"
#include "base/err.h"
#include "http/date.h"
#include "json/writer.h"

#define ANSWER_MAX    (16 * 1024 * 1024)
#define DOWN_INTERVAL NSEC_PER_SEC
#define PROOF_NS      (10 * NSEC_PER_SEC) /* a token, behind what the node does already */

enum question {
    ASK_VERSION,
    ASK_TAGS,
    ASK_PS,
    ASK_PS_AGAIN, /* before 0.30 only */
    ASK_PROOF,    /* after an ejection only */
    N_QUESTIONS
};

static const struct str targets[N_QUESTIONS] = {
    [ASK_VERSION] = STR_INIT("/api/version"), [ASK_TAGS] = STR_INIT("/api/tags"),
    [ASK_PS] = STR_INIT("/api/ps"),           [ASK_PS_AGAIN] = STR_INIT("/api/ps"),
    [ASK_PROOF] = STR_INIT("/api/generate"),
};

struct probe {
    struct prober *prober;
    struct list link; /* while leaving */
    uint16_t index;
    struct upstream upstream;
    struct attempt attempt;
    struct attempt_request request;
    struct net_timer timer; /* of the answer in hand, or of the next probe */
    enum question question;
    int status;
    struct buf body;
    struct buf first_ps; /* the first answer to /api/ps, while it is asked again */
    struct buf fields;
    struct buf proof; /* the body of ASK_PROOF, and its fields */
    struct buf proof_fields;
    struct fleet_report report;
    bool is_running;
    bool is_retried; /* a stale connection was replaced once */
    bool is_in_round;
    /* the last question was not answered in time: asked again, but not waited for */
    bool is_silent;
};

static void ask(struct probe *p, bool is_fresh);
static void ask_for_token(struct probe *p, struct str model);

static void report_fini(struct fleet_report *report)
{
    models_fini(&report->models);
    models_fini(&report->listed);
    models_fini(&report->resident);
    *report = (struct fleet_report){0};
}

static void leave_round(struct probe *p)
{
    struct prober *prober = p->prober;

    if (!p->is_in_round)
        return;
    p->is_in_round = false;
    if (--prober->n_asked > 0)
        return;
    prober->is_round = false;
    prober->ops->on_round(prober);
}

static void finish(struct probe *p, bool is_ok)
{
    struct prober *prober = p->prober;
    nsec_t wait = prober->settings->interval_ns;

    p->is_running = false;
    p->is_silent = p->is_silent && !is_ok;
    p->report.is_ok = is_ok;
    if (!is_ok && wait > DOWN_INTERVAL)
        wait = DOWN_INTERVAL;
    net_timer_arm(prober->loop, &p->timer, time_now() + wait);
    prober->ops->on_report(prober, p->index, &p->report);
    report_fini(&p->report);
    leave_round(p);
}

static void give_up(struct probe *p, const char *why)
{
    (void)snprintf(p->report.why, sizeof(p->report.why), "%s", why);
    finish(p, false);
}

/* What a listing is read into. */
struct listing {
    struct models *models;
    uint64_t *bytes; /* their sizes are added to it; NULL: they are not */
    struct hash_key hash_key;
    /* not empty: take only models whose element of this earlier listing expires at the same time */
    struct str first;
};

struct expiry {
    struct str name;
    struct str expires_at;
    bool is_same;
};

static int on_earlier_model(void *arg, const struct api_model *model)
{
    struct expiry *e = arg;

    if (!str_eq(model->name, e->name))
        return 0;
    e->is_same = str_eq(model->expires_at, e->expires_at);
    return 1; /* found */
}

/*
 * Before 0.30 /api/ps also lists a model that is still loading. It has not been idle yet, so its
 * time of expiry is computed anew for every question; one that stands still is loaded (seen on
 * 0.11.4).
 */
static bool is_loaded(const struct listing *listing, const struct api_model *model)
{
    struct expiry e = {.name = model->name, .expires_at = model->expires_at};

    if (listing->first.len == 0)
        return true;
    (void)!api_each_model(listing->first, on_earlier_model, &e);
    return e.is_same;
}

static int on_model(void *arg, const struct api_model *model)
{
    struct listing *listing = arg;
    struct model_key key;

    if (listing->bytes != NULL)
        *listing->bytes += model->size;
    if (model_key_parse(model->name, &key) < 0 || !is_loaded(listing, model))
        return 0;
    return models_put_digest(listing->models, model_key_str(&key),
                             hash_bytes(listing->hash_key, model_key_str(&key)),
                             hash_bytes(listing->hash_key, model->digest));
}

static int read_models(struct probe *p, struct listing listing)
{
    listing.hash_key = p->prober->hash_key;
    return api_each_model(buf_str(&p->body), on_model, &listing);
}

static int read_answer(struct probe *p)
{
    switch (p->question) {
    case ASK_VERSION:
        return api_read_version(buf_str(&p->body), p->report.version);
    case ASK_TAGS:
        return read_models(p, (struct listing){.models = &p->report.models});
    case ASK_PS:
        return read_models(
            p, (struct listing){.models = &p->report.listed, .bytes = &p->report.loaded_bytes});
    case ASK_PS_AGAIN:
        return read_models(
            p, (struct listing){.models = &p->report.resident, .first = buf_str(&p->first_ps)});
    case ASK_PROOF:
    case N_QUESTIONS:
        break;
    }
    return -EINVAL;
}

/* Any model that is loaded; NULL: none is. */
static const char *loaded_model(const struct models *m)
{
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].key != NULL)
            return m->slots[i].key;
    return NULL;
}

/* It answers all the same: it is not down. */
static void end_proof(struct probe *p, enum fleet_proof proof)
{
    p->report.proof = proof;
    finish(p, true);
}

/* The listings are read: does it generate? */
static void conclude(struct probe *p)
{
    const char *model = loaded_model(&p->report.resident);

    if (model == NULL || !p->prober->ops->wants_proof(p->prober, p->index)) {
        finish(p, true);
        return;
    }
    leave_round(p); /* it may take its time */
    p->question = ASK_PROOF;
    ask_for_token(p, str_of(model));
}

static void ask_next(struct probe *p)
{
    bool is_old = strverscmp(p->report.version, "0.30") < 0;

    p->question++;
    if (p->question == ASK_PS_AGAIN) {
        struct buf t = p->first_ps;

        if (p->report.listed.n_models > 0 && !is_old)
            models_add_common(&p->report.resident, &p->report.listed, &p->report.listed);
        if (p->report.listed.n_models == 0 || !is_old) {
            conclude(p);
            return;
        }
        p->first_ps = p->body;
        p->body = t;
    }
    if (p->question == ASK_PROOF)
        conclude(p);
    else if (p->question == N_QUESTIONS)
        finish(p, true);
    else
        ask(p, /* is_fresh= */ false);
}

static void on_end(struct attempt *a)
{
    struct probe *p = container_of(a, struct probe, attempt);
    char why[128];

    if (p->question == ASK_PROOF) {
        end_proof(p, p->status == 200 ? PROOF_GIVEN : PROOF_FAILED);
        return;
    }
    if (p->status != 200) {
        (void)snprintf(why, sizeof(why), "%s answered %d: is it an Ollama server?",
                       targets[p->question].s, p->status);
        give_up(p, why);
        return;
    }
    if (read_answer(p) < 0) {
        (void)snprintf(why, sizeof(why),
                       "%s is not answered as Ollama does: is it an Ollama server?",
                       targets[p->question].s);
        give_up(p, why);
        return;
    }
    ask_next(p);
}

/* The Date of the answer is cut to seconds: on average the half of one is missing. */
static void read_clock(struct fleet_report *report, struct str date)
{
    int64_t seconds;

    if (http_date_parse(date, &seconds) < 0)
        return;
    report->has_clock = true;
    report->clock_ms = seconds * 1000 + 500 - time_wall() / NSEC_PER_MSEC;
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    struct probe *p = container_of(a, struct probe, attempt);

    p->status = head->status;
    read_clock(&p->report, h1_field_get(head, STR("date")));
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct probe *p = container_of(a, struct probe, attempt);

    if (buf_put(&p->body, bytes) == 0)
        return;
    attempt_cancel(a);
    give_up(p, "its list of models is over 16 MiB");
}

static void on_flush(struct attempt *a)
{
    (void)a;
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    struct probe *p = container_of(a, struct probe, attempt);

    if (p->question == ASK_PROOF) {
        end_proof(p, PROOF_FAILED);
        return;
    }
    if (outcome == CALL_STALE_CONNECTION && !p->is_retried) {
        p->is_retried = true;
        ask(p, /* is_fresh= */ true);
        return;
    }
    p->is_silent = err == -ETIMEDOUT || err == -EHOSTUNREACH;
    give_up(p, err == -ECONNRESET && outcome == CALL_RESET
                   ? "closed the connection without an answer"
                   : err_text(err));
}

static const struct attempt_ops probe_ops = {
    .name = "probe",
    .on_head = on_head,
    .on_record = on_bytes,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
};

static void ask(struct probe *p, bool is_fresh)
{
    int r;

    buf_reset(&p->body);
    p->request = (struct attempt_request){
        .method = STR("GET"),
        .target = targets[p->question],
        .fields = buf_str(&p->fields),
    };
    net_timer_arm(p->prober->loop, &p->timer, time_now() + p->prober->settings->timeout_ns);
    r = attempt_start(&p->attempt, &probe_ops, &p->upstream, &p->request, is_fresh);
    if (r < 0)
        give_up(p, err_text(r));
}

static int put_question(struct probe *p, struct str model)
{
    struct json_writer w;
    struct model_key key;

    if (model_key_parse(model, &key) < 0)
        return -EINVAL;
    buf_reset(&p->proof);
    json_writer_init(&w, &p->proof);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, model_key_short(&key));
    json_key(&w, "prompt");
    json_str(&w, STR("1"));
    json_key(&w, "stream");
    json_bool(&w, false);
    json_key(&w, "options");
    json_begin_object(&w);
    json_key(&w, "num_predict");
    json_u64(&w, 1);
    json_end(&w);
    json_end(&w);
    return json_writer_result(&w);
}

static void ask_for_token(struct probe *p, struct str model)
{
    struct str body;
    int r = put_question(p, model);

    body = buf_str(&p->proof);
    buf_reset(&p->body);
    buf_reset(&p->proof_fields);
    if (r == 0)
        r = buf_printf(&p->proof_fields,
                       STR_FMT "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       STR_ARG(buf_str(&p->fields)), body.len);
    p->request = (struct attempt_request){
        .method = STR("POST"),
        .target = targets[ASK_PROOF],
        .fields = buf_str(&p->proof_fields),
        .body = body,
    };
    net_timer_arm(p->prober->loop, &p->timer, time_now() + PROOF_NS);
    if (r == 0)
        r = attempt_start(&p->attempt, &probe_ops, &p->upstream, &p->request, false);
    if (r < 0)
        give_up(p, err_text(r));
}

static void start(struct probe *p)
{
    p->is_running = true;
    p->is_retried = false;
    p->question = ASK_VERSION;
    ask(p, /* is_fresh= */ false);
}

static void on_timer(struct net_timer *timer)
{
    struct probe *p = container_of(timer, struct probe, timer);
    char why[128];

    if (!p->is_running) {
        start(p);
        return;
    }
    attempt_cancel(&p->attempt);
    if (p->question == ASK_PROOF) {
        end_proof(p, PROOF_FAILED);
        return;
    }
    p->is_silent = true;
    (void)snprintf(why, sizeof(why), "no answer to %s within %lld ms", targets[p->question].s,
                   (long long)(p->prober->settings->timeout_ns / NSEC_PER_MSEC));
    give_up(p, why);
}

static bool has_any_voice(const struct prober *prober)
{
    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++)
        if (prober->probes[i] != NULL && !prober->probes[i]->is_silent)
            return true;
    return false;
}

void prober_look_again(struct prober *prober)
{
    const bool has_other = has_any_voice(prober);

    if (prober->is_round)
        return;
    prober->is_round = true;
    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++) {
        struct probe *p = prober->probes[i];

        if (p == NULL)
            continue;
        p->is_in_round = !p->is_silent || !has_other;
        prober->n_asked += p->is_in_round;
        if (!p->is_running)
            net_timer_arm(prober->loop, &p->timer, time_now());
    }
}

/*
 * Nodes come and go
 */

static int probe_init(struct probe *p, struct str name, const struct url *url)
{
    struct prober *prober = p->prober;
    int r;

    p->body = BUF_INIT(ANSWER_MAX);
    p->first_ps = BUF_INIT(ANSWER_MAX);
    p->fields = BUF_INIT(1024);
    p->proof = BUF_INIT(2048);
    p->proof_fields = BUF_INIT(2048);
    r = buf_printf(&p->fields, "User-Agent: chasqui/%s\r\nVia: " STR_FMT "\r\n", CHASQUI_VERSION,
                   STR_ARG(prober->settings->via));
    if (r == 0)
        r = net_timer_init(prober->loop, &p->timer, on_timer);
    if (r == 0)
        r = upstream_init(&p->upstream, prober->loop, prober->upstream, name, url);
    return r;
}

static void probe_fini(struct probe *p)
{
    net_timer_fini(p->prober->loop, &p->timer);
    report_fini(&p->report);
    buf_fini(&p->body);
    buf_fini(&p->first_ps);
    buf_fini(&p->fields);
    buf_fini(&p->proof);
    buf_fini(&p->proof_fields);
}

int prober_add(struct prober *prober, uint16_t index, struct str name, const struct url *url)
{
    struct probe *p;
    int r;

    if (prober->probes[index] != NULL)
        return 0;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->prober = prober;
    p->index = index;
    list_init(&p->link);
    r = probe_init(p, name, url);
    if (r < 0) {
        probe_fini(p);
        free(p);
        return r;
    }
    prober->probes[index] = p;
    net_timer_arm(prober->loop, &p->timer, time_now());
    return 0;
}

static void on_empty(struct upstream *u)
{
    struct probe *p = container_of(u, struct probe, upstream);
    struct prober *prober = p->prober;
    uint16_t index = p->index;

    list_remove(&p->link);
    free(p);
    prober->ops->on_gone(prober, index);
}

void prober_remove(struct prober *prober, uint16_t index)
{
    struct probe *p = prober->probes[index];

    prober->probes[index] = NULL;
    list_put_back(&prober->leaving, &p->link);
    attempt_cancel(&p->attempt);
    probe_fini(p);
    upstream_retire(&p->upstream, on_empty);
    leave_round(p);
}

void prober_configure(struct prober *prober, const struct probe_settings *settings,
                      const struct upstream_settings *upstream)
{
    prober->settings = settings;
    prober->upstream = upstream;
    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++)
        if (prober->probes[i] != NULL)
            upstream_configure(&prober->probes[i]->upstream, upstream);
    list_for_each (it, &prober->leaving)
        upstream_configure(&container_of(it, struct probe, link)->upstream, upstream);
}

int prober_init(struct prober *p, struct net_loop *loop, const struct prober_ops *ops,
                struct hash_key hash_key)
{
    *p = (struct prober){.ops = ops, .loop = loop, .hash_key = hash_key};
    list_init(&p->leaving);
    p->probes = calloc(FLEET_MAX_SLOTS, sizeof(struct probe *));
    return p->probes == NULL ? -ENOMEM : 0;
}

void prober_stop(struct prober *prober)
{
    if (prober->probes == NULL)
        return;
    for (size_t i = 0; i < FLEET_MAX_SLOTS; i++) {
        struct probe *p = prober->probes[i];

        if (p == NULL)
            continue;
        prober->probes[i] = NULL;
        list_put_back(&prober->leaving, &p->link);
        attempt_cancel(&p->attempt);
        probe_fini(p);
    }
    list_for_each (it, &prober->leaving)
        upstream_close(&container_of(it, struct probe, link)->upstream);
}

void prober_free(struct prober *prober)
{
    if (prober->probes == NULL)
        return;
    list_for_each_safe (it, &prober->leaving)
        free(container_of(it, struct probe, link));
    free(prober->probes);
}
