/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers of the Ollama API, read into structs
 *
 * Only the members that a table names are looked at, the rest is passed over. Texts are appended to
 * buffers of the caller's, decoded.
 *
 * Return of all: 0; -EX_JSON_* it is no answer of this kind; -ENOBUFS, -ENOMEM.
 */

#include <chasqui/ollama.h>

#include "base/buf.h"

/* What an answer grows in; texts of a chasqui_answer point into it at the end. */
struct client_growing_answer {
    struct buf text;
    struct buf thinking;
    struct buf tool_calls; /* elements, with commas between them */
    struct buf done_reason;
    struct buf json;
};

/* One record of generate or chat, or the whole answer. Numbers go to @answer. */
MUST_USE int client_read_record(struct str json, struct client_growing_answer *growing,
                                chasqui_answer *answer);

/* @ret->memory holds what the rest points at. */
MUST_USE int client_read_embeddings(struct str json, chasqui_embeddings *ret);
MUST_USE int client_read_models(struct str json, chasqui_models *ret);
MUST_USE int client_read_version(struct str json, struct buf *out);
