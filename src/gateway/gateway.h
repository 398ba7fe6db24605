/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The gateway: life of the process
 *
 * Owns what workers share: the desk, keys and guards (immutable), the account of held bodies, and
 * the control thread.
 */

#include <stdatomic.h>

#include "admit/guard.h"
#include "admit/keys.h"
#include "fleet/settings.h"
#include "gateway/control.h"
#include "gateway/desk.h"
#include "gateway/settings.h"
#include "gateway/worker.h"

struct gateway {
    const struct gateway_settings *settings;
    const struct upstream_settings *upstream;
    const struct fleet_settings *fleet;
    struct desk desk;
    struct keys keys;
    struct guard guard;
    struct control control;
    struct worker *workers;
    size_t n_workers;
    size_t n_ended;       /* workers that have; control's */
    struct addr *listens; /* as bound */
    size_t n_listens;
    struct addr *mcp_listens;
    size_t n_mcp_listens;
    size_t n_nodes;
    struct str *names;
    struct url *urls;
    char *name_texts;              /* owns what names point at */
    _Atomic uint64_t bodies_bytes; /* of all held bodies; workers add and subtract, relaxed */
    char via[48];                  /* "1.1 chasqui-<random>": how this process knows itself again */
    struct str via_token;          /* "chasqui-<random>" in it */
};

/* Runs until it is told to end. @settings etc. outlive it. Return: exit code. */
int gateway_run(const struct gateway_settings *settings, const struct upstream_settings *upstream,
                const struct fleet_settings *fleet, const struct control_ops *ops);

/* The first round of probes is over: tells the reader what was found and what to try. */
void gateway_on_ready(struct gateway *g);

/* Finish what runs and end; end now. On the control thread. */
void gateway_drain(struct gateway *g);
void gateway_stop(struct gateway *g);

/* Logs what became of a node. */
void gateway_log_news(struct gateway *g, const struct desk_news *news);
