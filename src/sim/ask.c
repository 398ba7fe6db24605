/* SPDX-License-Identifier: MIT */
#include "sim/ask.h"

#include <errno.h>

#include "sim/duration.h"
#include "sim/fields.h"

typedef int read_fn(struct sim_fields *p);

static int read_model(struct sim_fields *p)
{
    return sim_fields_string(p, &p->ask->model);
}

/* The old word for it, which clients may send empty beside the new one. */
static int read_name(struct sim_fields *p)
{
    struct str name = STR_NULL;
    int r = sim_fields_string(p, &name);

    if (r == 0 && name.len > 0)
        p->ask->model = name;
    return r;
}

static int read_from(struct sim_fields *p)
{
    return sim_fields_string(p, &p->ask->from);
}

static int read_prompt(struct sim_fields *p)
{
    return sim_fields_string(p, &p->ask->prompt);
}

static int read_stream(struct sim_fields *p)
{
    return sim_fields_boolean(p, &p->ask->wants_stream);
}

static int read_raw(struct sim_fields *p)
{
    return sim_fields_boolean(p, &p->ask->is_raw);
}

static int read_render_only(struct sim_fields *p)
{
    return sim_fields_boolean(p, &p->ask->is_render_only);
}

static int read_max_tokens(struct sim_fields *p)
{
    return sim_fields_count(p, &p->ask->max_tokens);
}

static int read_seed(struct sim_fields *p)
{
    int64_t seed = 0;
    int r = sim_fields_count(p, &seed);

    p->ask->seed = (uint64_t)seed;
    return r;
}

static int read_dimensions(struct sim_fields *p)
{
    int64_t n = 0;
    int r = sim_fields_count(p, &n);

    p->ask->dimensions = n > 0 ? (uint64_t)n : 0;
    return r;
}

static int read_think(struct sim_fields *p)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    p->ask->wants_thinking = r == 0 && (t.type == JSON_TRUE || t.type == JSON_STRING);
    return r;
}

static int read_context(struct sim_fields *p)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_ARRAY_BEGIN)
        return sim_fields_refuse_type(p, t.type, "[]int");
    p->ask->has_context = true;
    return sim_fields_leave(p, t.depth);
}

static int read_template(struct sim_fields *p)
{
    struct str text = STR_NULL;
    int r = sim_fields_string(p, &text);

    p->ask->has_template = text.len > 0;
    return r;
}

static int read_encoding(struct sim_fields *p)
{
    struct str text = STR_NULL;
    int r = sim_fields_string(p, &text);

    p->ask->wants_base64 = str_eq(text, STR("base64"));
    return r;
}

static int read_keep_alive(struct sim_fields *p)
{
    struct json_token t;
    nsec_t ns = 0;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type == JSON_NUMBER) {
        double seconds = sim_fields_number(&t);

        ns = seconds < 0 ? -1 : seconds > 9e9 ? NSEC_NEVER : (nsec_t)(seconds * 1e9);
    } else if (t.type == JSON_STRING) {
        r = sim_duration_parse(t.raw, &ns);
        if (r == SIM_DURATION_NO_UNIT)
            return sim_fields_refuse(p, 400, "time: missing unit in duration \"" STR_FMT "\"",
                                     STR_ARG(str_head(t.raw, 100)));
        if (r != 0)
            return sim_fields_refuse(p, 400, "time: invalid duration \"" STR_FMT "\"",
                                     STR_ARG(str_head(t.raw, 100)));
    } else {
        return sim_fields_refuse(p, 400, "Unsupported type: '%s'", sim_fields_type_name(t.type));
    }
    p->ask->has_keep_alive = true;
    p->ask->keep_alive_ns = sim_keep_alive_of(ns);
    return 0;
}

