/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "client/call.h"

/*
 * Making one
 */

/* What a request asks for, before there is memory for it. */
struct draft {
    chasqui_request request;
    const struct client_class *class;
    struct client_inherited inherited;
    struct str service;
    struct str session;
};

static const char *draft_class(struct draft *d, const chasqui_client *client)
{
    const char *name = d->request.class_name;

    if (name == NULL && d->inherited.class_name[0] != '\0')
        name = d->inherited.class_name;
    d->class = client_options_class(&client->options, name != NULL ? name : "request");
    if (d->class == NULL)
        return "no class of calls has this name";
    if (name == NULL)
        return NULL;
    return client_metadata_put(d->inherited.tlvs, &d->inherited.tlvs_len, CLIENT_TLVS_MAX,
                               STR("class"), str_of(name)) < 0
               ? "too much metadata"
               : NULL;
}

static bool is_printable(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.s[i] <= ' ' || text.s[i] > '~')
            return false;
    return true;
}

/* Return: NULL, or what is wrong. */
static const char *draft_read(struct draft *d, const chasqui_client *client,
                              const chasqui_request *request)
{
    if (request == NULL || client_copy_sized(&d->request, sizeof(d->request), request,
                                             request->size, offsetof(chasqui_request, context)) < 0)
        return "bad size of the request";
    d->service = str_of(d->request.service);
    d->session = str_of(d->request.session);
    if (!client_service_is_name(d->service))
        return "bad name of a service";
    if (d->session.len > MCP_SESSION_MAX || !is_printable(d->session))
        return "bad session";
    if (d->request.payload.len > 0 && d->request.payload.data == NULL)
        return "a payload without bytes";
    if (d->request.payload.len > UINT32_MAX / 2)
        return "the payload is too long";
    if (client_context_inherit(d->request.context, &d->inherited) < 0)
        return "too much metadata";
    return draft_class(d, client);
}

static struct str put(char **at, struct str bytes)
{
    char *to = *at;

    if (bytes.len > 0)
        *at = mempcpy(to, bytes.s, bytes.len);
    return str_make(to, bytes.len);
}

static nsec_t choose_time(uint32_t own_ms, nsec_t of_class)
{
    if (own_ms == 0)
        return of_class;
    return own_ms == CHASQUI_NEVER ? NSEC_NEVER : (nsec_t)own_ms * NSEC_PER_MSEC;
}

static void fill(chasqui_call *call, const struct draft *d)
{
    const chasqui_request *request = &d->request;
    char *at = call->bytes;

    call->service = put(&at, d->service);
    call->payload = put(&at, client_str(request->payload));
    call->session = put(&at, d->session);
    call->tlvs = put(&at, str_make(d->inherited.tlvs, d->inherited.tlvs_len));
    call->known = client_service_find(call->service);
    call->has_trace = d->inherited.has_trace;
    if (call->has_trace)
        memcpy(call->trace, d->inherited.trace, sizeof(call->trace));
    call->timeout_ns = choose_time(request->timeout_ms, d->class->timeout_ns);
    call->silence_ns = choose_time(request->silence_ms, d->class->silence_ns);
    call->retry_settings = call->client->options.retry;
    call->retry_settings.max_retries = d->class->max_retries;
    call->is_idempotent = d->class->is_idempotent || (request->flags & CHASQUI_IDEMPOTENT) != 0;
    call->is_stream = (request->flags & CHASQUI_STREAM) != 0;
    call->context = chasqui_context_ref(request->context);
}

static const char *take_handler(chasqui_call *call, const chasqui_handler *handler)
{
    chasqui_handler h = {0};

    if (handler != NULL &&
        client_copy_sized(&h, sizeof(h), handler, handler->size, sizeof(size_t)) < 0)
        return "bad size of the handler";
    call->on_record = h.on_record;
    call->on_done = h.on_done;
    call->user = h.user;
    return NULL;
}

static chasqui_call *call_alloc(chasqui_client *client, const struct draft *d)
{
    size_t len = d->service.len + d->request.payload.len + d->session.len + d->inherited.tlvs_len;
    chasqui_call *call = client_get(client, sizeof(*call) + len);

    if (call == NULL)
        return NULL;
    *call = (chasqui_call){.client = client, .mail = {.deliver = client_call_on_mail}};
    call->size = sizeof(*call) + len;
    atomic_init(&call->refs, 1);
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    list_init(&call->watch);
    list_init(&call->link);
    list_init(&call->queued);
    fill(call, d);
    return call;
}

chasqui_call *client_call_new(chasqui_client *client, const chasqui_request *request,
                              const chasqui_handler *handler, chasqui_error *ret_error)
{
    struct draft d;
    const char *wrong = draft_read(&d, client, request);
    chasqui_call *call;

    if (wrong != NULL) {
        (void)client_error_local(ret_error, MCP_INVALID_ARGUMENT, wrong);
        return NULL;
    }
    call = call_alloc(client, &d);
    if (call == NULL) {
        (void)client_error_errno(ret_error, -ENOMEM);
        return NULL;
    }
    wrong = take_handler(call, handler);
    if (wrong != NULL) {
        (void)client_error_local(ret_error, MCP_INVALID_ARGUMENT, wrong);
        client_call_unref(call);
        return NULL;
    }
    return call;
}
