/* SPDX-License-Identifier: MIT */
#include "sim/listing.h"

#include <stdio.h>

#include "json/writer.h"
#include "sim/routes.h"

#define MADE_AT    INT64_C(1767225600) /* of every model: 2026-01-01 */
#define MADE_STAMP "2026-01-01T00:00:00Z"

/* An answer in the making. */
struct page {
    struct sim_conn *c;
    struct buf out;
    struct json_writer w;
};

static struct json_writer *page_begin(struct page *p, struct sim_conn *c)
{
    *p = (struct page){.c = c, .out = BUF_INIT(1024 * 1024)};
    json_writer_init(&p->w, &p->out);
    json_begin_object(&p->w);
    return &p->w;
}

static void page_end(struct page *p)
{
    bool is_native = p->c->route->api == SIM_API_OLLAMA;

    json_end(&p->w);
    if (json_writer_result(&p->w) < 0 || (!is_native && buf_put_char(&p->out, '\n') < 0))
        net_stream_close(&p->c->stream);
    else
        sim_conn_answer(
            p->c, 200, is_native ? STR("application/json; charset=utf-8") : STR("application/json"),
            STR_NULL, buf_str(&p->out));
    buf_fini(&p->out);
}

static void put_string(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, key);
    json_str(w, value);
}

static void put_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_u64(w, value);
}

void sim_list_version(struct sim_conn *c)
{
    struct page p;

    put_string(page_begin(&p, c), "version", c->sim->settings->version);
    page_end(&p);
}

static uint64_t size_of(const struct sim_model *m)
{
    return 100000000 + sim_hash(0, m->name) % 900000000;
}

static void put_details(struct json_writer *w, const struct sim_model *m)
{
    struct str family = m->is_embedding ? STR("bert") : STR("llama");

    json_key(w, "details");
    json_begin_object(w);
    put_string(w, "parent_model", STR(""));
    put_string(w, "format", STR("gguf"));
    put_string(w, "family", family);
    json_key(w, "families");
    json_begin_array(w);
    json_str(w, family);
    json_end(w);
    put_string(w, "parameter_size", STR("1B"));
    put_string(w, "quantization_level", STR("Q4_K_M"));
    json_end(w);
}

void sim_list_tags(struct sim_conn *c)
{
    struct sim_sched *s = &c->sim->sched;
    struct page p;
    struct json_writer *w = page_begin(&p, c);

    json_key(w, "models");
    json_begin_array(w);
    for (size_t i = 0; i < s->n_models; i++) {
        const struct sim_model *m = &s->models[i];

        if (m->name.len == 0)
            continue;
        json_begin_object(w);
        put_string(w, "name", m->name);
        put_string(w, "model", m->name);
        put_string(w, "modified_at", STR(MADE_STAMP));
        put_u64(w, "size", size_of(m));
        put_string(w, "digest", str_of(m->digest));
        put_details(w, m);
        json_end(w);
    }
    json_end(w);
    page_end(&p);
}

static struct str expiry_stamp(const struct sim_model *m, char out[static 40])
{
    struct sim_clock clock = {0};

    if (m->expires_at ==
        NSEC_NEVER) /* what "for ever" is on the real node: as far as its clock goes */
        return STR("2319-03-07T22:30:57.567296125Z");
    return sim_clock_stamp(&clock, time_wall() + (m->expires_at - time_now()), out);
}

static int by_expiry(const void *a, const void *b)
{
    const struct sim_model *const *x = a;
    const struct sim_model *const *y = b;

    return ((*x)->expires_at < (*y)->expires_at) - ((*x)->expires_at > (*y)->expires_at);
}

static size_t loaded_models(struct sim *sim, const struct sim_model *out[static SIM_MODELS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < sim->sched.n_models; i++)
        if (sim->sched.models[i].residency == SIM_LOADED && sim->sched.models[i].name.len > 0)
            out[n++] = &sim->sched.models[i];
    if (n > 0)
        qsort(out, n, sizeof(out[0]), by_expiry);
    return n;
}

void sim_list_ps(struct sim_conn *c)
{
    const struct sim_model *loaded[SIM_MODELS_MAX];
    size_t n = loaded_models(c->sim, loaded);
    struct page p;
    struct json_writer *w = page_begin(&p, c);
    char stamp[40];

    json_key(w, "models");
    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w);
        put_string(w, "name", loaded[i]->name);
        put_string(w, "model", loaded[i]->name);
        put_u64(w, "size", size_of(loaded[i]) * 2);
        put_string(w, "digest", str_of(loaded[i]->digest));
        put_details(w, loaded[i]);
        put_string(w, "expires_at", expiry_stamp(loaded[i], stamp));
        put_u64(w, "size_vram", 0);
        put_u64(w, "context_length", 4096);
        json_end(w);
    }
    json_end(w);
    page_end(&p);
}

