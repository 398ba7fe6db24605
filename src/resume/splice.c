/* SPDX-License-Identifier: MIT */
#include "resume/splice.h"

#include "base/err.h"
#include "json/edit.h"
#include "json/reader.h"
#include "resume/chunk.h"
#include "resume/ids.h"

#define RECORD_MAX (8 * 1024 * 1024)

void splice_init(struct splice *s, const struct delivered *have, enum splice_begin begin,
                 const struct api_route *route, const struct api_route *from,
                 const struct splice_past *past)
{
    *s = (struct splice){
        .have = have,
        .begin = begin,
        .converted_to = route != from ? route : NULL,
        .has_counts = route->id == ROUTE_V1_MESSAGES || route->id == ROUTE_V1_RESPONSES,
        .past = *past,
        .content = {&have->content, have->content.len, 0},
        .thinking = {&have->thinking, have->thinking.len, 0},
        .n_others = have->n_others,
        .ids = BUF_INIT(IDS_MAX),
        .text = BUF_INIT(RECORD_MAX),
        .shortened = BUF_INIT(RECORD_MAX),
        .numbered = BUF_INIT(RECORD_MAX),
        .converted = BUF_INIT(RECORD_MAX),
        .translated = BUF_INIT(RECORD_MAX),
    };
}

void splice_fini(struct splice *s)
{
    buf_fini(&s->ids);
    buf_fini(&s->text);
    buf_fini(&s->shortened);
    buf_fini(&s->numbered);
    buf_fini(&s->converted);
    buf_fini(&s->translated);
}

static bool is_over(const struct splice_text *t)
{
    return t->at == t->len;
}

static bool is_behind(const struct splice *s)
{
    return s->begin == SPLICE_BEHIND || (is_over(&s->content) && is_over(&s->thinking));
}

/* ---- texts --------------------------------------------------------------------------------- */

/* What of @again comes now. Return: 0 and *ret_rest is the rest of @text behind it; -EX_RESUME. */
static int pass_over(struct splice_text *again, struct str text, struct str *ret_rest)
{
    struct str expected = str_from(str_head(buf_str(again->have), again->len), again->at);

    expected = str_head(expected, text.len);
    if (!str_starts(text, expected))
        return -EX_RESUME;
    again->at += expected.len;
    *ret_rest = str_from(text, expected.len);
    return 0;
}

/* Writes @record with @rest as its text. */
static int shorten(struct splice *s, const struct api_text *text, struct str rest,
                   struct str *record)
{
    struct json_edit e;
    int r;

    buf_reset(&s->shortened);
    json_edit_init(&e, *record, &s->shortened);
    json_edit_replace_text(&e, text->raw, rest);
    r = json_edit_finish(&e);
    *record = buf_str(&s->shortened);
    return r;
}

/*
 * A record with a text, while the beginning comes again. One that changes from thinking to content
 * in its middle, or thinks longer than before, is not continued.
 */
static int splice_text(struct splice *s, const struct api_piece *piece, struct str *record)
{
    bool is_thinking = piece->thinking.raw.len > 0;
    const struct api_text *text = is_thinking ? &piece->thinking : &piece->content;
    struct str rest;
    int r;

    if (is_thinking ? piece->content.raw.len > 0 : !is_over(&s->thinking))
        return -EX_RESUME;
    buf_reset(&s->text);
    r = api_text_decode(text, &s->text);
    if (r == 0)
        r = pass_over(is_thinking ? &s->thinking : &s->content, buf_str(&s->text), &rest);
    if (r < 0)
        return r;
    if (rest.len == 0)
        return SPLICE_NOTHING;
    return is_thinking && s->content.len > 0 ? -EX_RESUME : shorten(s, text, rest, record);
}

/* ---- numbers ------------------------------------------------------------------------------- */

static uint64_t number_of_all(const struct splice *s, struct str name, uint64_t value)
{
    const struct splice_past *past = &s->past;

    if (str_eq(name, STR("eval_count")))
        return value + past->n_tokens;
    if (str_eq(name, STR("prompt_eval_count")))
        return value > past->n_tokens ? value - past->n_tokens : value;
    if (str_eq(name, STR("total_duration")))
        return value + past->total_ns;
    if (str_eq(name, STR("eval_duration")))
        return value + past->eval_ns;
    if (str_eq(name, STR("sequence_number")))
        return s->have->n_texts + s->have->n_others;
    return value;
}

/* Numbers on the top level that mean the whole stream, not this node's part of it. */
static int renumber(struct splice *s, struct str *record)
{
    struct json_edit e;
    struct json_reader r;
    struct json_token t;
    struct str name = STR_NULL;
    uint64_t value;
    int rc;

    buf_reset(&s->numbered);
    json_edit_init(&e, *record, &s->numbered);
    json_reader_init(&r, str_from(*record, str_find(*record, '{')));
    while (json_next(&r, &t) == 0 && t.type != JSON_END) {
        if (t.type == JSON_NUMBER && t.depth == 1 && json_to_u64(&t, &value) == 0) {
            char digits[U64_DIGITS_MAX];

            json_edit_replace(&e, t.raw,
                              str_make(digits, str_put_u64(number_of_all(s, name, value), digits)));
        }
        name = t.type == JSON_KEY && t.depth == 1 ? t.raw : STR_NULL;
    }
    rc = json_edit_finish(&e);
    *record = buf_str(&s->numbered);
    return rc;
}

