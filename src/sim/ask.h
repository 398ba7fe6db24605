/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a request asks for
 *
 * One structure for the bodies of all dialects; a table says which member belongs to which. Texts
 * that clients see are Go's, because the real node reads with Go's decoder. Pure; strings lie in
 * the body or in the arena.
 */

#include "base/arena.h"
#include "base/time.h"
#include "sim/sim.h"

#define SIM_STOPS_MAX 16

enum sim_dialect {
    SIM_GENERATE = 1 << 0,
    SIM_CHAT = 1 << 1,
    SIM_EMBED = 1 << 2,
    SIM_EMBEDDINGS = 1 << 3,
    SIM_SHOW = 1 << 4,
    SIM_V1_CHAT = 1 << 5,
    SIM_V1_COMPLETIONS = 1 << 6,
    SIM_V1_EMBEDDINGS = 1 << 7,
    SIM_V1_RESPONSES = 1 << 8,
    SIM_V1_MESSAGES = 1 << 9,
    SIM_PULL = 1 << 10,
    SIM_PUSH = 1 << 11,
    SIM_CREATE = 1 << 12,
    SIM_COPY = 1 << 13,
    SIM_DELETE = 1 << 14,
    SIM_BLOB = 1 << 15,                              /* an upload: hashed, not kept */
    SIM_PROGRESS = SIM_PULL | SIM_PUSH | SIM_CREATE, /* answered by progress records */
    SIM_MANAGE = SIM_PROGRESS | SIM_COPY | SIM_DELETE,
    SIM_INFER_NATIVE = SIM_GENERATE | SIM_CHAT | SIM_EMBED | SIM_EMBEDDINGS,
    SIM_NATIVE = SIM_INFER_NATIVE | SIM_SHOW | SIM_MANAGE,
};

struct sim_message {
    struct str role;
    struct str content;
    struct sim_message *next;
};

struct sim_ask {
    enum sim_dialect dialect;
    struct str model;
    struct str prompt;
    struct str system;
    struct str from;           /* create: a model; copy: the source */
    struct sim_message *first; /* messages, inputs to embed, digests of files, in order */
    struct sim_message *last;
    struct str stops[SIM_STOPS_MAX];
    size_t n_stops;
    int64_t max_tokens; /* < 1: as long as the answer is */
    nsec_t keep_alive_ns;
    uint64_t seed;
    uint64_t dimensions; /* 0: all */
    bool has_keep_alive;
    bool has_input;
    bool has_context;
    bool has_template;
    bool wants_stream;
    bool wants_usage;
    bool wants_base64;
    bool wants_thinking;
    bool is_raw;
    bool is_render_only;
    int status; /* of the refusal, when there is one */
    char error[256];
};

enum {
    SIM_ASK_REFUSED = 1, /* status and error say why */
};

/**
 * sim_ask_parse() - read a body
 * @body:     must outlive @ret_ask
 * @arena:    for decoded strings
 *
 * Return: 0; SIM_ASK_REFUSED; -ENOMEM.
 */
MUST_USE int sim_ask_parse(enum sim_dialect dialect, struct str body, struct arena *arena,
                           struct sim_ask *ret_ask);
