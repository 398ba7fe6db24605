/* SPDX-License-Identifier: MIT */
#include "api/answer.h"

#include "base/err.h"
#include "json/reader.h"

/* Ollama gives up a generation when the same text came more often than this (llm/server.go). */
#define REPEATS_MAX 30

/*
 * Objects of a record that hold something we read. An element of an array is in the place of its
 * array.
 */
enum place {
    IN_NOTHING,
    IN_TOP,
    IN_MESSAGE,  /* message: /api/chat, and message_start of /v1/messages */
    IN_RESPONSE, /* response: the events of /v1/responses */
    IN_CHOICES,
    IN_DELTA,
    IN_USAGE,
};

enum take {
    TAKE_NOTHING,
    TAKE_DONE,
    TAKE_ERROR,
    TAKE_TYPE,
    TAKE_CONTENT,
    TAKE_THINKING,
    TAKE_MORE,
    TAKE_COUNTER,
};

struct field {
    enum place in;
    struct str name;
    enum take take;
    enum place into; /* when the value is an object or an array */
    size_t counter;  /* offset in struct api_usage */
};

#define NAME(literal) \
    { \
        (literal), sizeof(literal) - 1 \
    }
#define COUNTER(in, name, member) \
    { \
        (in), NAME(name), TAKE_COUNTER, IN_NOTHING, offsetof(struct api_usage, member) \
    }

/*
 * A name may mean a text in one API and an object in another ("response", "delta"): the value
 * decides.
 */
