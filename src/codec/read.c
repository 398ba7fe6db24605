/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/err.h"
#include "codec/form.h"
#include "json/reader.h"

/* What the JSON says about one field. */
struct seen {
    struct str value;
    uint32_t n;    /* members of this name, in any letter case */
    bool is_exact; /* spelled as the field */
    bool is_held;  /* the field has it */
};

struct reading {
    struct proto *p;
    const ProtobufCMessageDescriptor *desc;
    ProtobufCMessage *message;
    struct str json;
    unsigned next;    /* the field after the one that was found last */
    size_t extra_len; /* text of the members that no field holds, each with a comma or brace */
    struct seen seen[PROTO_FIELDS_MAX]; /* as desc->fields */
};

/* ---- fields -------------------------------------------------------------------------------- */

/* How many elements a JSON array has. */
static int count_elements(struct str json, size_t *ret_n)
{
    struct json_reader reader;
    struct json_token t;
    size_t n = 0;
    int r;

    json_reader_init(&reader, json);
    r = json_next(&reader, &t);
    while (r == 0 && (r = json_element(&reader)) == 0) {
        r = json_skip(&reader, NULL);
        n++;
    }
    *ret_n = n;
    return r < 0 ? r : 0;
}

/* The elements of a JSON array, to where room for all of them is. */
static int read_elements(struct proto *p, const struct form_slot *slot, struct str json, char *at)
{
    struct json_reader reader;
    struct json_token t;
    struct str value;
    int r;

    json_reader_init(&reader, json);
    r = json_next(&reader, &t);
    while (r == 0) {
        r = json_element(&reader);
        if (r != 0)
            return r == JSON_LAST ? 0 : r;
        r = json_skip(&reader, &value);
        if (r == 0)
            r = slot->form->read(p, slot, value, at);
        at += slot->form->size;
    }
    return r;
}

static int read_many(struct proto *p, const struct form_slot *slot, struct str json,
                     ProtobufCMessage *message)
{
    bool is_lone = slot->form->is_one_text && json.s[0] == '"';
    size_t n = 1;
    size_t size;
    void *values;
    int r;

    if (!is_lone) {
        if (json.s[0] != '[')
            return PROTO_NOT_HELD;
        r = count_elements(json, &n);
        if (r < 0)
            return r;
        /* No elements are no field, and one text alone would come back without its brackets. */
        if ((n == 0 && !form_is_list(message->descriptor)) || (n == 1 && slot->form->is_one_text))
            return PROTO_NOT_HELD;
    }
    if (__builtin_mul_overflow(n, slot->form->size, &size))
        return PROTO_NOT_HELD;
    values = proto_alloc(p, size);
    if (values == NULL)
        return p->err;
    r = is_lone ? slot->form->read(p, slot, json, values) : read_elements(p, slot, json, values);
    if (r != 0)
        return r;
    *(void **)proto_at(message, slot->field->offset) = values;
    *(size_t *)proto_at(message, slot->field->quantifier_offset) = n;
    return 0;
}

static int read_field(struct proto *p, const ProtobufCFieldDescriptor *field, struct str json,
                      ProtobufCMessage *message)
{
    struct form_slot slot = form_of(message->descriptor, field);
    int r;

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_many(p, &slot, json, message);
    r = slot.form->read(p, &slot, json, proto_at(message, field->offset));
    if (r == 0 && field->type != PROTOBUF_C_TYPE_MESSAGE)
        *(protobuf_c_boolean *)proto_at(message, field->quantifier_offset) = true;
    return r;
}

/* ---- members ------------------------------------------------------------------------------- */

enum {
    MEMBERS_END = 1
};

static int next_member(struct json_reader *reader, struct json_token *ret_key,
                       struct str *ret_value)
{
    int r = json_next(reader, ret_key);

    if (r < 0)
        return r;
    return ret_key->type == JSON_OBJECT_END ? MEMBERS_END : json_skip(reader, ret_value);
}

/* The field that a key means, or NULL. Members mostly come in the order of the fields. */
static struct seen *seen_of(struct reading *rd, const struct json_token *key)
{
    unsigned n = rd->desc->n_fields;

