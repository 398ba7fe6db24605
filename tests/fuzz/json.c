/* SPDX-License-Identifier: MIT */

/*
 * The JSON reader against itself (skip sees what a walk sees), against jansson, and through the
 * writer: what was read and written again is the same value.
 */

#include "base/err.h"
#include "fuzz.h"
#include "json/edit.h"
#include "json/reader.h"
#include "json/writer.h"
#include "oracle.h"

#define WRITER_DEPTH 64 /* of json/writer.h */

struct walk {
    int r;
    size_t len; /* bytes read */
    uint32_t depth;
};

static void check_key(const struct json_token *key, struct str text)
{
    static const char *const names[] = {"model", "stream", "keep_alive", "s"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_eq_nocase(text, str_of(names[i])))
            FUZZ_CHECK(json_key_is(key, str_of(names[i])));
}

static void write_token(struct json_writer *w, const struct json_token *t, struct str text)
{
    switch (t->type) {
    case JSON_OBJECT_BEGIN:
        json_begin_object(w);
        return;
    case JSON_ARRAY_BEGIN:
        json_begin_array(w);
        return;
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        json_end(w);
        return;
    case JSON_KEY:
        json_key_str(w, text);
        return;
    case JSON_STRING:
        json_str(w, text);
        return;
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        json_raw(w, t->raw);
        return;
    case JSON_END:
        return;
    }
}

/* Escapes stand for Unicode, or for U+FFFD: of ASCII nothing else than UTF-8 can come. */
static void check_text(struct str raw, struct str text)
{
    json_t *value;

    for (size_t i = 0; i < raw.len; i++)
        if ((unsigned char)raw.s[i] >= 0x80)
            return;
    value = json_stringn(text.len > 0 ? text.s : "", text.len);
    FUZZ_CHECK(value != NULL);
    json_decref(value);
}

/* Reads the value token by token; @writer: NULL, or writes it as well. */
static struct walk walk(struct str bytes, struct json_writer *writer)
{
    struct buf text = BUF_INIT(1u << 20);
    struct walk w = {0};
    struct json_reader r;
    struct json_token t;

    json_reader_init(&r, bytes);
    while ((w.r = json_next(&r, &t)) == 0 && t.type != JSON_END) {
        FUZZ_CHECK(t.raw.s >= bytes.s && t.raw.s + t.raw.len <= bytes.s + bytes.len);
        FUZZ_CHECK(t.depth <= JSON_MAX_DEPTH);
        w.depth = r.depth > w.depth ? r.depth : w.depth;
        buf_reset(&text);
        if (t.type == JSON_KEY || t.type == JSON_STRING) {
            FUZZ_CHECK(json_decode(&t, &text) == 0);
            check_text(t.raw, buf_str(&text));
        }
        if (t.type == JSON_KEY)
            check_key(&t, buf_str(&text));
        if (writer != NULL)
            write_token(writer, &t, buf_str(&text));
    }
    w.len = json_offset(&r);
    buf_fini(&text);
    return w;
}

static void check_skip(struct str bytes, const struct walk *walked)
{
    struct json_reader r;
    struct str raw;
    int rc;

    json_reader_init(&r, bytes);
    rc = json_skip(&r, &raw);
    FUZZ_CHECK(rc == walked->r && json_offset(&r) == walked->len);
    if (rc == 0)
        FUZZ_CHECK(raw.s + raw.len == bytes.s + walked->len);
}

#define LOAD_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* What jansson refuses and Go does not: text that is not Unicode, numbers beyond its C types. */
static bool is_jansson_stricter(struct str bytes, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    return code == json_error_invalid_utf8 || code == json_error_numeric_overflow ||
           code == json_error_null_byte_in_key || str_search(bytes, STR("\\u")) < bytes.len;
}

static json_t *check_jansson(struct str bytes, const struct walk *walked)
{
    json_error_t error;
    json_t *value;

    if (walked->r == 0) {
        value = json_loadb(bytes.s, walked->len, LOAD_FLAGS, &error);
        FUZZ_CHECK(value != NULL || is_jansson_stricter(bytes, &error));
        return value;
    }
    value = json_loadb(bytes.s, bytes.len, LOAD_FLAGS | JSON_DISABLE_EOF_CHECK, &error);
    /* jansson loses a NUL byte behind a number. */
    FUZZ_CHECK(value == NULL || walked->r == -EX_JSON_DEPTH || str_find(bytes, '\0') < bytes.len);
    json_decref(value);
    return NULL;
}

static void check_writer(struct str bytes, const struct walk *walked, json_t *value)
{
    struct buf out = BUF_INIT(1u << 22);
    struct json_writer writer;
    struct walk again;
    json_error_t error;
    json_t *other;

    json_writer_init(&writer, &out);
    (void)walk(bytes, &writer);
    FUZZ_CHECK(json_writer_result(&writer) == 0);
    again = walk(buf_str(&out), NULL);
    FUZZ_CHECK(again.r == 0 && again.len == out.len && again.depth == walked->depth);
    if (value != NULL) {
        other = json_loadb(out.data, out.len, LOAD_FLAGS, &error);
        FUZZ_CHECK(other != NULL && json_equal(value, other));
        json_decref(other);
    }
    buf_fini(&out);
}

/* Each text in place of itself, each number too. */
static int edit_all(struct json_edit *e, struct str bytes)
{
    struct buf text = BUF_INIT(1u << 22);
    struct json_reader reader;
    struct json_token t = {.type = JSON_NULL};

    json_reader_init(&reader, bytes);
    while (json_next(&reader, &t) == 0 && t.type != JSON_END) {
        buf_reset(&text);
        if (t.type == JSON_NUMBER)
            json_edit_replace(e, t.raw, t.raw);
        if (t.type != JSON_STRING && t.type != JSON_KEY)
            continue;
        FUZZ_CHECK(json_decode(&t, &text) == 0);
        json_edit_replace_text(e, t.raw, buf_str(&text));
    }
    buf_fini(&text);
    return json_edit_finish(e);
}

/* @bytes: one value, that jansson read as @value. */
static void check_edit(struct str bytes, json_t *value)
{
    struct buf out = BUF_INIT(1u << 22);
    struct json_edit edit;
    json_error_t error;
    json_t *other;

    json_edit_init(&edit, bytes, &out);
    FUZZ_CHECK(edit_all(&edit, bytes) == 0);
    other = json_loadb(out.data, out.len, LOAD_FLAGS, &error);
    FUZZ_CHECK(other != NULL && json_equal(value, other));
    json_decref(other);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);
    struct walk walked = walk(bytes, NULL);
    json_t *value;

    check_skip(bytes, &walked);
    value = check_jansson(bytes, &walked);
    if (walked.r == 0 && walked.depth <= WRITER_DEPTH)
        check_writer(bytes, &walked, value);
    if (value != NULL)
        check_edit(str_head(bytes, walked.len), value);
    json_decref(value);
    return 0;
}
