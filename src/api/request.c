/* SPDX-License-Identifier: MIT */
#include "api/request.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "json/reader.h"

/* What a field of the top object is to us. */
enum use {
    USE_NONE,
    USE_MODEL,
    USE_NAME, /* old form of "model" */
    USE_STREAM,
    USE_CONTENT, /* without it the request only loads or unloads */
    USE_TEXT,    /* the same, but it only means what is to be read */
    USE_SYSTEM,
    USE_OPTIONS,
    USE_SHIFT, /* an option that stands outside */
};

struct field {
    enum api_route_id route;
    const char *name;
    enum use use;
};

/* "model" is a field of every route. */
static const struct field fields[] = {
    {ROUTE_SHOW, "name", USE_NAME},
    {ROUTE_GENERATE, "stream", USE_STREAM},
    {ROUTE_GENERATE, "prompt", USE_CONTENT},
    {ROUTE_CHAT, "stream", USE_STREAM},
    {ROUTE_CHAT, "messages", USE_CONTENT},
    {ROUTE_GENERATE, "system", USE_SYSTEM},
    {ROUTE_GENERATE, "options", USE_OPTIONS},
    {ROUTE_GENERATE, "shift", USE_SHIFT},
    {ROUTE_CHAT, "options", USE_OPTIONS},
    {ROUTE_CHAT, "shift", USE_SHIFT},
    {ROUTE_EMBED, "input", USE_CONTENT},
    {ROUTE_EMBED, "options", USE_OPTIONS},
    {ROUTE_EMBEDDINGS, "prompt", USE_CONTENT},
    {ROUTE_EMBEDDINGS, "options", USE_OPTIONS},
    {ROUTE_V1_CHAT, "stream", USE_STREAM},
    {ROUTE_V1_CHAT, "messages", USE_TEXT},
    {ROUTE_V1_COMPLETIONS, "stream", USE_STREAM},
    {ROUTE_V1_COMPLETIONS, "prompt", USE_TEXT},
    {ROUTE_V1_RESPONSES, "stream", USE_STREAM},
    {ROUTE_V1_RESPONSES, "instructions", USE_SYSTEM},
    {ROUTE_V1_RESPONSES, "input", USE_TEXT},
    {ROUTE_V1_MESSAGES, "stream", USE_STREAM},
    {ROUTE_V1_MESSAGES, "system", USE_SYSTEM},
    {ROUTE_V1_MESSAGES, "messages", USE_TEXT},
    {ROUTE_PULL, "name", USE_NAME},
    {ROUTE_PULL, "stream", USE_STREAM},
    {ROUTE_PUSH, "name", USE_NAME},
    {ROUTE_PUSH, "stream", USE_STREAM},
    {ROUTE_CREATE, "name", USE_NAME},
    {ROUTE_CREATE, "stream", USE_STREAM},
    {ROUTE_COPY, "source", USE_MODEL},
    {ROUTE_DELETE, "name", USE_NAME},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

/* A model that is loaded with others is loaded anew; "shift" stands outside of "options". */
static const char *const warm_options[] = {"num_ctx",  "num_batch",  "num_gpu", "main_gpu",
                                           "use_mmap", "num_thread", "shift"};

#define N_WARM (sizeof(warm_options) / sizeof(warm_options[0]))
#define SHIFT  (N_WARM - 1)

struct reading {
    struct str warm[N_WARM]; /* their JSON; empty: not given */
    struct json_reader json;
    const struct api_route *route;
    struct api_request *request;
    struct str old_name;
    struct str old_name_raw;
    char old_name_text[MODEL_KEY_MAX];
    bool is_refused; /* a field has a type that a node refuses */
};

static enum use use_of(const struct api_route *route, const struct json_token *key)
{
    if (json_key_is(key, STR("model")))
        return USE_MODEL;
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].route == route->id && json_key_is(key, str_of(fields[i].name)))
            return fields[i].use;
    return USE_NONE;
}

/* A string as it was meant; escapes are resolved into @space. */
static void take_text(struct reading *r, const struct json_token *t,
                      char space[static MODEL_KEY_MAX], struct str *ret_text, struct str *ret_raw)
{
    /* A lent buffer at its maximum never allocates. */
    struct buf lent = {.data = space, .cap = MODEL_KEY_MAX, .max = MODEL_KEY_MAX};

    if (t->type == JSON_NULL)
        return;
    if (t->type != JSON_STRING || (t->has_escape && json_decode(t, &lent) < 0)) {
        r->is_refused = true;
        return;
    }
    *ret_text = t->has_escape ? buf_str(&lent) : t->raw;
    *ret_raw = t->raw;
}

static void take_stream(struct reading *r, const struct json_token *t)
{
    if (t->type == JSON_TRUE || t->type == JSON_FALSE)
        r->request->is_stream = t->type == JSON_TRUE;
    else if (t->type != JSON_NULL)
        r->is_refused = true;
}