    for (unsigned i = 0; i < n; i++) {
        unsigned at = (rd->next + i) % n;
        const ProtobufCFieldDescriptor *field = &rd->desc->fields[at];

        if (!proto_is_extra(field) && proto_key_is(rd->desc, field, key)) {
            rd->next = at + 1;
            return &rd->seen[at];
        }
    }
    return NULL;
}

/* "key":value and what goes in front. */
static size_t member_len(struct str key, struct str value)
{
    return sizeof(",\"\":") - 1 + key.len + value.len;
}

/* Looks at every member once. */
static int see_members(struct reading *rd)
{
    struct json_reader reader;
    struct json_token key;
    struct str value;
    int r;

    json_reader_init(&reader, rd->json);
    r = json_next(&reader, &key);
    if (r == 0 && key.type != JSON_OBJECT_BEGIN)
        return PROTO_NOT_HELD;
    while (r == 0 && (r = next_member(&reader, &key, &value)) == 0) {
        struct seen *seen = seen_of(rd, &key);

        rd->extra_len += member_len(key.raw, value);
        if (seen == NULL)
            continue;
        seen->n++;
        seen->value = value;
        seen->is_exact = str_eq(key.raw, str_of(rd->desc->fields[seen - rd->seen].name));
    }
    return r < 0 ? r : 0;
}

static int read_fields(struct reading *rd)
{
    for (unsigned i = 0; i < rd->desc->n_fields; i++) {
        struct seen *seen = &rd->seen[i];
        int r;

        if (seen->n != 1 || !seen->is_exact)
            continue;
        r = read_field(rd->p, &rd->desc->fields[i], seen->value, rd->message);
        if (r < 0)
            return r;
        seen->is_held = r == 0;
        if (seen->is_held)
            rd->extra_len -= member_len(str_of(rd->desc->fields[i].name), seen->value);
    }
    return 0;
}

static char *put(char *at, struct str bytes)
{
    memcpy(at, bytes.s, bytes.len);
    return at + bytes.len;
}

/* Writes rd->extra_len bytes and a brace: the members that no field holds, as they are. */
static int copy_extra(struct reading *rd, char *at)
{
    struct json_reader reader;
    struct json_token key;
    struct str value;
    struct str before = STR("{\"");
    int r;

    json_reader_init(&reader, rd->json);
    r = json_next(&reader, &key);
    while (r == 0 && (r = next_member(&reader, &key, &value)) == 0) {
        const struct seen *seen = seen_of(rd, &key);

        if (seen != NULL && seen->is_held)
            continue;
        at = put(put(put(put(at, before), key.raw), STR("\":")), value);
        before = STR(",\"");
    }
    *at = '}';
    return r < 0 ? r : 0;
}

static int read_extra(struct reading *rd)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(rd->desc, PROTO_EXTRA_ID);
    char *text;
    struct str clean;
    int r;

    if (rd->extra_len == 0)
        return 0;
    text = proto_alloc(rd->p, rd->extra_len + 1);
    if (text == NULL)
        return rd->p->err;
    r = copy_extra(rd, text);
    if (r < 0)
        return r;
    r = form_clean(rd->p, str_make(text, rd->extra_len + 1), &clean);
    if (r < 0)
        return r;
    *(ProtobufCBinaryData *)proto_at(rd->message, field->offset) = proto_bytes(clean);
    *(protobuf_c_boolean *)proto_at(rd->message, field->quantifier_offset) = true;
    return 0;
}

int proto_read(struct proto *p, const ProtobufCMessageDescriptor *desc, struct str json,
               ProtobufCMessage **ret_message)
{
    struct reading rd = {.p = p, .desc = desc, .json = json};
    int r;

    assert(desc->n_fields <= PROTO_FIELDS_MAX);

    rd.message = proto_alloc(p, desc->sizeof_message);
    if (rd.message == NULL)
        return p->err;
    protobuf_c_message_init(desc, rd.message);
    if (form_is_list(desc)) {
        r = read_field(p, &desc->fields[0], json, rd.message);
    } else {
        r = see_members(&rd);
        if (r == 0)
            r = read_fields(&rd);
        if (r == 0)
            r = read_extra(&rd);
    }
    if (r == 0)
        *ret_message = rd.message;
    return r;
}
