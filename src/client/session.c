/* SPDX-License-Identifier: MIT */
#include <chasqui/session.h>

#include <errno.h>

#include "client/fault.h"
#include "client/options.h"
#include "mcp/session.h"

/* The public face of mcp/session.h: the same functions, with types that can be promised. A public
 * call is an mcp_call under another name. */

#define PIECES_MAX 64

struct chasqui_session {
    struct mcp_session mcp;
    struct mcp_settings settings;
    struct mcp_pool pool;
    chasqui_session_handler handler;
    size_t key_len;
    char key[1 + CLIENT_KEY_MAX]; /* mechanism, secret */
};

static chasqui_session *session_of(struct mcp_session *s)
{
    return container_of(s, chasqui_session, mcp);
}

static struct mcp_call *inside(const chasqui_session_call *call)
{
    return (struct mcp_call *)(uintptr_t)call;
}

static chasqui_session_call *outside(struct mcp_call *call)
{
    return (chasqui_session_call *)call;
}

/*
 * What the session tells
 */

static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    const chasqui_session *session = session_of(s);
    bool is_asked = s->role == MCP_SERVER && session->key_len > 0;

    return is_asked && !str_eq_secret(hello->auth, str_make(session->key, 1 + session->key_len))
               ? MCP_UNAUTHENTICATED
               : MCP_OK;
}

static void on_chunk(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *chunk)
{
    const chasqui_session_handler *h = &session_of(s)->handler;

    if (h->on_record != NULL)
        h->on_record(h->user, call->owner, client_bytes(chunk->body), chunk->cost);
    else
        mcp_call_take(call, chunk->cost);
}

static void on_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *response,
                   const struct mcp_error *error)
{
    const chasqui_session_handler *h = &session_of(s)->handler;
    struct client_end end = client_end_of(response, error);
    chasqui_reply reply = client_reply_view(&end);

    if (h->on_end != NULL)
        h->on_end(h->user, call->owner, &reply);
}

static void on_request(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *q)
{
    const chasqui_session_handler *h = &session_of(s)->handler;
    const chasqui_session_request request = {
        .service = client_bytes(q->ext->method),
        .body = client_bytes(q->body),
        .codec = q->ext->codec,
        .deadline_ms = q->ext->has_deadline ? (int64_t)q->ext->deadline_ms : -1,
        .metadata = client_bytes(q->ext->tlvs),
    };

    if (h->on_request != NULL)
        h->on_request(h->user, outside(call), &request);
    else
        chasqui_session_call_fail(outside(call), CHASQUI_UNIMPLEMENTED, CHASQUI_NOT_PROCESSED,
                                  "nothing is served here");
}

static void on_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    const chasqui_session_handler *h = &session_of(s)->handler;

    (void)reason;
    if (h->on_cancel != NULL)
        h->on_cancel(h->user, outside(call));
}

static void on_room(struct mcp_session *s, struct mcp_call *call)
{
    const chasqui_session_handler *h = &session_of(s)->handler;

    if (h->on_room != NULL)
        h->on_room(h->user, outside(call));
}

static const struct mcp_session_ops ops = {
    .name = "public",
    .on_hello = on_hello,
    .on_chunk = on_chunk,
    .on_end = on_end,
    .on_request = on_request,
    .on_cancel = on_cancel,
    .on_room = on_room,
};

/*
 * Life
 */

static void fill_settings(chasqui_session *session, bool is_server)
{
    session->settings = mcp_settings_default;
    session->settings.hello.features = MCP_FEATURES_BASIC;
    session->settings.hello.software = STR("libchasqui/" CHASQUI_VERSION);
    if (is_server) {
        session->settings.needs_key = session->key_len > 0;
        return;
    }
    session->settings.hello.max_inflight = 0;
    if (session->key_len > 0)
        session->settings.hello.auth = str_make(session->key, 1 + session->key_len);
}

