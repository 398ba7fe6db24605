/* SPDX-License-Identifier: MIT */
#include "gateway/forward.h"

#include <errno.h>

#include "base/err.h"

/* What gateways behind this one add: Via each; once Host and Content-Length. */
#define ADDED_FIELDS_MAX (FORWARD_HOPS_MAX + 3)
#define ADDED_BYTES_MAX  1024

static const struct str kept_back[] = {
    STR_INIT("host"),
    STR_INIT("content-length"),
    STR_INIT("origin"),
    STR_INIT("expect"),
    STR_INIT("accept-encoding"),
    STR_INIT("forwarded"),
    STR_INIT("content-encoding"),
};

static const struct str kept_back_prefixes[] = {
    STR_INIT("x-chasqui-"),
    STR_INIT("x-forwarded-"),
    STR_INIT("access-control-"),
};

static bool is_key_field(struct str name)
{
    return str_eq_nocase(name, STR("authorization")) || str_eq_nocase(name, STR("x-api-key"));
}

static bool goes_on(const struct h1_head *head, struct str name, bool has_keys)
{
    if (h1_is_hop_by_hop(head, name) || str_find(name, '_') < name.len)
        return false;
    for (size_t i = 0; i < sizeof(kept_back) / sizeof(kept_back[0]); i++)
        if (str_eq_nocase(name, kept_back[i]))
            return false;
    for (size_t i = 0; i < sizeof(kept_back_prefixes) / sizeof(kept_back_prefixes[0]); i++)
        if (str_eq_nocase(str_head(name, kept_back_prefixes[i].len), kept_back_prefixes[i]))
            return false;
    return !(has_keys && is_key_field(name));
}

static char *put(char *at, struct str bytes)
{
    return bytes.len > 0 ? mempcpy(at, bytes.s, bytes.len) : at;
}

static size_t fields_bound(const struct h1_head *head, struct str via)
{
    size_t n = STR("Via: \r\n").len + via.len + EXCHANGE_LENGTH_FIELD_MAX;

    for (size_t i = 0; i < head->n_fields; i++)
        n += head->fields[i].name.len + head->fields[i].value.len + 4;
    return n;
}

/* traceparent: version "-" trace-id "-" ... (W3C Trace Context 3.2) */
static struct str trace_id(const struct h1_head *head)
{
    struct str tp = h1_field_get(head, STR("traceparent"));

    return tp.len >= 55 && tp.s[2] == '-' && tp.s[35] == '-' ? str_make(tp.s + 3, 32) : STR_NULL;
}

/* Gateways of ours that the request has passed. */
static unsigned count_hops(const struct h1_head *head)
{
    unsigned n = 0;

    for (size_t i = 0; i < head->n_fields; i++) {
        struct str value = head->fields[i].value;

        if (!str_eq_nocase(head->fields[i].name, STR("via")))
            continue;
        while (value.len > 0) {
            struct str hop = str_split(&value, ',');

            n += str_search(hop, STR("chasqui-")) < hop.len;
        }
    }
    return n;
}

/*
 * The first gateway keeps room for what all of them add, so that none behind it finds the head too
 * large. @bound: of the fields.
 */
static bool has_room(const struct h1_head *head, size_t bound)
{
    const struct h1_limits limits = H1_LIMITS_DEFAULT;
    size_t len = head->method_name.len + head->path.len + head->query.len + bound;

    return count_hops(head) > 0 || (head->n_fields + ADDED_FIELDS_MAX <= H1_MAX_FIELDS &&
                                    len + ADDED_BYTES_MAX <= limits.head_max);
}

int forward_prepare(struct exchange *ex, const struct h1_head *head, const struct keys *keys,
                    const char *via)
{
    struct str via_value = str_of(via);
    size_t bound = fields_bound(head, via_value);
    char *fields = arena_alloc(&ex->arena, bound);
    char *target = arena_alloc(&ex->arena, head->path.len + head->query.len + 1);
    char *at = fields;

    if (!has_room(head, bound))
        return -EX_H1_HEAD_TOO_LARGE;
    if (fields == NULL || target == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < head->n_fields; i++) {
        if (!goes_on(head, head->fields[i].name, keys->n_keys > 0))
            continue;
        if (ex->wants_events && str_eq_nocase(head->fields[i].name, STR("accept")))
            continue;
        at = put(at, head->fields[i].name);
        at = put(at, STR(": "));
        at = put(at, head->fields[i].value);
        at = put(at, STR("\r\n"));
    }
    at = put(put(put(at, STR("Via: ")), via_value), STR("\r\n"));
    ex->request.fields = str_make(fields, (size_t)(at - fields));
    at = put(target, head->path);
    if (head->query.s != NULL)
        at = put(put(at, STR("?")), head->query);
    ex->request.target = str_make(target, (size_t)(at - target));
    ex->request.method = ex->tl.method;
    ex->request.is_head = head->method == H1_HEAD;
    ex->request.traceparent = arena_dup(&ex->arena, h1_field_get(head, STR("traceparent")));
    ex->request.session = arena_dup(&ex->arena, h1_field_get(head, STR("x-session-id")));
    ex->request.hops = count_hops(head);
    ex->is_resume_off = str_eq_nocase(h1_field_get(head, STR("x-chasqui-resume")), STR("off"));
    ex->tl.trace_id = arena_dup(&ex->arena, trace_id(head));
    return 0;
}

bool forward_is_loop(const struct h1_head *head, struct str via_token)
{
    for (size_t i = 0; i < head->n_fields; i++) {
        struct str value = head->fields[i].value;

        if (str_eq_nocase(head->fields[i].name, STR("via")) &&
            str_search(value, via_token) < value.len)
            return true;
    }
    return count_hops(head) > FORWARD_HOPS_MAX;
}
