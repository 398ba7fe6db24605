/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "mcp/state.h"

#define IN_FIRST 4096

/* What is wrong with a fragmented, or a claimed, length. */
static unsigned check_lengths(const struct mcp_session *s, const struct mcp_frame *f,
                              const struct mcp_ext *ext, size_t body_len, const char **ret_text)
{
    bool is_more = (f->flags & MCP_MORE) != 0;
    size_t total = ext->has_total_len ? ext->total_len : body_len;

    *ret_text = "TOTAL_LEN is missing";
    if (is_more && !ext->has_total_len)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "the message is too large";
    if (total > s->settings->hello.max_message)
        return MCP_TOO_LARGE;
    if (ext->has_compression && ext->raw_len > s->settings->hello.max_message)
        return MCP_TOO_LARGE;
    *ret_text = "TOTAL_LEN is false";
    if (is_more ? body_len > total : body_len != total)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "the fragment is too small";
    if (is_more && body_len < s->settings->fragment_min)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "the raw length is false";
    if (ext->has_compression && ext->compression == MCP_COMPRESSION_NONE && ext->raw_len != total)
        return MCP_INVALID_ARGUMENT;
    return MCP_OK;
}

unsigned mcp_receive_check_first(const struct mcp_session *s, const struct mcp_frame *f,
                                 const struct mcp_ext *ext, struct str body, const char **ret_text)
{
    struct str codecs = s->settings->hello.codecs;

    /* An answer has its request's codec, whatever it says. */
    *ret_text = "the codec is not supported";
    if (s->role == MCP_SERVER && codecs.len > 0 && !mcp_hello_has(codecs, ext->codec))
        return MCP_UNIMPLEMENTED;
    *ret_text = "the compression was not negotiated";
    if (ext->compression != MCP_COMPRESSION_NONE && (s->compressions & 1u << ext->compression) == 0)
        return MCP_UNIMPLEMENTED;
    *ret_text = "lanes were not negotiated";
    if (ext->order_lane != 0 && (s->features & MCP_FEATURE_LANES) == 0)
        return MCP_UNIMPLEMENTED;
    return check_lengths(s, f, ext, body.len, ret_text);
}

/*
 * Room for @n more bytes, doubling, but never more than the message may have. Return: 0; -ENOMEM.
 */
static int reserve(struct mcp_session *s, struct mcp_in *in, uint32_t n)
{
    uint64_t most = (uint64_t)in->ext_len + in->total;
    uint64_t cap = in->cap > 0 ? in->cap : IN_FIRST;
    char *data;

    if (in->cap - in->len >= n)
        return 0;
    while (cap < (uint64_t)in->len + n)
        cap *= 2;
    if (cap > most)
        cap = most;
    data = mcp_pool_resize(s->pool, in->data, cap > 0 ? cap : 1);
    if (data == NULL)
        return -ENOMEM;
    in->data = data;
    in->cap = (uint32_t)cap;
    return 0;
}

static int append(struct mcp_session *s, struct mcp_in *in, struct str bytes)
{
    int r = reserve(s, in, (uint32_t)bytes.len);

    if (r < 0)
        return r;
    if (bytes.len > 0)
        memcpy(in->data + in->len, bytes.s, bytes.len);
    in->len += (uint32_t)bytes.len;
    s->partial_bytes += bytes.len;
    return 0;
}

unsigned mcp_receive_begin(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f,
                           const struct mcp_ext *ext, struct str body)
{
    call->in = (struct mcp_in){
        .ext_len = (uint32_t)(f->payload.len - body.len),
        .total = ext->total_len,
        .cost = (uint32_t)f->payload.len,
        .type = f->type,
    };
    if (append(s, &call->in, f->payload) < 0)
        return MCP_OVERLOADED;
    call->in.is_open = true;
    call->order = ++s->order;
    call->progress = s->now;
    list_put_back(&s->partials, &call->partial);
    s->n_partial++;
    return MCP_OK;
}

static void close_partial(struct mcp_session *s, struct mcp_call *call)
{
    if (!call->in.is_open)
        return;
    call->in.is_open = false;
    list_remove(&call->partial);
    s->n_partial--;
}

