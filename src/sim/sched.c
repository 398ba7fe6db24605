/* SPDX-License-Identifier: MIT */
#include "sim/sched.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "sim/text.h"

static void settle(struct sim_model *m);

static void grant(struct sim_model *m, struct sim_ticket *t)
{
    list_remove(&t->link);
    m->n_waiting--;
    m->n_running++;
    t->stage = SIM_RUNNING;
    t->granted_at = time_now();
    t->on_granted(t);
}

static void wait_for_slot(struct sim_model *m, struct sim_ticket *t)
{
    t->stage = SIM_WAITING;
    t->loaded_at = time_now();
    if (t->is_load_only || m->n_running < m->n_slots) {
        grant(m, t);
        return;
    }
    list_put_back(&m->queue, &t->link);
}

static void begin_load(struct sim_model *m)
{
    m->residency = SIM_LOAD_RUNS;
    m->sched->n_loads++;
    net_timer_arm(m->sched->loop, &m->load_end, time_now() + m->sched->load_time_ns);
}

static void on_load_end(struct net_timer *timer)
{
    struct sim_model *m = container_of(timer, struct sim_model, load_end);

    if (m->residency != SIM_LOAD_RUNS)
        return;
    m->residency = SIM_LOADED;
    m->expires_at = m->keep_alive_ns == NSEC_NEVER ? NSEC_NEVER : time_now() + m->keep_alive_ns;
    for (struct list *it = list_first(&m->joined); it != NULL; it = list_first(&m->joined)) {
        list_remove(it);
        wait_for_slot(m, container_of(it, struct sim_ticket, link));
    }
}

static void unload(struct sim_model *m)
{
    m->residency = SIM_UNLOADED;
    m->keep_alive_ns = m->sched->keep_alive_ns;
    m->goes_when_idle = false;
    net_timer_disarm(&m->expiry);
}

static void on_expiry(struct net_timer *timer)
{
    struct sim_model *m = container_of(timer, struct sim_model, expiry);

    if (m->residency == SIM_LOADED && m->n_running == 0)
        unload(m);
}

/* Gives free slots away, or begins the time until an idle model goes. */
static void settle(struct sim_model *m)
{
    while (!list_is_empty(&m->queue) && m->n_running < m->n_slots)
        grant(m, container_of(list_first(&m->queue), struct sim_ticket, link));
    if (m->residency != SIM_LOADED || m->n_running > 0)
        return;
    if (m->goes_when_idle || m->keep_alive_ns == 0) {
        unload(m);
        return;
    }
    m->expires_at = m->keep_alive_ns == NSEC_NEVER ? NSEC_NEVER : time_now() + m->keep_alive_ns;
    net_timer_arm(m->sched->loop, &m->expiry, m->expires_at);
}

void sim_sched_enter(struct sim_model *model, struct sim_ticket *ticket)
{
    list_init(&ticket->link);
    ticket->model = model;
    model->n_waiting++;
    if (model->residency == SIM_LOADED) {
        net_timer_disarm(&model->expiry);
        wait_for_slot(model, ticket);
        return;
    }
    ticket->stage = SIM_LOADING;
    list_put_back(&model->joined, &ticket->link);
    if (model->residency == SIM_UNLOADED)
        begin_load(model);
}

/* The one that began the load is gone, and the load with it. */
static void abort_load(struct sim_model *m)
{
    net_timer_disarm(&m->load_end);
    m->sched->n_aborted_loads++;
    unload(m);
    if (!list_is_empty(&m->joined))
        begin_load(m);
}

void sim_sched_leave(struct sim_ticket *ticket)
{
    struct sim_model *m = ticket->model;
    enum sim_stage stage = ticket->stage;
    bool owns_load = stage == SIM_LOADING && list_first(&m->joined) == &ticket->link;

    ticket->stage = SIM_IDLE;
    switch (stage) {
    case SIM_IDLE:
        return;
    case SIM_LOADING:
    case SIM_WAITING:
        list_remove(&ticket->link);
        m->n_waiting--;
        if (owns_load)
            abort_load(m);
        return;
    case SIM_RUNNING:
        m->n_running--;
        settle(m);
        return;
    }
}

void sim_sched_expire(struct sim_model *model)
{
    if (model->residency == SIM_UNLOADED)
        return;
    model->goes_when_idle = true;
    settle(model);
}

