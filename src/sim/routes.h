/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Paths and what answers them
 */

#include "sim/ask.h"
#include "sim/conn.h"

enum sim_api {
    SIM_API_OLLAMA,
    SIM_API_OPENAI,
    SIM_API_ANTHROPIC,
};

struct sim_route {
    struct str path;  /* a final '/' stands for one more segment, c->arg */
    unsigned methods; /* of enum h1_method */
    enum sim_api api;
    enum sim_dialect dialect; /* of the body, for answers by run_ask */
    void (*run)(struct sim_conn *c);
};

/* Sets c->route to what answers @head; what has no route gets one that says so. */
void sim_route_find(struct sim_conn *c, const struct h1_head *head);

/* The request is here: answer it, or begin to. */
void sim_route_run(struct sim_conn *c);
