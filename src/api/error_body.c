/* SPDX-License-Identifier: MIT */
#include "api/error_body.h"

#include "base/err.h"

#include "json/reader.h"
#include "json/writer.h"

struct type_row {
    int status; /* 0 ends the table: any other */
    const char *type;
};

static const struct type_row openai_types[] = {
    {400, "invalid_request_error"}, {413, "invalid_request_error"},
    {415, "invalid_request_error"}, {401, "authentication_error"},
    {403, "permission_error"},      {404, "not_found_error"},
    {429, "rate_limit_error"},      {0, "api_error"},
};

static const struct type_row anthropic_types[] = {
    {400, "invalid_request_error"}, {401, "authentication_error"},
    {403, "permission_error"},      {404, "not_found_error"},
    {413, "request_too_large"},     {415, "invalid_request_error"},
    {429, "rate_limit_error"},      {503, "overloaded_error"},
    {529, "overloaded_error"},      {0, "api_error"},
};

static struct str type_of(const struct type_row *row, int status)
{
    while (row->status != 0 && row->status != status)
        row++;
    return str_of(row->type);
}

static void put_member(struct json_writer *w, const char *key, struct str text)
{
    json_key(w, key);
    json_str(w, text);
}

static void put_ollama(struct json_writer *w, const struct api_error *error)
{
    json_begin_object(w);
    put_member(w, "error", error->text);
    json_end(w);
}

/* For a model that is nowhere this is what Ollama 0.11.4 itself says, to the byte. */
static void put_openai(struct json_writer *w, const struct api_error *error)
{
    bool is_ollamas = error->reason == REASON_no_model;

    json_begin_object(w);
    json_key(w, "error");
    json_begin_object(w);
    put_member(w, "message", error->text);
    put_member(w, "type", is_ollamas ? STR("api_error") : type_of(openai_types, error->status));
    json_key(w, "param");
    json_null(w);
    json_key(w, "code");
    if (is_ollamas)
        json_null(w);
    else
        json_str(w, str_of(reason_name(error->reason)));
    json_end(w);
    json_end(w);
}

static void put_anthropic(struct json_writer *w, const struct api_error *error)
{
    json_begin_object(w);
    put_member(w, "type", STR("error"));
    json_key(w, "error");
    json_begin_object(w);
    put_member(w, "type", type_of(anthropic_types, error->status));
    put_member(w, "message", error->text);
    json_end(w);
    json_end(w);
}

/* The body of the event response.failed. */
static void put_failed_response(struct json_writer *w, const struct api_error *error)
{
    json_begin_object(w);
    put_member(w, "type", STR("response.failed"));
    json_key(w, "response");
    json_begin_object(w);
    put_member(w, "object", STR("response"));
    put_member(w, "status", STR("failed"));
    json_key(w, "error");
    json_begin_object(w);
    put_member(w, "code", str_of(reason_name(error->reason)));
    put_member(w, "message", error->text);
    json_end(w);
    json_end(w);
    json_end(w);
}

typedef void put_fn(struct json_writer *w, const struct api_error *error);

static put_fn *const put_by_family[] = {
    [API_OLLAMA] = put_ollama,
    [API_OPENAI] = put_openai,
    [API_ANTHROPIC] = put_anthropic,
};

/* Appends @before, the JSON and @after; all of it or nothing. */
static int put_framed(struct buf *out, struct str before, put_fn *put,
                      const struct api_error *error, struct str after)
{
    size_t start = out->len;
    struct json_writer w;
    int rc = buf_put(out, before);

    json_writer_init(&w, out);
    if (rc == 0) {
        put(&w, error);
        rc = json_writer_result(&w);
    }
    if (rc == 0)
        rc = buf_put(out, after);
    if (rc < 0)
        out->len = start;
    return rc;
}

int api_put_error(struct buf *out, enum api_family family, const struct api_error *error)
{
    /* Ollama's /v1 errors end in a line feed, its own and Anthropic's do not. */
    struct str after = family == API_OPENAI ? STR("\n") : STR_NULL;

    return put_framed(out, STR_NULL, put_by_family[family], error, after);
}

int api_put_error_record(struct buf *out, const struct api_route *route, bool is_sse,
                         const struct api_error *error)
{
    put_fn *put = put_by_family[route->family];

    if (!is_sse)
        return put_framed(out, STR_NULL, put, error, STR("\n"));
    if (route->id == ROUTE_V1_RESPONSES)
        return put_framed(out, STR("event: response.failed\ndata: "), put_failed_response, error,
                          STR("\n\n"));
    if (route->family == API_ANTHROPIC)
        return put_framed(out, STR("event: error\ndata: "), put, error, STR("\n\n"));
    return put_framed(out, STR("data: "), put, error, STR("\n\n"));
}

int api_put_no_model_text(struct buf *out, const struct api_route *route, struct str model)
{
    size_t start = out->len;
    /* /v1/completions is generate in disguise */
    bool is_plain = route->id == ROUTE_SHOW || route->id == ROUTE_GENERATE ||
                    route->id == ROUTE_V1_COMPLETIONS || route->id == ROUTE_DELETE ||
                    route->id == ROUTE_V1_MODEL;
    struct str end = is_plain                     ? STR("' not found")
                     : route->work == API_MANAGED ? STR("\" not found")
                                                  : STR("\" not found, try pulling it first");
    int rc = buf_put(out, is_plain ? STR("model '") : STR("model \""));

    if (rc == 0)
        rc = buf_put(out, model);
    if (rc == 0)
        rc = buf_put(out, end);
    if (rc < 0)
        out->len = start;
    return rc;
}

/*
 * Goes to the value of the member @name of the object that was just entered. Return: 0 and *ret is
 * its first token; -EX_JSON_*.
 */
static int find_member(struct json_reader *r, struct str name, struct json_token *ret)
{
    int rc;

    while ((rc = json_next(r, ret)) == 0 && ret->type == JSON_KEY) {
        if (json_key_is(ret, name))
            return json_next(r, ret);
        rc = json_skip(r, NULL);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : -EX_JSON_SYNTAX;
}

int api_read_error(struct str body, struct buf *out)
{
    struct json_reader r;
    struct json_token t;
    int rc;

    json_reader_init(&r, body);
    rc = json_next(&r, &t);
    if (rc == 0 && t.type == JSON_OBJECT_BEGIN)
        rc = find_member(&r, STR("error"), &t);
    if (rc == 0 && t.type == JSON_OBJECT_BEGIN)
        rc = find_member(&r, STR("message"), &t);
    if (rc < 0)
        return rc;
    return t.type == JSON_STRING ? json_decode(&t, out) : -EX_JSON_SYNTAX;
}
