/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A new configuration for a gateway that runs
 *
 * All or nothing: what does not parse, or would not do, changes nothing and is told. Streams go on;
 * each request sees one configuration from its begin to its end. Control thread.
 */

#include "gateway/view.h"

#define RELOAD_TEXT_MAX (256 * 1024) /* of changes, and of errors */

struct gateway;

struct reload_counts {
    uint64_t n_ok;
    uint64_t n_failed;
    bool has_failed; /* the last one did */
};

/**
 * gateway_reload() - read, check, swap; and log what became of each setting
 * @text:     a configuration file; .s NULL: the file of the start, read again
 * @changes:  "key\0" or "!key\0" (it needs a restart) for each setting that differs
 * @errors:   what is wrong, on failure
 *
 * Return: 0; -EX_CONFIG and others: nothing changed.
 */
MUST_USE int gateway_reload(struct gateway *g, struct str text, struct buf *changes,
                            struct buf *errors);

/* How many connections @view allows. */
void gateway_limit_connections(struct gateway *g, const struct view *view);

/* Gives all nodes of @view to the desk and to the probes. Return: 0; -ENOBUFS, see fleet_list(). */
MUST_USE int gateway_list_nodes(struct gateway *g, const struct view *view, struct buf *errors);
