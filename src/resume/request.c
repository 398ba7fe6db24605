/* SPDX-License-Identifier: MIT */
#include "resume/request.h"

#include "base/err.h"
#include "json/edit.h"
#include "json/reader.h"

/* Fields of a request that decide. In an object or array they stand where their place says. */
enum place {
    IN_NOTHING,
    IN_TOP,
    IN_OPTIONS,
    IN_MESSAGES,
    IN_FORMAT,
};

enum use {
    USE_NOTHING,
    USE_RAW,
    USE_PROMPT,
    USE_LIMIT,
    USE_SEED,
    USE_TEMPERATURE,
    USE_REFUSE, /* anything but nothing: null, false, 0, "", [], {} */
    USE_FORMAT, /* of OpenAI: {"type":"text"} is none */
};

struct field {
    enum place in;
    const char *name;
    enum use use;
    enum place into;
    const char *why_not;
};

static const struct field fields[] = {
    {IN_TOP, "raw", USE_RAW, IN_NOTHING, NULL},
    {IN_TOP, "prompt", USE_PROMPT, IN_NOTHING, NULL},
    {IN_TOP, "options", USE_NOTHING, IN_OPTIONS, NULL},
    {IN_TOP, "messages", USE_NOTHING, IN_MESSAGES, NULL},
    {IN_TOP, "input", USE_NOTHING, IN_MESSAGES, NULL},
    {IN_TOP, "seed", USE_SEED, IN_NOTHING, NULL},
    {IN_TOP, "temperature", USE_TEMPERATURE, IN_NOTHING, NULL},
    {IN_TOP, "response_format", USE_NOTHING, IN_FORMAT, NULL},
    {IN_TOP, "text", USE_NOTHING, IN_FORMAT, NULL},
    {IN_TOP, "tools", USE_REFUSE, IN_NOTHING, "it may call tools"},
    {IN_TOP, "format", USE_REFUSE, IN_NOTHING, "its format is constrained"},
    {IN_TOP, "images", USE_REFUSE, IN_NOTHING, "it has images"},
    {IN_TOP, "suffix", USE_REFUSE, IN_NOTHING, "it has a suffix"},
    {IN_TOP, "context", USE_REFUSE, IN_NOTHING, "it has a context"},
    {IN_TOP, "logprobs", USE_REFUSE, IN_NOTHING, "it wants log probabilities"},
    {IN_OPTIONS, "num_predict", USE_LIMIT, IN_NOTHING, NULL},
    {IN_OPTIONS, "seed", USE_SEED, IN_NOTHING, NULL},
    {IN_OPTIONS, "temperature", USE_TEMPERATURE, IN_NOTHING, NULL},
    {IN_MESSAGES, "content", USE_NOTHING, IN_MESSAGES, NULL},
    {IN_MESSAGES, "images", USE_REFUSE, IN_NOTHING, "it has images"},
    {IN_MESSAGES, "image_url", USE_REFUSE, IN_NOTHING, "it has images"},
    {IN_MESSAGES, "source", USE_REFUSE, IN_NOTHING, "it has images"},
    {IN_MESSAGES, "input_audio", USE_REFUSE, IN_NOTHING, "it has sound"},
    {IN_FORMAT, "type", USE_FORMAT, IN_NOTHING, "its format is constrained"},
    {IN_FORMAT, "format", USE_NOTHING, IN_FORMAT, NULL},
};

#define N_FIELDS    (sizeof(fields) / sizeof(fields[0]))
#define PLACES_DEEP 10

/* Slices of the body that resume_put() replaces; empty: not there. */
struct found {
    struct resume_rule rule;
    struct json_token prompt;
    struct json_token limit;
    bool has_prompt;
};

static const struct field *field_of(enum place in, const struct json_token *key)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].in == in && json_key_is(key, str_of(fields[i].name)))
            return &fields[i];
    return NULL;
}

static bool is_zero(const struct json_token *t)
{
    for (size_t i = 0; i < t->raw.len && t->raw.s[i] != 'e' && t->raw.s[i] != 'E'; i++)
        if (t->raw.s[i] >= '1' && t->raw.s[i] <= '9')
            return false;
    return true;
}