/* ---- one record ---------------------------------------------------------------------------- */

/* Return: 0 it is new; SPLICE_NOTHING; -EX_RESUME. */
static int splice_other(struct splice *s, const struct api_answer *a)
{
    if (s->has_counts && s->others_at < s->n_others) {
        s->others_at++;
        return SPLICE_NOTHING;
    }
    if (is_behind(s))
        return 0;
    return s->has_counts || a->state == API_ANSWER_COMPLETE ? -EX_RESUME : SPLICE_NOTHING;
}

/* "response":"..." becomes "message":{"role":"assistant","content":"..."}. */
static int convert(struct splice *s, const struct api_text *text, struct str *record)
{
    static const struct str key = STR_INIT("\"response\":");
    const struct str value = {text->raw.s - 1, text->raw.len + 2};
    size_t at = str_search(*record, key);
    struct json_edit e;
    int r;

    if (text->raw.s == NULL || at >= (size_t)(value.s - record->s))
        return -EX_RESUME;
    buf_reset(&s->converted);
    json_edit_init(&e, *record, &s->converted);
    json_edit_replace(&e, str_make(record->s + at, (size_t)(value.s - record->s) - at),
                      STR("\"message\":{\"role\":\"assistant\",\"content\":"));
    json_edit_replace(&e, str_make(value.s + value.len, 0), STR("}"));
    r = json_edit_finish(&e);
    *record = buf_str(&s->converted);
    return r;
}

/* The line of a generation as events of an OpenAI stream. */
static int put_chunks(struct splice *s, const struct api_answer *a, struct str *record)
{
    struct str reason = str_search(*record, STR("\"done_reason\":\"length\"")) < record->len
                            ? STR("length")
                            : STR("stop");
    struct chunk c;
    int r = chunk_read(s->converted_to, buf_str(&s->have->event), &c);

    if (a->piece.thinking.raw.len > 0)
        return -EX_RESUME; /* it was told not to */
    buf_reset(&s->text);
    buf_reset(&s->converted);
    if (r == 0)
        r = api_text_decode(&a->piece.content, &s->text);
    if (r == 0 && (s->text.len > 0 || a->state == API_ANSWER_OPEN))
        r = chunk_put_text(&c, buf_str(&s->text), &s->converted);
    if (r == 0 && a->state == API_ANSWER_COMPLETE)
        r = chunk_put_end(&c, reason, s->wants_usage ? &s->usage : NULL, &s->converted);
    *record = buf_str(&s->converted);
    return r;
}

static int translate(struct splice *s, struct str *record)
{
    int r;

    buf_reset(&s->translated);
    r = ids_translate(*record, &s->ids, &s->have->ids, &s->translated);
    *record = buf_str(&s->translated);
    return r;
}

/* A record that is new, as one of the stream that the client has. */
static int adapt(struct splice *s, const struct api_answer *a, struct str *record)
{
    bool has_numbers = a->route->id == ROUTE_V1_RESPONSES ||
                       (a->route->family == API_OLLAMA && a->state == API_ANSWER_COMPLETE);
    int r = has_numbers ? renumber(s, record) : 0;

    return r == 0 && s->ids.len > 0 ? translate(s, record) : r;
}

static bool to_events(const struct splice *s)
{
    return s->converted_to != NULL && s->converted_to->family == API_OPENAI;
}

static struct api_usage usage_of_all(const struct splice *s, const struct api_usage *told)
{
    struct api_usage usage = *told;

    usage.tokens_in = number_of_all(s, STR("prompt_eval_count"), usage.tokens_in);
    usage.tokens_out = number_of_all(s, STR("eval_count"), usage.tokens_out);
    usage.total_ns = number_of_all(s, STR("total_duration"), usage.total_ns);
    usage.eval_ns = number_of_all(s, STR("eval_duration"), usage.eval_ns);
    return usage;
}

int splice_record(struct splice *s, const struct api_answer *a, struct str record,
                  struct str *ret_record)
{
    const struct api_piece *piece = &a->piece;
    bool has_text = piece->content.raw.len + piece->thinking.raw.len > 0;
    int r = 0;

    *ret_record = record;
    if (a->state == API_ANSWER_ERROR) /* an honest end, whatever came before */
        return to_events(s) ? -EX_RESUME : 0;
    if (!has_text || s->ids.len == 0)
        ids_collect(&s->ids, record);
    if (!has_text)
        r = splice_other(s, a);
    else if (!is_behind(s))
        r = splice_text(s, piece, ret_record);
    if (r == 0 && a->state == API_ANSWER_COMPLETE)
        s->usage = usage_of_all(s, &a->usage);
    if (r == 0 && to_events(s))
        return put_chunks(s, a, ret_record);
    if (r == 0 && s->converted_to != NULL)
        r = convert(s, &piece->content, ret_record);
    return r == 0 ? adapt(s, a, ret_record) : r;
}
