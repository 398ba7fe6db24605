/* SPDX-License-Identifier: MIT */
#include "bench/request.h"

#include <errno.h>

#include "api/request.h"
#include "json/writer.h"

#define FIELDS_MAX 16384

static const enum api_route_id routes[] = {
    [BENCH_GENERATE] = ROUTE_GENERATE,
    [BENCH_CHAT] = ROUTE_CHAT,
    [BENCH_V1] = ROUTE_V1_CHAT,
};

const struct api_route *bench_route(enum bench_api api)
{
    return api_route_get(routes[api]);
}

static void put_prompt(struct json_writer *w, const struct bench_settings *s)
{
    if (s->api == BENCH_GENERATE) {
        json_key(w, "prompt");
        json_str(w, s->prompt);
        return;
    }
    json_key(w, "messages");
    json_begin_array(w);
    json_begin_object(w);
    json_key(w, "role");
    json_str(w, STR("user"));
    json_key(w, "content");
    json_str(w, s->prompt);
    json_end(w);
    json_end(w);
}

static void put_max_tokens(struct json_writer *w, const struct bench_settings *s)
{
    if (s->max_tokens == 0)
        return;
    if (s->api == BENCH_V1) {
        json_key(w, "max_tokens");
        json_u64(w, s->max_tokens);
        return;
    }
    json_key(w, "options");
    json_begin_object(w);
    json_key(w, "num_predict");
    json_u64(w, s->max_tokens);
    json_end(w);
}

static int put_body(struct buf *out, const struct bench_settings *s)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, s->model);
    put_prompt(&w, s);
    json_key(&w, "stream");
    json_bool(&w, s->is_stream);
    put_max_tokens(&w, s);
    json_end(&w);
    return json_writer_result(&w);
}

static int put_fields(struct bench_request *q, const struct bench_settings *s)
{
    int r = buf_printf(&q->fields,
                       "User-Agent: chasqui-bench/" CHASQUI_VERSION "\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       q->attempt.body.len);

    if (r == 0 && s->key.len > 0)
        r = buf_printf(&q->fields, "Authorization: Bearer " STR_FMT "\r\n", STR_ARG(s->key));
    if (r == 0)
        r = buf_put(&q->fields, s->fields);
    q->attempt.fields = buf_str(&q->fields);
    return r;
}

int bench_request_init(struct bench_request *q, const struct bench_settings *s)
{
    struct api_request meaning;
    int r = 0;

    *q = (struct bench_request){
        .route = bench_route(s->api),
        .body = BUF_INIT(BENCH_BODY_MAX),
        .fields = BUF_INIT(FIELDS_MAX),
        .attempt = {.method = STR("POST"), .body = s->body},
    };
    q->attempt.target = q->route->path;
    if (s->body.len == 0) {
        r = put_body(&q->body, s);
        q->attempt.body = buf_str(&q->body);
    }
    if (r == 0 && api_request_read(q->route, q->attempt.body, &meaning) != 0)
        r = -EINVAL;
    if (r == 0) {
        q->is_stream = meaning.is_stream;
        r = put_fields(q, s);
    }
    if (r < 0)
        bench_request_fini(q);
    return r;
}

void bench_request_fini(struct bench_request *q)
{
    buf_fini(&q->body);
    buf_fini(&q->fields);
}
