/* SPDX-License-Identifier: MIT */
#include "sim/ask.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "sim/duration.h"
#include "sim/text.h"
#include "json/reader.h"

#define STRING_MAX ((size_t)64 * 1024 * 1024)

struct parser {
    struct json_reader r;
    struct str body;
    struct arena *arena;
    struct sim_ask *ask;
    struct str field; /* the member in hand */
};

typedef int read_fn(struct parser *p);

static const struct {
    enum sim_dialect dialect;
    const char *go_type;
} go_types[] = {
    {SIM_GENERATE, "GenerateRequest"},
    {SIM_CHAT, "ChatRequest"},
    {SIM_EMBED, "EmbedRequest"},
    {SIM_EMBEDDINGS, "EmbeddingRequest"},
    {SIM_SHOW, "ShowRequest"},
    {SIM_V1_CHAT, "ChatCompletionRequest"},
    {SIM_V1_COMPLETIONS, "CompletionRequest"},
    {SIM_V1_EMBEDDINGS, "EmbedRequest"},
    {SIM_V1_RESPONSES, "ResponsesRequest"},
    {SIM_V1_MESSAGES, "MessagesRequest"},
};

static int PRINTF(3, 4) refuse(struct parser *p, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(p->ask->error, sizeof(p->ask->error), format, args);
    va_end(args);
    p->ask->status = status;
    return SIM_ASK_REFUSED;
}

static int refuse_syntax(struct parser *p, int err)
{
    size_t at = json_offset(&p->r);

    if (err == -EX_JSON_TRUNCATED || at >= p->body.len)
        return refuse(p, 400, "unexpected EOF");
    if (err == -EX_JSON_DEPTH)
        return refuse(p, 400, "exceeded max depth");
    return refuse(p, 400, "invalid character '%c' looking for beginning of value", p->body.s[at]);
}

static const char *go_type(enum sim_dialect dialect)
{
    for (size_t i = 0; i < sizeof(go_types) / sizeof(go_types[0]); i++)
        if (go_types[i].dialect == dialect)
            return go_types[i].go_type;
    return "";
}

static const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_OBJECT_BEGIN] = "object", [JSON_ARRAY_BEGIN] = "array", [JSON_STRING] = "string",
        [JSON_NUMBER] = "number",       [JSON_TRUE] = "bool",         [JSON_FALSE] = "bool",
    };
    const char *name = (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;

    return name != NULL ? name : "value";
}

static int refuse_type(struct parser *p, enum json_type got, const char *wanted)
{
    return refuse(p, 400,
                  "json: cannot unmarshal %s into Go struct field %s." STR_FMT " of type %s",
                  json_type_name(got), go_type(p->ask->dialect), STR_ARG(p->field), wanted);
}

static int next(struct parser *p, struct json_token *ret_token)
{
    int r = json_next(&p->r, ret_token);

    return r < 0 ? refuse_syntax(p, r) : 0;
}

static int skip(struct parser *p)
{
    int r = json_skip(&p->r, NULL);

    return r < 0 ? refuse_syntax(p, r) : 0;
}

/* Leaves the container whose first token was just read. */
static int leave(struct parser *p, uint32_t depth)
{
    struct json_token t;
    int r;

    do {
        r = next(p, &t);
        if (r != 0)
            return r;
    } while (t.depth > depth || (t.type != JSON_OBJECT_END && t.type != JSON_ARRAY_END));
    return 0;
}

static int decode(struct parser *p, const struct json_token *t, struct str *ret_text)
{
    struct buf out CLEANUP(buf_fini) = BUF_INIT(STRING_MAX);
    int r;

    *ret_text = t->raw;
    if (!t->has_escape)
        return 0;
    r = json_decode(t, &out);
    if (r < 0)
        return r;
    *ret_text = arena_dup(p->arena, buf_str(&out));
    return ret_text->s == NULL ? -ENOMEM : 0;
}

static int read_string(struct parser *p, struct str *ret_text)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    return t.type == JSON_STRING ? decode(p, &t, ret_text) : refuse_type(p, t.type, "string");
}

static int read_bool(struct parser *p, bool *ret_value)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_TRUE && t.type != JSON_FALSE)
        return refuse_type(p, t.type, "bool");
    *ret_value = t.type == JSON_TRUE;
    return 0;
}

static double number_of(const struct json_token *t)
{
    char text[64];

    (void)snprintf(text, sizeof(text), STR_FMT, STR_ARG(str_head(t->raw, sizeof(text) - 1)));
    return strtod(text, NULL);
}

static int64_t capped_integer(double value)
{
    return value > 1e15 ? (int64_t)1e15 : value < -1 ? -1 : (int64_t)value;
}

