/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers, made of replies
 *
 * Those of generate and chat grow:
 *
 *     client_answer_new() ──► record* ──► final ──► close ──► chasqui_answer_free()
 *
 * with 0; <0 it is no answer of this kind, or memory is out, for client_answer_fail().
 */

#include "client/ollama_ask.h"

/* Return: 0; -ENOMEM. *ret is zeroed in any case. */
MUST_USE int client_answer_new(chasqui_answer *ret, const chasqui_client *client);

/* A record of a stream. What it adds goes to @pieces, where it points to stays until the next. */
MUST_USE int client_answer_record(chasqui_answer *answer, const struct client_pieces *pieces,
                                  chasqui_bytes record);

/* How the call ended; its body is the final object, or all of it. */
MUST_USE int client_answer_final(chasqui_answer *answer, const struct client_pieces *pieces,
                                 const chasqui_reply *reply);

/* Points the texts of the answer at what has come. */
MUST_USE int client_answer_close(chasqui_answer *answer);

/* Why a request could not be made, or an answer not be read. Return: the code. */
int client_ask_fail(chasqui_error *ret, int err);
int client_answer_fail(chasqui_error *ret, int err);

/* The others come at once. @ret is always filled, and says in its error what was wrong. */
void client_take_embeddings(const chasqui_reply *reply, chasqui_embeddings *ret);
void client_take_models(const chasqui_reply *reply, chasqui_models *ret);

#define CLIENT_VERSION_MAX 4096

/* The text takes the place of the JSON. What is returned points into @reply and @text. */
chasqui_reply client_take_version(const chasqui_reply *reply, struct buf *text);
