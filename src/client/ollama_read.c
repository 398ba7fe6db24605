/* SPDX-License-Identifier: MIT */
#include "client/ollama_read.h"

#include <errno.h>

#include "base/err.h"
#include "codec/number.h"
#include "json/reader.h"

#define TEXTS_MAX (64u * 1024 * 1024)

/*
 * Members by table
 */

enum take {
    TAKE_TEXT,   /* struct json_token */
    TAKE_NUMBER, /* uint64_t */
    TAKE_RAW,    /* struct str: the value's text, of arrays only */
    TAKE_INSIDE, /* members of this object */
};

struct member {
    struct str name;
    enum take take;
    size_t offset;               /* in the struct that is filled */
    const struct member *inside; /* for TAKE_INSIDE; tables end with an empty name */
};

#define INSIDE_MAX 4

static const struct member *find_member(const struct member *table, const struct json_token *key)
{
    for (; table->name.len > 0; table++)
        if (json_key_is(key, table->name))
            return table;
    return NULL;
}

static void take_value(const struct member *m, const struct json_token *t, void *into)
{
    char *at = (char *)into + m->offset;

    if (m->take == TAKE_TEXT && t->type == JSON_STRING)
        *(struct json_token *)(void *)at = *t;
    if (m->take == TAKE_NUMBER && t->type == JSON_NUMBER &&
        json_to_u64(t, (uint64_t *)(void *)at) < 0)
        *(uint64_t *)(void *)at = 0;
}

/* The value of a member, up to its end. Return: 0; JSON_LAST its object was entered; <0. */
static int take_member(struct json_reader *r, const struct member *m, void *into)
{
    struct json_reader before = *r;
    struct json_token t;
    int rc = json_next(r, &t);

    if (rc < 0)
        return rc;
    if (t.type != JSON_OBJECT_BEGIN && t.type != JSON_ARRAY_BEGIN) {
        take_value(m, &t, into);
        return 0;
    }
    if (m->take == TAKE_INSIDE && t.type == JSON_OBJECT_BEGIN)
        return JSON_LAST;
    if (m->take != TAKE_RAW || t.type != JSON_ARRAY_BEGIN)
        return json_leave(r);
    *r = before;
    return json_skip(r, (struct str *)(void *)((char *)into + m->offset));
}

/* Reads the members of the object that comes next into @into; slices point into the reader's bytes.
 */
static int read_object(struct json_reader *r, const struct member *table, void *into)
{
    const struct member *tables[INSIDE_MAX] = {table};
    size_t depth = 0;
    struct json_token t;
    int rc = json_next(r, &t);

    if (rc == 0 && t.type != JSON_OBJECT_BEGIN)
        return -EX_JSON_SYNTAX;
    while (rc == 0) {
        const struct member *m;

        rc = json_next(r, &t);
        if (rc < 0)
            break;
        if (t.type == JSON_OBJECT_END) {
            if (depth-- == 0)
                return 0;
            continue;
        }
        m = find_member(tables[depth], &t);
        rc = m == NULL ? json_skip(r, NULL) : take_member(r, m, into);
        if (rc == JSON_LAST) {
            tables[++depth] = m->inside;
            rc = 0;
        }
    }
    return rc;
}

#define MEMBER(name_, take_, type, field) \
    { \
        .name = STR_INIT(name_), .take = (take_), .offset = offsetof(type, field) \
    }
#define INTO(name_, table) \
    { \
        .name = STR_INIT(name_), .take = TAKE_INSIDE, .inside = (table) \
    }
#define LAST_MEMBER \
    { \
        .name = { NULL, 0 } \
    }

/*
 * generate, chat
 */

struct record {
    struct json_token text;
    struct json_token thinking;
    struct json_token done_reason;
    struct str tool_calls;
    uint64_t total_ns;
    uint64_t load_ns;
    uint64_t prompt_ns;
    uint64_t answer_ns;
    uint64_t prompt_tokens;
    uint64_t answer_tokens;
};

static const struct member message_members[] = {
    MEMBER("content", TAKE_TEXT, struct record, text),
    MEMBER("thinking", TAKE_TEXT, struct record, thinking),
    MEMBER("tool_calls", TAKE_RAW, struct record, tool_calls),
    LAST_MEMBER,
};

static const struct member record_members[] = {
    MEMBER("response", TAKE_TEXT, struct record, text),
    MEMBER("thinking", TAKE_TEXT, struct record, thinking),
    INTO("message", message_members),
    MEMBER("done_reason", TAKE_TEXT, struct record, done_reason),
    MEMBER("total_duration", TAKE_NUMBER, struct record, total_ns),
    MEMBER("load_duration", TAKE_NUMBER, struct record, load_ns),
    MEMBER("prompt_eval_duration", TAKE_NUMBER, struct record, prompt_ns),
    MEMBER("eval_duration", TAKE_NUMBER, struct record, answer_ns),
    MEMBER("prompt_eval_count", TAKE_NUMBER, struct record, prompt_tokens),
    MEMBER("eval_count", TAKE_NUMBER, struct record, answer_tokens),
    LAST_MEMBER,
};