static int read_count(struct parser *p, int64_t *ret_value)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_NUMBER)
        return refuse_type(p, t.type, "int");
    *ret_value = capped_integer(number_of(&t));
    return 0;
}

static int read_model(struct parser *p)
{
    return read_string(p, &p->ask->model);
}

static int read_prompt(struct parser *p)
{
    return read_string(p, &p->ask->prompt);
}

static int read_stream(struct parser *p)
{
    return read_bool(p, &p->ask->wants_stream);
}

static int read_raw(struct parser *p)
{
    return read_bool(p, &p->ask->is_raw);
}

static int read_render_only(struct parser *p)
{
    return read_bool(p, &p->ask->is_render_only);
}

static int read_max_tokens(struct parser *p)
{
    return read_count(p, &p->ask->max_tokens);
}

static int read_seed(struct parser *p)
{
    int64_t seed = 0;
    int r = read_count(p, &seed);

    p->ask->seed = (uint64_t)seed;
    return r;
}

static int read_dimensions(struct parser *p)
{
    int64_t n = 0;
    int r = read_count(p, &n);

    p->ask->dimensions = n > 0 ? (uint64_t)n : 0;
    return r;
}

static int read_think(struct parser *p)
{
    struct json_token t;
    int r = next(p, &t);

    p->ask->wants_thinking = r == 0 && (t.type == JSON_TRUE || t.type == JSON_STRING);
    return r;
}

static int read_context(struct parser *p)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_ARRAY_BEGIN)
        return refuse_type(p, t.type, "[]int");
    p->ask->has_context = true;
    return leave(p, t.depth);
}

static int read_template(struct parser *p)
{
    struct str text = STR_NULL;
    int r = read_string(p, &text);

    p->ask->has_template = text.len > 0;
    return r;
}

static int read_encoding(struct parser *p)
{
    struct str text = STR_NULL;
    int r = read_string(p, &text);

    p->ask->wants_base64 = str_eq(text, STR("base64"));
    return r;
}

static int read_keep_alive(struct parser *p)
{
    struct json_token t;
    nsec_t ns = 0;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type == JSON_NUMBER) {
        double seconds = number_of(&t);

        ns = seconds < 0 ? -1 : seconds > 9e9 ? NSEC_NEVER : (nsec_t)(seconds * 1e9);
    } else if (t.type == JSON_STRING) {
        r = sim_duration_parse(t.raw, &ns);
        if (r == SIM_DURATION_NO_UNIT)
            return refuse(p, 400, "time: missing unit in duration \"" STR_FMT "\"",
                          STR_ARG(str_head(t.raw, 100)));
        if (r != 0)
            return refuse(p, 400, "time: invalid duration \"" STR_FMT "\"",
                          STR_ARG(str_head(t.raw, 100)));
    } else {
        return refuse(p, 400, "Unsupported type: '%s'", json_type_name(t.type));
    }
    p->ask->has_keep_alive = true;
    p->ask->keep_alive_ns = sim_keep_alive_of(ns);
    return 0;
}

static int put_stop(struct parser *p, const struct json_token *t)
{
    struct str text;
    int r = decode(p, t, &text);

    if (r == 0 && text.len > 0 && p->ask->n_stops < SIM_STOPS_MAX)
        p->ask->stops[p->ask->n_stops++] = text;
    return r;
}

/* A string (where @may_be_one) or an array of strings. */
static int read_stops(struct parser *p, bool may_be_one, const char *complaint)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (may_be_one && t.type == JSON_STRING)
        return put_stop(p, &t);
    if (t.type != JSON_ARRAY_BEGIN)
        return refuse(p, may_be_one ? 400 : 500, "%s", complaint);
    for (;;) {
        r = next(p, &t);
        if (r != 0 || t.type == JSON_ARRAY_END)
            return r;
        if (t.type != JSON_STRING)
            return refuse(p, may_be_one ? 400 : 500, "%s", complaint);
        r = put_stop(p, &t);
        if (r != 0)
            return r;
    }
}

static int read_stop(struct parser *p)
{
    return read_stops(p, true, "invalid type for 'stop' field");
}

/* Text of one part of a content array: {"type":"text","text":"..."}; other members and kinds say nothing. */
static int read_part(struct parser *p, struct buf *out)
{
    struct json_token t;

    for (;;) {
        int r = next(p, &t);
        bool is_text = json_key_is(&t, STR("text"));

        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        if (!is_text) {
            r = skip(p);
        } else {
            r = next(p, &t);
            if (r == 0 && t.type == JSON_STRING)
                r = json_decode(&t, out);
        }
        if (r != 0)
            return r;
    }
}