static int put_stop(struct sim_fields *p, const struct json_token *t)
{
    struct str text;
    int r = sim_fields_decode(p, t, &text);

    if (r == 0 && text.len > 0 && p->ask->n_stops < SIM_STOPS_MAX)
        p->ask->stops[p->ask->n_stops++] = text;
    return r;
}

/* A string (where @may_be_one) or an array of strings. */
static int read_stops(struct sim_fields *p, bool may_be_one, const char *complaint)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (may_be_one && t.type == JSON_STRING)
        return put_stop(p, &t);
    if (t.type != JSON_ARRAY_BEGIN)
        return sim_fields_refuse(p, may_be_one ? 400 : 500, "%s", complaint);
    for (;;) {
        r = sim_fields_next(p, &t);
        if (r != 0 || t.type == JSON_ARRAY_END)
            return r;
        if (t.type != JSON_STRING)
            return sim_fields_refuse(p, may_be_one ? 400 : 500, "%s", complaint);
        r = put_stop(p, &t);
        if (r != 0)
            return r;
    }
}

static int read_stop(struct sim_fields *p)
{
    return read_stops(p, true, "invalid type for 'stop' field");
}

/*
 * Text of one part of a content array: {"type":"text","text":"..."}; other members and kinds say
 * nothing.
 */
static int read_part(struct sim_fields *p, struct buf *out)
{
    struct json_token t;

    for (;;) {
        int r = sim_fields_next(p, &t);
        bool is_text = json_key_is(&t, STR("text"));

        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        if (!is_text) {
            r = sim_fields_skip(p);
        } else {
            r = sim_fields_next(p, &t);
            if (r == 0 && t.type == JSON_STRING)
                r = json_decode(&t, out);
        }
        if (r != 0)
            return r;
    }
}

static int read_parts(struct sim_fields *p, struct str *ret_text)
{
    struct buf out CLEANUP(buf_fini) = BUF_INIT(SIM_STRING_MAX);
    struct json_token t;

    for (;;) {
        int r = sim_fields_next(p, &t);

        if (r == 0 && t.type == JSON_ARRAY_END) {
            *ret_text = arena_dup(p->arena, buf_str(&out));
            return ret_text->s == NULL ? -ENOMEM : 0;
        }
        if (r == 0 && t.type == JSON_STRING)
            r = json_decode(&t, &out);
        else if (r == 0 && t.type == JSON_OBJECT_BEGIN)
            r = read_part(p, &out);
        else if (r == 0)
            r = sim_fields_refuse(p, 400, "invalid message format");
        if (r != 0)
            return r;
    }
}

/* A text, or an array of parts where the dialect has them. */
static int read_content(struct sim_fields *p, struct str *ret_text)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type == JSON_STRING)
        return sim_fields_decode(p, &t, ret_text);
    if ((p->ask->dialect & SIM_NATIVE) != 0)
        return sim_fields_refuse_type(p, t.type, "string");
    if (t.type == JSON_ARRAY_BEGIN)
        return read_parts(p, ret_text);
    return sim_fields_refuse(p, 400, "invalid message content type: %s",
                             t.type == JSON_NUMBER ? "float64" : sim_fields_type_name(t.type));
}

static int read_system(struct sim_fields *p)
{
    return read_content(p, &p->ask->system);
}

static int put_message(struct sim_fields *p, struct str role, struct str content)
{
    struct sim_message *m = arena_alloc(p->arena, sizeof(*m));

    if (m == NULL)
        return -ENOMEM;
    *m = (struct sim_message){.role = role, .content = content};
    if (p->ask->last != NULL)
        p->ask->last->next = m;
    else
        p->ask->first = m;
    p->ask->last = m;
    return 0;
}

