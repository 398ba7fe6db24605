/* SPDX-License-Identifier: MIT */
#include "codec/proto.h"

#include <errno.h>

#include "base/err.h"
#include "codec/wire.pb-c.h"
#include "json/reader.h"

#define ROW(id_, request_, record_) \
    [CODEC_##id_] = {&chasqui__v1__##request_##__descriptor, &chasqui__v1__##record_##__descriptor}

static const ProtobufCMessageDescriptor *const messages[N_CODEC_SERVICES][N_CODEC_PARTS] = {
    ROW(HEALTH, health_request, health),    ROW(GENERATE, generate_request, generate_record),
    ROW(CHAT, chat_request, chat_record),   ROW(EMBED, embed_request, embed_response),
    ROW(TAGS, tags_request, tags_response), ROW(PS, ps_request, ps_response),
    ROW(SHOW, show_request, show_response), ROW(VERSION, version_request, version_response),
};

const ProtobufCMessageDescriptor *proto_descriptor(const struct codec_message *message)
{
    return messages[message->service->id][message->part];
}

bool proto_key_is(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field,
                  const struct json_token *key)
{
    struct str name = str_of(field->name);
    char text[64];
    struct buf decoded = {.data = text, .cap = sizeof(text), .max = sizeof(text)};

    /* Options are a map in Ollama, all else are Go structs. */
    if (desc != &chasqui__v1__options__descriptor)
        return json_key_is(key, name);
    if (!key->has_escape)
        return str_eq(key->raw, name);
    return json_decode(key, &decoded) == 0 && str_eq(buf_str(&decoded), name);
}

/* ---- scratch ------------------------------------------------------------------------------- */

void *proto_alloc(struct proto *p, size_t n)
{
    void *memory = arena_alloc(p->arena, n);
    size_t left = p->arena->max - p->arena->used;

    if (memory == NULL)
        p->err = n >= left || left - n < sizeof(max_align_t) ? -ENOBUFS : -ENOMEM;
    return memory;
}

static void *on_alloc(void *data, size_t n)
{
    return proto_alloc(data, n);
}

static void on_free(void *data, void *memory)
{
    (void)data;
    (void)memory; /* the arena's end frees it */
}

/* A first chunk is there afterwards, and *ret_mark is its state. */
static int scratch_begin(struct proto *p, struct arena *scratch, struct arena *ret_mark)
{
    *p = (struct proto){.arena = scratch};
    if (proto_alloc(p, 0) == NULL)
        return p->err;
    *ret_mark = *scratch;
    return 0;
}

/*
 * Empties the arena. What fitted into the chunk that was there needs no heap the next time either.
 */
static void scratch_end(struct proto *p, const struct arena *mark)
{
    if (p->arena->chunks == mark->chunks)
        *p->arena = *mark;
    else
        arena_fini(p->arena);
}

/* ---- conversions --------------------------------------------------------------------------- */

static int to_json(struct proto *p, const ProtobufCMessageDescriptor *desc, struct str bytes,
                   struct buf *json)
{
    ProtobufCAllocator allocator = {.alloc = on_alloc, .free = on_free, .allocator_data = p};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(desc, &allocator, bytes.len, (const uint8_t *)bytes.s);
    struct json_writer w;
    int r;

    if (message == NULL)
        return p->err < 0 ? p->err : -EX_CODEC;
    json_writer_init(&w, json);
    r = proto_print(p, message, &w);
    return r < 0 ? r : json_writer_result(&w);
}

static int pack(const ProtobufCMessage *message, struct buf *bytes)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    int r = buf_reserve(bytes, len);

    if (r < 0 || len == 0)
        return r;
    bytes->len += protobuf_c_message_pack(message, (uint8_t *)bytes->data + bytes->len);
    return 0;
}

static int from_json(struct proto *p, const ProtobufCMessageDescriptor *desc, struct str json,
                     struct buf *bytes)
{
    ProtobufCMessage *message;
    int r = proto_read(p, desc, json, &message);

    if (r != 0)
        return r == PROTO_NOT_HELD ? -EX_CODEC : r;
    return pack(message, bytes);
}

int proto_to_json(const struct codec_message *message, struct str bytes, struct arena *scratch,
                  struct buf *json)
{
    struct arena mark;
    struct proto p;
    int r = scratch_begin(&p, scratch, &mark);

    if (r < 0)
        return r;
    r = to_json(&p, proto_descriptor(message), bytes, json);
    scratch_end(&p, &mark);
    return r;
}

int proto_from_json(const struct codec_message *message, struct str json, struct arena *scratch,
                    struct buf *bytes)
{
    struct arena mark;
    struct proto p;
    int r;

    if (json.len == 0)
        return 0;
    r = scratch_begin(&p, scratch, &mark);
    if (r < 0)
        return r;
    r = from_json(&p, proto_descriptor(message), json, bytes);
    scratch_end(&p, &mark);
    return r;
}
