/* SPDX-License-Identifier: MIT */
#include "observe/access.h"

#include "json/writer.h"
#include "observe/text.h"

/* A client may send a model name as long as a body; its front says enough. */
#define MAX_TEXT 256
/* Everything in a line but the texts: keys, numbers, colours. */
#define FIXED_LEN 1024
/* A byte of a text becomes \u00XX at worst. */
#define MAX_ESCAPE 6

/*
 * This runs once per request on the worker, so room for the longest line is made once, and after
 * that bytes are put without asking.
 */
static void put(struct buf *out, struct str bytes)
{
    memcpy(out->data + out->len, bytes.s, bytes.len);
    out->len += bytes.len;
}

static void put_u64(struct buf *out, uint64_t value)
{
    char digits[U64_DIGITS_MAX];

    put(out, str_make(digits, str_put_u64(value, digits)));
}

/* Thousandths as a decimal, cut to @n_decimals, 1..3. */
static void put_thousandths(struct buf *out, uint64_t value, unsigned n_decimals)
{
    unsigned rest = (unsigned)(value % 1000);
    const char decimals[3] = {(char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                              (char)('0' + rest % 10)};

    put_u64(out, value / 1000);
    put(out, STR("."));
    put(out, str_make(decimals, n_decimals));
}

/* us between the request's first byte and @moment. */
static uint64_t usec_since_begin(const struct timeline *t, nsec_t moment)
{
    return moment > t->begun ? (uint64_t)((moment - t->begun) / NSEC_PER_USEC) : 0;
}

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.s[i];

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            return false;
    }
    return true;
}

/* ---- JSON ---- */

static void put_json_text(struct buf *out, struct str key, struct str text)
{
    struct json_writer w;

    put(out, key);
    if (text.len == 0) {
        put(out, STR("null"));
        return;
    }
    text = str_head(text, MAX_TEXT);
    if (is_plain(text)) {
        put(out, STR("\""));
        put(out, text);
        put(out, STR("\""));
        return;
    }
    json_writer_init(&w, out);
    json_str(&w, text);
}

static void put_json_number(struct buf *out, struct str key, uint64_t value)
{
    put(out, key);
    put_u64(out, value);
}

static void put_json_ms(struct buf *out, struct str key, bool is_reached, uint64_t usec)
{
    put(out, key);
    if (is_reached)
        put_thousandths(out, usec, 3);
    else
        put(out, STR("null"));
}

static void put_json(const struct timeline *t, nsec_t wall, struct buf *out)
{
    put(out, STR("{\"time\":\""));
    text_stamp(wall, out->data + out->len);
    out->len += TEXT_STAMP_LEN;
    put_json_text(out, STR("\",\"request_id\":"), str_of(t->request_id));
    put_json_text(out, STR(",\"trace_id\":"), t->trace_id);
    put_json_text(out, STR(",\"peer\":"), t->peer);
    put_json_text(out, STR(",\"key\":"), t->key);
    put_json_text(out, STR(",\"method\":"), t->method);
    put_json_text(out, STR(",\"route\":"), t->route != NULL ? t->route->path : STR_NULL);
    put_json_text(out, STR(",\"model\":"), t->model);
    put_json_text(out, STR(",\"node\":"), t->node);
    put_json_text(out, STR(",\"why\":"), t->why != NULL ? str_of(t->why) : STR_NULL);
    put_json_number(out, STR(",\"attempts\":"), t->n_attempts);
    put_json_number(out, STR(",\"resumes\":"), t->n_resumes);
    put_json_number(out, STR(",\"status\":"), (uint64_t)t->status);
    put_json_text(out, STR(",\"reason\":"), str_of(reason_name(t->reason)));
    put(out, t->is_stream ? STR(",\"stream\":true") : STR(",\"stream\":false"));
    put_json_ms(out, STR(",\"queue_ms\":"), true, (uint64_t)(t->queued_ns / NSEC_PER_USEC));
    put_json_ms(out, STR(",\"connect_ms\":"), t->connected > 0, usec_since_begin(t, t->connected));
    put_json_ms(out, STR(",\"first_record_ms\":"), t->first_record > 0,
                usec_since_begin(t, t->first_record));
    put_json_ms(out, STR(",\"total_ms\":"), t->ended > 0, usec_since_begin(t, t->ended));
    put_json_ms(out, STR(",\"load_ms\":"), t->usage.load_ns > 0,
                t->usage.load_ns / (uint64_t)NSEC_PER_USEC);
    put_json_number(out, STR(",\"bytes_in\":"), t->bytes_in);
    put_json_number(out, STR(",\"bytes_out\":"), t->bytes_out);
    put_json_number(out, STR(",\"records\":"), t->n_records);
    put_json_number(out, STR(",\"tokens_in\":"), t->usage.tokens_in);
    put_json_number(out, STR(",\"tokens_out\":"), t->usage.tokens_out);
    put(out, STR("}\n"));
}

