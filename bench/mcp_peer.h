/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * As much of an MCP client as a load needs (docs/protocol.md)
 *
 * Frames are made by hand, so that the load costs little and shares no code with what it measures.
 */

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define MCP_PEER_HEAD 8

enum {
    MCP_PEER_REQUEST = 0x01,
    MCP_PEER_RESPONSE = 0x02,
    MCP_PEER_ERROR = 0x03,
    MCP_PEER_CHUNK = 0x04,
    MCP_PEER_CREDIT = 0x07,
    MCP_PEER_PING = 0x08,
    MCP_PEER_PONG = 0x09,
    MCP_PEER_HELLO_ACK = 0x0C,
    MCP_PEER_EXT = 0x40,
};

struct mcp_peer_frame {
    unsigned type;
    uint32_t seq;
    size_t len;
    const char *payload;
};

static inline char *mcp_peer_put16(char *at, uint32_t value)
{
    uint16_t be = htons((uint16_t)value);

    return (char *)memcpy(at, &be, sizeof(be)) + sizeof(be);
}

static inline char *mcp_peer_put32(char *at, uint32_t value)
{
    uint32_t be = htonl(value);

    return (char *)memcpy(at, &be, sizeof(be)) + sizeof(be);
}

static inline uint32_t mcp_peer_get32(const char *at)
{
    uint32_t be;

    memcpy(&be, at, sizeof(be));
    return ntohl(be);
}

static inline char *mcp_peer_put_head(char *at, unsigned type, uint32_t seq, size_t len)
{
    *at++ = 1;
    *at++ = (char)type;
    at = mcp_peer_put32(at, seq);
    return mcp_peer_put16(at, (uint32_t)len);
}

/* HELLO granting @conn_limit and @call_limit. Return: its end. */
static inline char *mcp_peer_put_hello(char *at, uint32_t conn_limit, uint32_t call_limit)
{
    at = mcp_peer_put_head(at, 0x0B, 0, 32);
    at = (char *)memcpy(at, "MCP1\1\1\0\0", 8) + 8;
    at = mcp_peer_put32(at, 7); /* fragments, credit, streams */
    at = mcp_peer_put16(at, 65535);
    at = mcp_peer_put16(at, 0);
    at = mcp_peer_put32(at, 64 << 20);
    at = mcp_peer_put32(at, conn_limit);
    at = mcp_peer_put32(at, call_limit);
    at = mcp_peer_put16(at, 300);
    return mcp_peer_put16(at, 10);
}

/* A request in one frame. Return: its end. */
static inline char *mcp_peer_put_request(char *at, uint32_t seq, const char *method, uint8_t codec,
                                         const void *body, size_t len)
{
    size_t method_len = strlen(method);
    size_t ext_len = 2 + method_len + (codec != 0 ? 3 : 0);

    at = mcp_peer_put_head(at, MCP_PEER_REQUEST | MCP_PEER_EXT, seq, 2 + ext_len + len);
    at = mcp_peer_put16(at, (uint32_t)ext_len);
    *at++ = (char)0x81;
    *at++ = (char)method_len;
    at = (char *)memcpy(at, method, method_len) + method_len;
    if (codec != 0) {
        *at++ = (char)0x8B;
        *at++ = 1;
        *at++ = (char)codec;
    }
    return (char *)memcpy(at, body, len) + len;
}

/*
 * Cuts a frame off; an extension block is left out of the payload.
 * Return: bytes it takes, 0 when it is not complete.
 */
static inline size_t mcp_peer_next(const char *at, size_t len, struct mcp_peer_frame *ret)
{
    size_t n;

    if (len < MCP_PEER_HEAD)
        return 0;
    n = (size_t)((unsigned char)at[6] << 8 | (unsigned char)at[7]);
    if (len < MCP_PEER_HEAD + n)
        return 0;
    *ret = (struct mcp_peer_frame){
        .type = (unsigned char)at[1],
        .seq = mcp_peer_get32(at + 2),
        .len = n,
        .payload = at + MCP_PEER_HEAD,
    };
    if ((ret->type & MCP_PEER_EXT) != 0 && n >= 2) {
        size_t ext =
            2 + (size_t)((unsigned char)ret->payload[0] << 8 | (unsigned char)ret->payload[1]);

        ext = ext < n ? ext : n;
        ret->payload += ext;
        ret->len -= ext;
        ret->type &= ~(unsigned)MCP_PEER_EXT;
    }
    return MCP_PEER_HEAD + n;
}