/* A message whose brace was read. */
static int read_message(struct sim_fields *p)
{
    struct str role = STR_NULL;
    struct str content = STR_NULL;
    struct json_token t;

    for (;;) {
        int r = sim_fields_next(p, &t);

        if (r != 0)
            return r;
        if (t.type == JSON_OBJECT_END)
            return put_message(p, role, content);
        if (json_key_is(&t, STR("role"))) {
            p->field = STR("messages.role");
            r = sim_fields_string(p, &role);
        } else if (json_key_is(&t, STR("content"))) {
            p->field = STR("messages.content");
            r = read_content(p, &content);
        } else {
            r = sim_fields_skip(p);
        }
        if (r != 0)
            return r;
    }
}

static int read_messages(struct sim_fields *p)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_ARRAY_BEGIN)
        return sim_fields_refuse_type(p, t.type, "[]api.Message");
    for (;;) {
        r = sim_fields_next(p, &t);
        if (r != 0 || t.type == JSON_ARRAY_END)
            return r;
        r = t.type == JSON_OBJECT_BEGIN ? read_message(p)
                                        : sim_fields_refuse_type(p, t.type, "api.Message");
        if (r != 0)
            return r;
    }
}

/* {"weights.gguf":"sha256:..."}: the digests. */
static int read_files(struct sim_fields *p)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return sim_fields_refuse_type(p, t.type, "map[string]string");
    for (;;) {
        struct str name;
        struct str digest = STR_NULL;

        r = sim_fields_next(p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = sim_fields_decode(p, &t, &name);
        if (r == 0)
            r = sim_fields_string(p, &digest);
        if (r == 0)
            r = put_message(p, name, digest);
        if (r != 0)
            return r;
    }
}

/* What to embed, or the input of /v1/responses: one string, or an array of strings or messages. */
static int read_input(struct sim_fields *p)
{
    const char *complaint = p->ask->dialect == SIM_EMBED ? "invalid input type" : "invalid input";
    struct json_token t;
    struct str text;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    p->ask->has_input = true;
    if (t.type != JSON_STRING && t.type != JSON_ARRAY_BEGIN)
        return sim_fields_refuse(p, 400, "%s", complaint);
    if (t.type == JSON_STRING) {
        r = sim_fields_decode(p, &t, &text);
        return r != 0 || text.len == 0 ? r : put_message(p, STR("user"), text);
    }
    for (;;) {
        r = sim_fields_next(p, &t);
        if (r != 0 || t.type == JSON_ARRAY_END)
            return r;
        if (t.type == JSON_STRING) {
            r = sim_fields_decode(p, &t, &text);
            if (r == 0)
                r = put_message(p, STR("user"), text);
        } else if (t.type == JSON_OBJECT_BEGIN && p->ask->dialect == SIM_V1_RESPONSES) {
            r = read_message(p);
        } else {
            r = sim_fields_refuse(p, 400, "%s", complaint);
        }
        if (r != 0)
            return r;
    }
}

/* One option of Ollama's; a wrong type is the server's error there. */
static int read_option(struct sim_fields *p, const struct json_token *key)
{
    bool is_seed = json_key_is(key, STR("seed"));
    struct json_token t;
    int r;

    if (json_key_is(key, STR("stop")))
        return read_stops(p, false, "option \"stop\" must be of type array");
    if (!is_seed && !json_key_is(key, STR("num_predict")))
        return sim_fields_skip(p);
    r = sim_fields_next(p, &t);
    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_NUMBER)
        return sim_fields_refuse(p, 500, "option \"%s\" must be of type integer",
                                 is_seed ? "seed" : "num_predict");
    if (is_seed)
        p->ask->seed = (uint64_t)sim_fields_capped(sim_fields_number(&t));
    else
        p->ask->max_tokens = sim_fields_capped(sim_fields_number(&t));
    return 0;
}

static int read_options(struct sim_fields *p)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return sim_fields_refuse_type(p, t.type, "map[string]interface {}");
    for (;;) {
        r = sim_fields_next(p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = read_option(p, &t);
        if (r != 0)
            return r;
    }
}

