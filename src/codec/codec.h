/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Codecs of the MCP services
 *
 * The body of a call is written in a codec: JSON, the body of Ollama's API itself, or Protobuf, the
 * message of the service in proto/chasqui.proto. Between doors, nodes and programs everything is
 * JSON; a codec translates at the edge. The four functions below are what each edge needs:
 *
 *     who                          request                        answer
 *     gateway's MCP door           codec_request_to_json()        codec_record_from_json()
 *     client, MCP upstream         codec_request_from_json()      codec_record_to_json()
 *
 * An answer is a *record*: one record of a stream (a CHUNK, the last one the RESPONSE), or the
 * whole answer.
 *
 * Nothing is lost. A JSON member goes to the field of its name when the field can hold exactly what
 * stands there; all others go to extra_json as they are: unknown ones, null, [] , values of another
 * type, numbers that would change, a name that comes twice (each time, in order) or in other letter
 * case. So JSON -> Protobuf -> JSON has the same members (order, escapes and the spelling of
 * numbers with a fraction may differ), and a message that this module wrote comes back byte by
 * byte, when no key in its extra_json has an escape. Exceptions: bytes that are not UTF-8 become
 * U+FFFD, as Go has it, and numbers of embeddings are rounded to float, as which Ollama has them.
 *
 * In the other direction members of extra_json that a field also sets are dropped, where letter
 * case counts only within `options`, as in Ollama. Unknown Protobuf fields are ignored. Text that
 * is not UTF-8, numbers that are not finite and an extra_json that is not an object (empty:
 * nothing) are -EX_CODEC, as other Protobuf libraries have it for text.
 *
 * Pure. Recursion follows the messages of the .proto, which are three levels deep, never the input.
 * Everything is bounded by the maximum of the scratch arena and of the output. The output is
 * appended to, and unchanged on failure.
 *
 * Scratch: an arena for nothing else than these calls, one per thread will do. Each call leaves it
 * empty; a first chunk is kept, so that small messages need no heap. Unpacking takes up to 150
 * bytes per input byte of the most hostile kind (messages without fields), and less than twice the
 * input of honest ones: its maximum is what an input may cost. JSON and opaque bodies do not use
 * it.
 */

#include "api/route.h"
#include "base/arena.h"
#include "base/buf.h"

/* Numbers of the CODEC extension and of HELLO. */
enum codec_id {
    CODEC_PROTOBUF = 0,
    CODEC_JSON = 1,
    N_CODECS
};

enum codec_service_id {
    CODEC_ECHO,
    CODEC_HEALTH,
    CODEC_GENERATE,
    CODEC_CHAT,
    CODEC_EMBED,
    CODEC_TAGS,
    CODEC_PS,
    CODEC_SHOW,
    CODEC_VERSION,
    N_CODEC_SERVICES
};

struct codec_service {
    enum codec_service_id id;
    struct str name;         /* the METHOD extension */
    enum api_route_id route; /* N_ROUTES: answered without Ollama's API */
    bool streams;   /* may be answered in records; whether it is, says "stream" in the request */
    bool is_opaque; /* bodies are bytes in any codec */
};

/* Whether a codec number of a peer is one of ours; others are UNIMPLEMENTED. */
static inline bool codec_is_known(unsigned number)
{
    return number < N_CODECS;
}

/* For log and metrics. */
const char *codec_name(enum codec_id codec);

/* The service of a name, exactly as spelled, or NULL. */
const struct codec_service *codec_service_find(struct str name);
const struct codec_service *codec_service_get(enum codec_service_id id);

/* The service behind a route, for a client that has paths; NULL when there is none. */
const struct codec_service *codec_service_of_route(enum api_route_id route);

/**
 * codec_request_to_json() - the JSON body of a request
 * @bytes:     body as it came with the call
 * @scratch:   see above
 * @ret_json:  appended to. From Protobuf one object, also for services without a body ("{}"); from
 *             JSON @bytes as they are, unchecked
 *
 * Return: 0; -EX_CODEC malformed; -EX_JSON_SYNTAX, -EX_JSON_TRUNCATED, -EX_JSON_DEPTH malformed
 * extra_json; -ENOBUFS a maximum; -ENOMEM.
 */
MUST_USE int codec_request_to_json(enum codec_id codec, const struct codec_service *service,
                                   struct str bytes, struct arena *scratch, struct buf *ret_json);

/**
 * codec_request_from_json() - a request body in a codec
 * @json:       one object; what comes behind it is ignored, as Ollama does. Empty: a message
 *              without members
 * @ret_bytes:  appended to
 *
 * Return: 0; -EX_CODEC not an object; -EX_JSON_*; -ENOBUFS, -ENOMEM.
 */
MUST_USE int codec_request_from_json(enum codec_id codec, const struct codec_service *service,
                                     struct str json, struct arena *scratch, struct buf *ret_bytes);

/*
 * The same for answers. A record that becomes JSON is one line: line breaks between its tokens
 * become spaces, so that no peer makes two records of one where they are written as NDJSON. Return:
 * as above.
 */
MUST_USE int codec_record_to_json(enum codec_id codec, const struct codec_service *service,
                                  struct str bytes, struct arena *scratch, struct buf *ret_json);
MUST_USE int codec_record_from_json(enum codec_id codec, const struct codec_service *service,
                                    struct str json, struct arena *scratch, struct buf *ret_bytes);