static void put_capabilities(struct json_writer *w, const struct sim_model *m)
{
    json_key(w, "capabilities");
    json_begin_array(w);
    json_str(w, m->is_embedding ? STR("embedding") : STR("completion"));
    json_end(w);
}

static void put_model_info(struct json_writer *w, const struct sim_model *m)
{
    json_key(w, "model_info");
    json_begin_object(w);
    put_string(w, "general.architecture", m->is_embedding ? STR("bert") : STR("llama"));
    put_u64(w, "general.parameter_count", 1000000000);
    put_u64(w, m->is_embedding ? "bert.context_length" : "llama.context_length", 4096);
    put_u64(w, m->is_embedding ? "bert.embedding_length" : "llama.embedding_length", 32);
    json_end(w);
}

static void show(struct sim_conn *c, const struct sim_model *m)
{
    struct page p;
    struct json_writer *w = page_begin(&p, c);

    put_string(w, "modelfile", STR("# Modelfile generated by \"ollama show\"\nFROM sim\n"));
    put_string(w, "template",
               STR("{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end "
                   "}}<|assistant|>\n"));
    put_details(w, m);
    put_model_info(w, m);
    put_capabilities(w, m);
    put_string(w, "modified_at", STR(MADE_STAMP));
    page_end(&p);
}

void sim_list_show(struct sim_conn *c)
{
    struct arena arena;
    struct sim_ask ask;
    const struct sim_model *m;
    char text[512];

    arena_init(&arena, SIM_BODY_MAX);
    if (sim_ask_parse(SIM_SHOW, buf_str(&c->body), &arena, &ask) != 0) {
        sim_conn_refuse(c, ask.status != 0 ? ask.status : 500, STR_NULL, str_of(ask.error));
    } else if (ask.model.len == 0) {
        sim_conn_refuse(c, 400, STR_NULL, STR("model is required"));
    } else {
        m = sim_sched_find(&c->sim->sched, ask.model);
        (void)snprintf(text, sizeof(text), "model '" STR_FMT "' not found",
                       STR_ARG(str_head(ask.model, 400)));
        if (m != NULL)
            show(c, m);
        else
            sim_conn_refuse(c, 404, STR_NULL, str_of(text));
    }
    arena_fini(&arena);
}

static void put_v1_model(struct json_writer *w, struct str name)
{
    put_string(w, "id", name);
    put_string(w, "object", STR("model"));
    put_u64(w, "created", MADE_AT);
    put_string(w, "owned_by", STR("library"));
}

void sim_list_v1_models(struct sim_conn *c)
{
    struct sim_sched *s = &c->sim->sched;
    struct page p;
    struct json_writer *w = page_begin(&p, c);

    put_string(w, "object", STR("list"));
    json_key(w, "data");
    json_begin_array(w);
    for (size_t i = 0; i < s->n_models; i++) {
        if (s->models[i].name.len == 0)
            continue;
        json_begin_object(w);
        put_v1_model(w, s->models[i].name);
        json_end(w);
    }
    json_end(w);
    page_end(&p);
}

void sim_list_v1_model(struct sim_conn *c)
{
    struct page p;
    char text[320];

    if (sim_sched_find(&c->sim->sched, str_of(c->arg)) == NULL) {
        (void)snprintf(text, sizeof(text), "model '%s' not found", c->arg);
        c->is_understood = true;
        sim_conn_refuse(c, 404, STR_NULL, str_of(text));
        return;
    }
    put_v1_model(page_begin(&p, c), str_of(c->arg));
    page_end(&p);
}

static void count_tickets(const struct sim *sim, uint64_t *ret_active, uint64_t *ret_waiting)
{
    *ret_active = 0;
    *ret_waiting = 0;
    for (size_t i = 0; i < sim->sched.n_models; i++) {
        *ret_active += sim->sched.models[i].n_running;
        *ret_waiting += sim->sched.models[i].n_waiting;
    }
}

void sim_list_state(struct sim_conn *c)
{
    const struct sim_model *loaded[SIM_MODELS_MAX];
    const struct sim *sim = c->sim;
    size_t n = loaded_models(c->sim, loaded);
    uint64_t n_active;
    uint64_t n_waiting;
    struct page p;
    struct json_writer *w = page_begin(&p, c);

    count_tickets(sim, &n_active, &n_waiting);
    put_u64(w, "active", n_active);
    put_u64(w, "waiting", n_waiting);
    put_u64(w, "served", sim->n_served);
    put_u64(w, "cancelled", sim->n_cancelled);
    put_u64(w, "loads", sim->sched.n_loads);
    put_u64(w, "aborted_loads", sim->sched.n_aborted_loads);
    json_key(w, "loaded");
    json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        json_str(w, loaded[i]->name);
    json_end(w);
    put_u64(w, "pulls", sim->store.n_pulls);
    put_u64(w, "changing", sim->store.n_changing);
    put_u64(w, "blobs", sim->store.n_blobs);
    put_u64(w, "connections", sim->n_connections - 1); /* without the one that asks */
    page_end(&p);
}
