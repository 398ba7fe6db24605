/* SPDX-License-Identifier: MIT */
#include "resume/native.h"

#include "base/err.h"
#include "json/reader.h"
#include "json/writer.h"

#define NOWHERE    SIZE_MAX
#define AT(member) offsetof(struct native, member)

/* What Ollama reads of them besides, and resume/request.h does not refuse. */
static const struct field {
    const char *name;
    size_t at; /* in struct native; NOWHERE: it must be null */
} fields[] = {
    {"model", AT(model)},
    {"stop", AT(stop)},
    {"temperature", AT(temperature)},
    {"top_p", AT(top_p)},
    {"max_tokens", AT(limit)},
    {"seed", NOWHERE},
    {"frequency_penalty", NOWHERE},
    {"presence_penalty", NOWHERE},
    {"reasoning", NOWHERE},
    {"reasoning_effort", NOWHERE},
};

static const struct field *field_of(const struct json_token *key)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (json_key_is(key, str_of(fields[i].name)))
            return &fields[i];
    return NULL;
}

/* {"include_usage":true} */
static bool wants_usage(struct str options)
{
    struct json_reader r;
    struct json_token t;
    bool is_behind_key = false;

    json_reader_init(&r, options);
    while (json_next(&r, &t) == 0 && t.type != JSON_END) {
        if (is_behind_key && t.type == JSON_TRUE)
            return true;
        is_behind_key = t.type == JSON_KEY && json_key_is(&t, STR("include_usage"));
    }
    return false;
}

/* Whether /api/chat reads them as /v1 does: roles and texts, and nothing else. */
static bool are_plain(struct str messages)
{
    struct json_reader r;
    struct json_token t;

    json_reader_init(&r, messages);
    while (json_next(&r, &t) == 0) {
        bool is_container = (t.depth == 0 && t.type == JSON_ARRAY_BEGIN) ||
                            (t.depth == 1 && t.type == JSON_OBJECT_BEGIN) ||
                            t.type == JSON_OBJECT_END || t.type == JSON_ARRAY_END;

        if (t.type == JSON_END)
            return true;
        if (t.type == JSON_KEY ? !str_eq(t.raw, STR("role")) && !str_eq(t.raw, STR("content"))
                               : t.type != JSON_STRING && !is_container)
            return false;
    }
    return false;
}

static int take_member(struct native *n, struct json_reader *r, const struct json_token *key)
{
    bool is_chat = n->route->id == ROUTE_CHAT;
    const struct field *field = field_of(key);
    struct str value;
    int rc = json_skip(r, &value);

    if (rc < 0)
        return rc;
    if (json_key_is(key, is_chat ? STR("messages") : STR("prompt")))
        n->texts = value;
    else if (json_key_is(key, STR("stream_options")))
        n->wants_usage = wants_usage(value);
    if (field == NULL || str_eq(value, STR("null")))
        return 0;
    if (field->at == NOWHERE)
        return -EX_RESUME;
    *(struct str *)(void *)((char *)n + field->at) = value;
    return 0;
}

static const struct api_route *native_route(const struct api_route *route)
{
    if (route->id == ROUTE_V1_CHAT)
        return api_route_get(ROUTE_CHAT);
    return route->id == ROUTE_V1_COMPLETIONS ? api_route_get(ROUTE_GENERATE) : NULL;
}

int native_read(const struct api_route *route, struct str body, struct native *ret)
{
    struct native n = {.route = native_route(route)};
    struct json_reader r;
    struct json_token t;
    int rc;

    if (n.route == NULL)
        return -EX_RESUME;
    json_reader_init(&r, body);
    rc = json_next(&r, &t);
    while (rc == 0) {
        rc = json_next(&r, &t);
        if (rc < 0 || t.type != JSON_KEY)
            break;
        rc = take_member(&n, &r, &t);
    }
    if (rc < 0 || n.model.len == 0)
        return -EX_RESUME;
    if (n.route->id == ROUTE_CHAT ? !are_plain(n.texts) : !str_starts(n.texts, STR("\"")))
        return -EX_RESUME;
    *ret = n;
    return 0;
}

int native_put_question(const struct native *n, struct buf *out)
{
    return buf_printf(
        out,
        "{\"model\":" STR_FMT ",\"%s\":" STR_FMT ",\"_debug_render_only\":true,\"stream\":false}",
        STR_ARG(n->model), n->route->id == ROUTE_CHAT ? "messages" : "prompt", STR_ARG(n->texts));
}

/* Both are 1.0 in /v1 where they are not given, whatever the model says. */
static struct str or_one(struct str number)
{
    return number.len > 0 ? number : STR("1.0");
}

static int put_options(const struct native *n, uint64_t limit, struct buf *out)
{
    bool is_list = str_starts(n->stop, STR("["));
    int r = buf_printf(out, "\"options\":{\"temperature\":" STR_FMT ",\"top_p\":" STR_FMT,
                       STR_ARG(or_one(n->temperature)), STR_ARG(or_one(n->top_p)));

    if (r == 0 && n->stop.len > 0)
        r = buf_printf(out, ",\"stop\":%s" STR_FMT "%s", is_list ? "" : "[", STR_ARG(n->stop),
                       is_list ? "" : "]");
    if (r == 0 && limit > 0)
        r = buf_printf(out, ",\"num_predict\":%llu", (unsigned long long)limit);
    return r == 0 ? buf_put(out, STR("}")) : r;
}

/* Two texts as one string. */
static int put_joined(struct str a, struct str b, struct buf *out)
{
    struct buf text CLEANUP(buf_fini) = BUF_INIT(a.len + b.len);
    struct json_writer w;
    int r = buf_put(&text, a);

    if (r == 0)
        r = buf_put(&text, b);
    if (r < 0)
        return r;
    json_writer_init(&w, out);
    json_str(&w, buf_str(&text));
    return json_writer_result(&w);
}

int native_put_rest(const struct native *n, struct str prompt, const struct delivered *have,
                    uint64_t limit, struct buf *out)
{
    int r = buf_printf(out, "{\"model\":" STR_FMT ",\"raw\":true,\"stream\":true,\"think\":false,",
                       STR_ARG(n->model));

    if (r == 0)
        r = put_options(n, limit, out);
    if (r == 0)
        r = buf_put(out, STR(",\"prompt\":"));
    if (r == 0)
        r = put_joined(prompt, buf_str(&have->content), out);
    return r == 0 ? buf_put(out, STR("}")) : r;
}
