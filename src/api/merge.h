/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Fleet views: the answers of several nodes to one listing, merged
 *
 * Elements are copied as the node wrote them. /api/tags and /v1/models keep the first element of
 * each model (by key, in the order of the nodes); /api/ps keeps all and adds "node":"NAME" to each.
 * Pure.
 */

#include "api/route.h"
#include "base/buf.h"

struct api_part {
    struct str node; /* its name */
    struct str body; /* JSON of a 200 answer; one that is not what it should be is left out */
};

/*
 * Appends the merged body of ROUTE_TAGS, ROUTE_PS or ROUTE_V1_MODELS. With no model at all: [] for
 * /api, null for /v1/models, as Ollama has it. Return: 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int api_merge(enum api_route_id route, const struct api_part *parts, size_t n_parts,
                       struct buf *out);

struct api_model {
    struct str name;       /* decoded */
    struct str digest;     /* as sent; empty when absent */
    struct str expires_at; /* of /api/ps, as sent; empty when absent */
    uint64_t size;         /* bytes; 0 when absent */
};

/*
 * Calls @each for every model in a body of /api/tags or /api/ps (valid during the call), until it
 * returns non-zero. Return: 0; what @each returned; -EX_JSON_*.
 */
typedef int api_each_model_fn(void *arg, const struct api_model *model);
MUST_USE int api_each_model(struct str body, api_each_model_fn *each, void *arg);

/*
 * The "version" of a body of /api/version, decoded into @out (NUL-terminated). Return: 0;
 * -EX_JSON_SYNTAX.
 */
MUST_USE int api_read_version(struct str body, char out[static 64]);
