/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Integers on the wire (private to this room)
 *
 * MCP is big-endian everywhere. The caller has checked that the bytes are there.
 */

#include <endian.h>

#include "base/str.h"

static inline uint16_t wire_get_u16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}

static inline uint32_t wire_get_u32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline uint8_t wire_get_u8(const char *p)
{
    return (uint8_t)*p;
}

static inline void wire_put_u16(char *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void wire_put_u32(char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

/* Copies @bytes and returns the place behind them. */
static inline char *wire_put(char *p, struct str bytes)
{
    if (bytes.len > 0)
        memcpy(p, bytes.s, bytes.len);
    return p + bytes.len;
}

/* A TLV of one-byte tag and one-byte length; value.len <= 254. Returns the place behind it. */
static inline char *wire_put_tlv(char *p, uint8_t tag, struct str value)
{
    p[0] = (char)tag;
    p[1] = (char)value.len;
    return wire_put(p + 2, value);
}
