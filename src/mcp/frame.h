/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * MCP frames
 *
 * MCP is the Message Communication Protocol (not the Model Context Protocol). Everything on a
 * connection is a frame:
 *
 *      byte 0      1         2 3 4 5          6 7        8 ...
 *      +--------+---------+----------------+----------+------------------+
 *      |Version | MsgType | SeqID (u32 BE) | Length   | Payload (Length) |
 *      |  0x01  |         |                | (u16 BE) |                  |
 *      +--------+---------+----------------+----------+------------------+
 *
 * MsgType is a base type (0x3F) and two bits: MORE, the message continues in a later frame; EXT,
 * the payload starts with an extension block. Which frame may come when is a table,
 * mcp_frame_rule(); here is only what one frame alone shows.
 *
 * Reading: the caller keeps the unread bytes contiguous, mcp_frame_next() cuts one whole frame off
 * their front. Payloads are slices of the caller's bytes. Never allocates.
 */

#include "base/str.h"

#define MCP_VERSION     0x01
#define MCP_HEADER_LEN  8
#define MCP_PAYLOAD_MAX 65535
#define MCP_SEQ_MAX \
    UINT32_C(0x7FFFFFFF) /* 0 is the connection; the plain profile uses all 32 bits */

enum mcp_type {
    MCP_REQUEST = 0x01,
    MCP_RESPONSE = 0x02,
    MCP_ERROR = 0x03,
    MCP_CHUNK = 0x04,
    MCP_CANCEL = 0x06,
    MCP_CREDIT = 0x07,
    MCP_PING = 0x08,
    MCP_PONG = 0x09,
    MCP_GOAWAY = 0x0A,
    MCP_HELLO = 0x0B,
    MCP_HELLO_ACK = 0x0C,
    MCP_BATCH = 0x0E,
};

enum {
    MCP_TYPE_MASK = 0x3F,
    MCP_EXT = 0x40,          /* bit of MsgType */
    MCP_MORE = 0x80,         /* bit of MsgType */
    MCP_TYPE_UNKNOWN = 0x20, /* base types from here on are ignored, and counted */
};

enum mcp_role {
    MCP_CLIENT,
    MCP_SERVER,
};

/* What a rule allows; a frame that breaks its rule is a connection error. */
enum {
    MCP_TO_SERVER = 1 << 0,
    MCP_TO_CLIENT = 1 << 1,
    MCP_ON_CALL = 1 << 2, /* SeqID 1..0x7FFFFFFF */
    MCP_ON_ZERO = 1 << 3, /* SeqID 0; with both bits, either, but a client sends it on 0 only */
    MCP_MAY_MORE = 1 << 4,
    MCP_MAY_EXT = 1 << 5,
    MCP_COUNTED = 1 << 6,  /* its payload uses credit */
    MCP_CONTROL = 1 << 7,  /* never waits for credit, goes first */
    MCP_TERMINAL = 1 << 8, /* ends a call */
};

struct mcp_frame_rule {
    const char *name;
    uint16_t allows;
    uint16_t len_min; /* of the payload */
    uint16_t len_max;
};

struct mcp_frame {
    uint8_t type;  /* base type, any of 0..0x3F */
    uint8_t flags; /* MCP_EXT, MCP_MORE */
    uint32_t seq;
    struct str payload;
};

enum {
    MCP_FRAME_MORE = 1, /* the bytes given do not suffice */
};

/**
 * mcp_frame_next() - cut one whole frame off the front
 * @in:         unread bytes; on 0 the frame is cut off
 * @max_len:    longest payload that is accepted
 * @ret_frame:  on 0; the payload points into @in. On MCP_FRAME_MORE and -EMSGSIZE head fields may
 *              be set, without payload
 *
 * Refuses as soon as it can be known: the version at the first byte, the length at the eighth.
 *
 * Return: 0; MCP_FRAME_MORE; -EPROTONOSUPPORT not version 1: close without an answer; -EMSGSIZE
 * over @max_len.
 */
MUST_USE int mcp_frame_next(struct str *in, size_t max_len, struct mcp_frame *ret_frame);

/**
 * mcp_frame_check() - hold a frame against its rule
 * @frame:     from mcp_frame_next()
 * @receiver:  who got it
 *
 * Version 1 types only, extended profile: direction, SeqID, MORE, EXT, length.
 *
 * Return: 0; -EPROTO a connection error.
 */
MUST_USE int mcp_frame_check(const struct mcp_frame *frame, enum mcp_role receiver);

/*
 * The rule of a base type, or NULL: reserved (below 0x20, a connection error) or unknown (ignored).
 */
const struct mcp_frame_rule *mcp_frame_rule(unsigned type);

/* Whether the payload of a frame of this base type counts as credit used on the connection. */
bool mcp_frame_is_counted(unsigned type);

/* Writes a header. @type with its flag bits. */
void mcp_frame_pack_head(char out[static MCP_HEADER_LEN], unsigned type, uint32_t seq, size_t len);

/**
 * mcp_seq_is_newer() - whether @a was opened after @b
 *
 * Serial comparison modulo 2^31, so that it survives the wrap from 0x7FFFFFFF to 1.
 */
static inline bool mcp_seq_is_newer(uint32_t a, uint32_t b)
{
    uint32_t ahead = (a - b) & MCP_SEQ_MAX;

    return ahead > 0 && ahead < (UINT32_C(1) << 30);
}