/* @raw is the text of the whole value. */
static bool is_empty(struct str raw)
{
    if (str_eq(raw, STR("null")) || str_eq(raw, STR("\"\"")))
        return true;
    return raw.s[0] == '[' && str_trim(str_make(raw.s + 1, raw.len - 2)).len == 0;
}

static int take_content(struct reading *r, enum use use)
{
    struct str raw;
    int rc = json_skip(&r->json, &raw);

    if (rc < 0 || str_eq(raw, STR("null")))
        return rc;
    if (use == USE_SYSTEM) {
        r->request->system = raw;
        return 0;
    }
    r->request->content = raw;
    if (use == USE_CONTENT)
        r->request->is_load_only = is_empty(raw);
    return 0;
}

static int take_warm(struct reading *r, size_t which)
{
    struct str raw;
    int rc = json_skip(&r->json, &raw);

    if (rc == 0 && !str_eq(raw, STR("null")))
        r->warm[which] = raw;
    return rc;
}

/* Names in here are taken as they stand: Ollama reads them into a map. */
static int take_options(struct reading *r)
{
    struct json_token t;
    int rc = json_next(&r->json, &t);

    if (rc < 0 || t.type != JSON_OBJECT_BEGIN)
        return rc < 0 || t.type != JSON_ARRAY_BEGIN ? rc : json_leave(&r->json);
    for (;;) {
        size_t which = 0;

        rc = json_next(&r->json, &t);
        if (rc < 0 || t.type != JSON_KEY)
            return rc;
        while (which < SHIFT && !str_eq(t.raw, str_of(warm_options[which])))
            which++;
        rc = which < SHIFT ? take_warm(r, which) : json_skip(&r->json, NULL);
        if (rc < 0)
            return rc;
    }
}

/* By value as it is written: 2048 and 2048.0 are two, which costs a choice and no answer. */
static uint64_t hash_options(const struct reading *r)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < N_WARM; i++)
        if (r->warm[i].len > 0)
            hash ^= hash_bytes((struct hash_key){i, 1}, r->warm[i]);
    return hash;
}

/* Behind a key: its value. */
static int take_value(struct reading *r, enum use use)
{
    struct json_token t;
    int rc;

    if (use == USE_NONE)
        return json_skip(&r->json, NULL);
    if (use == USE_CONTENT || use == USE_TEXT || use == USE_SYSTEM)
        return take_content(r, use);
    if (use == USE_OPTIONS)
        return take_options(r);
    if (use == USE_SHIFT)
        return take_warm(r, SHIFT);
    rc = json_next(&r->json, &t);
    if (rc < 0)
        return rc;
    if (use == USE_MODEL)
        take_text(r, &t, r->request->model_text, &r->request->model, &r->request->model_raw);
    else if (use == USE_NAME)
        take_text(r, &t, r->old_name_text, &r->old_name, &r->old_name_raw);
    else
        take_stream(r, &t);
    return json_is_begin(&t) ? json_leave(&r->json) : 0;
}

static int read_object(struct reading *r)
{
    struct json_token t;
    int rc = json_next(&r->json, &t);

    if (rc < 0)
        return rc;
    if (t.type != JSON_OBJECT_BEGIN)
        return -EX_JSON_SYNTAX;
    for (;;) {
        rc = json_next(&r->json, &t);
        if (rc < 0 || t.type != JSON_KEY)
            return rc;
        rc = take_value(r, use_of(r->route, &t));
        if (rc < 0)
            return rc;
    }
}

static bool loads_without_content(const struct api_route *route)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].route == route->id && fields[i].use == USE_CONTENT)
            return true;
    return false;
}

/* The old name of /api/show counts where there is no new one. */
static void take_old_name(struct reading *r)
{
    struct api_request *request = r->request;

    if (request->model.len > 0 || r->old_name.len == 0)
        return;
    request->model = r->old_name;
    request->model_raw = r->old_name_raw;
    if (r->old_name.s == r->old_name_text) {
        memcpy(request->model_text, r->old_name_text, r->old_name.len);
        request->model.s = request->model_text;
    }
}

int api_request_read(const struct api_route *route, struct str body,
                     struct api_request *ret_request)
{
    struct reading r; /* and the request: one by one, since clearing their texts would be felt */
    int rc;

    r.route = route;
    r.request = ret_request;
    r.old_name = STR_NULL;
    r.is_refused = false;
    for (size_t i = 0; i < N_WARM; i++)
        r.warm[i] = STR_NULL;
    ret_request->system = STR_NULL;
    ret_request->content = STR_NULL;
    ret_request->model = STR_NULL;
    ret_request->key.len = 0;
    ret_request->is_stream = route->streams_by_default;
    ret_request->is_load_only = loads_without_content(route);
    json_reader_init(&r.json, body);
    rc = read_object(&r);
    take_old_name(&r);
    ret_request->options = hash_options(&r);
    if (rc < 0 || r.is_refused || model_key_parse(ret_request->model, &ret_request->key) < 0) {
        ret_request->key.len = 0;
        return API_REQUEST_UNROUTABLE;
    }
    return 0;
}