static const struct field fields[] = {
    {IN_TOP, NAME("done"), TAKE_DONE, IN_NOTHING, 0},
    {IN_TOP, NAME("error"), TAKE_ERROR, IN_NOTHING, 0},
    {IN_TOP, NAME("type"), TAKE_TYPE, IN_NOTHING, 0},
    {IN_TOP, NAME("response"), TAKE_CONTENT, IN_RESPONSE, 0},
    {IN_TOP, NAME("thinking"), TAKE_THINKING, IN_NOTHING, 0},
    {IN_TOP, NAME("message"), TAKE_NOTHING, IN_MESSAGE, 0},
    {IN_TOP, NAME("logprobs"), TAKE_MORE, IN_NOTHING, 0},
    {IN_TOP, NAME("tool_calls"), TAKE_MORE, IN_NOTHING, 0},
    {IN_TOP, NAME("choices"), TAKE_NOTHING, IN_CHOICES, 0},
    {IN_TOP, NAME("delta"), TAKE_CONTENT, IN_DELTA, 0},
    {IN_TOP, NAME("usage"), TAKE_NOTHING, IN_USAGE, 0},
    COUNTER(IN_TOP, "prompt_eval_count", tokens_in),
    COUNTER(IN_TOP, "eval_count", tokens_out),
    COUNTER(IN_TOP, "total_duration", total_ns),
    COUNTER(IN_TOP, "load_duration", load_ns),
    COUNTER(IN_TOP, "prompt_eval_duration", prompt_ns),
    COUNTER(IN_TOP, "eval_duration", eval_ns),
    {IN_MESSAGE, NAME("content"), TAKE_CONTENT, IN_NOTHING, 0},
    {IN_MESSAGE, NAME("thinking"), TAKE_THINKING, IN_NOTHING, 0},
    {IN_MESSAGE, NAME("tool_calls"), TAKE_MORE, IN_NOTHING, 0},
    {IN_MESSAGE, NAME("usage"), TAKE_NOTHING, IN_USAGE, 0},
    {IN_RESPONSE, NAME("usage"), TAKE_NOTHING, IN_USAGE, 0},
    {IN_CHOICES, NAME("delta"), TAKE_NOTHING, IN_DELTA, 0},
    {IN_CHOICES, NAME("logprobs"), TAKE_MORE, IN_NOTHING, 0},
    {IN_CHOICES, NAME("text"), TAKE_CONTENT, IN_NOTHING, 0},
    {IN_DELTA, NAME("content"), TAKE_CONTENT, IN_NOTHING, 0},
    {IN_DELTA, NAME("reasoning"), TAKE_THINKING, IN_NOTHING, 0},
    {IN_DELTA, NAME("text"), TAKE_CONTENT, IN_NOTHING, 0},
    {IN_DELTA, NAME("thinking"), TAKE_THINKING, IN_NOTHING, 0},
    {IN_DELTA, NAME("tool_calls"), TAKE_MORE, IN_NOTHING, 0},
    {IN_DELTA, NAME("partial_json"), TAKE_MORE, IN_NOTHING, 0},
    COUNTER(IN_USAGE, "prompt_tokens", tokens_in),
    COUNTER(IN_USAGE, "completion_tokens", tokens_out),
    COUNTER(IN_USAGE, "input_tokens", tokens_in),
    COUNTER(IN_USAGE, "output_tokens", tokens_out),
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

/* How an event of a named stream ends it. */
static const struct mark {
    enum api_route_id route;
    struct str type;
    enum api_answer_state state;
} marks[] = {
    {ROUTE_V1_MESSAGES, NAME("message_stop"), API_ANSWER_COMPLETE},
    {ROUTE_V1_MESSAGES, NAME("error"), API_ANSWER_ERROR},
    {ROUTE_V1_RESPONSES, NAME("response.completed"), API_ANSWER_COMPLETE},
    {ROUTE_V1_RESPONSES, NAME("response.incomplete"), API_ANSWER_COMPLETE},
    {ROUTE_V1_RESPONSES, NAME("response.failed"), API_ANSWER_ERROR},
    {ROUTE_V1_RESPONSES, NAME("error"), API_ANSWER_ERROR},
};

#define N_MARKS (sizeof(marks) / sizeof(marks[0]))

/* ---- text ---------------------------------------------------------------------------------- */

/*
 * FNV-1a: the records compared come one after the other from one node, nobody gains from a
 * collision.
 */
#define HASH_EMPTY UINT64_C(0xcbf29ce484222325)

static uint64_t hash_byte(uint64_t hash, unsigned char c)
{
    return (hash ^ c) * UINT64_C(0x100000001b3);
}

/*
 * Without white space at both ends. @raw is the inside of a JSON string, so a line feed is two
 * bytes.
 */
static struct str trim_raw(struct str raw)
{
    size_t begin = raw.len;
    size_t end = 0;
    size_t n;

    for (size_t at = 0; at < raw.len; at += n) {
        bool is_escape = raw.s[at] == '\\';
        bool is_space = is_escape ? strchr("nrtf", raw.s[at + 1]) != NULL : raw.s[at] == ' ';

        n = is_escape ? 2 : 1;
        if (is_space)
            continue;
        if (begin == raw.len)
            begin = at;
        end = at + n;
    }
    return begin < end ? str_make(raw.s + begin, end - begin) : STR_NULL;
}

/* An empty text changes nothing, so a record of empty texts hashes as if it had none. */
static uint64_t hash_text(uint64_t hash, struct str raw)
{
    struct str text = trim_raw(raw);

    if (text.len == 0)
        return hash;
    for (size_t i = 0; i < text.len; i++)
        hash = hash_byte(hash, (unsigned char)text.s[i]);
    return hash_byte(hash, 0xff); /* not a byte of UTF-8: "ab" + "c" is not "a" + "bc" */
}

/* ---- one record ---------------------------------------------------------------------------- */

struct facts {
    struct str record;
    struct api_shape *shape; /* of the record, as it becomes known */
    bool is_done;
    bool is_error;
    struct str type;
    bool has_text;
    uint64_t text;
    struct api_piece piece;
    struct api_usage usage;
};

static uint64_t *counter_of(struct api_usage *usage, const struct field *field)
{
    return (uint64_t *)(void *)((char *)usage + field->counter);
}

/* Zeros stand in chunks that come before the real number: they do not count. */
static void set_counter(struct api_usage *usage, const struct field *field, uint64_t value)
{
    if (value > 0)
        *counter_of(usage, field) = value;
}

static void take_text(struct facts *f, struct api_text *text, const struct json_token *t)
{
    if (t->type != JSON_STRING)
        return;
    *text = (struct api_text){t->raw, t->has_escape};
    f->has_text = true;
    f->text = hash_text(f->text, t->raw);
}

static void take(struct facts *f, const struct field *field, const struct json_token *t,
                 const struct json_reader *r)
{
    uint64_t value;

    switch (field->take) {
    case TAKE_NOTHING:
        break;
    case TAKE_DONE:
        f->is_done = t->type == JSON_TRUE;
        break;
    case TAKE_ERROR:
        f->is_error = t->type != JSON_NULL && !(t->type == JSON_STRING && t->raw.len == 0);
        break;
    case TAKE_TYPE:
        f->type = t->type == JSON_STRING ? t->raw : STR_NULL;
        break;
    case TAKE_CONTENT:
        take_text(f, &f->piece.content, t);
        break;
    case TAKE_THINKING:
        take_text(f, &f->piece.thinking, t);
        break;
    case TAKE_MORE:
        f->piece.has_more |= json_is_begin(t) ? !json_is_empty(r) : t->type != JSON_NULL;
        break;
    case TAKE_COUNTER:
        if (json_to_u64(t, &value) == 0)
            set_counter(&f->usage, field, value);
        break;
    }
}

static const struct field *field_of(enum place in, struct str name)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].in == in && str_eq(fields[i].name, name))
            return &fields[i];
    return NULL;
}

