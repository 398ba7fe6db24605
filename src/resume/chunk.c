/* SPDX-License-Identifier: MIT */
#include "resume/chunk.h"

#include "base/err.h"
#include "json/edit.h"
#include "json/reader.h"

/* Finds the members of the chunk's object that are replaced. */
static int find_members(struct chunk *c)
{
    struct str object = str_trim(str_from(c->event, str_find(c->event, '{')));
    struct json_reader r;
    struct json_token t;
    int rc;

    json_reader_init(&r, object);
    rc = json_next(&r, &t);
    while (rc == 0) {
        rc = json_next(&r, &t);
        if (rc < 0 || t.type != JSON_KEY)
            break;
        rc = json_skip(&r, str_eq(t.raw, STR("choices")) ? &c->choices
                           : str_eq(t.raw, STR("usage")) ? &c->usage
                                                         : NULL);
    }
    if (rc < 0 || c->choices.len == 0)
        return -EX_RESUME;
    if (c->usage.len == 0)
        c->usage = str_make(object.s + object.len - 1, 0);
    return c->usage.s > c->choices.s ? 0 : -EX_RESUME;
}

/* Quotes in a text are escaped: what is found is the member. */
static int find_reason(struct chunk *c)
{
    static const struct str member = STR_INIT("\"finish_reason\":null");
    struct str rest = str_from(c->event, (size_t)(c->text.s + c->text.len - c->event.s));
    size_t at = str_search(rest, member);

    if (at >= rest.len)
        return -EX_RESUME;
    c->reason = str_make(rest.s + at + member.len - 4, 4);
    return 0;
}

int chunk_read(const struct api_route *route, struct str event, struct chunk *ret)
{
    struct chunk c = {.event = event};
    struct api_answer judge;
    int r;

    api_answer_init(&judge, route);
    api_answer_record(&judge, /* is_sse= */ true, event);
    c.text = judge.piece.content.raw;
    if (c.text.s == NULL)
        return -EX_RESUME;
    r = find_reason(&c);
    if (r == 0)
        r = find_members(&c);
    if (r == 0)
        *ret = c;
    return r;
}

int chunk_put_text(const struct chunk *c, struct str text, struct buf *out)
{
    struct json_edit e;

    json_edit_init(&e, c->event, out);
    json_edit_replace_text(&e, c->text, text);
    return json_edit_finish(&e);
}

static int put_reason(const struct chunk *c, struct str reason, struct buf *out)
{
    struct json_edit e;

    json_edit_init(&e, c->event, out);
    json_edit_replace(&e, c->text, STR_NULL);
    json_edit_replace(&e, str_make(c->reason.s, 0), STR("\""));
    json_edit_replace(&e, c->reason, reason);
    json_edit_replace(&e, str_make(c->reason.s + c->reason.len, 0), STR("\""));
    return json_edit_finish(&e);
}

static int put_usage(const struct chunk *c, const struct api_usage *usage, struct buf *out)
{
    struct buf text CLEANUP(buf_fini) = BUF_INIT(256);
    struct json_edit e;
    int r = buf_printf(&text,
                       "%s{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,"
                       "\"total_tokens\":%llu}",
                       c->usage.len > 0 ? "" : ",\"usage\":", (unsigned long long)usage->tokens_in,
                       (unsigned long long)usage->tokens_out,
                       (unsigned long long)(usage->tokens_in + usage->tokens_out));

    if (r < 0)
        return r;
    json_edit_init(&e, c->event, out);
    json_edit_replace(&e, c->choices, STR("[]"));
    json_edit_replace(&e, c->usage, buf_str(&text));
    return json_edit_finish(&e);
}

int chunk_put_end(const struct chunk *c, struct str reason, const struct api_usage *usage,
                  struct buf *out)
{
    int r = put_reason(c, reason, out);

    if (r == 0 && usage != NULL)
        r = put_usage(c, usage, out);
    return r == 0 ? buf_put(out, STR("data: [DONE]\n\n")) : r;
}
