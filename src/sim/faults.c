/* SPDX-License-Identifier: MIT */
#include "sim/faults.h"

#include <errno.h>

#include "json/reader.h"

static const struct {
    struct str name;
    enum sim_fault_kind kind;
} kinds[] = {
    {STR_INIT("none"), SIM_FAULT_NONE},     {STR_INIT("die"), SIM_FAULT_DIE},
    {STR_INIT("stall"), SIM_FAULT_STALL},   {STR_INIT("cut"), SIM_FAULT_CUT},
    {STR_INIT("reset"), SIM_FAULT_RESET},   {STR_INIT("error"), SIM_FAULT_ERROR},
    {STR_INIT("503"), SIM_FAULT_BUSY},      {STR_INIT("garbage"), SIM_FAULT_GARBAGE},
    {STR_INIT("length"), SIM_FAULT_LENGTH}, {STR_INIT("endless"), SIM_FAULT_ENDLESS},
    {STR_INIT("1xx"), SIM_FAULT_1XX},       {STR_INIT("slow"), SIM_FAULT_SLOW},
    {STR_INIT("refuse"), SIM_FAULT_REFUSE},
};

static int parse_kind(struct str name, enum sim_fault_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!str_eq(name, kinds[i].name))
            continue;
        *ret_kind = kinds[i].kind;
        return 0;
    }
    return -EINVAL;
}

/* The next number of a SPEC; without one *number stays. */
static int parse_number(struct str *rest, uint64_t *number)
{
    if (rest->len == 0)
        return 0;
    return str_to_u64(str_split(rest, ':'), number) < 0 ? -EINVAL : 0;
}

int sim_fault_parse(struct str text, struct sim_fault *ret_fault)
{
    struct str rest = text;
    struct sim_fault f = {.count = 1};
    uint64_t *first = &f.after;
    uint64_t *second = &f.count;

    if (parse_kind(str_split(&rest, ':'), &f.kind) < 0)
        return -EINVAL;
    if (f.kind >= SIM_FAULT_BUSY) {
        first = &f.count;
        second = &f.retry_after;
    }
    if (parse_number(&rest, first) < 0 || parse_number(&rest, second) < 0 || rest.len > 0)
        return -EINVAL;
    *ret_fault = f;
    return 0;
}

static uint64_t *number_field(struct sim_fault *f, const struct json_token *key)
{
    if (json_key_is(key, STR("after")))
        return &f->after;
    if (json_key_is(key, STR("count")))
        return &f->count;
    if (json_key_is(key, STR("retry_after")))
        return &f->retry_after;
    return NULL;
}

static int parse_member(struct json_reader *r, const struct json_token *key, struct sim_fault *f)
{
    uint64_t *number = number_field(f, key);
    bool is_kind = json_key_is(key, STR("kind"));
    struct json_token value;

    if (number == NULL && !is_kind)
        return json_skip(r, NULL);
    if (json_next(r, &value) < 0)
        return -EINVAL;
    if (is_kind) /* a number is fine too: {"kind":503} */
        return parse_kind(value.raw, &f->kind);
    return value.type == JSON_NUMBER ? json_to_u64(&value, number) : -EINVAL;
}

int sim_fault_parse_json(struct str body, struct sim_fault *ret_fault)
{
    struct sim_fault f = {.count = 1};
    struct json_reader r;
    struct json_token t;

    json_reader_init(&r, body);
    if (json_next(&r, &t) < 0 || t.type != JSON_OBJECT_BEGIN)
        return -EINVAL;
    for (;;) {
        if (json_next(&r, &t) < 0)
            return -EINVAL;
        if (t.type == JSON_OBJECT_END)
            break;
        if (parse_member(&r, &t, &f) < 0)
            return -EINVAL;
    }
    *ret_fault = f;
    return 0;
}

struct sim_fault sim_fault_take(struct sim_fault *next)
{
    struct sim_fault taken = *next;

    if (next->kind == SIM_FAULT_NONE || next->kind == SIM_FAULT_REFUSE || next->count == 0)
        return (struct sim_fault){0};
    if (--next->count == 0)
        *next = (struct sim_fault){0};
    return taken;
}

bool sim_fault_takes_connection(struct sim_fault *next)
{
    if (next->kind != SIM_FAULT_REFUSE || next->count == 0)
        return false;
    if (--next->count == 0)
        *next = (struct sim_fault){0};
    return true;
}
