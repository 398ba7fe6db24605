/* SPDX-License-Identifier: MIT */
#include "client/ollama_body.h"

#include <errno.h>

#include "json/reader.h"
#include "json/writer.h"

/* A body being written, and the first thing that was wrong with the request. */
struct draft {
    struct json_writer w;
    int err;
};

static void put_text(struct draft *d, const char *name, const char *text)
{
    if (text == NULL)
        return;
    json_key(&d->w, name);
    json_str(&d->w, str_of(text));
}

static void put_flag(struct draft *d, const char *name, bool value)
{
    json_key(&d->w, name);
    json_bool(&d->w, value);
}

/* Whether @text is one JSON value of this type and nothing else. */
static bool is_json(struct str text, enum json_type type)
{
    struct json_reader r;
    struct json_token t;
    struct str value;

    json_reader_init(&r, text);
    if (json_next(&r, &t) < 0 || t.type != type)
        return false;
    json_reader_init(&r, text);
    return json_skip(&r, &value) == 0 && str_trim(text).len == value.len;
}

static void put_json(struct draft *d, const char *name, const char *text, enum json_type type)
{
    if (text == NULL)
        return;
    if (!is_json(str_of(text), type)) {
        d->err = -EINVAL;
        return;
    }
    json_key(&d->w, name);
    json_raw(&d->w, str_trim(str_of(text)));
}

/* A schema stands as it is, a word is a string: "json". */
static void put_format(struct draft *d, const char *format)
{
    if (str_starts(str_trim(str_of(format)), STR("{")))
        put_json(d, "format", format, JSON_OBJECT_BEGIN);
    else
        put_text(d, "format", format);
}

static void put_think(struct draft *d, const char *think)
{
    struct str text = str_of(think);

    if (str_eq(text, STR("true")) || str_eq(text, STR("false")))
        put_flag(d, "think", text.len == 4);
    else
        put_text(d, "think", think);
}

/* Three bytes are four characters (RFC 4648, section 4). */
static int put_base64(struct buf *out, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int r = buf_reserve(out, (len + 2) / 3 * 4);

    for (size_t i = 0; i < len && r == 0; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 |
                         (i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (i + 2 < len ? bytes[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], digits[three >> 6 & 63],
                        digits[three & 63]};

        if (i + 1 >= len)
            four[2] = '=';
        if (i + 2 >= len)
            four[3] = '=';
        r = buf_put(out, str_make(four, 4));
    }
    return r;
}

static void put_image(struct draft *d, chasqui_bytes image)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    int r = put_base64(&text, image.data, image.len);

    if (r < 0)
        d->err = r;
    json_str(&d->w, buf_str(&text));
    buf_fini(&text);
}

static void put_images(struct draft *d, const chasqui_message *m)
{
    if (m->n_images == 0)
        return;
    json_key(&d->w, "images");
    json_begin_array(&d->w);
    for (size_t i = 0; i < m->n_images; i++)
        put_image(d, m->images[i]);
    json_end(&d->w);
}

static void put_message(struct draft *d, const chasqui_message *m)
{
    json_begin_object(&d->w);
    put_text(d, "role", m->role);
    put_text(d, "content", m->content);
    put_text(d, "tool_name", m->tool_name);
    put_json(d, "tool_calls", m->tool_calls, JSON_ARRAY_BEGIN);
    put_images(d, m);
    json_end(&d->w);
}

static void begin(struct draft *d, struct buf *out, const char *model)
{
    json_writer_init(&d->w, out);
    d->err = model == NULL || model[0] == '\0' ? -EINVAL : 0;
    json_begin_object(&d->w);
    put_text(d, "model", model);
}

/* Ends the object; the members of @extra, an object itself, are its last ones. */
static int end(struct draft *d, const char *extra)
{
    struct str members = str_trim(str_of(extra));
    struct buf *out = d->w.out;
    int r;

    json_end(&d->w);
    r = json_writer_result(&d->w);
    if (r < 0 || d->err < 0)
        return r < 0 ? r : d->err;
    if (extra == NULL)
        return 0;
    if (!is_json(members, JSON_OBJECT_BEGIN))
        return -EINVAL;
    members = str_trim(str_make(members.s + 1, members.len - 2));
    if (members.len == 0)
        return 0;
    out->data[out->len - 1] = ',';
    r = buf_put(out, members);
    return r < 0 ? r : buf_put_char(out, '}');
}

int client_body_generate(struct buf *out, const chasqui_generate_request *q)
{
    struct draft d;

    begin(&d, out, q->model);
    put_text(&d, "prompt", q->prompt);
    put_text(&d, "suffix", q->suffix);
    put_text(&d, "system", q->system);
    put_format(&d, q->format);
    put_think(&d, q->think);
    put_text(&d, "keep_alive", q->keep_alive);
    put_json(&d, "options", q->options, JSON_OBJECT_BEGIN);
    put_flag(&d, "stream",
             q->on_text != NULL || q->on_thinking != NULL || q->on_tool_calls != NULL);
    return end(&d, q->extra);
}

int client_body_chat(struct buf *out, const chasqui_chat_request *q)
{
    struct draft d;

    begin(&d, out, q->model);
    json_key(&d.w, "messages");
    json_begin_array(&d.w);
    for (size_t i = 0; i < q->n_messages; i++)
        put_message(&d, &q->messages[i]);
    json_end(&d.w);
    put_json(&d, "tools", q->tools, JSON_ARRAY_BEGIN);
    put_format(&d, q->format);
    put_think(&d, q->think);
    put_text(&d, "keep_alive", q->keep_alive);
    put_json(&d, "options", q->options, JSON_OBJECT_BEGIN);
    put_flag(&d, "stream",
             q->on_text != NULL || q->on_thinking != NULL || q->on_tool_calls != NULL);
    return end(&d, q->extra);
}

int client_body_embed(struct buf *out, const chasqui_embed_request *q)
{
    struct draft d;

    begin(&d, out, q->model);
    json_key(&d.w, "input");
    json_begin_array(&d.w);
    for (size_t i = 0; i < q->n_inputs; i++)
        json_str(&d.w, str_of(q->inputs[i]));
    json_end(&d.w);
    put_text(&d, "keep_alive", q->keep_alive);
    put_json(&d, "options", q->options, JSON_OBJECT_BEGIN);
    return end(&d, q->extra);
}

int client_body_show(struct buf *out, const char *model)
{
    struct draft d;

    begin(&d, out, model);
    return end(&d, NULL);
}