static bool is_nothing(const struct json_token *t)
{
    return t->type == JSON_NULL || t->type == JSON_FALSE ||
           (t->type == JSON_STRING && t->raw.len == 0) || (t->type == JSON_NUMBER && is_zero(t));
}

static void take_limit(struct found *f, const struct json_token *t)
{
    /* A negative number means: no limit of the client's. */
    f->rule.has_limit = t->type == JSON_NUMBER && json_to_u64(t, &f->rule.limit) == 0;
    f->limit = *t;
}

static void take(struct found *f, const struct field *field, const struct json_token *t,
                 const struct json_reader *r)
{
    switch (field->use) {
    case USE_NOTHING:
        break;
    case USE_RAW:
        f->rule.is_raw = t->type == JSON_TRUE;
        break;
    case USE_PROMPT:
        if (f->has_prompt)
            f->rule.why_not = "it has two prompts";
        f->has_prompt = t->type == JSON_STRING;
        f->prompt = *t;
        break;
    case USE_LIMIT:
        take_limit(f, t);
        break;
    case USE_SEED:
        f->rule.is_repeatable |= t->type == JSON_NUMBER && t->raw.s[0] != '-';
        break;
    case USE_TEMPERATURE:
        f->rule.is_repeatable |= t->type == JSON_NUMBER && is_zero(t);
        break;
    case USE_REFUSE:
        if (json_is_begin(t) ? !json_is_empty(r) : !is_nothing(t))
            f->rule.why_not = field->why_not;
        break;
    case USE_FORMAT:
        if (!str_eq(t->raw, STR("text")))
            f->rule.why_not = field->why_not;
        break;
    }
}

static int enter(struct json_reader *r, enum place places[static PLACES_DEEP], enum place into)
{
    if (into == IN_NOTHING || r->depth >= PLACES_DEEP)
        return json_leave(r);
    places[r->depth] = into;
    return 0;
}

static int take_member(struct json_reader *r, enum place places[static PLACES_DEEP],
                       struct found *f, const struct json_token *key)
{
    const struct field *field = field_of(places[key->depth], key);
    struct json_token t;
    int rc;

    if (field == NULL)
        return json_skip(r, NULL);
    rc = json_next(r, &t);
    if (rc < 0)
        return rc;
    take(f, field, &t, r);
    return json_is_begin(&t) ? enter(r, places, field->into) : 0;
}

static int find(struct str body, struct found *f)
{
    enum place places[PLACES_DEEP] = {IN_TOP, IN_TOP};
    struct json_reader r;
    struct json_token t;
    int rc;

    *f = (struct found){0};
    json_reader_init(&r, body);
    for (;;) {
        rc = json_next(&r, &t);
        if (rc < 0 || t.type == JSON_END)
            return rc;
        if (t.type == JSON_KEY)
            rc = take_member(&r, places, f, &t);
        else if (json_is_begin(&t) && t.depth > 0)
            rc = enter(&r, places, places[t.depth]);
        if (rc < 0)
            return rc;
    }
}

static void read_native(const struct api_route *route, struct str body, struct resume_rule *rule)
{
    struct json_token limit;

    if (route->family != API_OPENAI || native_read(route, body, &rule->native) < 0)
        return;
    limit = (struct json_token){.type = JSON_NUMBER, .raw = rule->native.limit};
    rule->is_native = true;
    rule->has_limit =
        limit.raw.len > 0 && json_to_u64(&limit, &rule->limit) == 0 && rule->limit > 0;
}

void resume_read(const struct api_route *route, struct str body, struct resume_rule *ret_rule)
{
    struct found f;

    if (find(body, &f) < 0)
        f.rule.why_not = "its request is not understood";
    else if (route->work != API_INFERENCE)
        f.rule.why_not = "it is no generation";
    read_native(route, body, &f.rule);
    f.rule.is_raw = f.rule.is_raw && route->id == ROUTE_GENERATE && f.has_prompt;
    f.rule.is_rendered =
        f.rule.is_native ||
        (!f.rule.is_raw && (route->id == ROUTE_GENERATE || route->id == ROUTE_CHAT));
    *ret_rule = f.rule;
}

