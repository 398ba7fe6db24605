/* SPDX-License-Identifier: MIT */
#include "json/edit.h"

#include <assert.h>

#include "json/writer.h"

void json_edit_init(struct json_edit *e, struct str text, struct buf *out)
{
    *e = (struct json_edit){.rest = text, .out = out};
}

static void put(struct json_edit *e, struct str bytes)
{
    if (e->err == 0)
        e->err = buf_put(e->out, bytes);
}

/* Writes what stands before @old, and passes over it. */
static void advance(struct json_edit *e, struct str old)
{
    size_t before = (size_t)(old.s - e->rest.s);

    assert(old.s >= e->rest.s && before + old.len <= e->rest.len);
    put(e, str_head(e->rest, before));
    e->rest = str_from(e->rest, before + old.len);
}

void json_edit_replace(struct json_edit *e, struct str old, struct str by)
{
    advance(e, old);
    put(e, by);
}

void json_edit_replace_text(struct json_edit *e, struct str old, struct str text)
{
    struct json_writer w;
    struct buf quoted = BUF_INIT(e->out->max);

    advance(e, old);
    json_writer_init(&w, &quoted);
    json_str(&w, text);
    if (e->err == 0)
        e->err = json_writer_result(&w);
    if (e->err == 0)
        e->err = buf_put(e->out, str_make(quoted.data + 1, quoted.len - 2));
    buf_fini(&quoted);
}

int json_edit_finish(struct json_edit *e)
{
    put(e, e->rest);
    return e->err;
}
