/* SPDX-License-Identifier: MIT */
#include "client/coder.h"

#include <errno.h>

#define KEPT_MAX ((size_t)64 * 1024) /* of a buffer, for the next message */

void client_coder_init(struct client_coder *c, enum codec_id codec, uint32_t max_message)
{
    c->codec = codec;
    c->text = BUF_INIT((size_t)max_message * 2); /* JSON is longer than what it is made of */
    arena_init(&c->scratch, (size_t)max_message * 4);
}

void client_coder_fini(struct client_coder *c)
{
    buf_fini(&c->text);
    arena_fini(&c->scratch);
}

static void begin(struct client_coder *c)
{
    if (c->text.cap > KEPT_MAX)
        buf_fini(&c->text);
    buf_reset(&c->text);
}

int client_coder_request(struct client_coder *c, const struct codec_service *service,
                         struct str payload, struct str *ret_bytes, enum codec_id *ret_codec)
{
    int r;

    *ret_bytes = payload;
    *ret_codec = CODEC_JSON;
    if (service == NULL || c->codec == CODEC_JSON)
        return 0;
    begin(c);
    r = codec_request_from_json(c->codec, service, payload, &c->scratch, &c->text);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    *ret_bytes = buf_str(&c->text);
    *ret_codec = c->codec;
    return 0;
}

int client_coder_record(struct client_coder *c, const struct codec_service *service,
                        enum codec_id codec, struct str bytes, struct str *ret_json)
{
    int r;

    *ret_json = bytes;
    if (service == NULL || codec == CODEC_JSON)
        return 0;
    begin(c);
    r = codec_record_to_json(codec, service, bytes, &c->scratch, &c->text);
    *ret_json = buf_str(&c->text);
    return r;
}

int client_coder_asked(struct client_coder *c, const struct codec_service *service,
                       enum codec_id codec, struct str bytes, struct str *ret_json)
{
    int r;

    *ret_json = bytes;
    if (service == NULL || codec == CODEC_JSON)
        return 0;
    begin(c);
    r = codec_request_to_json(codec, service, bytes, &c->scratch, &c->text);
    *ret_json = buf_str(&c->text);
    return r;
}

int client_coder_answer(struct client_coder *c, const struct codec_service *service,
                        enum codec_id codec, struct str json, struct str *ret_bytes)
{
    int r;

    *ret_bytes = json;
    if (service == NULL || codec == CODEC_JSON)
        return 0;
    begin(c);
    r = codec_record_from_json(codec, service, json, &c->scratch, &c->text);
    *ret_bytes = buf_str(&c->text);
    return r;
}
