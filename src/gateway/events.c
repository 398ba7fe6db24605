/* SPDX-License-Identifier: MIT */
#include "gateway/events.h"

#include <string.h>

#include "api/error_body.h"

#define NDJSON_FIELD "Content-Type: " API_NDJSON_TYPE
#define EVENTS_FIELD "Content-Type: " API_SSE_TYPE "\r\n"

static bool accepts(const struct h1_head *head, struct str type)
{
    for (size_t i = 0; i < head->n_fields; i++) {
        struct str list = head->fields[i].value;

        if (!str_eq_nocase(head->fields[i].name, STR("accept")))
            continue;
        while (list.len > 0) {
            struct str range = str_split(&list, ',');

            if (str_eq_nocase(str_trim(str_split(&range, ';')), type))
                return true;
        }
    }
    return false;
}

bool events_are_wanted(const struct api_route *route, const struct h1_head *head)
{
    return route != NULL && (route->id == ROUTE_GENERATE || route->id == ROUTE_CHAT) &&
           accepts(head, STR(API_SSE_TYPE)) && !accepts(head, STR(API_NDJSON_TYPE));
}

bool events_retype(struct arena *arena, struct str fields, struct str *ret_fields)
{
    const struct str field = STR(NDJSON_FIELD);
    struct str rest = fields;
    char *at;
    char *end;

    while (rest.len > 0 && !str_eq_nocase(str_head(rest, field.len), field))
        (void)str_split(&rest, '\n');
    at = rest.len > 0 ? arena_alloc(arena, fields.len + sizeof(EVENTS_FIELD)) : NULL;
    if (at == NULL)
        return false;
    end = mempcpy(at, fields.s, fields.len - rest.len);
    end = mempcpy(end, EVENTS_FIELD, sizeof(EVENTS_FIELD) - 1);
    (void)str_split(&rest, '\n');
    end = mempcpy(end, rest.len > 0 ? rest.s : "", rest.len);
    *ret_fields = str_make(at, (size_t)(end - at));
    return true;
}
