/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Models come and go: pull, push, create, copy, delete, blobs
 *
 * There is no registry behind it: a pull makes a model of its name, in as many steps as a progress
 * bar shows, one in each token interval. A name with "missing" in it is nowhere to be had. Uploads
 * are hashed and forgotten; of a blob its digest stays.
 */

#include "base/sha256.h"
#include "net/loop.h"
#include "sim/ask.h"

#define SIM_BLOBS_MAX 64

struct sim;
struct sim_conn;

struct sim_store {
    char blobs[SIM_BLOBS_MAX][SHA256_HEX_LEN + 1]; /* the newest ones */
    uint64_t n_blobs;                              /* ever */
    uint64_t n_pulls;                              /* begun */
    uint64_t n_changing;                           /* pulls, pushes and creates on their way */
};

/* A pull, push or create on its way; embedded by its connection. */
struct sim_progress {
    struct sim *sim;
    struct net_timer timer; /* of the next step */
    enum sim_dialect what;
    char model[256];
    char digest[SHA256_HEX_LEN + 1];
    unsigned step;
    bool is_stream;
    bool is_on;
};

MUST_USE int sim_progress_init(struct sim_progress *p, struct sim *sim);
void sim_progress_fini(struct sim_progress *p);

/* The client is gone, and the work ends. */
void sim_progress_cancel(struct sim_progress *p);

/* Routes. */
void sim_manage(struct sim_conn *c);
void sim_blob(struct sim_conn *c);
