/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HELLO and HELLO_ACK
 *
 * The first frame of the extended profile, and its answer: what each side can do and how much it
 * takes. 32 bytes, then TLVs; unknown TLVs are skipped. Never allocates; slices point into the
 * payload. Keys in `auth` are secrets: compare them with str_eq_secret(), never log them.
 */

#include "base/str.h"

#define MCP_HELLO_LEN   32   /* without TLVs */
#define MCP_HELLO_MAX   4096 /* payload */
#define MCP_REVISION    1
#define MCP_FRAME_MIN   4096  /* smallest max frame */
#define MCP_EARLY_BYTES 65536 /* on the connection before the ACK; every ACK grants at least this */
#define MCP_EARLY_CALLS 32    /* likewise */
#define MCP_EARLY_FRAME 4096  /* longest REQUEST before the ACK */
#define MCP_AUTH_BEARER 1

enum {
    MCP_FEATURE_FRAGMENTS = 1 << 0,
    MCP_FEATURE_CREDIT = 1 << 1,
    MCP_FEATURE_STREAMS = 1 << 2,
    MCP_FEATURE_BATCH = 1 << 3,
    MCP_FEATURE_COMPRESSION = 1 << 4,
    MCP_FEATURE_LANES = 1 << 5,
    MCP_FEATURES_BASIC = MCP_FEATURE_FRAGMENTS | MCP_FEATURE_CREDIT | MCP_FEATURE_STREAMS,
    MCP_FEATURES_ALL =
        MCP_FEATURES_BASIC | MCP_FEATURE_BATCH | MCP_FEATURE_COMPRESSION | MCP_FEATURE_LANES,
};

struct mcp_hello {
    uint8_t revision_min;
    uint8_t revision_max; /* in an ACK: the one chosen */
    uint32_t features;
    uint16_t max_frame;    /* longest payload taken, 4096..65535 */
    uint16_t max_inflight; /* calls taken at once; 0 from a client, >= 32 from a server */
    uint32_t max_message;  /* longest body taken */
    uint32_t conn_limit;   /* credit granted on the connection, 8192..2^31-1 */
    uint32_t call_limit;   /* credit granted to each call, likewise */
    uint16_t idle_s;
    uint16_t min_ping_s;
    struct str codecs;       /* a byte each, enum mcp_codec */
    struct str compressions; /* a byte each, enum mcp_compression */
    struct str auth;         /* u8 mechanism, then the secret; len 0: none */
    struct str software;
    struct str connection_id;
};

/**
 * mcp_hello_parse() - read the payload of HELLO or HELLO_ACK
 * @payload:    all of it
 * @is_ack:     it is an ACK: grants what a client may have used already
 * @ret_hello:  set on success
 *
 * Return: 0; -EPROTO bad magic, no common revision, flags, length, a limit out of range (connection
 * error).
 */
MUST_USE int mcp_hello_parse(struct str payload, bool is_ack, struct mcp_hello *ret_hello);

/* Bytes that mcp_hello_pack() writes; TLV values are <= 254 bytes each. */
size_t mcp_hello_len(const struct mcp_hello *hello);

void mcp_hello_pack(char *out, const struct mcp_hello *hello);

/* What both can do: the features and the revision of an ACK. */
uint32_t mcp_hello_features(const struct mcp_hello *ours, const struct mcp_hello *theirs);

/* Whether a TLV of one byte values has @value. */
bool mcp_hello_has(struct str values, uint8_t value);
