/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Errors in the shape of the API that was asked
 */

#include "api/reason.h"
#include "api/route.h"
#include "base/buf.h"

#define API_JSON_TYPE    "application/json; charset=utf-8"
#define API_V1_JSON_TYPE "application/json" /* what /v1 sends */
#define API_NDJSON_TYPE  "application/x-ndjson"
#define API_SSE_TYPE     "text/event-stream"

struct api_error {
    enum reason reason;
    int status;      /* HTTP */
    struct str text; /* for the reader: what, where, what to do */
};

/* "Content-Type: ...\r\n" of a whole JSON answer, as Ollama types it. */
static inline struct str api_json_field(enum api_family family)
{
    return family == API_OLLAMA ? STR("Content-Type: " API_JSON_TYPE "\r\n")
                                : STR("Content-Type: " API_V1_JSON_TYPE "\r\n");
}

/*
 * Appends a whole JSON error body: {"error":"text"}, or OpenAI's object (type by status, code =
 * reason name), or Anthropic's. Return: 0, -ENOBUFS, -ENOMEM.
 */
MUST_USE int api_put_error(struct buf *out, enum api_family family, const struct api_error *error);

/*
 * The text of an error in any of the three shapes, appended to @out decoded. Return: 0;
 * -EX_JSON_SYNTAX it is none; -ENOBUFS, -ENOMEM.
 */
MUST_USE int api_read_error(struct str body, struct buf *out);

/*
 * Appends an error record for a stream that has begun: an NDJSON line, or an SSE event in the
 * family's form (for ROUTE_V1_RESPONSES: event response.failed; ROUTE_V1_MESSAGES: event error).
 * Return: as above.
 */
MUST_USE int api_put_error_record(struct buf *out, const struct api_route *route, bool is_sse,
                                  const struct api_error *error);

/*
 * Text of Ollama's own 404 for a model that is nowhere, in the words of the route: "model 'x' not
 * found" (generate, show) or "model \"x\" not found, try pulling it first" (chat, embed, /v1).
 * Return: as above.
 */
MUST_USE int api_put_no_model_text(struct buf *out, const struct api_route *route,
                                   struct str model);
