/* SPDX-License-Identifier: MIT */
#include "codec/form.h"

#include <assert.h>
#include <math.h>

#include "base/err.h"
#include "codec/base64.h"
#include "codec/number.h"
#include "codec/text.h"
#include "codec/wire.pb-c.h"
#include "json/reader.h"

enum {
    BARE_NUMBER = 1,
    BARE_BOOL = 2,
    BARE_OBJECT = 4,
};

/* ---- numbers ------------------------------------------------------------------------------- */

static bool is_number(struct str json)
{
    return json.s[0] == '-' || (json.s[0] >= '0' && json.s[0] <= '9');
}

static int read_i64(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    (void)p;
    (void)slot;
    if (!is_number(json) || number_parse_i64(json, at) < 0)
        return PROTO_NOT_HELD;
    return 0;
}

static int print_i64(struct proto *p, const struct form_slot *slot, const void *at,
                     struct json_writer *w)
{
    (void)p;
    (void)slot;
    json_i64(w, *(const int64_t *)at);
    return w->err;
}

static int read_u32(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    int64_t value = 0;
    int r = read_i64(p, slot, json, &value);

    if (r != 0 || value < 0 || value > UINT32_MAX)
        return PROTO_NOT_HELD;
    *(uint32_t *)at = (uint32_t)value;
    return 0;
}

static int print_u32(struct proto *p, const struct form_slot *slot, const void *at,
                     struct json_writer *w)
{
    (void)p;
    (void)slot;
    json_u64(w, *(const uint32_t *)at);
    return w->err;
}

static int read_double(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    (void)p;
    (void)slot;
    if (!is_number(json) || number_parse_double(json, at) < 0)
        return PROTO_NOT_HELD;
    return 0;
}

static int print_double(struct proto *p, const struct form_slot *slot, const void *at,
                        struct json_writer *w)
{
    double value = *(const double *)at;
    char text[NUMBER_TEXT_MAX];

    (void)p;
    (void)slot;
    if (!isfinite(value))
        return -EX_CODEC;
    json_raw(w, number_print_double(value, text));
    return w->err;
}

static int read_float(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    (void)p;
    (void)slot;
    if (!is_number(json) || number_parse_float(json, at) < 0)
        return PROTO_NOT_HELD;
    return 0;
}

static int print_float(struct proto *p, const struct form_slot *slot, const void *at,
                       struct json_writer *w)
{
    float value = *(const float *)at;
    char text[NUMBER_TEXT_MAX];

    (void)p;
    (void)slot;
    if (!isfinite(value))
        return -EX_CODEC;
    json_raw(w, number_print_float(value, text));
    return w->err;
}

static int read_bool(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    (void)p;
    (void)slot;
    if (json.s[0] != 't' && json.s[0] != 'f')
        return PROTO_NOT_HELD;
    *(protobuf_c_boolean *)at = json.s[0] == 't';
    return 0;
}

static int print_bool(struct proto *p, const struct form_slot *slot, const void *at,
                      struct json_writer *w)
{
    (void)p;
    (void)slot;
    json_bool(w, *(const protobuf_c_boolean *)at != 0);
    return w->err;
}

/* ---- text ---------------------------------------------------------------------------------- */

int form_clean(struct proto *p, struct str text, struct str *ret_text)
{
    char *clean;

    if (text_valid_len(text) == text.len) {
        *ret_text = text;
        return 0;
    }
    clean = proto_alloc(p, text_clean_max(text.len));
    if (clean == NULL)
        return p->err;
    *ret_text = str_make(clean, text_clean(clean, text));
    return 0;
}

/* The text of a JSON string. */
static int read_string(struct proto *p, struct str json, struct str *ret_text)
{
    struct json_reader reader;
    struct json_token t;
    struct buf decoded;
    int r;

    json_reader_init(&reader, json);
    r = json_next(&reader, &t);
    if (r < 0)
        return r;
    if (t.type != JSON_STRING)
        return PROTO_NOT_HELD;
    if (!t.has_escape)
        return form_clean(p, t.raw, ret_text);
    /* An escape is never shorter than what it stands for. */
    decoded = (struct buf){.data = proto_alloc(p, t.raw.len), .cap = t.raw.len, .max = t.raw.len};
    if (decoded.data == NULL)
        return p->err;
    r = json_decode(&t, &decoded);
    return r < 0 ? r : form_clean(p, buf_str(&decoded), ret_text);
}

/* What kind of JSON value @text is as it stands, of those that may be bare; 0 for all else. */
static unsigned bare_kind(struct str text)
{
    struct json_reader reader;
    struct str value;

    if (text.len == 0)
        return 0;
    json_reader_init(&reader, text);
    if (json_skip(&reader, &value) < 0 || value.len != text.len)
        return 0;
    if (is_number(text))
        return BARE_NUMBER;
    switch (text.s[0]) {
    case 't':
    case 'f':
        return BARE_BOOL;
    case '{':
        return BARE_OBJECT;
    default:
        return 0;
    }
}