static int read_parts(struct parser *p, struct str *ret_text)
{
    struct buf out CLEANUP(buf_fini) = BUF_INIT(STRING_MAX);
    struct json_token t;

    for (;;) {
        int r = next(p, &t);

        if (r == 0 && t.type == JSON_ARRAY_END) {
            *ret_text = arena_dup(p->arena, buf_str(&out));
            return ret_text->s == NULL ? -ENOMEM : 0;
        }
        if (r == 0 && t.type == JSON_STRING)
            r = json_decode(&t, &out);
        else if (r == 0 && t.type == JSON_OBJECT_BEGIN)
            r = read_part(p, &out);
        else if (r == 0)
            r = refuse(p, 400, "invalid message format");
        if (r != 0)
            return r;
    }
}

/* A text, or an array of parts where the dialect has them. */
static int read_content(struct parser *p, struct str *ret_text)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type == JSON_STRING)
        return decode(p, &t, ret_text);
    if ((p->ask->dialect & SIM_NATIVE) != 0)
        return refuse_type(p, t.type, "string");
    if (t.type == JSON_ARRAY_BEGIN)
        return read_parts(p, ret_text);
    return refuse(p, 400, "invalid message content type: %s",
                  t.type == JSON_NUMBER ? "float64" : json_type_name(t.type));
}

static int read_system(struct parser *p)
{
    return read_content(p, &p->ask->system);
}

static int put_message(struct parser *p, struct str role, struct str content)
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
static int read_message(struct parser *p)
{
    struct str role = STR_NULL;
    struct str content = STR_NULL;
    struct json_token t;

    for (;;) {
        int r = next(p, &t);

        if (r != 0)
            return r;
        if (t.type == JSON_OBJECT_END)
            return put_message(p, role, content);
        if (json_key_is(&t, STR("role"))) {
            p->field = STR("messages.role");
            r = read_string(p, &role);
        } else if (json_key_is(&t, STR("content"))) {
            p->field = STR("messages.content");
            r = read_content(p, &content);
        } else {
            r = skip(p);
        }
        if (r != 0)
            return r;
    }
}

static int read_messages(struct parser *p)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_ARRAY_BEGIN)
        return refuse_type(p, t.type, "[]api.Message");
    for (;;) {
        r = next(p, &t);
        if (r != 0 || t.type == JSON_ARRAY_END)
            return r;
        r = t.type == JSON_OBJECT_BEGIN ? read_message(p) : refuse_type(p, t.type, "api.Message");
        if (r != 0)
            return r;
    }
}

/* What to embed, or the input of /v1/responses: one string, or an array of strings or messages. */
static int read_input(struct parser *p)
{
    const char *complaint = p->ask->dialect == SIM_EMBED ? "invalid input type" : "invalid input";
    struct json_token t;
    struct str text;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    p->ask->has_input = true;
    if (t.type != JSON_STRING && t.type != JSON_ARRAY_BEGIN)
        return refuse(p, 400, "%s", complaint);
    if (t.type == JSON_STRING) {
        r = decode(p, &t, &text);
        return r != 0 || text.len == 0 ? r : put_message(p, STR("user"), text);
    }
    for (;;) {
        r = next(p, &t);
        if (r != 0 || t.type == JSON_ARRAY_END)
            return r;
        if (t.type == JSON_STRING) {
            r = decode(p, &t, &text);
            if (r == 0)
                r = put_message(p, STR("user"), text);
        } else if (t.type == JSON_OBJECT_BEGIN && p->ask->dialect == SIM_V1_RESPONSES) {
            r = read_message(p);
        } else {
            r = refuse(p, 400, "%s", complaint);
        }
        if (r != 0)
            return r;
    }
}

/* One option of Ollama's; a wrong type is the server's error there. */
static int read_option(struct parser *p, const struct json_token *key)
{
    bool is_seed = json_key_is(key, STR("seed"));
    struct json_token t;
    int r;

    if (json_key_is(key, STR("stop")))
        return read_stops(p, false, "option \"stop\" must be of type array");
    if (!is_seed && !json_key_is(key, STR("num_predict")))
        return skip(p);
    r = next(p, &t);
    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_NUMBER)
        return refuse(p, 500, "option \"%s\" must be of type integer",
                      is_seed ? "seed" : "num_predict");
    if (is_seed)
        p->ask->seed = (uint64_t)capped_integer(number_of(&t));
    else
        p->ask->max_tokens = capped_integer(number_of(&t));
    return 0;
}

static int read_options(struct parser *p)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return refuse_type(p, t.type, "map[string]interface {}");
    for (;;) {
        r = next(p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = read_option(p, &t);
        if (r != 0)
            return r;
    }
}

