/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "mcp/state.h"
#include "mcp/wire.h"

struct mcp_out *mcp_out_new(struct mcp_session *s, unsigned type, const struct mcp_ext *ext,
                            size_t body_len)
{
    size_t ext_len = ext != NULL ? mcp_ext_len(ext) : 0;
    size_t len = MCP_OUT_FRONT + ext_len + body_len;
    enum mcp_kind kind = len <= MCP_SMALL_CAP ? MCP_KIND_SMALL : N_MCP_KINDS;
    size_t deadline_at = 0;
    struct mcp_out *o = kind == MCP_KIND_SMALL ? mcp_pool_get(s->pool, kind)
                                               : mcp_pool_resize(s->pool, NULL, sizeof(*o) + len);

    if (o == NULL)
        return NULL;
    *o = (struct mcp_out){
        .type = (uint8_t)type,
        .ext_len = (uint32_t)ext_len,
        .body_len = (uint32_t)body_len,
        .kind = (uint8_t)kind,
    };
    o->body = o->bytes + MCP_OUT_FRONT + ext_len;
    if (ext == NULL)
        return o;
    mcp_ext_pack(o->bytes + MCP_OUT_FRONT, ext, &deadline_at);
    o->deadline_at = (uint16_t)deadline_at;
    o->method_len = (uint16_t)(ext->method.len > 0 ? 2 + ext->method.len : 0);
    return o;
}

struct mcp_out *mcp_out_new_owned(struct mcp_session *s, unsigned type, const struct mcp_ext *ext,
                                  struct str body, void *memory)
{
    struct mcp_out *o = mcp_out_new(s, type, ext, 0);

    if (o == NULL)
        return NULL;
    o->body = (char *)memory + (body.s - (char *)memory);
    o->body_len = (uint32_t)body.len;
    o->memory = memory;
    return o;
}

void mcp_out_free(struct mcp_session *s, struct mcp_out *o)
{
    if (o == NULL)
        return;
    if (o->n_pins > 0) {
        o->is_done = true;
        return;
    }
    if (o->memory != NULL)
        (void)mcp_pool_resize(s->pool, o->memory, 0);
    if (o->kind < N_MCP_KINDS)
        mcp_pool_put(s->pool, (enum mcp_kind)o->kind, o);
    else
        (void)mcp_pool_resize(s->pool, o, 0);
}

void mcp_out_push(struct mcp_session *s, struct mcp_call *call, struct mcp_out *o)
{
    uint32_t len = o->ext_len + o->body_len;

    if (call->last_out != NULL)
        call->last_out->next = o;
    else
        call->first_out = o;
    call->last_out = o;
    call->unsent += len;
    s->unsent += len;
    /* Behind others it waits its turn; the list it stands in is still right. */
    if (call->first_out == o)
        mcp_sched_list(s, call);
}

/* What of @o has not been counted as sent yet. */
static uint32_t left_of(const struct mcp_out *o)
{
    return (o->is_begun ? 0 : o->ext_len) + o->body_len - o->sent;
}

struct mcp_out *mcp_out_pop(struct mcp_session *s, struct mcp_call *call)
{
    struct mcp_out *o = call->first_out;

    call->first_out = o->next;
    if (o->next == NULL)
        call->last_out = NULL;
    o->next = NULL;
    call->unsent -= left_of(o);
    s->unsent -= left_of(o);
    return o;
}

void mcp_out_drop(struct mcp_session *s, struct mcp_call *call)
{
    while (call->first_out != NULL)
        mcp_out_free(s, mcp_out_pop(s, call));
    mcp_out_free(s, call->error_out);
    call->error_out = NULL;
    mcp_sched_unlist(call);
}

void mcp_out_put_control(struct mcp_session *s, struct mcp_out *o)
{
    if (s->last_control != NULL)
        s->last_control->next = o;
    else
        s->first_control = o;
    s->last_control = o;
    s->n_control++;
}

struct mcp_out *mcp_out_control(struct mcp_session *s, unsigned type, uint32_t seq, size_t body_len)
{
    struct mcp_out *o = mcp_out_new(s, type, NULL, body_len);

    if (o == NULL)
        return NULL;
    o->seq = seq;
    mcp_out_put_control(s, o);
    return o;
}

struct mcp_out *mcp_out_new_error(struct mcp_session *s, uint32_t seq, const struct mcp_ext *ext,
                                  const struct mcp_error *error)
{
    struct mcp_out *o = mcp_out_new(s, MCP_ERROR, ext, mcp_error_len(error));

    if (o == NULL)
        return NULL;
    o->seq = seq;
    mcp_error_pack(o->body, error);
    return o;
}

void mcp_out_drop_control(struct mcp_session *s)
{
    while (s->first_control != NULL) {
        struct mcp_out *o = s->first_control;

        s->first_control = o->next;
        mcp_out_free(s, o);
    }
    s->last_control = NULL;
    s->n_control = 0;
}