/* ---- for people ---- */

static struct str colour_of(int status)
{
    if (status >= 500 || status == 0)
        return STR("\033[31m");
    return status >= 400 ? STR("\033[33m") : STR("\033[32m");
}

static void put_status(const struct timeline *t, bool has_colour, struct buf *out)
{
    if (has_colour)
        put(out, colour_of(t->status));
    if (t->status > 0)
        put_u64(out, (uint64_t)t->status);
    else
        put(out, STR("---"));
    if (has_colour)
        put(out, STR("\033[0m"));
}

static void put_word(struct buf *out, struct str text)
{
    put(out, STR(" "));
    if (text.len == 0)
        put(out, STR("-"));
    else
        (void)!text_put_printable(str_head(text, MAX_TEXT), out);
}

static void put_ms(struct buf *out, struct str name, uint64_t usec)
{
    put(out, name);
    put_thousandths(out, usec, 1);
    put(out, STR("ms"));
}

static void put_count(struct buf *out, struct str name, uint64_t n)
{
    put(out, name);
    put_u64(out, n);
}

static void put_human(const struct timeline *t, nsec_t wall, bool has_colour, struct buf *out)
{
    char stamp[TEXT_STAMP_LEN];

    text_stamp(wall, stamp);
    /* The day stands in no line: who reads along knows it. */
    put(out, str_make(stamp + sizeof("2026-11-24"), TEXT_STAMP_LEN - sizeof("2026-11-24")));
    put(out, STR(" "));
    put_status(t, has_colour, out);
    put_word(out, t->method);
    put_word(out, t->route != NULL ? t->route->path : STR_NULL);
    put_word(out, t->model);
    put_word(out, t->node);
    put_ms(out, STR(" "), usec_since_begin(t, t->ended));
    if (t->first_record > 0)
        put_ms(out, STR(" first "), usec_since_begin(t, t->first_record));
    if (t->queued_ns > 0)
        put_ms(out, STR(" queued "), (uint64_t)(t->queued_ns / NSEC_PER_USEC));
    if (t->usage.tokens_in > 0 || t->usage.tokens_out > 0) {
        put_count(out, STR(" tokens "), t->usage.tokens_in);
        put_count(out, STR("+"), t->usage.tokens_out);
    }
    if (t->n_attempts > 1)
        put_count(out, STR(" attempts "), t->n_attempts);
    if (t->n_resumes > 0)
        put_count(out, STR(" resumes "), t->n_resumes);
    if (t->reason != REASON_none)
        put_word(out, str_of(reason_name(t->reason)));
    put(out, STR("\n"));
}

/* The longest line that this timeline can give. */
static size_t max_len(const struct timeline *t)
{
    const struct str texts[] = {t->trace_id, t->peer, t->key, t->method, t->model, t->node};
    size_t len = FIXED_LEN;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        len += MAX_ESCAPE * str_head(texts[i], MAX_TEXT).len;
    return len;
}

int access_print(const struct timeline *t, nsec_t wall, enum access_form form, struct buf *out)
{
    int r = buf_reserve(out, max_len(t));

    if (r < 0)
        return r;
    if (form == ACCESS_JSON)
        put_json(t, wall, out);
    else
        put_human(t, wall, form == ACCESS_COLOUR, out);
    return 0;
}
