/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The HTTP door
 *
 * Decides who may come in (Origin, Host, key, loop), which route a request means, and what of its
 * head goes on to a node; then an exchange carries it. The door's sink writes the answer on the
 * client's connection, one chunk per record.
 */

#include "gateway/http_conn.h"

/* Connections of an HTTP listener of a worker; the server is one of worker->servers. */
extern const struct http_conn_ops door_ops;

/* The secret a client shows, a bearer token or x-api-key: points into head; empty for none. */
struct str door_shown_secret(const struct h1_head *head);
