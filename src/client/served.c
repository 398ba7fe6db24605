/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "client/fault.h"
#include "client/server.h"

/*
 * Calls that are served
 *
 * What the application says goes into the queue of its call and, on the loop's thread, from there
 * into the session, until that is full; its credit decides when it goes on.
 */

#define COLLECTED_MAX ((size_t)MCP_PAYLOAD_MAX + 1)

static void lock(const chasqui_served *served)
{
    (void)pthread_mutex_lock(&served->server->lock);
}

static void unlock(const chasqui_served *served)
{
    (void)pthread_mutex_unlock(&served->server->lock);
}

/*
 * The end
 */

static void let_go(chasqui_served *served)
{
    if (served->conn == NULL)
        return;
    mcp_session_discharge(&served->conn->wire.session, served->charged);
    list_remove(&served->link);
    wire_wake(&served->conn->wire);
    served->conn = NULL;
    served->call = NULL;
}

static void served_free(chasqui_served *served)
{
    list_for_each_safe (it, &served->outs)
        free(container_of(it, struct client_served_out, link));
    buf_fini(&served->collected);
    free(served->failure);
    free(served);
}

static void done(chasqui_served *served)
{
    chasqui_server *server = served->server;
    const chasqui_service *service = &served->service->public;

    let_go(served);
    if (service->on_done != NULL)
        service->on_done(service->user, served);
    served_free(served);
    client_server_left(server);
}

static void fail(chasqui_served *served, unsigned code, unsigned flags, struct str text)
{
    const struct mcp_error error =
        MCP_ERROR_MAKE((uint16_t)code, (uint8_t)flags, MCP_ORIGIN_NODE, text);

    if (served->call != NULL)
        mcp_call_fail(served->call, NULL, &error);
}

static void fail_answer(chasqui_served *served, int err)
{
    chasqui_error error;

    (void)client_error_errno(&error, err);
    if (err == -EX_CODEC || err == -EX_JSON_SYNTAX || err == -EX_JSON_TRUNCATED ||
        err == -EX_JSON_DEPTH)
        fail(served, MCP_INTERNAL, 0, STR("the answer is not what the service promises"));
    else
        fail(served, (unsigned)error.code, 0, str_of(error.text));
}

/*
 * From the queue into the session
 */

static int collect(chasqui_served *served, struct str record)
{
    int r = buf_put(&served->collected, record);

    if (r == -ENOBUFS) {
        served->is_too_long = true;
        return 0;
    }
    return r;
}

/* Compresses where that was agreed on and pays. */
static struct str shrink(chasqui_served *served, struct str body, struct mcp_ext *ret_ext)
{
    uint8_t algorithm = mcp_session_compression(served->call->session);
    struct str shrunk;

    *ret_ext = (struct mcp_ext){0};
    if (zip_shrink(&served->server->zip, (enum zip_algorithm)algorithm, body, &shrunk) != 0)
        return body;
    ret_ext->has_compression = true;
    ret_ext->compression = algorithm;
    ret_ext->raw_len = (uint32_t)body.len;
    return shrunk;
}

/* Return: 0; MCP_FULL; <0 the call is to be failed. */
static int send_record(chasqui_served *served, struct str record)
{
    struct mcp_ext ext;
    struct str bytes;
    int r;

    if (served->call == NULL)
        return 0;
    if (served->is_plain)
        return collect(served, record);
    r = client_coder_answer(&served->server->coder, served->service->known, served->codec, record,
                            &bytes);
    if (r < 0)
        return r;
    bytes = shrink(served, bytes, &ext);
    r = mcp_call_chunk(served->call, ext.has_compression ? &ext : NULL, bytes);
    return r == -ECANCELED ? 0 : r;
}

static int respond(chasqui_served *served, struct str body)
{
    struct mcp_ext ext;
    struct str bytes;
    int r;

    if (served->call == NULL)
        return 0;
    if (served->is_plain && served->collected.len > 0) {
        r = collect(served, body);
        return r < 0 ? r : mcp_call_respond(served->call, NULL, buf_str(&served->collected));
    }
    r = client_coder_answer(&served->server->coder, served->service->known, served->codec, body,
                            &bytes);
    if (r < 0)
        return r;
    bytes = shrink(served, bytes, &ext);
    return mcp_call_respond(served->call, ext.has_compression ? &ext : NULL, bytes);
}

