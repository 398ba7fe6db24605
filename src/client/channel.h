/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Channel: which endpoint a call goes to
 *
 * Calls wait in one line for all endpoints; the first in it goes to the endpoint with the fewest
 * calls that has room. An endpoint that cannot be connected to is left alone for a growing while;
 * when no other gives hope, all who wait are told.
 */

#include "client/link.h"

/* The call waits for its turn; it is tried at the end of this turn of the loop. */
void client_channel_queue(chasqui_call *call);

/* Something has changed: try those who wait, at the end of this turn of the loop. */
void client_channel_wake(chasqui_client *client);

/* A connection to @e could be used. */
void client_channel_connected(struct client_endpoint *e);

/* A connection to @e could not be made. @code: MCP_UNAVAILABLE, or why the server does not want us,
 * which more tries will not change. */
void client_channel_failed(struct client_endpoint *e, unsigned code, const char *why);

/* Whether an endpoint other than @e gives hope. */
bool client_channel_has_other(const struct client_endpoint *e);

/* For client.c: parts of struct chasqui_client that are this module's. */
MUST_USE int client_channel_init(chasqui_client *client);
void client_channel_close(chasqui_client *client);