/* Places only lead to other places, and to few: an array in an array is as deep as it gets. */
#define PLACES_DEEP 8

/* What a value begins: a place to look into, or something to pass over. */
static int enter(struct json_reader *r, enum place places[static PLACES_DEEP], enum place into)
{
    if (into == IN_NOTHING || r->depth >= PLACES_DEEP)
        return json_leave(r);
    places[r->depth] = into;
    return 0;
}

/* A string that is no field of ours has no row: its tag is N_FIELDS. */
static void note_string(struct facts *f, const struct field *field, struct str inside)
{
    size_t tag = field != NULL ? (size_t)(field - fields) : N_FIELDS;

    api_shape_put(f->shape, f->record, inside, (uint16_t)tag);
}

static int take_member(struct json_reader *r, enum place places[static PLACES_DEEP],
                       struct facts *f, const struct json_token *key)
{
    const struct field *field = field_of(places[key->depth], key->raw);
    struct json_token t;
    int rc = json_next(r, &t);

    if (rc < 0)
        return rc;
    if (t.type == JSON_STRING)
        note_string(f, field, t.raw);
    if (field != NULL)
        take(f, field, &t, r);
    return json_is_begin(&t) ? enter(r, places, field != NULL ? field->into : IN_NOTHING) : 0;
}

/* Looks only where the table leads, so what stands in tool arguments or in a text means nothing. */
static int read_record(struct str json, struct facts *f)
{
    enum place places[PLACES_DEEP] = {IN_TOP};
    struct json_reader r;
    struct json_token t;
    int rc;

    json_reader_init(&r, json);
    for (;;) {
        rc = json_next(&r, &t);
        if (rc < 0 || t.type == JSON_END)
            return rc;
        if (t.depth == 0 && t.type != JSON_OBJECT_BEGIN && t.type != JSON_OBJECT_END)
            return -EX_JSON_SYNTAX; /* a record is an object */
        if (t.type == JSON_KEY)
            rc = take_member(&r, places, f, &t);
        else if (json_is_begin(&t))
            rc = enter(&r, places, places[t.depth]);
        if (rc < 0)
            return rc;
    }
}

/*
 * The facts of a record that has the shape of the one before. What is no string is the same byte by
 * byte, and that one said neither an end nor anything new.
 */
static bool take_shape(const struct api_shape *shape, struct facts *f)
{
    struct str strings[API_SHAPE_STRINGS];
    struct json_token t = {.type = JSON_STRING};

    if (!api_shape_fits(shape, f->record, strings))
        return false;
    for (unsigned i = 0; i < shape->n_strings; i++) {
        t.raw = strings[i];
        if (shape->strings[i].tag < N_FIELDS)
            take(f, &fields[shape->strings[i].tag], &t, NULL);
    }
    return true;
}

