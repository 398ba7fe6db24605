/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "codec/form.h"
#include "codec/text.h"
#include "json/reader.h"

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)proto_at_const(message, field->quantifier_offset) > 0;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)proto_at_const(message, field->offset) != NULL;
    return *(const protobuf_c_boolean *)proto_at_const(message, field->quantifier_offset) != 0;
}

static int print_many(struct proto *p, const struct form_slot *slot,
                      const ProtobufCMessage *message, struct json_writer *w)
{
    size_t n = *(const size_t *)proto_at_const(message, slot->field->quantifier_offset);
    const char *at = *(char *const *)proto_at_const(message, slot->field->offset);
    int r = 0;

    if (n == 1 && slot->form->is_one_text)
        return slot->form->print(p, slot, at, w);
    json_begin_array(w);
    for (size_t i = 0; i < n && r == 0; i++)
        r = slot->form->print(p, slot, at + i * slot->form->size, w);
    if (r == 0)
        json_end(w);
    return r < 0 ? r : w->err;
}

static int print_field(struct proto *p, const ProtobufCFieldDescriptor *field,
                       const ProtobufCMessage *message, struct json_writer *w)
{
    struct form_slot slot = form_of(message->descriptor, field);

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return print_many(p, &slot, message, w);
    return slot.form->print(p, &slot, proto_at_const(message, field->offset), w);
}

/* ---- extra_json ---------------------------------------------------------------------------- */

/* Whether a field that is set is the one of a member of extra_json. */
static bool is_taken(const ProtobufCMessage *message, const struct json_token *key)
{
    const ProtobufCMessageDescriptor *desc = message->descriptor;

    for (unsigned i = 0; i < desc->n_fields; i++)
        if (!proto_is_extra(&desc->fields[i]) && is_set(message, &desc->fields[i]) &&
            proto_key_is(desc, &desc->fields[i], key))
            return true;
    return false;
}

static int print_key(struct proto *p, const struct json_token *key, struct json_writer *w)
{
    struct buf text = {.cap = key->raw.len, .max = key->raw.len};
    int r;

    if (!key->has_escape) {
        json_key_str(w, key->raw);
        return w->err;
    }
    text.data = proto_alloc(p, key->raw.len);
    if (text.data == NULL)
        return p->err;
    r = json_decode(key, &text);
    if (r < 0)
        return r;
    json_key_str(w, buf_str(&text));
    return w->err;
}

/* One member, whose key was read. */
static int print_member(struct proto *p, const ProtobufCMessage *message,
                        struct json_reader *reader, const struct json_token *key,
                        struct json_writer *w)
{
    struct str value;
    int r = json_skip(reader, &value);

    if (r < 0 || is_taken(message, key))
        return r;
    r = print_key(p, key, w);
    if (r < 0)
        return r;
    json_raw(w, value);
    return w->err;
}

/* The members of an object that nothing but space follows. */
static int print_members(struct proto *p, const ProtobufCMessage *message, struct str json,
                         struct json_writer *w)
{
    struct json_reader reader;
    struct json_token t;
    int r;

    json_reader_init(&reader, json);
    r = json_next(&reader, &t);
    if (r == 0 && t.type != JSON_OBJECT_BEGIN)
        return -EX_CODEC;
    while (r == 0) {
        r = json_next(&reader, &t);
        if (r == 0 && t.type == JSON_OBJECT_END)
            break;
        if (r == 0)
            r = print_member(p, message, &reader, &t, w);
    }
    if (r == 0 && str_trim(str_from(json, json_offset(&reader))).len > 0)
        return -EX_CODEC;
    return r;
}

static int print_extra(struct proto *p, const ProtobufCMessage *message, struct json_writer *w)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(message->descriptor, PROTO_EXTRA_ID);
    struct str json;

    if (!is_set(message, field))
        return 0;
    json = proto_str(proto_at_const(message, field->offset));
    if (text_valid_len(json) != json.len)
        return -EX_CODEC;
    return json.len > 0 ? print_members(p, message, json, w) : 0;
}

/* ---- messages ------------------------------------------------------------------------------ */

int proto_print(struct proto *p, const ProtobufCMessage *message, struct json_writer *w)
{
    const ProtobufCMessageDescriptor *desc = message->descriptor;
    int r = 0;

    if (form_is_list(desc))
        return print_field(p, &desc->fields[0], message, w);
    json_begin_object(w);
    for (unsigned i = 0; i < desc->n_fields && r == 0; i++) {
        const ProtobufCFieldDescriptor *field = &desc->fields[i];

        if (proto_is_extra(field) || !is_set(message, field))
            continue;
        json_key(w, field->name);
        r = print_field(p, field, message, w);
    }
    if (r == 0)
        r = print_extra(p, message, w);
    if (r == 0)
        json_end(w);
    return r < 0 ? r : w->err;
}
