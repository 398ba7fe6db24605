/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Services and endpoints: two names for one thing
 *
 * What MCP calls "ollama.chat" is POST /api/chat over HTTP. A name that begins with '/' is an
 * endpoint.
 */

#include "codec/codec.h"

/* The service of Ollama's API by either name; NULL: it is none. */
const struct codec_service *client_service_find(struct str name);

/* Whether it can be a name at all: 1..128 printable ASCII characters, no space. */
bool client_service_is_name(struct str name);