/* ---- server-sent events -------------------------------------------------------------------- */

/* The value of a line when it is of field @name ("data:"), with one space less. */
static bool line_is(struct str line, struct str name, struct str *ret_value)
{
    if (!str_starts(line, name))
        return false;
    *ret_value = str_from(line, name.len);
    if (str_starts(*ret_value, STR(" ")))
        *ret_value = str_from(*ret_value, 1);
    return true;
}

/* The name of an event and its first data line; Ollama never sends more than one. */
static void split_event(struct str record, struct str *ret_name, struct str *ret_data)
{
    struct str value;

    *ret_name = STR_NULL;
    *ret_data = STR_NULL;
    while (record.len > 0) {
        struct str line = str_split(&record, '\n');

        if (str_ends(line, STR("\r")))
            line.len--;
        if (line_is(line, STR("event:"), &value))
            *ret_name = value;
        else if (ret_data->len == 0 && line_is(line, STR("data:"), &value))
            *ret_data = value;
    }
}

static enum api_answer_state state_of_mark(const struct api_route *route, struct str type)
{
    for (size_t i = 0; i < N_MARKS; i++)
        if (marks[i].route == route->id && str_eq(marks[i].type, type))
            return marks[i].state;
    return API_ANSWER_OPEN;
}

static bool is_ended_by_done(const struct api_route *route)
{
    return route->id == ROUTE_V1_CHAT || route->id == ROUTE_V1_COMPLETIONS;
}

int api_text_decode(const struct api_text *text, struct buf *out)
{
    const struct json_token token = {
        .type = JSON_STRING, .raw = text->raw, .has_escape = text->has_escape};

    return text->has_escape ? json_decode(&token, out) : buf_put(out, text->raw);
}

/* ---- the answer ---------------------------------------------------------------------------- */

void api_answer_init(struct api_answer *a, const struct api_route *route)
{
    a->route = route;
    a->state = API_ANSWER_OPEN;
    a->piece = (struct api_piece){0};
    a->usage = (struct api_usage){0};
    a->n_records = 0;
    /* Ollama counts as if an empty text had come before the first one. */
    a->n_repeats = 1;
    a->last_text = HASH_EMPTY;
    a->tail_len = 0;
    api_shape_drop(&a->shape);
}

/* The events of /v1/responses call every text "delta"; the type says of what. */
static struct api_piece piece_of(const struct api_route *route, const struct facts *f)
{
    struct api_piece piece = f->piece;

    if (route->id != ROUTE_V1_RESPONSES || str_eq(f->type, STR("response.output_text.delta")))
        return piece;
    if (str_starts(f->type, STR("response.reasoning"))) {
        piece.thinking = piece.content;
        piece.content = (struct api_text){STR_NULL, false};
        return piece;
    }
    piece.has_more |= piece.content.raw.len > 0;
    return piece;
}

static void count_repeats(struct api_answer *a, const struct facts *f)
{
    if (!f->has_text)
        return;
    a->n_repeats = f->text == a->last_text ? a->n_repeats + 1 : 1;
    a->last_text = f->text;
}

static enum api_answer_state state_of_facts(const struct api_answer *a, bool is_sse,
                                            const struct facts *f)
{
    if (f->is_error)
        return API_ANSWER_ERROR;
    if (is_sse)
        return state_of_mark(a->route, f->type);
    return f->is_done ? API_ANSWER_COMPLETE : API_ANSWER_OPEN;
}

static void take_facts(struct api_answer *a, bool is_sse, const struct facts *f)
{
    a->usage = f->usage;
    a->piece = piece_of(a->route, f);
    count_repeats(a, f);
    a->state = state_of_facts(a, is_sse, f);
}

