/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Managing models: what such bodies say about where, and progress as nodes tell it
 *
 * Pull, push and create are answered by progress records: {"status":"pulling 8daa9615cce3",
 * "digest":"sha256:...","total":N,"completed":N}, at last {"status":"success"} or
 * {"error":"text"}. Several nodes that work on the same make one stream of them: bars of one digest
 * are added up, a status is told when the first node reaches it, and the end is told once, by
 * whoever knows how all of them ended. Pure.
 */

#include "api/model_name.h"
#include "base/buf.h"
#include "base/hash.h"

#define API_DIGESTS_MAX 64

/* Of a body of /api/create: what must be there already. */
struct api_create {
    struct model_key from; /* len 0: none */
    /* "sha256:..." of files and adapters; those beyond API_DIGESTS_MAX are left out */
    struct str digests[API_DIGESTS_MAX];
    size_t n_digests;
};

/*
 * A body that cannot be read says nothing: a node refuses it in its own words. The digests lie in
 * @body.
 */
void api_create_read(struct str body, struct api_create *ret_create);

/* Whether the member @name of a body is true. */
bool api_is_true(struct str body, struct str name);

/*
 * Whether @text is a blob's name, "sha256:" or "sha256-" and 64 hex digits, and those digits. Return:
 * 0; -EINVAL.
 */
MUST_USE int api_digest_parse(struct str text, struct str *ret_hex);

/* One progress record. */
struct api_step {
    struct str status; /* raw JSON text between the quotes; empty: none */
    struct str digest; /* likewise; empty: no bar */
    uint64_t total;
    uint64_t completed;
    bool is_error;
    bool is_success;
    uint64_t code; /* an error's "status", as create has it; 0: none */
};

/* Return: 0; -EX_JSON_SYNTAX it is no object. */
MUST_USE int api_step_read(struct str record, struct api_step *ret_step);

#define API_BARS_MAX     128
#define API_STATUSES_MAX 64

struct api_bar {
    uint64_t hash; /* of the digest */
    uint64_t total;
    uint64_t *completed; /* by node */
};

struct api_progress {
    size_t n_nodes;
    struct api_bar bars[API_BARS_MAX]; /* beyond that they are not added up but passed on */
    size_t n_bars;
    uint64_t statuses[API_STATUSES_MAX]; /* hashes of those told; beyond that they are told again */
    size_t n_statuses;
};

void api_progress_init(struct api_progress *p, size_t n_nodes);
void api_progress_fini(struct api_progress *p);

/**
 * api_progress_feed() - a record of one node
 * @node:  0..n_nodes-1
 * @out:   what is to be told, if anything, is appended: a line
 *
 * The only node's records are told as they are. Of several, ends (success, error) are not told.
 *
 * Return: 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int api_progress_feed(struct api_progress *p, size_t node, struct str record,
                               struct buf *out);