static int read_stream_options(struct parser *p)
{
    struct json_token t;
    int r = next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return refuse_type(p, t.type, "openai.StreamOptions");
    for (;;) {
        r = next(p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = json_key_is(&t, STR("include_usage")) ? read_bool(p, &p->ask->wants_usage) : skip(p);
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
    {"name", SIM_SHOW, read_model},
    {"prompt", SIM_GENERATE | SIM_EMBEDDINGS | SIM_V1_COMPLETIONS, read_prompt},
    {"system", SIM_GENERATE | SIM_V1_MESSAGES, read_system},
    {"instructions", SIM_V1_RESPONSES, read_system},
    {"messages", SIM_CHAT | SIM_V1_CHAT | SIM_V1_MESSAGES, read_messages},
    {"input", SIM_EMBED | SIM_V1_EMBEDDINGS | SIM_V1_RESPONSES, read_input},
    {"stream", SIM_GENERATE | SIM_CHAT | V1_TEXT | SIM_V1_RESPONSES | SIM_V1_MESSAGES, read_stream},
    {"raw", SIM_GENERATE, read_raw},
    {"template", SIM_GENERATE, read_template},
    {"context", SIM_GENERATE, read_context},
    {"think", SIM_GENERATE | SIM_CHAT, read_think},
    {"keep_alive", SIM_NATIVE & ~(unsigned)SIM_SHOW, read_keep_alive},
    {"options", SIM_NATIVE & ~(unsigned)SIM_SHOW, read_options},
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

static int read_member(struct parser *p, const struct json_token *key)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        p->field = str_of(members[i].name);
        if ((members[i].dialects & p->ask->dialect) != 0 && json_key_is(key, p->field))
            return members[i].read(p);
    }
    return skip(p);
}

int sim_ask_parse(enum sim_dialect dialect, struct str body, struct arena *arena,
                  struct sim_ask *ret_ask)
{
    struct parser p = {.body = body, .arena = arena, .ask = ret_ask};
    struct json_token t;
    int r;

    *ret_ask = (struct sim_ask){.dialect = dialect,
                                .max_tokens = -1,
                                .wants_stream = (dialect & (SIM_GENERATE | SIM_CHAT)) != 0};
    if (str_trim(body).len == 0)
        return refuse(&p, 400, (dialect & SIM_NATIVE) != 0 ? "missing request body" : "EOF");
    json_reader_init(&p.r, body);
    r = next(&p, &t);
    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_OBJECT_BEGIN)
        return refuse(&p, 400, "json: cannot unmarshal %s into Go value of type %s.%s",
                      json_type_name(t.type), (dialect & SIM_NATIVE) != 0 ? "api" : "openai",
                      go_type(dialect));
    for (;;) {
        r = next(&p, &t);
        if (r != 0 || t.type == JSON_OBJECT_END)
            return r;
        r = read_member(&p, &t);
        if (r != 0)
            return r;
    }
}

/* A turn without its end: the model goes on in it. */
static int put_open_turn(struct buf *out, struct str content)
{
    int r = buf_put(out, STR(SIM_ASSISTANT));

    return r == 0 ? buf_put(out, content) : r;
}

static struct str without_space_behind(struct str text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.s[text.len - 1]) != NULL)
        text.len--;
    return text;
}

static int put_messages(const struct sim_ask *ask, enum sim_profile profile, struct buf *out,
                        struct str *ret_echo)
{
    for (const struct sim_message *m = ask->first; m != NULL; m = m->next) {
        int r;

        if (m->next == NULL && profile != SIM_CLOSED && str_eq_nocase(m->role, STR("assistant"))) {
            if (profile == SIM_ECHO)
                *ret_echo = m->content;
            return put_open_turn(out, profile == SIM_TRIM ? without_space_behind(m->content)
                                                          : m->content);
        }
        r = sim_render_turn(out, m->role, m->content);
        if (r < 0)
            return r;
    }
    return put_open_turn(out, STR_NULL);
}

int sim_ask_render(const struct sim_ask *ask, enum sim_profile profile, struct buf *out,
                   struct str *ret_echo)
{
    int r = 0;

    *ret_echo = STR_NULL;
    if (ask->is_raw)
        return buf_put(out, ask->prompt);
    if (ask->system.len > 0)
        r = sim_render_turn(out, STR("system"), ask->system);
    if (r < 0 || (ask->dialect & (SIM_GENERATE | SIM_V1_COMPLETIONS)) == 0)
        return r < 0 ? r : put_messages(ask, profile, out, ret_echo);
    r = sim_render_turn(out, STR("user"), ask->prompt);
    return r == 0 ? put_open_turn(out, STR_NULL) : r;
}