/* A record in full. What is not JSON has no facts; the name of its event may still be the end. */
static void read_in_full(struct api_answer *a, bool is_sse, struct facts *f)
{
    struct str name = STR_NULL;
    struct str data = f->record;
    int r;

    if (is_sse)
        split_event(f->record, &name, &data);
    if (is_sse && is_ended_by_done(a->route) && str_eq(str_trim(data), STR("[DONE]"))) {
        a->state = API_ANSWER_COMPLETE;
        return;
    }
    api_shape_begin(&a->shape, f->record);
    r = read_record(data, f);
    if (r == 0)
        take_facts(a, is_sse, f);
    if (is_sse && a->state == API_ANSWER_OPEN)
        a->state = state_of_mark(a->route, name);
    /* What else it held is not told by a shape. */
    if (r < 0 || f->piece.has_more)
        api_shape_drop(&a->shape);
}

void api_answer_record(struct api_answer *a, bool is_sse, struct str record)
{
    struct facts f = {.record = record, .shape = &a->shape, .text = HASH_EMPTY, .usage = a->usage};

    a->n_records++;
    a->piece = (struct api_piece){0};
    if (a->state != API_ANSWER_OPEN)
        return;
    if (take_shape(&a->shape, &f))
        take_facts(a, is_sse, &f);
    else
        read_in_full(a, is_sse, &f);
}

enum api_verdict api_answer_end_stream(const struct api_answer *a)
{
    if (a->state == API_ANSWER_COMPLETE)
        return API_VERDICT_COMPLETE;
    if (a->state == API_ANSWER_ERROR)
        return API_VERDICT_ERROR;
    return a->n_repeats > REPEATS_MAX ? API_VERDICT_REPETITION : API_VERDICT_INCOMPLETE;
}

void api_answer_bytes(struct api_answer *a, struct str bytes)
{
    size_t keep;

    if (bytes.len >= sizeof(a->tail)) {
        memcpy(a->tail, bytes.s + (bytes.len - sizeof(a->tail)), sizeof(a->tail));
        a->tail_len = sizeof(a->tail);
        return;
    }
    if (bytes.len == 0)
        return;
    keep = sizeof(a->tail) - bytes.len;
    if (a->tail_len > keep) {
        memmove(a->tail, a->tail + (a->tail_len - keep), keep);
        a->tail_len = keep;
    }
    memcpy(a->tail + a->tail_len, bytes.s, bytes.len);
    a->tail_len += bytes.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The name whose colon stands behind @text, which ends with its quote; empty: it is none. */
static struct str name_before_colon(struct str text)
{
    const char *begin;

    while (text.len > 0 && is_space(text.s[text.len - 1]))
        text.len--;
    if (!str_ends(text, STR("\"")))
        return STR_NULL;
    text.len--;
    begin = text.len > 0 ? memrchr(text.s, '"', text.len) : NULL;
    return begin != NULL ? str_from(text, (size_t)(begin + 1 - text.s)) : STR_NULL;
}

/* The number at the front of @text, white space before it; empty: none is there. */
static struct str number_behind_colon(struct str text)
{
    size_t n = 0;

    while (text.len > 0 && is_space(text.s[0]))
        text = str_from(text, 1);
    while (n < text.len && text.s[n] >= '0' && text.s[n] <= '9')
        n++;
    return str_head(text, n);
}

static const struct field *find_counter(enum place where, struct str name)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].name.len == name.len && fields[i].take == TAKE_COUNTER &&
            fields[i].in == where && str_eq(fields[i].name, name))
            return &fields[i];
    return NULL;
}

/*
 * The last one of its name counts: the node writes its counters at the end. Inside a text the
 * quotes would be escaped, so the name with plain quotes around it can only be a key.
 */
void api_answer_end_bytes(struct api_answer *a)
{
    enum place where = a->route->family == API_OLLAMA ? IN_TOP : IN_USAGE;
    struct str tail = str_make(a->tail, a->tail_len);
    size_t colon;

    for (size_t at = 0; at < tail.len; at += colon + 1) {
        struct str rest = str_from(tail, at);
        struct str number;
        const struct field *field;
        uint64_t value;

        colon = str_find(rest, ':');
        number = number_behind_colon(str_from(rest, colon + 1));
        if (number.len == 0)
            continue;
        field = find_counter(where, name_before_colon(str_head(tail, at + colon)));
        if (field != NULL && str_to_u64(number, &value) == 0)
            set_counter(&a->usage, field, value);
    }
    a->state = API_ANSWER_COMPLETE;
}
