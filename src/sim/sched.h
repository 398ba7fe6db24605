/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Models, loads and slots
 *
 * A request for a model that is not loaded begins its load; others that come meanwhile join it.
 * When the one that began it leaves, the load is lost and the next in line begins anew, as on a
 * real node. A loaded model works on as many requests at once as it has slots; the others wait in
 * order, without a limit. Idle models go after their keep-alive.
 *
 *     enter ──► LOADING ──► WAITING ──► RUNNING ──► leave
 *                  └────────── from everywhere ──────┘
 *
 * Callbacks only note the state and set a timer or task of the request, they never answer.
 */

#include "net/loop.h"
#include "sim/sim.h"

enum sim_stage {
    SIM_IDLE,
    SIM_LOADING,
    SIM_WAITING,
    SIM_RUNNING,
};

/* Embedded by a request. */
struct sim_ticket {
    struct list link; /* in a list of the model */
    struct sim_model *model;
    enum sim_stage stage;
    bool is_load_only; /* wants the model, not a slot */
    nsec_t loaded_at;  /* set before on_granted, monotonic */
    nsec_t granted_at;
    void (*on_granted)(struct sim_ticket *ticket);
};

enum sim_residency {
    SIM_UNLOADED,
    SIM_LOAD_RUNS,
    SIM_LOADED,
};

struct sim_model {
    struct str name; /* with its tag; empty: it was deleted, and the place is free */
    char digest[65];
    bool is_embedding;
    uint32_t n_slots;
    struct sim_sched *sched;
    enum sim_residency residency;
    struct list joined; /* tickets LOADING; the first one owns the load */
    struct list queue;  /* tickets WAITING */
    uint64_t n_waiting; /* in both */
    uint64_t n_running;
    nsec_t keep_alive_ns;
    nsec_t expires_at; /* monotonic; as of the last time it went idle */
    bool goes_when_idle;
    struct net_timer load_end;
    struct net_timer expiry;
};

struct sim_sched {
    struct net_loop *loop;
    nsec_t load_time_ns;
    nsec_t keep_alive_ns;
    uint32_t n_slots;
    struct sim_model models[SIM_MODELS_MAX];
    size_t n_models;
    uint64_t n_loads; /* begun */
    uint64_t n_aborted_loads;
};

MUST_USE int sim_sched_init(struct sim_sched *s, struct net_loop *loop,
                            const struct sim_settings *settings);
void sim_sched_fini(struct sim_sched *s);

/**
 * sim_sched_add() - install a model, or replace it
 * @name:    tag optional
 * @digest:  64 hex digits; NULL: one made of the name
 *
 * Return: 0; -ENOSPC there are SIM_MODELS_MAX; -ENOMEM.
 */
MUST_USE int sim_sched_add(struct sim_sched *s, struct str name, const char *digest);

/* Not installed any more; one that is loaded goes when it is idle. */
void sim_sched_delete(struct sim_model *model);

/* The installed model that @name means (tag optional, any case), or NULL. */
struct sim_model *sim_sched_find(struct sim_sched *s, struct str name);

/* Wants a slot of @model. on_granted comes in a later turn or within the call; see above. */
void sim_sched_enter(struct sim_model *model, struct sim_ticket *ticket);

/* Done, or gone. Twice is once. */
void sim_sched_leave(struct sim_ticket *ticket);

/* Unloads @model as soon as it is idle. */
void sim_sched_expire(struct sim_model *model);

/* A keep_alive that a request sent; 0 unloads as soon as the model is idle. */
void sim_sched_keep(struct sim_model *model, nsec_t keep_alive_ns);
