/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_CHASQUI_H
#define CHASQUI_CHASQUI_H

/*
 * libchasqui: messages to Chasqui gateways and Ollama servers
 *
 *     chasqui_client *client;
 *     chasqui_reply reply;
 *
 *     if (chasqui_open("mcp://127.0.0.1:11436", NULL, &client, NULL) != CHASQUI_OK)
 *         return 1;
 *     if (chasqui_send_request(client, "echo", chasqui_text("Hi"), &reply) == CHASQUI_OK)
 *         fwrite(reply.body.data, 1, reply.body.len, stdout);
 *     else
 *         fprintf(stderr, "%s\n", reply.error.text);
 *     chasqui_reply_free(&reply);
 *     chasqui_close(client);
 *
 * Layers, each usable without those above it:
 *
 *     <chasqui/session.h>  the protocol MCP (Message Communication Protocol) without I/O
 *     <chasqui/client.h>   client and channel: connections, retries; calls and streams,
 *                          asynchronous and blocking
 *     <chasqui/context.h>  deadlines, cancellation, trace and metadata that calls inherit
 *     <chasqui/ollama.h>   typed calls: generate, chat, embed, tags, ps, show, version; blocking
 *                          and asynchronous
 *     <chasqui/server.h>   the other side: services of your own, for clients that speak MCP
 *
 * Rules for all of it. Functions return CHASQUI_OK or what went wrong (enum chasqui_code). Strings
 * and byte ranges that are passed in are copied before the function returns, unless it says
 * otherwise. Functions may be called from any thread, and from callbacks, unless they say
 * otherwise; none runs a callback of yours on its own stack (but chasqui_process() and
 * chasqui_close() where you drive the client). Nothing here is global, nothing aborts, nothing
 * writes to standard error. All descriptors are closed on exec; after fork() the child may do
 * nothing with the library but exec.
 */

#include <chasqui/client.h>
#include <chasqui/context.h>
#include <chasqui/ollama.h>
#include <chasqui/server.h>
#include <chasqui/types.h>

#endif