int chasqui_session_new(enum chasqui_session_role role, const chasqui_session_handler *handler,
                        const char *key, int64_t now_ns, chasqui_session **ret_session)
{
    size_t key_len = key != NULL ? strlen(key) : 0;
    chasqui_session *session;
    int r;

    if (key_len > CLIENT_KEY_MAX || (key != NULL && key_len == 0))
        return CHASQUI_INVALID_ARGUMENT;
    session = calloc(1, sizeof(*session));
    if (session == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    r = client_copy_sized(&session->handler, sizeof(session->handler), handler, handler->size,
                          2 * sizeof(size_t));
    session->key_len = key_len;
    session->key[0] = MCP_AUTH_BEARER;
    if (key_len > 0)
        memcpy(session->key + 1, key, key_len);
    fill_settings(session, role == CHASQUI_SESSION_SERVER);
    mcp_pool_init(&session->pool, NULL);
    if (r == 0)
        r = mcp_session_init(&session->mcp,
                             role == CHASQUI_SESSION_SERVER ? MCP_SERVER : MCP_CLIENT,
                             &session->settings, &ops, &session->pool, now_ns);
    if (r < 0) {
        mcp_pool_fini(&session->pool);
        free(session);
        return client_error_errno(NULL, r);
    }
    *ret_session = session;
    return CHASQUI_OK;
}

void chasqui_session_free(chasqui_session *session)
{
    if (session == NULL)
        return;
    mcp_session_fini(&session->mcp);
    mcp_pool_fini(&session->pool);
    free(session);
}

/*
 * Bytes and time
 */

size_t chasqui_session_feed(chasqui_session *session, chasqui_bytes bytes, int64_t now_ns)
{
    return mcp_session_feed(&session->mcp, client_str(bytes), now_ns);
}

void chasqui_session_eof(chasqui_session *session, int64_t now_ns)
{
    mcp_session_eof(&session->mcp, now_ns);
}

size_t chasqui_session_output(chasqui_session *session, chasqui_bytes *pieces, size_t max,
                              int64_t now_ns)
{
    struct str out[PIECES_MAX];
    int n = mcp_session_output(&session->mcp, out, max < PIECES_MAX ? max : PIECES_MAX, now_ns);

    for (int i = 0; i < n; i++)
        pieces[i] = client_bytes(out[i]);
    return n > 0 ? (size_t)n : 0;
}

void chasqui_session_sent(chasqui_session *session, size_t n_bytes, int64_t now_ns)
{
    mcp_session_sent(&session->mcp, n_bytes, now_ns);
}

int64_t chasqui_session_next_due(const chasqui_session *session)
{
    return mcp_session_next_due(&session->mcp);
}

void chasqui_session_tick(chasqui_session *session, int64_t now_ns)
{
    mcp_session_tick(&session->mcp, now_ns);
}

enum chasqui_session_state chasqui_session_state(const chasqui_session *session)
{
    enum mcp_state state = mcp_session_state(&session->mcp);

    if (state == MCP_STATE_DEAD)
        return CHASQUI_SESSION_DEAD;
    return state == MCP_STATE_FLUSH ? CHASQUI_SESSION_FLUSH : CHASQUI_SESSION_OPEN;
}

/*
 * Calls
 */

int chasqui_session_call_open(chasqui_session *session, const char *service, chasqui_bytes body,
                              int64_t deadline_ms, void *call_user, int64_t now_ns,
                              chasqui_session_call **ret_call)
{
    const struct mcp_request request = {
        .ext =
            {
                .method = str_of(service),
                .codec = MCP_CODEC_JSON,
                .has_deadline = deadline_ms >= 0,
                .deadline_ms = deadline_ms < UINT32_MAX ? (uint32_t)deadline_ms : UINT32_MAX,
            },
        .body = client_str(body),
        .owner = call_user,
    };
    struct mcp_call *call;
    int r = mcp_session_open(&session->mcp, &request, now_ns, &call);

    if (r != 0)
        return r == MCP_BUSY ? CHASQUI_OVERLOADED : client_error_errno(NULL, r);
    if (ret_call != NULL)
        *ret_call = outside(call);
    return CHASQUI_OK;
}

void chasqui_session_call_cancel(chasqui_session_call *call, int64_t now_ns)
{
    mcp_call_cancel(inside(call), MCP_CANCEL_APPLICATION, now_ns);
}

void chasqui_session_call_take(chasqui_session_call *call, uint32_t cost)
{
    mcp_call_take(inside(call), cost);
}

int chasqui_session_call_record(chasqui_session_call *call, chasqui_bytes record)
{
    int r = mcp_call_chunk(inside(call), NULL, client_str(record));

    if (r == MCP_FULL)
        return CHASQUI_SESSION_FULL;
    if (r == -ECANCELED)
        return CHASQUI_CANCELLED;
    return r == 0 ? CHASQUI_OK : client_error_errno(NULL, r);
}

int chasqui_session_call_respond(chasqui_session_call *call, chasqui_bytes body)
{
    int r = mcp_call_respond(inside(call), NULL, client_str(body));

    return r == 0 ? CHASQUI_OK : client_error_errno(NULL, r);
}

void chasqui_session_call_fail(chasqui_session_call *call, int code, unsigned flags,
                               const char *text)
{
    struct mcp_error error =
        MCP_ERROR_MAKE((uint16_t)code, (uint8_t)flags, MCP_ORIGIN_NODE, str_of(text));

    mcp_call_fail(inside(call), NULL, &error);
}

void chasqui_session_call_set_user(chasqui_session_call *call, void *call_user)
{
    inside(call)->owner = call_user;
}

void *chasqui_session_call_user(const chasqui_session_call *call)
{
    return inside(call)->owner;
}
