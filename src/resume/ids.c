/* SPDX-License-Identifier: MIT */
#include "resume/ids.h"

#include "json/edit.h"
#include "json/reader.h"

/* The name of an event has no brace. */
static struct str object_of(struct str record)
{
    return str_from(record, str_find(record, '{'));
}

/* The first id of a list; cut off its front. */
static struct str next_id(struct str *list)
{
    return str_split(list, '\0');
}

static bool holds(const struct buf *ids, struct str id)
{
    struct str list = buf_str(ids);

    while (list.len > 0)
        if (str_eq(next_id(&list), id))
            return true;
    return false;
}

static void add(struct buf *ids, struct str id)
{
    size_t before = ids->len;

    if (id.len == 0 || holds(ids, id))
        return;
    if (buf_put(ids, id) < 0 || buf_put_char(ids, '\0') < 0)
        ids->len = before;
}

static bool is_id_key(const struct json_token *t)
{
    return t->type == JSON_KEY && (str_eq(t->raw, STR("id")) || str_eq(t->raw, STR("item_id")));
}

void ids_collect(struct buf *ids, struct str record)
{
    struct json_reader r;
    struct json_token t;
    bool is_behind_key = false;

    if (str_starts(record, STR("{")))
        return;
    json_reader_init(&r, object_of(record));
    while (json_next(&r, &t) == 0 && t.type != JSON_END) {
        if (is_behind_key && t.type == JSON_STRING && !t.has_escape)
            add(ids, t.raw);
        is_behind_key = is_id_key(&t);
    }
}

/* The id of @to in the place that @id has in @from; empty: none. */
static struct str translation(struct str id, const struct buf *from, const struct buf *to)
{
    struct str a = buf_str(from);
    struct str b = buf_str(to);

    while (a.len > 0 && b.len > 0) {
        struct str known = next_id(&b);

        if (str_eq(next_id(&a), id))
            return known;
    }
    return STR_NULL;
}

int ids_translate(struct str record, const struct buf *from, const struct buf *to, struct buf *out)
{
    struct json_reader r;
    struct json_token t;
    struct json_edit e;
    bool is_behind_key = false;

    json_edit_init(&e, record, out);
    json_reader_init(&r, object_of(record));
    while (from->len > 0 && json_next(&r, &t) == 0 && t.type != JSON_END) {
        struct str known =
            is_behind_key && t.type == JSON_STRING ? translation(t.raw, from, to) : STR_NULL;

        if (known.len > 0)
            json_edit_replace(&e, t.raw, known);
        is_behind_key = is_id_key(&t);
    }
    return json_edit_finish(&e);
}
