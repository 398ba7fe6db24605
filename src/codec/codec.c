/* SPDX-License-Identifier: MIT */
#include "codec/codec.h"

#include <assert.h>

#include "codec/proto.h"

#define ROW(id_, name_, route_, streams_, is_opaque_) \
    [CODEC_##id_] = {.id = CODEC_##id_, \
                     .name = STR_INIT(name_), \
                     .route = (route_), \
                     .streams = (streams_), \
                     .is_opaque = (is_opaque_)}

/* clang-format off */
static const struct codec_service services[N_CODEC_SERVICES] = {
    ROW(ECHO,     "echo",            N_ROUTES,       false, true),
    ROW(HEALTH,   "health",          N_ROUTES,       false, false),
    ROW(GENERATE, "ollama.generate", ROUTE_GENERATE, true,  false),
    ROW(CHAT,     "ollama.chat",     ROUTE_CHAT,     true,  false),
    ROW(EMBED,    "ollama.embed",    ROUTE_EMBED,    false, false),
    ROW(TAGS,     "ollama.tags",     ROUTE_TAGS,     false, false),
    ROW(PS,       "ollama.ps",       ROUTE_PS,       false, false),
    ROW(SHOW,     "ollama.show",     ROUTE_SHOW,     false, false),
    ROW(VERSION,  "ollama.version",  ROUTE_VERSION,  false, false),
};
/* clang-format on */

typedef int (*convert_fn)(const struct codec_message *message, struct str in, struct arena *scratch,
                          struct buf *out);

static int copy(const struct codec_message *message, struct str in, struct arena *scratch,
                struct buf *out)
{
    (void)message;
    (void)scratch;
    return buf_put(out, in);
}

static const struct codec_ops {
    const char *name;
    convert_fn to_json;
    convert_fn from_json;
} codecs[N_CODECS] = {
    [CODEC_PROTOBUF] = {"protobuf", proto_to_json, proto_from_json},
    [CODEC_JSON] = {"json", copy, copy},
};

static const struct codec_ops *ops_get(enum codec_id codec)
{
    assert(codec_is_known(codec));

    return &codecs[codec];
}

const char *codec_name(enum codec_id codec)
{
    return ops_get(codec)->name;
}

const struct codec_service *codec_service_find(struct str name)
{
    for (size_t i = 0; i < N_CODEC_SERVICES; i++)
        if (str_eq(services[i].name, name))
            return &services[i];
    return NULL;
}

const struct codec_service *codec_service_get(enum codec_service_id id)
{
    assert((unsigned)id < N_CODEC_SERVICES);

    return &services[id];
}

const struct codec_service *codec_service_of_route(enum api_route_id route)
{
    for (size_t i = 0; i < N_CODEC_SERVICES; i++)
        if (services[i].route == route && route != N_ROUTES)
            return &services[i];
    return NULL;
}

/* A failure leaves the output as it was. */
static int convert(convert_fn fn, const struct codec_message *message, struct str in,
                   struct arena *scratch, struct buf *out)
{
    size_t start = out->len;
    int r = fn(message, in, scratch, out);

    if (r < 0)
        out->len = start;
    return r;
}

static int to_json(enum codec_id codec, const struct codec_message *message, struct str bytes,
                   struct arena *scratch, struct buf *json)
{
    convert_fn fn = message->service->is_opaque ? copy : ops_get(codec)->to_json;

    return convert(fn, message, bytes, scratch, json);
}

static int from_json(enum codec_id codec, const struct codec_message *message, struct str json,
                     struct arena *scratch, struct buf *bytes)
{
    convert_fn fn = message->service->is_opaque ? copy : ops_get(codec)->from_json;

    return convert(fn, message, json, scratch, bytes);
}

/* Strings hold no bare line breaks, so these stand between tokens, where a space says the same. */
static void join_lines(struct buf *json, size_t at)
{
    for (; at < json->len; at++)
        if (json->data[at] == '\n' || json->data[at] == '\r')
            json->data[at] = ' ';
}

int codec_request_to_json(enum codec_id codec, const struct codec_service *service,
                          struct str bytes, struct arena *scratch, struct buf *ret_json)
{
    return to_json(codec, &(struct codec_message){service, CODEC_REQUEST}, bytes, scratch,
                   ret_json);
}

int codec_request_from_json(enum codec_id codec, const struct codec_service *service,
                            struct str json, struct arena *scratch, struct buf *ret_bytes)
{
    return from_json(codec, &(struct codec_message){service, CODEC_REQUEST}, json, scratch,
                     ret_bytes);
}

int codec_record_to_json(enum codec_id codec, const struct codec_service *service, struct str bytes,
                         struct arena *scratch, struct buf *ret_json)
{
    size_t start = ret_json->len;
    int r =
        to_json(codec, &(struct codec_message){service, CODEC_RECORD}, bytes, scratch, ret_json);

    if (r == 0 && !service->is_opaque)
        join_lines(ret_json, start);
    return r;
}

int codec_record_from_json(enum codec_id codec, const struct codec_service *service,
                           struct str json, struct arena *scratch, struct buf *ret_bytes)
{
    return from_json(codec, &(struct codec_message){service, CODEC_RECORD}, json, scratch,
                     ret_bytes);
}
