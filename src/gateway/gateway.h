/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The gateway: life of the process
 *
 * Owns what workers share: the desk, the account of held bodies, and the control thread with the
 * view that is in effect.
 */

#include <stdatomic.h>

#include "gateway/control.h"
#include "gateway/desk.h"
#include "gateway/reload.h"
#include "gateway/worker.h"

struct gateway {
    struct view *view;       /* in effect; control's, each worker has its own reference */
    struct view *first_view; /* of the start: what needs a restart is still as it says */
    struct reload_counts reloads;
    struct desk desk;
    char cookie_key[33]; /* where routing.cookie_key is not given */
    struct quota quota;  /* of connections to nodes */
    struct control control;
    struct worker *workers;
    size_t n_workers;
    size_t n_ended;       /* workers that have; control's */
    struct addr *listens; /* as bound */
    size_t n_listens;
    struct addr *mcp_listens;
    size_t n_mcp_listens;
    _Atomic uint64_t bodies_bytes; /* of all held bodies; workers add and subtract, relaxed */
    char via[48];                  /* "1.1 chasqui-<random>": how this process knows itself again */
    struct str via_token;          /* "chasqui-<random>" in it */
};

/* Runs until it is told to end. @config is taken over. Return: exit code. */
int gateway_run(struct gateway_config *config, const struct config_ops *config_ops,
                const struct control_ops *control_ops);

/* The first round of probes is over: tells the reader what was found and what to try. */
void gateway_on_ready(struct gateway *g);

/* Finish what runs and end; end now. On the control thread. */
void gateway_drain(struct gateway *g);
void gateway_stop(struct gateway *g);

/* Logs what became of a node. */
void gateway_log_news(struct gateway *g, const struct desk_news *news);
