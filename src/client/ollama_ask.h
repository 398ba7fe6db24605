/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Typed requests, made ready to be sent
 *
 * What the blocking calls (ollama.c) and the asynchronous ones (ollama_start.c) have in common in
 * front of the call: a body, a service, a class.
 *
 * Return of all client_ask_<service>(): 0; else nothing is to be freed: -EINVAL what is needed is
 * missing, a text that must be JSON is none, or the struct has a bad size; -ENOBUFS, -ENOMEM.
 */

#include <chasqui/ollama.h>

#include "base/buf.h"

/* Where the pieces of an answer go. */
struct client_pieces {
    chasqui_text_fn *on_text;
    chasqui_text_fn *on_thinking;
    chasqui_text_fn *on_tool_calls;
    void *user;
};

struct client_ask {
    struct buf body;         /* behind request.payload */
    chasqui_request request; /* the rest of it belongs to who asked */
    struct client_pieces pieces;
};

MUST_USE int client_ask_generate(struct client_ask *a, const chasqui_client *client,
                                 const chasqui_generate_request *request);
MUST_USE int client_ask_chat(struct client_ask *a, const chasqui_client *client,
                             const chasqui_chat_request *request);
MUST_USE int client_ask_embed(struct client_ask *a, const chasqui_client *client,
                              const chasqui_embed_request *request);
MUST_USE int client_ask_show(struct client_ask *a, const chasqui_client *client,
                             chasqui_context *context, const char *model);

/* A question without a body: nothing is to be freed. */
struct client_ask client_ask_query(const char *service, chasqui_context *context);

void client_ask_fini(struct client_ask *a);

/* Whether the answer is wanted in pieces. */
static inline bool client_pieces_wanted(const struct client_pieces *p)
{
    return p->on_text != NULL || p->on_thinking != NULL || p->on_tool_calls != NULL;
}