/* An absent text is a token of another type. */
static int put_token(struct buf *out, const struct json_token *t)
{
    return t->type == JSON_STRING ? json_decode(t, out) : 0;
}

/* Calls may come in several records. */
static int put_tool_calls(struct buf *out, struct str array)
{
    struct str elements = array.len > 2 ? str_trim(str_make(array.s + 1, array.len - 2)) : STR_NULL;
    int r = 0;

    if (elements.len > 0 && out->len > 0)
        r = buf_put_char(out, ',');
    return r < 0 ? r : buf_put(out, elements);
}

int client_read_record(struct str json, struct client_growing_answer *growing,
                       chasqui_answer *answer)
{
    struct record record = {0};
    struct json_reader r;
    int rc;

    json_reader_init(&r, json);
    rc = read_object(&r, record_members, &record);
    if (rc == 0)
        rc = put_token(&growing->text, &record.text);
    if (rc == 0)
        rc = put_token(&growing->thinking, &record.thinking);
    if (rc == 0)
        rc = put_token(&growing->done_reason, &record.done_reason);
    if (rc == 0)
        rc = put_tool_calls(&growing->tool_calls, record.tool_calls);
    answer->total_ns = record.total_ns;
    answer->load_ns = record.load_ns;
    answer->prompt_ns = record.prompt_ns;
    answer->answer_ns = record.answer_ns;
    answer->prompt_tokens = record.prompt_tokens;
    answer->answer_tokens = record.answer_tokens;
    return rc;
}

/*
 * embed
 */

struct embed_answer {
    struct str vectors;
    uint64_t tokens;
    uint64_t total_ns;
};

static const struct member embed_members[] = {
    MEMBER("embeddings", TAKE_RAW, struct embed_answer, vectors),
    MEMBER("prompt_eval_count", TAKE_NUMBER, struct embed_answer, tokens),
    MEMBER("total_duration", TAKE_NUMBER, struct embed_answer, total_ns),
    LAST_MEMBER,
};

/* The numbers of the array that comes next. */
static int read_vector(struct json_reader *r, struct buf *values, size_t *ret_n)
{
    struct json_token t;
    float value;
    size_t n = 0;
    int rc = json_next(r, &t);

    if (rc == 0 && t.type != JSON_ARRAY_BEGIN)
        rc = -EX_JSON_SYNTAX;
    while (rc == 0 && (rc = json_element(r)) == 0) {
        rc = json_next(r, &t);
        if (rc == 0 && (t.type != JSON_NUMBER || number_parse_float(t.raw, &value) < 0))
            rc = -EX_JSON_SYNTAX;
        if (rc == 0)
            rc = buf_put(values, str_make((const char *)&value, sizeof(value)));
        n++;
    }
    *ret_n = n;
    return rc == JSON_LAST ? 0 : rc;
}

/* All vectors have one length. */
static int read_vectors(struct str json, struct buf *values, chasqui_embeddings *ret)
{
    struct json_reader r;
    struct json_token t;
    size_t n;
    int rc;

    json_reader_init(&r, json);
    rc = json_next(&r, &t);
    while (rc == 0 && (rc = json_element(&r)) == 0) {
        rc = read_vector(&r, values, &n);
        if (rc == 0 && ret->n > 0 && n != ret->dimension)
            rc = -EX_JSON_SYNTAX;
        ret->dimension = n;
        ret->n++;
    }
    return rc == JSON_LAST ? 0 : rc;
}

int client_read_embeddings(struct str json, chasqui_embeddings *ret)
{
    struct embed_answer answer = {0};
    struct buf values = BUF_INIT(SIZE_MAX / 2);
    struct json_reader r;
    int rc;

    json_reader_init(&r, json);
    rc = read_object(&r, embed_members, &answer);
    if (rc == 0 && answer.vectors.len == 0)
        rc = -EX_JSON_SYNTAX;
    if (rc == 0)
        rc = read_vectors(answer.vectors, &values, ret);
    if (rc < 0) {
        buf_fini(&values);
        ret->n = 0;
        return rc;
    }
    ret->memory = values.data;
    ret->values = (const float *)(const void *)values.data;
    ret->tokens = answer.tokens;
    ret->total_ns = answer.total_ns;
    return 0;
}

/*
 * tags, ps
 */

struct model_row {
    struct json_token name;
    struct json_token digest;
    struct json_token family;
    struct json_token parameter_size;
    struct json_token quantization;
    struct json_token time;
    uint64_t size;
    uint64_t size_vram;
    uint64_t context_length;
};

