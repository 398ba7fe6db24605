/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of the gateway proper. */

#include "call/retry.h"
#include "config/settings.h"
#include "gateway/http_conn.h"
#include "gateway/model_settings.h"
#include "gateway/resume_settings.h"

struct gateway_settings {
    struct strings listen;     /* HTTP */
    struct strings listen_mcp; /* MCP */
    bool is_mcp_default;       /* nobody asked for it */
    char *admin;               /* admin, metrics */
    uint64_t n_workers;        /* 0: one per core */
    char *keys_file;           /* "": none */
    bool allow_anonymous;
    char *origins; /* OLLAMA_ORIGINS */
    nsec_t drain_timeout_ns;
    nsec_t metadata_timeout_ns;
    nsec_t first_token_timeout_ns;
    nsec_t whole_answer_timeout_ns; /* 0: WHOLE_ANSWER_FACTOR times first_token */
    nsec_t between_tokens_timeout_ns;
    nsec_t total_timeout_ns;
    nsec_t queue_timeout_ns;
    uint64_t queue_max; /* of each model's line */
    uint64_t queue_max_bytes;
    uint64_t bodies_max_bytes; /* all held bodies together */
    struct http_settings http;
    uint64_t retry_max;
    struct retry_settings retry; /* max_retries is retry_max */
    double retry_budget;
    struct resume_settings resume;
    struct model_settings models;
};

#define N_GATEWAY_ROWS 28
extern const struct setting gateway_rows[N_GATEWAY_ROWS];
