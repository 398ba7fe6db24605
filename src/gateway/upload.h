/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Blobs: files for models that are to be created
 *
 * An upload flows: each piece goes on to the nodes as it comes, and the client is held back while
 * one of them cannot take more. Nothing is kept, so an upload costs the same whatever its length,
 * and it is sent once. Which node has which blob is remembered at the desk, so that the model is
 * created there. A source of an exchange.
 *
 *   upload_begin() ──► upload_put()* ──► upload_end() ──► the nodes' answer
 *   upload_ask() ───────────────────────────────────────► the same, without a body
 */

#include "gateway/exchange.h"

/* Who sends the body: is held back, and let go on. Calls nothing back. */
struct upload_client {
    void (*pause)(struct upload_client *client);
    void (*resume)(struct upload_client *client);
};

/* Whether a request with the head @head has a body that flows. */
bool upload_flows(const struct api_route *route, const struct h1_head *head);

/* May answer, and end, before it returns, as the functions below. */
void upload_begin(struct exchange *ex, struct upload_client *client, const struct h1_head *head);
void upload_put(struct exchange *ex, struct str bytes);
void upload_end(struct exchange *ex);

void upload_ask(struct exchange *ex);

/* Accepts NULL. */
void upload_cancel(struct upload *u);
