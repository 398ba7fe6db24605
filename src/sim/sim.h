/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The simulated Ollama node
 *
 * Answers Ollama's API as a node of version 0.11.4 does, with text that is computed, not inferred:
 * same seed, model and prompt, same text, on every node, so that a test can tell what an answer
 * must be to the last byte. Loads, slots, queues and faults are simulated in real time. One thread,
 * one process per node.
 */

#include "base/addr.h"
#include "base/time.h"
#include "sim/faults.h"

#define SIM_MODELS_MAX 64

/* What a trailing assistant message of a chat does. */
enum sim_profile {
    SIM_CONTINUE, /* the answer goes on behind it */
    SIM_ECHO,     /* the answer goes on, and its first piece repeats the message */
    SIM_CLOSED,   /* its turn is over: a new answer begins */
    SIM_TRIM,     /* the answer goes on behind the message without its trailing white space */
};

struct sim_settings {
    struct addr listen;
    struct str models[SIM_MODELS_MAX]; /* "embed" in the name makes an embedding model */
    size_t n_models;
    uint32_t n_slots;         /* requests that a model works on at once */
    uint64_t answer_tokens;   /* length of an answer that nothing else ends */
    nsec_t token_interval_ns; /* 0: as fast as the client reads */
    nsec_t load_time_ns;
    nsec_t keep_alive_ns; /* NSEC_NEVER: models stay */
    uint64_t seed;
    enum sim_profile profile;
    struct str version;
    struct sim_fault fault; /* first one */
};

extern const struct sim_settings sim_settings_default;

/**
 * sim_run() - serve until a signal ends the process
 * @settings:  must outlive the call; listen.port is set to the port that was taken
 * @on_ready:  called once the port is open
 *
 * SIGTERM and SIGINT end the process with code 0 at once.
 *
 * Return: -EADDRINUSE and the like, -ENOMEM; nothing was served.
 */
MUST_USE int sim_run(struct sim_settings *settings,
                     void (*on_ready)(const struct sim_settings *settings));