enum resume_way resume_choose(const struct resume_rule *rule, const struct delivered *have,
                              const struct resume_node *node)
{
    bool has_room = !rule->has_limit || have->n_texts < rule->limit;

    /* The tags around thinking are the model's own: no text goes on behind them. */
    if (rule->is_repeatable || !node->is_same_model || !has_room || have->thinking.len > 0)
        return RESUME_AGAIN;
    if (rule->is_raw)
        return RESUME_BEHIND;
    if (rule->is_native && have->event.len == 0)
        return RESUME_AGAIN;
    return rule->is_rendered && node->can_render ? RESUME_RENDERED : RESUME_AGAIN;
}

/* Where members can be added to an object: in front of its last brace. */
static struct str place_at_end(struct str body)
{
    struct json_reader r;
    struct str value = STR_NULL;

    json_reader_init(&r, body);
    (void)!json_skip(&r, &value); /* it was read before */
    return str_make(value.s + value.len - 1, 0);
}

int resume_put_question(const struct resume_rule *rule, struct str body, struct buf *out)
{
    struct json_edit e;

    if (rule->is_native)
        return native_put_question(&rule->native, out);
    json_edit_init(&e, body, out);
    /* Of two members with a name the last counts, as Go has it. */
    json_edit_replace(&e, place_at_end(body), STR(",\"_debug_render_only\":true,\"stream\":false"));
    return json_edit_finish(&e);
}

int resume_read_prompt(struct str answer, struct buf *out)
{
    struct json_reader r;
    struct json_token t;
    bool is_prompt = false;

    json_reader_init(&r, answer);
    while (json_next(&r, &t) == 0 && t.type != JSON_END) {
        if (is_prompt && t.type == JSON_STRING)
            return str_ends(str_trim(t.raw), STR("<think>\\n")) ? -EX_RESUME : json_decode(&t, out);
        is_prompt = t.type == JSON_KEY && t.depth == 2 && str_eq(t.raw, STR("rendered_template"));
    }
    return -EX_JSON_SYNTAX;
}

/* What is left of the limit of tokens; one piece is nearly always one token. */
static void put_limit(struct json_edit *e, const struct found *f, const struct delivered *have)
{
    char digits[U64_DIGITS_MAX];

    if (f->rule.has_limit)
        json_edit_replace(e, f->limit.raw,
                          str_make(digits, str_put_u64(f->rule.limit - have->n_texts, digits)));
}

static int put_behind(const struct found *f, struct str body, const struct delivered *have,
                      struct buf *out)
{
    const struct str end = {f->prompt.raw.s + f->prompt.raw.len, 0};
    bool is_limit_first = f->rule.has_limit && f->limit.raw.s < end.s;
    struct json_edit e;

    json_edit_init(&e, body, out);
    if (is_limit_first)
        put_limit(&e, f, have);
    json_edit_replace_text(&e, end, buf_str(&have->content));
    if (!is_limit_first)
        put_limit(&e, f, have);
    return json_edit_finish(&e);
}

static int put_rendered(const struct found *f, struct str body, const struct delivered *have,
                        struct str prompt, struct buf *out)
{
    struct str at = place_at_end(body);
    struct json_edit e;

    json_edit_init(&e, body, out);
    put_limit(&e, f, have);
    json_edit_replace(&e, at,
                      STR(",\"raw\":true,\"stream\":true,\"think\":false,\"system\":\"\","
                          "\"template\":\"\",\"messages\":null,\"prompt\":\""));
    json_edit_replace_text(&e, at, prompt);
    json_edit_replace_text(&e, at, buf_str(&have->content));
    json_edit_replace(&e, at, STR("\""));
    return json_edit_finish(&e);
}

int resume_put(const struct resume_rule *rule, enum resume_way way, struct str body,
               const struct delivered *have, struct str prompt, struct buf *out)
{
    struct found f;

    if (way == RESUME_RENDERED && rule->is_native)
        return native_put_rest(&rule->native, prompt, have,
                               rule->has_limit ? rule->limit - have->n_texts : 0, out);
    (void)!find(body, &f); /* it was read before */
    f.rule = *rule;
    switch (way) {
    case RESUME_AGAIN:
        break;
    case RESUME_BEHIND:
        return put_behind(&f, body, have, out);
    case RESUME_RENDERED:
        return put_rendered(&f, body, have, prompt, out);
    }
    return buf_put(out, body);
}
