/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_CONTEXT_H
#define CHASQUI_CONTEXT_H

/*
 * Contexts: what calls inherit
 *
 * A context holds a deadline, whether it is cancelled, a trace, metadata and the name of a class of
 * calls. A child inherits all of it. Deadlines only ever get shorter: that of a call is the
 * earliest of its own time-out, its context's and those of all ancestors. Cancelling ends the calls
 * of the context and of all its descendants. Both reach calls that are already on their way, and
 * travel over mcp:// to the gateway and on to the node.
 *
 * Any thread may use a context at any time. Reference counted: chasqui_context_new() and _ref() are
 * each answered by one _unref(). A child keeps its parent, a call its context.
 */

#include <chasqui/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chasqui_context chasqui_context;

#define CHASQUI_TRACE_LEN 25

/**
 * chasqui_context_new() - a context
 * @parent:  to inherit from, or NULL
 *
 * Return: the context, NULL without memory.
 */
CHASQUI_API chasqui_context *chasqui_context_new(chasqui_context *parent);
CHASQUI_API chasqui_context *chasqui_context_ref(chasqui_context *context);
CHASQUI_API void chasqui_context_unref(chasqui_context *context); /* NULL is fine */

/* Everything under this context must be done @timeout_ms from now. A later deadline than the one
 * there is changes nothing. */
CHASQUI_API void chasqui_context_set_timeout(chasqui_context *context, uint32_t timeout_ms);

/* Milliseconds left by this context and its ancestors, 0 when time is over; -1: no deadline. */
CHASQUI_API int64_t chasqui_context_time_left(const chasqui_context *context);

/* Ends all calls under this context with CHASQUI_CANCELLED, now and in future. Twice is once. */
CHASQUI_API void chasqui_context_cancel(chasqui_context *context);

/* Whether it, or an ancestor, is cancelled: 1 or 0. */
CHASQUI_API int chasqui_context_is_cancelled(const chasqui_context *context);

/* W3C trace id (16 bytes), parent id (8), flags (1). */
CHASQUI_API void chasqui_context_set_trace(chasqui_context *context,
                                           const unsigned char trace[CHASQUI_TRACE_LEN]);

/* The same as the text of a traceparent field: "00-<32 hex>-<16 hex>-<2 hex>". Return: CHASQUI_OK,
 * CHASQUI_INVALID_ARGUMENT. */
CHASQUI_API int chasqui_context_set_traceparent(chasqui_context *context, const char *traceparent);

/**
 * chasqui_context_set_metadata() - a pair that travels with each call
 * @key:    1..64 bytes of a-z, 0-9 and '-'. Over http:// it becomes the field X-Chasqui-Meta-<key>
 * @value:  at most 160 bytes, without control characters; replaces the value that is inherited
 *
 * All pairs of a call together, inherited ones included: 16, and 960 bytes with 5 more for each;
 * what is over makes chasqui_start() fail.
 *
 * Return: CHASQUI_OK, CHASQUI_INVALID_ARGUMENT, CHASQUI_RESOURCE_EXHAUSTED.
 */
CHASQUI_API int chasqui_context_set_metadata(chasqui_context *context, const char *key,
                                             const char *value);

/* Class of calls under this context that name none. Return: CHASQUI_OK, CHASQUI_INVALID_ARGUMENT
 * over 32 bytes. */
CHASQUI_API int chasqui_context_set_class(chasqui_context *context, const char *name);

#ifdef __cplusplus
}
#endif

#endif
