/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The plain profile's two messages
 *
 *     Request  { string service = 1; bytes body = 2; }
 *     Response { uint32 status = 1; string error = 2; bytes body = 3; }
 *
 * Protobuf by hand: two messages of three fields are not worth an allocation each. Strict about
 * what it knows (wire types, lengths), skips fields it does not know, takes the last of a field
 * that comes twice, as Protobuf says. Fields that are zero or empty are not written. Slices point
 * into the payload. Never allocates.
 */

#include "base/str.h"

struct mcp_plain_request {
    struct str service;
    struct str body;
};

struct mcp_plain_response {
    uint32_t status;
    struct str error;
    struct str body;
};

/* Return: 0; -EINVAL malformed. */
MUST_USE int mcp_plain_parse_request(struct str payload, struct mcp_plain_request *ret_request);
MUST_USE int mcp_plain_parse_response(struct str payload, struct mcp_plain_response *ret_response);

/* Bytes that the pack functions write. */
size_t mcp_plain_request_len(const struct mcp_plain_request *request);
size_t mcp_plain_response_len(const struct mcp_plain_response *response);

void mcp_plain_pack_request(char *out, const struct mcp_plain_request *request);
void mcp_plain_pack_response(char *out, const struct mcp_plain_response *response);
