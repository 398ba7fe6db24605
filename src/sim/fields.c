/* SPDX-License-Identifier: MIT */
#include "sim/fields.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

static const struct {
    enum sim_dialect dialect;
    const char *go_type;
} go_types[] = {
    {SIM_GENERATE, "GenerateRequest"},
    {SIM_CHAT, "ChatRequest"},
    {SIM_EMBED, "EmbedRequest"},
    {SIM_EMBEDDINGS, "EmbeddingRequest"},
    {SIM_SHOW, "ShowRequest"},
    {SIM_PULL, "PullRequest"},
    {SIM_PUSH, "PushRequest"},
    {SIM_CREATE, "CreateRequest"},
    {SIM_COPY, "CopyRequest"},
    {SIM_DELETE, "DeleteRequest"},
    {SIM_V1_CHAT, "ChatCompletionRequest"},
    {SIM_V1_COMPLETIONS, "CompletionRequest"},
    {SIM_V1_EMBEDDINGS, "EmbedRequest"},
    {SIM_V1_RESPONSES, "ResponsesRequest"},
    {SIM_V1_MESSAGES, "MessagesRequest"},
};

int sim_fields_refuse(struct sim_fields *p, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(p->ask->error, sizeof(p->ask->error), format, args);
    va_end(args);
    p->ask->status = status;
    return SIM_ASK_REFUSED;
}

static int refuse_syntax(struct sim_fields *p, int err)
{
    size_t at = json_offset(&p->r);

    if (err == -EX_JSON_TRUNCATED || at >= p->body.len)
        return sim_fields_refuse(p, 400, "unexpected EOF");
    if (err == -EX_JSON_DEPTH)
        return sim_fields_refuse(p, 400, "exceeded max depth");
    return sim_fields_refuse(p, 400, "invalid character '%c' looking for beginning of value",
                             p->body.s[at]);
}

static const char *go_type(enum sim_dialect dialect)
{
    for (size_t i = 0; i < sizeof(go_types) / sizeof(go_types[0]); i++)
        if (go_types[i].dialect == dialect)
            return go_types[i].go_type;
    return "";
}

const char *sim_fields_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_OBJECT_BEGIN] = "object", [JSON_ARRAY_BEGIN] = "array", [JSON_STRING] = "string",
        [JSON_NUMBER] = "number",       [JSON_TRUE] = "bool",         [JSON_FALSE] = "bool",
    };
    const char *name = (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;

    return name != NULL ? name : "value";
}

int sim_fields_refuse_type(struct sim_fields *p, enum json_type got, const char *wanted)
{
    return sim_fields_refuse(
        p, 400, "json: cannot unmarshal %s into Go struct field %s." STR_FMT " of type %s",
        sim_fields_type_name(got), go_type(p->ask->dialect), STR_ARG(p->field), wanted);
}

int sim_fields_refuse_body(struct sim_fields *p, enum json_type got)
{
    bool is_native = (p->ask->dialect & SIM_NATIVE) != 0;

    return sim_fields_refuse(p, 400, "json: cannot unmarshal %s into Go value of type %s.%s",
                             sim_fields_type_name(got), is_native ? "api" : "openai",
                             go_type(p->ask->dialect));
}

int sim_fields_next(struct sim_fields *p, struct json_token *ret_token)
{
    int r = json_next(&p->r, ret_token);

    return r < 0 ? refuse_syntax(p, r) : 0;
}

int sim_fields_skip(struct sim_fields *p)
{
    int r = json_skip(&p->r, NULL);

    return r < 0 ? refuse_syntax(p, r) : 0;
}

/* Leaves the container whose first token was just read. */
int sim_fields_leave(struct sim_fields *p, uint32_t depth)
{
    struct json_token t;
    int r;

    do {
        r = sim_fields_next(p, &t);
        if (r != 0)
            return r;
    } while (t.depth > depth || (t.type != JSON_OBJECT_END && t.type != JSON_ARRAY_END));
    return 0;
}

int sim_fields_decode(struct sim_fields *p, const struct json_token *t, struct str *ret_text)
{
    struct buf out CLEANUP(buf_fini) = BUF_INIT(SIM_STRING_MAX);
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

int sim_fields_string(struct sim_fields *p, struct str *ret_text)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    return t.type == JSON_STRING ? sim_fields_decode(p, &t, ret_text)
                                 : sim_fields_refuse_type(p, t.type, "string");
}

int sim_fields_boolean(struct sim_fields *p, bool *ret_value)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_TRUE && t.type != JSON_FALSE)
        return sim_fields_refuse_type(p, t.type, "bool");
    *ret_value = t.type == JSON_TRUE;
    return 0;
}

double sim_fields_number(const struct json_token *t)
{
    char text[64];

    (void)snprintf(text, sizeof(text), STR_FMT, STR_ARG(str_head(t->raw, sizeof(text) - 1)));
    return strtod(text, NULL);
}

int64_t sim_fields_capped(double value)
{
    return value > 1e15 ? (int64_t)1e15 : value < -1 ? -1 : (int64_t)value;
}

int sim_fields_count(struct sim_fields *p, int64_t *ret_value)
{
    struct json_token t;
    int r = sim_fields_next(p, &t);

    if (r != 0 || t.type == JSON_NULL)
        return r;
    if (t.type != JSON_NUMBER)
        return sim_fields_refuse_type(p, t.type, "int");
    *ret_value = sim_fields_capped(sim_fields_number(&t));
    return 0;
}