unsigned mcp_receive_more(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f,
                          const char **ret_text, bool *ret_is_whole)
{
    struct mcp_in *in = &call->in;
    uint64_t len = (uint64_t)in->len - in->ext_len + f->payload.len;
    bool is_more = (f->flags & MCP_MORE) != 0;

    *ret_text = "the fragment is too small";
    if (is_more && f->payload.len < s->settings->fragment_min)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "TOTAL_LEN is false";
    if (is_more ? len > in->total : len != in->total)
        return MCP_INVALID_ARGUMENT;
    *ret_text = "no memory for the message";
    if (append(s, in, f->payload) < 0)
        return MCP_OVERLOADED;
    in->cost += (uint32_t)f->payload.len;
    call->progress = s->now;
    list_remove(&call->partial);
    list_put_back(&s->partials, &call->partial);
    *ret_is_whole = !is_more;
    if (!is_more)
        close_partial(s, call);
    return MCP_OK;
}

unsigned mcp_receive_keep(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    /* The block begins with its length, in front of the TLVs. */
    struct str block = str_make(m->ext->tlvs.s - 2, m->ext->tlvs.len + 2);

    call->in = (struct mcp_in){
        .ext_len = (uint32_t)block.len,
        .total = (uint32_t)m->body.len,
        .cost = m->cost,
        .type = MCP_REQUEST,
    };
    if (append(s, &call->in, block) < 0 || append(s, &call->in, m->body) < 0)
        return MCP_OVERLOADED;
    call->order = ++s->order;
    return MCP_OK;
}

struct mcp_in mcp_receive_take(struct mcp_session *s, struct mcp_call *call,
                               struct mcp_ext *ret_ext, struct mcp_message *ret_message)
{
    struct mcp_in in = call->in;
    struct str body = STR_NULL;
    int r;

    *ret_ext = (struct mcp_ext){0};
    close_partial(s, call);
    call->in = (struct mcp_in){0};
    s->partial_bytes -= in.len;
    /* It was read once already, and a message that is kept has a block. */
    r = mcp_ext_parse(str_make(in.data, in.len), ret_ext, &body);
    assert(r == 0);
    *ret_message = (struct mcp_message){.ext = ret_ext, .body = body, .cost = in.cost};
    return in;
}

void mcp_receive_free(struct mcp_session *s, struct mcp_in *in)
{
    (void)mcp_pool_resize(s->pool, in->data, 0);
    in->data = NULL;
}

void mcp_receive_drop(struct mcp_session *s, struct mcp_call *call)
{
    close_partial(s, call);
    s->partial_bytes -= call->in.len;
    if (call->in.data != NULL)
        mcp_receive_free(s, &call->in);
    call->in = (struct mcp_in){0};
}

struct mcp_call *mcp_receive_excess(const struct mcp_session *s)
{
    struct mcp_call *victim = NULL;

    if (s->n_partial <= s->settings->partial_max && s->partial_bytes <= s->settings->partial_bytes)
        return NULL;
    list_for_each (it, &s->calls) {
        struct mcp_call *call = container_of(it, struct mcp_call, all);

        if (call->in.len > 0 && (victim == NULL || call->order > victim->order))
            victim = call;
    }
    return victim;
}

void mcp_receive_credit(struct mcp_session *s, struct mcp_call *call)
{
    if (!call->is_listed || !mcp_rx_is_due(&call->rx, call->in.is_open))
        return;
    list_remove(&call->credited);
    list_put_back(&s->credited, &call->credited);
}

int mcp_session_charge(struct mcp_session *s, uint32_t n_bytes)
{
    if (s->partial_bytes + n_bytes > s->settings->partial_bytes)
        return -ENOBUFS;
    s->partial_bytes += n_bytes;
    return 0;
}

void mcp_session_discharge(struct mcp_session *s, uint32_t n_bytes)
{
    s->partial_bytes -= n_bytes < s->partial_bytes ? n_bytes : s->partial_bytes;
}
