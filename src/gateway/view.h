/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * View: the configuration, as all who work see it
 *
 * An immutable snapshot: settings, keys, guards. A reload builds a new one whole, the control
 * thread hands it to each worker by mail, and a worker takes it between two callbacks. Whoever must
 * see one configuration from begin to end (an exchange) keeps a reference; with the last one the
 * view goes. The list of nodes in it is what the desk was told (desk_list_nodes()).
 */

#include <stdatomic.h>

#include "admit/guard.h"
#include "admit/keys.h"
#include "fleet/fleet.h"
#include "fleet/queue.h"
#include "fleet/settings.h"
#include "gateway/settings.h"
#include "net/loop.h"
#include "upstream/settings.h"

/* What the settings rows of the rooms were read into; whoever joined the rows owns the rest. */
struct gateway_config {
    struct gateway_settings gateway;
    struct upstream_settings upstream;
    struct fleet_settings fleet;
};

/* A setting that is not what it was. */
typedef int config_change_fn(void *arg, const char *key, bool needs_restart);

/* Where configurations come from: stands above the gateway, and is handed in. Control thread. */
struct config_ops {
    const char *name;
    /*
     * Reads @text, or where text.s is NULL the file of the start again. Return: 0; -EX_CONFIG with
     * texts in @errors; -ENOMEM.
     */
    int (*load)(struct str text, struct gateway_config **ret_config, struct buf *errors);
    void (*free)(struct gateway_config *config);
    /*
     * Calls @fn for each setting that differs: from @before, or where a change needs a restart,
     * from @first. Return: 0, or what @fn returned; -ENOMEM.
     */
    int (*compare)(const struct gateway_config *first, const struct gateway_config *before,
                   const struct gateway_config *now, config_change_fn *fn, void *arg);
    /* Appends it as YAML, with the origin of each value, secrets masked. Return: 0, -ENOBUFS, -ENOMEM. */
    int (*print)(const struct gateway_config *config, struct buf *out);
    /* It is in effect: for settings that are not the gateway's. */
    void (*adopt)(const struct gateway_config *config);
};

struct view;

/* Brings a view to a worker. */
struct view_mail {
    struct net_mail mail;
    struct view *view;
    struct worker *worker;
};

struct view {
    _Atomic unsigned n_refs; /* the last release pairs with the others' by acq_rel */
    uint64_t generation;     /* 1 at the start */
    const struct config_ops *ops;
    struct gateway_config *config;
    const struct gateway_settings *settings; /* in `config`, as the two below */
    const struct upstream_settings *upstream;
    const struct fleet_settings *fleet;
    struct keys keys;
    struct guard guard;
    struct fleet_entry *entries; /* nodes; names in name_texts */
    char *name_texts;
    size_t n_entries;
    struct view_mail *mails; /* one per worker; NULL until it is handed out */
};

/**
 * view_new() - a view of @config
 * @config:  taken over, also on failure
 * @errors:  what is wrong: keys file, listeners that anybody could reach
 *
 * Return: 0; -EX_CONFIG, -ENOMEM, or -errno of the keys file, with a text.
 */
MUST_USE int view_new(const struct config_ops *ops, struct gateway_config *config,
                      struct view **ret_view, struct buf *errors);

static inline struct view *view_ref(struct view *v)
{
    (void)atomic_fetch_add_explicit(&v->n_refs, 1, memory_order_relaxed);
    return v;
}

static inline struct queue_limits view_queue_limits(const struct view *v)
{
    return (struct queue_limits){v->settings->queue_max, v->settings->queue_max_bytes};
}

/* Whether routing asks where clients come from. */
static inline bool view_needs_source(const struct view *v)
{
    return v->fleet->routing.strategy == BALANCE_SOURCE_HASH ||
           fleet_settings_has_affinity(v->fleet, STR("source"));
}

/* Any thread. Accepts NULL. */
void view_unref(struct view *v);
