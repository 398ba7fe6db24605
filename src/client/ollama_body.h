/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bodies of typed requests, as JSON
 *
 * Return of all: 0; -EINVAL a text that must be JSON is none, or what is needed is missing;
 * -ENOBUFS, -ENOMEM.
 */

#include <chasqui/ollama.h>

#include "base/buf.h"

MUST_USE int client_body_generate(struct buf *out, const chasqui_generate_request *q);
MUST_USE int client_body_chat(struct buf *out, const chasqui_chat_request *q);
MUST_USE int client_body_embed(struct buf *out, const chasqui_embed_request *q);
MUST_USE int client_body_show(struct buf *out, const char *model);
