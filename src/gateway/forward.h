/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What of a request's head goes on to a node
 *
 * End-to-end fields as they came. Kept back: hop-by-hop fields and framing (every message is framed
 * anew), Host (the node's is sent), Origin (the guard's business), Expect, Accept-Encoding (records
 * must stay readable), our keys, fields only the gateway may set, and names with an underscore,
 * which some servers read as a hyphen.
 */

#include "admit/keys.h"
#include "gateway/exchange.h"

#define FORWARD_HOPS_MAX 8 /* gateways of ours that a request may pass before it is refused */

/*
 * Fills ex->request (method, target, fields) and the trace id out of @head. @via: value of the Via
 * field to add. Return: 0; -ENOMEM; -EX_H1_HEAD_TOO_LARGE, since each gateway behind adds to it.
 */
MUST_USE int forward_prepare(struct exchange *ex, const struct h1_head *head,
                             const struct keys *keys, const char *via);

/*
 * Whether the request has passed this process before (its token is in Via), or too many gateways.
 */
bool forward_is_loop(const struct h1_head *head, struct str via_token);