static int read_stream_options(struct sim_fields *p)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return sim_fields_refuse_type(p, t.type, "openai.StreamOptions");
    for (;;) {
        r = sim_fields_next(p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = json_key_is(&t, STR("include_usage")) ? sim_fields_boolean(p, &p->ask->wants_usage)
                                                  : sim_fields_skip(p);
        if (r != 0)
            return r;
    }
}

#define V1_TEXT (SIM_V1_CHAT | SIM_V1_COMPLETIONS)

static const struct member {
    const char *name;
    unsigned dialects;
    read_fn *read;
} members[] = {
    {"model", ~0u, read_model},
    {"name", SIM_SHOW | SIM_PROGRESS | SIM_DELETE, read_name},
    {"destination", SIM_COPY, read_model},
    {"source", SIM_COPY, read_from},
    {"from", SIM_CREATE, read_from},
    {"files", SIM_CREATE, read_files},
    {"prompt", SIM_GENERATE | SIM_EMBEDDINGS | SIM_V1_COMPLETIONS, read_prompt},
    {"system", SIM_GENERATE | SIM_V1_MESSAGES, read_system},
    {"instructions", SIM_V1_RESPONSES, read_system},
    {"messages", SIM_CHAT | SIM_V1_CHAT | SIM_V1_MESSAGES, read_messages},
    {"input", SIM_EMBED | SIM_V1_EMBEDDINGS | SIM_V1_RESPONSES, read_input},
    {"stream",
     SIM_GENERATE | SIM_CHAT | SIM_PROGRESS | V1_TEXT | SIM_V1_RESPONSES | SIM_V1_MESSAGES,
     read_stream},
    {"raw", SIM_GENERATE, read_raw},
    {"template", SIM_GENERATE, read_template},
    {"context", SIM_GENERATE, read_context},
    {"think", SIM_GENERATE | SIM_CHAT, read_think},
    {"keep_alive", SIM_INFER_NATIVE, read_keep_alive},
    {"options", SIM_INFER_NATIVE, read_options},
    {"stream_options", V1_TEXT, read_stream_options},
    {"max_tokens", V1_TEXT | SIM_V1_MESSAGES, read_max_tokens},
    {"max_output_tokens", SIM_V1_RESPONSES, read_max_tokens},
    {"seed", V1_TEXT, read_seed},
    {"stop", V1_TEXT, read_stop},
    {"stop_sequences", SIM_V1_MESSAGES, read_stop},
    {"dimensions", SIM_EMBED | SIM_V1_EMBEDDINGS, read_dimensions},
    {"encoding_format", SIM_V1_EMBEDDINGS, read_encoding},
    {"_debug_render_only", SIM_GENERATE | SIM_CHAT, read_render_only},
};

static int read_member(struct sim_fields *p, const struct json_token *key)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        p->field = str_of(members[i].name);
        if ((members[i].dialects & p->ask->dialect) != 0 && json_key_is(key, p->field))
            return members[i].read(p);
    }
    return sim_fields_skip(p);
}

int sim_ask_parse(enum sim_dialect dialect, struct str body, struct arena *arena,
                  struct sim_ask *ret_ask)
{
    struct sim_fields p = {.body = body, .arena = arena, .ask = ret_ask};
    struct json_token t;
    int r;

    *ret_ask =
        (struct sim_ask){.dialect = dialect,
                         .max_tokens = -1,
                         .wants_stream = (dialect & (SIM_GENERATE | SIM_CHAT | SIM_PROGRESS)) != 0};
    if (str_trim(body).len == 0)
        return sim_fields_refuse(&p, 400,
                                 (dialect & SIM_NATIVE) != 0 ? "missing request body" : "EOF");
    json_reader_init(&p.r, body);
    r = sim_fields_next(&p, &t);
    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return sim_fields_refuse_body(&p, t.type);
    for (;;) {
        r = sim_fields_next(&p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = read_member(&p, &t);
        if (r != 0)
            return r;
    }
}
