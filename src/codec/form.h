/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How one Protobuf value looks in JSON
 *
 * By the type of its field; the few that look otherwise stand in one table in form.c.
 */

#include "codec/proto.h"

struct form_slot;

struct form {
    size_t size; /* of a value in its struct */
    /* kinds of JSON value that a text may be, for which it is written without quotes */
    unsigned bare;
    bool is_one_text; /* many values: one is written as it is, not as a list of one */

    /* Return: 0; PROTO_NOT_HELD; -EX_JSON_*, -ENOBUFS, -ENOMEM. */
    int (*read)(struct proto *p, const struct form_slot *slot, struct str json, void *at);
    /* Return: 0; as proto_print(), or the writer's failure. */
    int (*print)(struct proto *p, const struct form_slot *slot, const void *at,
                 struct json_writer *w);
};

/* A field and its form. */
struct form_slot {
    const ProtobufCFieldDescriptor *field;
    const struct form *form;
};

struct form_slot form_of(const ProtobufCMessageDescriptor *desc,
                         const ProtobufCFieldDescriptor *field);

/* Whether a message is written as the list that is its only field. */
bool form_is_list(const ProtobufCMessageDescriptor *desc);

/*
 * @text with U+FFFD where it is not UTF-8; @text itself when it is. Return: 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int form_clean(struct proto *p, struct str text, struct str *ret_text);
