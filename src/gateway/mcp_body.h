/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bodies of the MCP door on the wire
 *
 * Messages of 1 KiB and more travel compressed where the peer has agreed to it and it makes them
 * shorter; above here nobody sees that.
 */

#include "gateway/mcp_conn.h"

/* As mcp_call_chunk() and mcp_call_respond(). */
MUST_USE int mcp_body_chunk(struct mcp_conn *c, struct mcp_call *call, struct str body);
MUST_USE int mcp_body_respond(struct mcp_conn *c, struct mcp_call *call, struct str body);

/**
 * mcp_body_open() - the body of a request as it was before it was compressed
 * @ret:  valid until the next of this listener
 *
 * Return: 0; -EPROTO it is not what its block says; -ENOBUFS, -ENOMEM too much is inflated. On 0
 * mcp_body_close() follows when the body has been dealt with.
 */
MUST_USE int mcp_body_open(struct mcp_conn *c, const struct mcp_message *message, struct str *ret);
void mcp_body_close(struct mcp_conn *c, const struct mcp_message *message);
