/* SPDX-License-Identifier: MIT */
#include "client/fault.h"

#include <errno.h>

#include "base/err.h"

/* The public numbers are the wire's. */
_Static_assert((int)CHASQUI_UNAUTHENTICATED == (int)MCP_UNAUTHENTICATED, "codes");
_Static_assert((int)CHASQUI_FLOW_CONTROL == (int)MCP_FLOW_CONTROL, "codes");
_Static_assert((int)CHASQUI_PARTIAL == (int)MCP_PARTIAL, "flags");
_Static_assert((int)CHASQUI_ORIGIN_TRANSPORT == (int)MCP_ORIGIN_TRANSPORT, "origins");
_Static_assert((int)CHASQUI_CLASS_PROTOCOL == (int)MCP_CLASS_PROTOCOL, "classes");

const char *chasqui_code_name(int code)
{
    return mcp_code_info(code < 0 ? MCP_UNKNOWN : (unsigned)code)->name;
}

int chasqui_code_class(int code)
{
    return (int)mcp_code_info(code < 0 ? MCP_UNKNOWN : (unsigned)code)->class;
}

const char *chasqui_library_version(void)
{
    return CHASQUI_VERSION;
}

struct client_end client_end_local(unsigned code, unsigned flags, const char *text)
{
    return (struct client_end){
        .code = code,
        .flags = flags,
        .origin = MCP_ORIGIN_LOCAL,
        .retry_after_ms = -1,
        .text = str_of(text),
    };
}

static struct client_end end_of_error(const struct mcp_error *error)
{
    bool is_overload = error->code == MCP_OVERLOADED || error->code == MCP_RESOURCE_EXHAUSTED;
    bool is_transient = mcp_code_info(error->code)->class == MCP_CLASS_TRANSIENT;
    bool is_unseen = (error->flags & MCP_NOT_PROCESSED) != 0;
    struct client_end end = {
        .code = error->code != MCP_OK ? error->code : MCP_UNKNOWN,
        .flags = error->flags,
        .origin = error->origin,
        .retry_after_ms = -1,
        .outcome = is_transient || is_unseen ? CALL_RESET : CALL_OK,
        .text = error->text,
        .tlvs = error->ext != NULL ? error->ext->tlvs : STR_NULL,
    };

    if (is_overload)
        end.outcome = CALL_OVERLOAD;
    if (error->retry_after_ms != MCP_NO_RETRY_AFTER)
        end.retry_after_ms = error->retry_after_ms;
    return end;
}

struct client_end client_end_of(const struct mcp_message *response, const struct mcp_error *error)
{
    if (error != NULL)
        return end_of_error(error);
    return (struct client_end){
        .retry_after_ms = -1,
        .body = response->body,
        .tlvs = response->ext != NULL ? response->ext->tlvs : STR_NULL,
    };
}

/* Cut at a character's boundary: its continuation bytes are 10xxxxxx. */
static void set_text(chasqui_error *e, struct str text)
{
    size_t len = text.len < sizeof(e->text) ? text.len : sizeof(e->text) - 1;

    while (len > 0 && len < text.len && ((unsigned char)text.s[len] & 0xC0) == 0x80)
        len--;
    if (len > 0)
        memcpy(e->text, text.s, len);
    e->text[len] = '\0';
}

int client_error_set(chasqui_error *ret, const struct client_end *end)
{
    if (ret == NULL)
        return (int)end->code;
    ret->code = (int)end->code;
    ret->error_class = chasqui_code_class(ret->code);
    ret->flags = end->flags;
    ret->origin = (int)end->origin;
    ret->retry_after_ms = end->code == MCP_OK ? -1 : end->retry_after_ms;
    set_text(ret, end->code == MCP_OK || end->text.len > 0 ? end->text
                                                           : str_of(chasqui_code_name(ret->code)));
    return ret->code;
}

int client_error_local(chasqui_error *ret, unsigned code, const char *text)
{
    struct client_end end = client_end_local(code, code == MCP_OK ? 0 : MCP_NOT_PROCESSED, text);

    return client_error_set(ret, &end);
}

int client_error_errno(chasqui_error *ret, int err)
{
    switch (-err) {
    case ENOMEM:
        return client_error_local(ret, MCP_RESOURCE_EXHAUSTED, "out of memory");
    case EMFILE:
    case ENFILE:
    case EAGAIN:
        return client_error_local(ret, MCP_RESOURCE_EXHAUSTED, err_text(err));
    case EMSGSIZE:
        return client_error_local(ret, MCP_TOO_LARGE, "longer than the other side takes");
    case ENOBUFS:
        return client_error_local(ret, MCP_OVERLOADED, "too much is waiting to be sent");
    case ENOSYS:
        return client_error_local(ret, MCP_UNIMPLEMENTED, "this service exists over mcp:// only");
    case EOPNOTSUPP:
        return client_error_local(ret, MCP_UNIMPLEMENTED, "the other side has not agreed to it");
    case EINVAL:
        return client_error_local(ret, MCP_INVALID_ARGUMENT, err_text(err));
    default:
        return client_error_local(ret, MCP_UNAVAILABLE, err_text(err));
    }
}

chasqui_reply client_reply_view(const struct client_end *end)
{
    chasqui_reply reply = {.metadata = client_bytes(end->tlvs)};

    if (client_error_set(&reply.error, end) == CHASQUI_OK)
        reply.body = client_bytes(end->body);
    return reply;
}

int client_reply_fail(chasqui_reply *ret, unsigned code, const char *text)
{
    *ret = (chasqui_reply){0};
    return client_error_local(&ret->error, code, text);
}

int client_reply_copy(chasqui_reply *ret, const chasqui_reply *view)
{
    struct str body = client_str(view->body);
    struct str tlvs = client_str(view->metadata);
    char *memory;
    char *at;

    *ret = (chasqui_reply){.error = view->error};
    if (body.len + tlvs.len == 0 && view->error.code != CHASQUI_OK)
        return ret->error.code;
    memory = malloc(body.len + 1 + tlvs.len);
    if (memory == NULL)
        return client_error_local(&ret->error, MCP_RESOURCE_EXHAUSTED, "no memory for the answer");
    at = body.len > 0 ? mempcpy(memory, body.s, body.len) : memory;
    *at++ = '\0';
    if (tlvs.len > 0)
        memcpy(at, tlvs.s, tlvs.len);
    ret->memory = memory;
    ret->body = chasqui_bytes_make(memory, body.len);
    ret->metadata = chasqui_bytes_make(at, tlvs.len);
    return ret->error.code;
}

int chasqui_reply_metadata(const chasqui_reply *reply, const char *key, chasqui_bytes *ret_value)
{
    const struct mcp_ext ext = {.tlvs = client_str(reply->metadata)};
    struct str value = mcp_ext_metadata(&ext, str_of(key));

    if (value.s == NULL)
        return CHASQUI_NOT_FOUND;
    *ret_value = client_bytes(value);
    return CHASQUI_OK;
}

void chasqui_reply_free(chasqui_reply *reply)
{
    if (reply == NULL)
        return;
    free(reply->memory);
    *reply = (chasqui_reply){0};
}
