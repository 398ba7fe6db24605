/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Extension blocks
 *
 * What a message says about itself, in front of its body: u16 length, then TLVs of u8 tag, u8
 * length (0..254), value. At most MCP_EXT_MAX bytes with the length field, on the first frame of a
 * message only. A tag with bit 0x80 is critical: a receiver that does not know it fails the call;
 * other unknown tags are skipped. Never allocates; slices point into the payload.
 */

#include "base/str.h"

#define MCP_EXT_MAX        2048 /* whole block */
#define MCP_METHOD_MAX     128
#define MCP_TLV_MAX        254
#define MCP_SESSION_MAX    64
#define MCP_METADATA_MAX   1024 /* values of all METADATA TLVs together */
#define MCP_TRACE_LEN      25
#define MCP_TOTAL_LEN_SIZE 6 /* of the TLV TOTAL_LEN */

enum mcp_tag {
    MCP_TAG_DEADLINE_MS = 0x03,
    MCP_TAG_TRACE = 0x04,
    MCP_TAG_TRACESTATE = 0x05,
    MCP_TAG_STREAM_LIMIT = 0x0E,
    MCP_TAG_METADATA = 0x13,
    MCP_TAG_SESSION = 0x15,
    MCP_TAG_METHOD = 0x81,
    MCP_TAG_TOTAL_LEN = 0x8A,
    MCP_TAG_CODEC = 0x8B,
    MCP_TAG_COMPRESSION = 0x8C,
    MCP_TAG_ORDER_LANE = 0x8D,
};

enum mcp_codec {
    MCP_CODEC_PROTOBUF = 0,
    MCP_CODEC_JSON = 1,
    MCP_CODEC_AVRO = 2,
};

enum mcp_compression {
    MCP_COMPRESSION_NONE = 0,
    MCP_COMPRESSION_GZIP = 1,
    MCP_COMPRESSION_ZSTD = 2,
};

struct mcp_metadata {
    struct str key; /* 1..252 bytes */
    struct str value;
};

struct mcp_ext {
    struct str method; /* len 0: none */
    bool has_deadline;
    uint32_t deadline_ms; /* left at sending */
    /* MCP_TRACE_LEN bytes: trace id (16), parent id (8), flags (1); NULL: none */
    const char *trace;
    struct str tracestate[2]; /* to be read as one */
    bool has_total_len;
    uint32_t total_len; /* of the body of a fragmented message, on the wire */
    uint8_t codec;      /* enum mcp_codec */
    bool has_compression;
    uint8_t compression;   /* enum mcp_compression */
    uint32_t raw_len;      /* of the body before compression */
    uint16_t order_lane;   /* 0: none */
    uint32_t stream_limit; /* initial credit for the answer; 0: the connection's */
    struct str session;    /* affinity key; len 0: none */

    const struct mcp_metadata *metadata; /* for packing */
    size_t n_metadata;
    struct str tlvs; /* after parsing: all TLVs, for mcp_ext_next_metadata() */
};

/**
 * mcp_ext_parse() - take the block off the front of a payload
 * @payload:   of a frame with EXT
 * @ret_ext:   on 0 and -EOPNOTSUPP
 * @ret_body:  what follows the block, on 0 and -EOPNOTSUPP
 *
 * A block that is malformed is just that, whatever unknown tags it has.
 *
 * Return: 0; -EINVAL malformed, a value of wrong size or out of range, a tag twice (call error
 * INVALID_ARGUMENT); -EOPNOTSUPP unknown critical tag, codec or compression (call error
 * UNIMPLEMENTED).
 */
MUST_USE int mcp_ext_parse(struct str payload, struct mcp_ext *ret_ext, struct str *ret_body);

/**
 * mcp_ext_next_metadata() - the next METADATA pair of a parsed block
 * @at:         0 at first; moves on
 * @ret_pair:   set when true
 */
bool mcp_ext_next_metadata(const struct mcp_ext *ext, size_t *at, struct mcp_metadata *ret_pair);

/* The value of the first METADATA pair called @key, or s == NULL. */
struct str mcp_ext_metadata(const struct mcp_ext *ext, struct str key);

/* Bytes of the whole block; it is only valid when <= MCP_EXT_MAX. */
size_t mcp_ext_len(const struct mcp_ext *ext);

/**
 * mcp_ext_check() - whether a block can be packed
 * Return: 0; -EINVAL a value is longer than the format allows; -EMSGSIZE the block or its metadata
 * are too long.
 */
MUST_USE int mcp_ext_check(const struct mcp_ext *ext);

/**
 * mcp_ext_pack() - write a block
 * @out:           mcp_ext_len() bytes
 * @ext:           passed mcp_ext_check()
 * @ret_deadline:  offset of the value of DEADLINE_MS in @out, for writing it again when the frame
 *                 leaves; 0: none. May be NULL
 *
 * METHOD is the first TLV. Fields at their defaults are not written.
 */
void mcp_ext_pack(char *out, const struct mcp_ext *ext, size_t *ret_deadline);

/* Whether @bytes are well-formed UTF-8 (RFC 3629). */
bool mcp_is_utf8(struct str bytes);