void sim_sched_keep(struct sim_model *model, nsec_t keep_alive_ns)
{
    model->keep_alive_ns = keep_alive_ns;
    model->goes_when_idle = keep_alive_ns == 0;
}

static bool has_tag(struct str name)
{
    const char *slash = name.len > 0 ? memrchr(name.s, '/', name.len) : NULL;
    size_t from = slash != NULL ? (size_t)(slash - name.s) : 0;

    return str_find(str_from(name, from), ':') < str_from(name, from).len;
}

struct sim_model *sim_sched_find(struct sim_sched *s, struct str name)
{
    static const struct str defaults[] = {STR_INIT("registry.ollama.ai/"), STR_INIT("library/")};
    const struct str latest = STR(":latest");

    for (size_t i = 0; i < 2; i++)
        if (str_eq_nocase(str_head(name, defaults[i].len), defaults[i]))
            name = str_from(name, defaults[i].len);
    for (size_t i = 0; i < s->n_models; i++) {
        struct str full = s->models[i].name;

        if (full.len == 0)
            continue;
        if (str_eq_nocase(name, full))
            return &s->models[i];
        if (!has_tag(name) && str_ends(full, latest) &&
            str_eq_nocase(name, str_head(full, full.len - latest.len)))
            return &s->models[i];
    }
    return NULL;
}

static void make_digest(struct sim_model *m)
{
    for (uint64_t i = 0; i < 4; i++)
        (void)snprintf(m->digest + 16 * i, 17, "%016llx", (unsigned long long)sim_hash(i, m->name));
}

/* A copy of @name that has a tag. */
static struct str full_name(struct str name)
{
    struct buf full = BUF_INIT(4096);

    if (buf_put(&full, name) < 0 || (!has_tag(name) && buf_put(&full, STR(":latest")) < 0)) {
        buf_fini(&full);
        return STR_NULL;
    }
    return buf_str(&full);
}

static int init_model(struct sim_sched *s, struct sim_model *m, struct str name)
{
    int r;

    *m = (struct sim_model){.sched = s, .name = full_name(name), .keep_alive_ns = s->keep_alive_ns};
    if (m->name.s == NULL)
        return -ENOMEM;
    list_init(&m->joined);
    list_init(&m->queue);
    make_digest(m);
    m->is_embedding = str_search(m->name, STR("embed")) < m->name.len;
    m->n_slots = m->is_embedding ? 1 : s->n_slots; /* as the real scheduler has it */
    r = net_timer_init(s->loop, &m->load_end, on_load_end);
    return r == 0 ? net_timer_init(s->loop, &m->expiry, on_expiry) : r;
}

int sim_sched_init(struct sim_sched *s, struct net_loop *loop, const struct sim_settings *settings)
{
    *s = (struct sim_sched){.loop = loop,
                            .load_time_ns = settings->load_time_ns,
                            .keep_alive_ns = settings->keep_alive_ns,
                            .n_slots = settings->n_slots};
    for (size_t i = 0; i < settings->n_models; i++) {
        int r = init_model(s, &s->models[s->n_models++], settings->models[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_free(const struct sim_model *m)
{
    return m->name.len == 0 && m->residency == SIM_UNLOADED && m->n_waiting == 0 &&
           m->n_running == 0;
}

static void free_name(struct sim_model *m)
{
    free((void *)(uintptr_t)m->name.s);
    m->name = STR_NULL;
}

static void fini_model(struct sim_model *m)
{
    net_timer_fini(m->sched->loop, &m->load_end);
    net_timer_fini(m->sched->loop, &m->expiry);
    free_name(m);
}

int sim_sched_add(struct sim_sched *s, struct str name, const char *digest)
{
    struct sim_model *m = sim_sched_find(s, name);
    size_t i = 0;
    int r = 0;

    if (m == NULL) {
        while (i < s->n_models && !is_free(&s->models[i]))
            i++;
        if (i == SIM_MODELS_MAX)
            return -ENOSPC;
        m = &s->models[i];
        if (i == s->n_models)
            s->n_models++;
        else
            fini_model(m);
        r = init_model(s, m, name);
    }
    if (r == 0 && digest != NULL)
        (void)snprintf(m->digest, sizeof(m->digest), "%s", digest);
    return r;
}

void sim_sched_delete(struct sim_model *m)
{
    free_name(m);
    sim_sched_expire(m);
}

void sim_sched_fini(struct sim_sched *s)
{
    for (size_t i = 0; i < s->n_models; i++)
        fini_model(&s->models[i]);
}