static int read_text(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    unsigned bare = slot->form->bare;
    struct str text = {0};
    int r;

    if (json.s[0] != '"') {
        if ((bare_kind(json) & bare) == 0)
            return PROTO_NOT_HELD;
        r = form_clean(p, json, &text);
    } else {
        r = read_string(p, json, &text);
        if (r == 0 && bare != 0 && (bare_kind(text) & bare) != 0)
            return PROTO_NOT_HELD; /* "5" in quotes would come back without them */
    }
    if (r < 0)
        return r;
    *(ProtobufCBinaryData *)at = proto_bytes(text);
    return 0;
}

static int print_text(struct proto *p, const struct form_slot *slot, const void *at,
                      struct json_writer *w)
{
    struct str text = proto_str(at);
    unsigned bare = slot->form->bare;

    (void)p;
    if (text_valid_len(text) != text.len)
        return -EX_CODEC;
    if (bare != 0 && (bare_kind(text) & bare) != 0)
        json_raw(w, text);
    else
        json_str(w, text);
    return w->err;
}

static int read_base64(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    struct str text;
    uint8_t *bytes;
    size_t len;
    int r = read_string(p, json, &text);

    (void)slot;
    if (r != 0)
        return r;
    bytes = proto_alloc(p, base64_decoded_max(text.len));
    if (bytes == NULL)
        return p->err;
    if (base64_decode(bytes, text, &len) < 0)
        return PROTO_NOT_HELD;
    *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){.len = len, .data = bytes};
    return 0;
}

static int print_base64(struct proto *p, const struct form_slot *slot, const void *at,
                        struct json_writer *w)
{
    struct str bytes = proto_str(at);
    size_t len = base64_encoded_len(bytes.len) + 2;
    char *text = proto_alloc(p, len);

    (void)slot;
    if (text == NULL)
        return p->err;
    text[0] = '"';
    base64_encode(text + 1, bytes);
    text[len - 1] = '"';
    json_raw(w, str_make(text, len));
    return w->err;
}

/* ---- messages ------------------------------------------------------------------------------ */

static int read_message(struct proto *p, const struct form_slot *slot, struct str json, void *at)
{
    return proto_read(p, slot->field->descriptor, json, at);
}

static int print_message(struct proto *p, const struct form_slot *slot, const void *at,
                         struct json_writer *w)
{
    (void)slot;
    return proto_print(p, *(ProtobufCMessage *const *)at, w);
}

/* ---- tables -------------------------------------------------------------------------------- */

#define TEXT .size = sizeof(ProtobufCBinaryData), .read = read_text, .print = print_text

/* clang-format off */
static const struct form forms[] = {
    [PROTOBUF_C_TYPE_INT64]   = {.size = sizeof(int64_t), .read = read_i64, .print = print_i64},
    [PROTOBUF_C_TYPE_UINT32]  = {.size = sizeof(uint32_t), .read = read_u32, .print = print_u32},
    [PROTOBUF_C_TYPE_DOUBLE]  = {.size = sizeof(double), .read = read_double, .print = print_double},
    [PROTOBUF_C_TYPE_FLOAT]   = {.size = sizeof(float), .read = read_float, .print = print_float},
    [PROTOBUF_C_TYPE_BOOL]    = {.size = sizeof(protobuf_c_boolean), .read = read_bool, .print = print_bool},
    [PROTOBUF_C_TYPE_BYTES]   = {TEXT},
    [PROTOBUF_C_TYPE_MESSAGE] = {.size = sizeof(void *), .read = read_message, .print = print_message},
};

static const struct form number_or_text = {TEXT, .bare = BARE_NUMBER};
static const struct form bool_or_text   = {TEXT, .bare = BARE_BOOL};
static const struct form object_or_text = {TEXT, .bare = BARE_OBJECT};
static const struct form one_or_many    = {TEXT, .is_one_text = true};
static const struct form base64         = {.size = sizeof(ProtobufCBinaryData), .read = read_base64, .print = print_base64};

#define ROW(message_, field_, form_) {&chasqui__v1__##message_##__descriptor, STR_INIT(field_), &(form_)}

static const struct special {
    const ProtobufCMessageDescriptor *desc;
    struct str field;
    const struct form *form;
} specials[] = {
    ROW(generate_request, "format",     object_or_text),
    ROW(generate_request, "keep_alive", number_or_text),
    ROW(generate_request, "think",      bool_or_text),
    ROW(generate_request, "images",     base64),
    ROW(chat_request,     "format",     object_or_text),
    ROW(chat_request,     "keep_alive", number_or_text),
    ROW(chat_request,     "think",      bool_or_text),
    ROW(message,          "images",     base64),
    ROW(embed_request,    "keep_alive", number_or_text),
    ROW(embed_request,    "input",      one_or_many),
};
/* clang-format on */

struct form_slot form_of(const ProtobufCMessageDescriptor *desc,
                         const ProtobufCFieldDescriptor *field)
{
    assert(field->type < sizeof(forms) / sizeof(forms[0]) && forms[field->type].size > 0);

    if (field->type == PROTOBUF_C_TYPE_BYTES)
        for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
            if (specials[i].desc == desc && str_eq(specials[i].field, str_of(field->name)))
                return (struct form_slot){field, specials[i].form};
    return (struct form_slot){field, &forms[field->type]};
}

bool form_is_list(const ProtobufCMessageDescriptor *desc)
{
    return desc == &chasqui__v1__embedding__descriptor;
}