static void end(chasqui_served *served, const struct client_served_out *out)
{
    struct str bytes = str_make(out->bytes, out->len);
    int r;

    if (out->kind == CLIENT_SERVED_ERROR) {
        fail(served, out->code, out->flags, bytes);
        return;
    }
    if (served->is_too_long) {
        fail(served, MCP_TOO_LARGE, 0, STR("the answer is too large for the plain profile"));
        return;
    }
    r = respond(served, bytes);
    if (r < 0)
        fail_answer(served, r);
}

static bool ends_with_error(const chasqui_served *served)
{
    struct list *last = served->outs.prev;

    return last != &served->outs &&
           container_of(last, struct client_served_out, link)->kind == CLIENT_SERVED_ERROR;
}

/* Whether the next thing may be said. An error does not wait for credit; an end does for mail that
 * is on its way, since the call is gone behind it. */
static bool may_go_on(const chasqui_served *served)
{
    struct list *next = list_first(&served->outs);

    if (next == NULL || (served->is_blocked && !ends_with_error(served)))
        return false;
    return !served->is_posted ||
           container_of(next, struct client_served_out, link)->kind == CLIENT_SERVED_RECORD;
}

static struct client_served_out *next_out(chasqui_served *served)
{
    struct client_served_out *out = NULL;

    lock(served);
    if (may_go_on(served)) {
        out = container_of(list_first(&served->outs), struct client_served_out, link);
        list_remove(&out->link);
        if (out->kind == CLIENT_SERVED_RECORD)
            served->n_waiting -= out->len;
    }
    unlock(served);
    return out;
}

static void set_blocked(chasqui_served *served, bool is_blocked)
{
    lock(served);
    served->is_blocked = is_blocked;
    unlock(served);
}

/* A record that cannot be sent: the client is told, the application hears of a cancel. */
static void break_off(chasqui_served *served, int err)
{
    const chasqui_service *service = &served->service->public;

    if (served->call == NULL)
        return;
    fail_answer(served, err);
    let_go(served);
    if (!atomic_exchange_explicit(&served->is_cancelled, true, memory_order_relaxed) &&
        service->on_cancel != NULL)
        service->on_cancel(service->user, served);
}

static void tell_room(chasqui_served *served)
{
    const chasqui_service *service = &served->service->public;
    bool is_due;

    lock(served);
    is_due = served->is_full && !served->is_blocked && list_is_empty(&served->outs);
    served->is_full = served->is_full && !is_due;
    unlock(served);
    if (is_due && service->on_room != NULL &&
        !atomic_load_explicit(&served->is_cancelled, memory_order_relaxed))
        service->on_room(service->user, served);
}

static void drive(chasqui_served *served)
{
    struct client_served_out *out;

    while ((out = next_out(served)) != NULL) {
        int r = 0;

        if (out->kind != CLIENT_SERVED_RECORD) {
            end(served, out);
            free(out);
            done(served);
            return;
        }
        r = send_record(served, str_make(out->bytes, out->len));
        free(out);
        if (r < 0)
            break_off(served, r);
        else if (r == MCP_FULL)
            set_blocked(served, true);
    }
    if (served->conn != NULL)
        wire_wake(&served->conn->wire);
    tell_room(served);
}

static void on_mail(struct net_mail *mail)
{
    chasqui_served *served = container_of(mail, chasqui_served, mail);

    lock(served);
    served->is_posted = false;
    unlock(served);
    drive(served);
}

/* Under the lock: the loop cannot end before it is let go. */
static void post(chasqui_served *served)
{
    if (served->is_posted)
        return;
    served->is_posted = true;
    net_mail_post(&served->server->loop, &served->mail);
}

/*
 * What the session tells
 */

/* The request as the application gets it, in memory of its own. NULL without memory. */
static chasqui_served *served_new(const struct client_server_service *service, struct str payload,
                                  const struct mcp_message *request)
{
    struct str tlvs = request->ext->tlvs;
    chasqui_served *served = malloc(sizeof(*served) + payload.len + 1 + tlvs.len);
    char *at;

    if (served == NULL)
        return NULL;
    *served = (chasqui_served){
        .service = service,
        .codec = (enum codec_id)request->ext->codec,
        .payload = str_make(served->bytes, payload.len),
        .mail = {.deliver = on_mail},
        .collected = BUF_INIT(COLLECTED_MAX),
    };
    served->failure = malloc(sizeof(*served->failure) + CHASQUI_ERROR_TEXT_MAX);
    if (served->failure == NULL) {
        free(served);
        return NULL;
    }
    list_init(&served->outs);
    list_init(&served->link);
    at = payload.len > 0 ? mempcpy(served->bytes, payload.s, payload.len) : served->bytes;
    *at++ = '\0';
    if (tlvs.len > 0)
        memcpy(at, tlvs.s, tlvs.len);
    served->tlvs = str_make(at, tlvs.len);
    return served;
}

