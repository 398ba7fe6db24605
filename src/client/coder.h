/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bodies on the wire
 *
 * Whoever uses the library has JSON; over MCP the bodies of Ollama's services travel in the
 * client's codec, which src/codec translates without loss. Other payloads are opaque. What comes
 * out is valid until the next call: one coder for a loop.
 */

#include "base/arena.h"
#include "codec/codec.h"

struct client_coder {
    enum codec_id codec; /* for requests */
    struct arena scratch;
    struct buf text;
};

void client_coder_init(struct client_coder *c, enum codec_id codec, uint32_t max_message);
void client_coder_fini(struct client_coder *c);

/**
 * client_coder_request() - a payload as it is sent
 * @service:    NULL: opaque
 * @ret_codec:  what it is in. JSON that no message can hold goes as JSON, for the other side to
 * refuse in its own words
 *
 * Return: 0; -ENOMEM.
 */
MUST_USE int client_coder_request(struct client_coder *c, const struct codec_service *service,
                                  struct str payload, struct str *ret_bytes,
                                  enum codec_id *ret_codec);

/* A record, or a whole answer, as JSON. Return: 0; -EX_CODEC and the like it is not what it says;
 * -ENOBUFS, -ENOMEM. */
MUST_USE int client_coder_record(struct client_coder *c, const struct codec_service *service,
                                 enum codec_id codec, struct str bytes, struct str *ret_json);

/* The same for a server: a request as JSON, and a record or whole answer in the codec of its
 * request. Return: as above. */
MUST_USE int client_coder_asked(struct client_coder *c, const struct codec_service *service,
                                enum codec_id codec, struct str bytes, struct str *ret_json);
MUST_USE int client_coder_answer(struct client_coder *c, const struct codec_service *service,
                                 enum codec_id codec, struct str json, struct str *ret_bytes);
