/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The Protobuf codec, inside the room
 *
 * protobuf-c's descriptors are the table that drives both directions: a field's name is its JSON
 * member, its type says how the value looks, its offset where it lies. form.c says how one value
 * looks in JSON, read.c and print.c walk messages, this file begins and ends a conversion. All
 * memory is the scratch arena's.
 */

#include <protobuf-c/protobuf-c.h>

#include "codec/codec.h"
#include "json/writer.h"

enum codec_part {
    CODEC_REQUEST,
    CODEC_RECORD,
    N_CODEC_PARTS
};

/* What a body is, the same for every codec. */
struct codec_message {
    const struct codec_service *service;
    enum codec_part part;
};

MUST_USE int proto_to_json(const struct codec_message *message, struct str bytes,
                           struct arena *scratch, struct buf *json);
MUST_USE int proto_from_json(const struct codec_message *message, struct str json,
                             struct arena *scratch, struct buf *bytes);

/* NULL for opaque services. */
const ProtobufCMessageDescriptor *proto_descriptor(const struct codec_message *message);

/* ---- one conversion ------------------------------------------------------------------------ */

struct proto {
    struct arena *arena;
    int err; /* why proto_alloc() gave NULL */
};

/* As arena_alloc(); the reason for NULL is kept. */
void *proto_alloc(struct proto *p, size_t n);

/* @bytes for one of protobuf-c's structs, which are written for owners: it reads them only. */
static inline ProtobufCBinaryData proto_bytes(struct str bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.s};
}

static inline struct str proto_str(const ProtobufCBinaryData *bytes)
{
    return str_make((const char *)bytes->data, bytes->len);
}

/* ---- messages ------------------------------------------------------------------------------ */

#define PROTO_EXTRA_ID   15 /* extra_json, in every message */
#define PROTO_FIELDS_MAX 32

enum {
    PROTO_NOT_HELD = 1, /* the field cannot hold exactly this value: it goes to extra_json */
};

static inline bool proto_is_extra(const ProtobufCFieldDescriptor *field)
{
    return field->id == PROTO_EXTRA_ID;
}

/*
 * The address of a field in its message: the value, the pointer to a message, or to the first of
 * many.
 */
static inline void *proto_at(ProtobufCMessage *message, unsigned offset)
{
    return (char *)message + offset;
}

static inline const void *proto_at_const(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

/* Whether @field is the one of a JSON member: letter case folds where Ollama folds it. */
struct json_token;
bool proto_key_is(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field,
                  const struct json_token *key);

/**
 * proto_read() - a message from one JSON value
 *
 * Slices in the message point into @json or the arena.
 *
 * Return: 0; PROTO_NOT_HELD not an object; -EX_JSON_*, -ENOBUFS, -ENOMEM.
 */
MUST_USE int proto_read(struct proto *p, const ProtobufCMessageDescriptor *desc, struct str json,
                        ProtobufCMessage **ret_message);

/*
 * One JSON value from a message. Return: 0; -EX_CODEC, -EX_JSON_*, -ENOBUFS, -ENOMEM; the writer
 * keeps failures of its own.
 */
MUST_USE int proto_print(struct proto *p, const ProtobufCMessage *message, struct json_writer *w);