static void refuse(struct mcp_call *call, unsigned code, const char *text)
{
    const struct mcp_error error =
        MCP_ERROR_MAKE((uint16_t)code, MCP_NOT_PROCESSED, MCP_ORIGIN_NODE, str_of(text));

    mcp_call_fail(call, NULL, &error);
}

/* The body as JSON, or as it is, valid until the next. Return: MCP_OK, or the code to refuse it by. */
static unsigned open_body(chasqui_server *server, const struct client_server_service *service,
                          const struct mcp_message *request, struct str *ret)
{
    struct str body = request->body;
    int r = 0;

    if (request->ext->compression != MCP_COMPRESSION_NONE)
        r = zip_grow(&server->zip, (enum zip_algorithm)request->ext->compression, body,
                     request->ext->raw_len, &body);
    if (r == 0)
        r = client_coder_asked(&server->coder, service->known, (enum codec_id)request->ext->codec,
                               body, ret);
    if (r == -ENOMEM)
        return MCP_RESOURCE_EXHAUSTED;
    return r < 0 ? MCP_INVALID_ARGUMENT : MCP_OK;
}

/* Return: the call, charged to its session; NULL it was refused. */
static chasqui_served *admit(struct client_server_conn *conn, struct mcp_call *call,
                             const struct mcp_message *request)
{
    chasqui_server *server = conn->server;
    const struct client_server_service *service = client_server_find(server, request->ext->method);
    chasqui_served *served;
    struct str payload;
    unsigned code;

    if (service == NULL) {
        refuse(call, MCP_UNIMPLEMENTED, "no such service");
        return NULL;
    }
    code = open_body(server, service, request, &payload);
    if (code != MCP_OK) {
        refuse(call, code, "the body is not what its codec and compression say");
        return NULL;
    }
    if (mcp_session_charge(call->session, (uint32_t)payload.len) < 0) {
        refuse(call, MCP_OVERLOADED, "too much is held for this connection");
        return NULL;
    }
    served = served_new(service, payload, request);
    if (served == NULL) {
        mcp_session_discharge(call->session, (uint32_t)payload.len);
        refuse(call, MCP_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    served->charged = (uint32_t)payload.len;
    return served;
}

void client_served_request(struct mcp_session *s, struct mcp_call *call,
                           const struct mcp_message *request)
{
    struct client_server_conn *conn = container_of(wire_of(s), struct client_server_conn, wire);
    chasqui_served *served = admit(conn, call, request);

    if (served == NULL)
        return;
    served->server = conn->server;
    served->conn = conn;
    served->call = call;
    served->due = mcp_call_deadline(call);
    served->is_plain = s->is_plain;
    call->owner = served;
    list_put_back(&conn->calls, &served->link);
    conn->server->n_calls++;
    served->service->public.on_request(served->service->public.user, served);
}

/* What waits for credit will not get it: the queue moves on, and finds that nobody listens. */
static void cancel(chasqui_served *served)
{
    const chasqui_service *service = &served->service->public;

    if (atomic_exchange_explicit(&served->is_cancelled, true, memory_order_relaxed))
        return;
    if (service->on_cancel != NULL)
        service->on_cancel(service->user, served);
    lock(served);
    served->is_blocked = false;
    post(served);
    unlock(served);
}

void client_served_cancelled(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    (void)s;
    (void)reason;
    cancel(call->owner);
}

void client_served_lost(chasqui_served *served)
{
    list_remove(&served->link);
    served->conn = NULL;
    served->call = NULL;
    cancel(served);
}

void client_served_room(struct mcp_session *s, struct mcp_call *call)
{
    chasqui_served *served = call->owner;

    (void)s;
    set_blocked(served, false);
    lock(served);
    post(served); /* not at once: it may end the call that the session has in hand */
    unlock(served);
}

/*
 * Public: what there is to know
 */

const char *chasqui_served_service(const chasqui_served *call)
{
    return call->service->name;
}

chasqui_bytes chasqui_served_payload(const chasqui_served *call)
{
    return client_bytes(call->payload);
}

int chasqui_served_codec(const chasqui_served *call)
{
    return call->codec == CODEC_JSON || call->service->known != NULL ? CHASQUI_CODEC_JSON
                                                                     : CHASQUI_CODEC_PROTOBUF;
}

int chasqui_served_metadata(const chasqui_served *call, const char *key, chasqui_bytes *ret_value)
{
    const struct mcp_ext ext = {.tlvs = call->tlvs};
    struct str value = mcp_ext_metadata(&ext, str_of(key));

    if (value.s == NULL)
        return CHASQUI_NOT_FOUND;
    *ret_value = client_bytes(value);
    return CHASQUI_OK;
}

int64_t chasqui_served_time_left_ms(const chasqui_served *call)
{
    nsec_t now = time_now();

    if (call->due == NSEC_NEVER)
        return -1;
    return call->due > now ? (call->due - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;
}

int chasqui_served_is_cancelled(const chasqui_served *call)
{
    return atomic_load_explicit(&call->is_cancelled, memory_order_relaxed);
}

int chasqui_served_is_streamed(const chasqui_served *call)
{
    return !call->is_plain;
}

void chasqui_served_set_user(chasqui_served *call, void *call_user)
{
    call->user = call_user;
}

void *chasqui_served_user(const chasqui_served *call)
{
    return call->user;
}

/*
 * Public: answers
 */

static struct client_served_out *out_new(enum client_served_kind kind, chasqui_bytes body)
{
    struct client_served_out *out = malloc(sizeof(*out) + body.len);

    if (out == NULL)
        return NULL;
    *out = (struct client_served_out){.kind = kind, .len = body.len};
    list_init(&out->link);
    if (body.len > 0)
        memcpy(out->bytes, body.data, body.len);
    return out;
}

int chasqui_served_record(chasqui_served *call, chasqui_bytes record)
{
    struct client_served_out *out;
    bool is_over;
    bool is_full;

    if (atomic_load_explicit(&call->is_cancelled, memory_order_relaxed))
        return CHASQUI_CANCELLED;
    out = out_new(CLIENT_SERVED_RECORD, record);
    if (out == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    lock(call);
    is_over = call->n_waiting >= CLIENT_SERVED_MAX_BYTES;
    if (!is_over) {
        call->n_waiting += record.len;
        list_put_back(&call->outs, &out->link);
        call->is_full =
            call->is_full || call->is_blocked || call->n_waiting >= CLIENT_SERVED_FULL_BYTES;
        post(call);
    }
    is_full = call->is_full;
    unlock(call);
    if (is_over)
        free(out);
    if (is_over)
        return CHASQUI_OVERLOADED;
    return is_full ? CHASQUI_SERVED_FULL : CHASQUI_OK;
}

int chasqui_served_respond(chasqui_served *call, chasqui_bytes body)
{
    struct client_served_out *out = out_new(CLIENT_SERVED_RESPONSE, body);
    chasqui_server *server = call->server;

    if (out == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    (void)pthread_mutex_lock(&server->lock);
    list_put_back(&call->outs, &out->link);
    post(call);
    (void)pthread_mutex_unlock(&server->lock);
    return CHASQUI_OK;
}

void chasqui_served_fail(chasqui_served *call, int code, unsigned flags, const char *text)
{
    struct client_served_out *out = TAKE(call->failure);
    chasqui_server *server = call->server;
    chasqui_error error;
    struct client_end end =
        client_end_local(code > 0 && code <= UINT16_MAX ? (unsigned)code : MCP_UNKNOWN, flags,
                         text != NULL ? text : "");

    (void)client_error_set(&error, &end); /* cuts the text */
    *out = (struct client_served_out){.kind = CLIENT_SERVED_ERROR,
                                      .code = (uint16_t)error.code,
                                      .flags = (uint8_t)flags,
                                      .len = strlen(error.text)};
    list_init(&out->link);
    memcpy(out->bytes, error.text, out->len);
    (void)pthread_mutex_lock(&server->lock);
    list_put_back(&call->outs, &out->link);
    post(call);
    (void)pthread_mutex_unlock(&server->lock);
}