static const struct member details_members[] = {
    MEMBER("family", TAKE_TEXT, struct model_row, family),
    MEMBER("parameter_size", TAKE_TEXT, struct model_row, parameter_size),
    MEMBER("quantization_level", TAKE_TEXT, struct model_row, quantization),
    LAST_MEMBER,
};

static const struct member model_members[] = {
    MEMBER("name", TAKE_TEXT, struct model_row, name),
    MEMBER("digest", TAKE_TEXT, struct model_row, digest),
    MEMBER("modified_at", TAKE_TEXT, struct model_row, time),
    MEMBER("expires_at", TAKE_TEXT, struct model_row, time),
    MEMBER("size", TAKE_NUMBER, struct model_row, size),
    MEMBER("size_vram", TAKE_NUMBER, struct model_row, size_vram),
    MEMBER("context_length", TAKE_NUMBER, struct model_row, context_length),
    INTO("details", details_members),
    LAST_MEMBER,
};

struct list_answer {
    struct str models;
};

static const struct member list_members[] = {
    MEMBER("models", TAKE_RAW, struct list_answer, models),
    LAST_MEMBER,
};

/* Models grow in one buffer, their texts in another; a text is its offset until both are whole. */
struct growing_list {
    struct buf models;
    struct buf texts;
};

static const size_t model_texts[] = {
    offsetof(chasqui_model, name),         offsetof(chasqui_model, digest),
    offsetof(chasqui_model, family),       offsetof(chasqui_model, parameter_size),
    offsetof(chasqui_model, quantization), offsetof(chasqui_model, time),
};

#define N_MODEL_TEXTS (sizeof(model_texts) / sizeof(model_texts[0]))

static const char **text_of(chasqui_model *model, size_t i)
{
    return (const char **)(void *)((char *)model + model_texts[i]);
}

static int put_model(struct growing_list *g, const struct model_row *row)
{
    const struct json_token *tokens[N_MODEL_TEXTS] = {&row->name,         &row->digest,
                                                      &row->family,       &row->parameter_size,
                                                      &row->quantization, &row->time};
    chasqui_model model = {
        .size = row->size, .size_vram = row->size_vram, .context_length = row->context_length};
    int rc = 0;

    for (size_t i = 0; i < N_MODEL_TEXTS && rc == 0; i++) {
        *text_of(&model, i) = (const char *)(uintptr_t)g->texts.len;
        rc = put_token(&g->texts, tokens[i]);
        if (rc == 0)
            rc = buf_put_char(&g->texts, '\0');
    }
    return rc < 0 ? rc : buf_put(&g->models, str_make((const char *)&model, sizeof(model)));
}

static int read_rows(struct str json, struct growing_list *g)
{
    struct json_reader r;
    struct json_token t;
    int rc;

    json_reader_init(&r, json);
    rc = json_next(&r, &t);
    while (rc == 0 && (rc = json_element(&r)) == 0) {
        struct model_row row = {0};

        rc = read_object(&r, model_members, &row);
        if (rc == 0)
            rc = put_model(g, &row);
    }
    return rc == JSON_LAST ? 0 : rc;
}

/* One block: models, then texts. */
static int join(struct growing_list *g, chasqui_models *ret)
{
    size_t n = g->models.len / sizeof(chasqui_model);
    size_t len = g->models.len;
    int rc = buf_put(&g->models, buf_str(&g->texts));
    chasqui_model *models;

    if (rc < 0)
        return rc;
    models = (chasqui_model *)(void *)g->models.data;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_MODEL_TEXTS; k++)
            *text_of(&models[i], k) = g->models.data + len + (uintptr_t)*text_of(&models[i], k);
    ret->n = n;
    ret->models = models;
    ret->memory = models;
    return 0;
}

int client_read_models(struct str json, chasqui_models *ret)
{
    struct growing_list g = {.models = BUF_INIT(TEXTS_MAX), .texts = BUF_INIT(TEXTS_MAX)};
    struct list_answer answer = {0};
    struct json_reader r;
    int rc;

    json_reader_init(&r, json);
    rc = read_object(&r, list_members, &answer);
    if (rc == 0 && answer.models.len > 0)
        rc = read_rows(answer.models, &g);
    if (rc == 0)
        rc = join(&g, ret);
    if (rc < 0)
        buf_fini(&g.models);
    buf_fini(&g.texts);
    return rc;
}

/*
 * version
 */

static const struct member version_members[] = {
    {.name = STR_INIT("version"), .take = TAKE_TEXT},
    LAST_MEMBER,
};

int client_read_version(struct str json, struct buf *out)
{
    struct json_token version = {.type = JSON_NULL};
    struct json_reader r;
    int rc;

    json_reader_init(&r, json);
    rc = read_object(&r, version_members, &version);
    if (rc < 0)
        return rc;
    return version.type == JSON_STRING ? json_decode(&version, out) : -EX_JSON_SYNTAX;
}
