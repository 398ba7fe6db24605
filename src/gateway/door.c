/* SPDX-License-Identifier: MIT */
#include "gateway/door.h"

#include <errno.h>

#include "base/err.h"
#include "gateway/coding.h"
#include "gateway/cookie.h"
#include "gateway/events.h"
#include "gateway/exchange.h"
#include "gateway/forward.h"
#include "gateway/gateway.h"
#include "gateway/home.h"
#include "gateway/upload.h"
#include "observe/log.h"

#define UNSENT_MAX     (64 * 1024) /* beyond the record in hand */
#define ORIGIN_MAX     512
#define OWN_FIELDS_MAX 2048 /* request id, CORS with its origin, Allow, node */

static const char bodies_full[] = "the memory for request bodies is used up (memory.bodies)";

struct door_conn {
    struct http_conn http;
    struct sink sink;
    struct upload_client client; /* for a body that flows */
    struct exchange *exchange;   /* of the request in hand */
    struct str own_fields;       /* fields the door adds to the answer; in the exchange's arena */
    enum zip_algorithm coding;   /* of the request's body */
    bool is_in_events;           /* the answer in hand */
    bool is_admin;               /* may see how its request was carried */
    char peer[NET_PEER_MAX];     /* "" until an access line needs it */
};

static struct door_conn *door_of(struct http_conn *c)
{
    return container_of(c, struct door_conn, http);
}

static struct worker *worker_of(const struct http_conn *c)
{
    return container_of(c->server->loop, struct worker, loop);
}

/*
 * Sink
 */

static struct door_conn *sink_owner(const struct sink *s)
{
    return container_of((struct sink *)(uintptr_t)s, struct door_conn, sink);
}

/* Fields the door adds to every answer. */
static void put_own_fields(const struct door_conn *d, struct buf *out)
{
    const struct timeline *tl = &d->exchange->tl;
    char digits[U64_DIGITS_MAX];
    int r = h1_put_field(out, STR("X-Request-Id"), str_make(tl->request_id, REQUEST_ID_LEN));

    if (r == 0)
        r = buf_put(out, d->own_fields);
    if (r == 0 && d->exchange->set_cookie.len > 0)
        r = buf_printf(
            out, "Set-Cookie: " COOKIE_NAME "=" STR_FMT "; Path=/; HttpOnly; SameSite=Lax\r\n",
            STR_ARG(d->exchange->set_cookie));
    if (r == 0 && d->is_admin && tl->queued_ns > 0)
        r = h1_put_field(
            out, STR("X-Chasqui-Queue-Ms"),
            str_make(digits, str_put_u64((uint64_t)(tl->queued_ns / NSEC_PER_MSEC), digits)));
    if (r < 0 || !d->is_admin || tl->node.len == 0)
        return;
    if (h1_put_field(out, STR("X-Chasqui-Node"), tl->node) == 0 &&
        (tl->why == NULL || h1_put_field(out, STR("X-Chasqui-Why"), str_of(tl->why)) == 0))
        (void)!h1_put_field(out, STR("X-Chasqui-Attempts"),
                            str_make(digits, str_put_u64(tl->n_attempts, digits)));
}

static void sink_head(struct sink *s, const struct answer_head *head)
{
    struct door_conn *d = sink_owner(s);
    struct str fields = head->fields;
    char text[OWN_FIELDS_MAX];
    struct buf own = {.data = text, .cap = sizeof(text), .max = sizeof(text)};

    put_own_fields(d, &own);
    d->is_in_events = d->exchange->wants_events && head->status == 200 && !head->has_length &&
                      events_retype(&d->exchange->arena, head->fields, &fields);
    http_conn_head(&d->http, &(struct http_answer){
                                 .status = head->status,
                                 .own_fields = buf_str(&own),
                                 .fields = fields,
                                 .has_length = head->has_length,
                                 .length = head->length,
                             });
}

static void sink_bytes(struct sink *s, struct str bytes)
{
    http_conn_piece(&sink_owner(s)->http, bytes);
}

static void sink_record(struct sink *s, struct str record)
{
    struct door_conn *d = sink_owner(s);
    struct str json = str_trim(record);

    if (!d->is_in_events)
        http_conn_piece(&d->http, record);
    else if (json.len > 0)
        http_conn_wrapped_piece(&d->http, STR("data: "), json, STR("\n\n"));
}

static void sink_flush(struct sink *s)
{
    http_conn_flush(&sink_owner(s)->http);
}

static void sink_end(struct sink *s, enum sink_end end)
{
    struct door_conn *d = sink_owner(s);

    d->exchange = NULL;
    http_conn_end(&d->http, end == SINK_COMPLETE);
}

static bool sink_is_full(const struct sink *s)
{
    return net_stream_unsent(&sink_owner(s)->http.stream) > UNSENT_MAX;
}

static const struct sink_ops door_sink_ops = {
    .name = "door",
    .head = sink_head,
    .record = sink_record,
    .bytes = sink_bytes,
    .flush = sink_flush,
    .end = sink_end,
    .is_full = sink_is_full,
};

/*
 * Who comes, and what for
 */

struct str door_shown_secret(const struct h1_head *head)
{
    struct str field = h1_field_get(head, STR("authorization"));

    if (field.len > 7 && str_eq_nocase(str_head(field, 7), STR("bearer ")))
        return str_trim(str_from(field, 7));
    return h1_field_get(head, STR("x-api-key"));
}

/* Return: REASON_none, unauthorized or forbidden. */
static enum reason authenticate(struct door_conn *d, const struct h1_head *head, bool has_origin)
{
    const struct keys *keys = &d->exchange->view->keys;
    const struct key *key;

    if (keys->n_keys == 0) {
        d->is_admin = d->http.server->is_loopback && !has_origin;
        return REASON_none;
    }
    key = keys_find(keys, door_shown_secret(head));
    if (key == NULL)
        return REASON_unauthorized;
    d->exchange->tl.key = key->name;
    d->is_admin = (key->scopes & KEY_ADMIN) != 0;
    return (key->scopes & (KEY_USE | KEY_ADMIN)) != 0 ? REASON_none : REASON_forbidden;
}

/* Browsers send one Origin; a second could be what a page wants us to overlook. */
static bool has_two_origins(const struct h1_head *head)
{
    size_t n = 0;

    for (size_t i = 0; i < head->n_fields; i++)
        n += str_eq_nocase(head->fields[i].name, STR("origin"));
    return n > 1;
}

/* A page of another origin is refused; one of an allowed origin may read the answer. */
static enum reason check_origin(struct door_conn *d, const struct h1_head *head, struct str origin)
{
    const struct guard *guard = &d->exchange->view->guard;
    struct arena *arena = &d->exchange->arena;
    char *at;

    if (d->http.server->is_loopback && !guard_allows_host(guard, head->host))
        return REASON_forbidden;
    if (origin.s == NULL)
        return REASON_none;
    if (has_two_origins(head) || !guard_allows_origin(guard, origin))
        return REASON_forbidden;
    at = origin.len > ORIGIN_MAX ? NULL : arena_alloc(arena, origin.len + 128);
    if (at == NULL)
        return REASON_forbidden;
    d->own_fields = str_make(
        at, (size_t)snprintf(at, origin.len + 128,
                             "Access-Control-Allow-Origin: " STR_FMT
                             "\r\nVary: Origin\r\nAccess-Control-Expose-Headers: X-Request-Id\r\n",
                             STR_ARG(origin)));
    return REASON_none;
}

static void refuse(struct door_conn *d, enum reason reason, const char *text)
{
    exchange_refuse(d->exchange, reason, text);
}

static void answer_text(struct door_conn *d, int status, enum reason reason, struct str fields,
                        struct str body)
{
    d->exchange->tl.reason = reason;
    exchange_answer(d->exchange, status, fields, body);
}

static void answer_preflight(struct door_conn *d)
{
    answer_text(
        d, 204, REASON_none,
        STR("Access-Control-Allow-Methods: GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS\r\n"
            "Access-Control-Allow-Headers: "
            "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,"
            "X-Api-Key,X-Session-Id,Traceparent,Tracestate,Openai-Beta,X-Stainless-Lang,"
            "X-Stainless-Package-Version,X-Stainless-Os,X-Stainless-Arch,X-Stainless-Retry-Count,"
            "X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Async,X-Stainless-Helper-"
            "Method,"
            "X-Stainless-Poll-Helper,X-Stainless-Custom-Poll-Interval,X-Stainless-Timeout\r\n"
            "Access-Control-Max-Age: 43200\r\n"),
        STR_NULL);
}

static void answer_method(struct door_conn *d, const struct api_route *route)
{
    const struct api_error error = {
        .reason = REASON_method_not_allowed,
        .status = 405,
        .text = str_of(reason_text(REASON_method_not_allowed)),
    };
    char allow[64];
    char fields[128];
    char *at;
    int n = snprintf(fields, sizeof(fields), "Allow: %s\r\n", api_allow(route->methods, allow));

    at = arena_alloc(&d->exchange->arena, d->own_fields.len + (size_t)n);
    if (at != NULL) {
        char *end = mempcpy(at, d->own_fields.s != NULL ? d->own_fields.s : "", d->own_fields.len);

        memcpy(end, fields, (size_t)n);
        d->own_fields = str_make(at, d->own_fields.len + (size_t)n);
    }
    exchange_fail(d->exchange, &error);
}

static void answer_redirect(struct door_conn *d, const struct h1_head *head,
                            const struct api_route *route)
{
    char fields[128];
    int n = snprintf(fields, sizeof(fields), "Location: " STR_FMT "\r\n", STR_ARG(route->path));

    answer_text(d, head->method == H1_GET ? 301 : 307, REASON_not_found,
                str_make(fields, (size_t)n), STR_NULL);
}

/* The route of the request, or the answer that there is none. Return: 0, HTTP_CONN_REFUSED. */
static int find_route(struct door_conn *d, const struct h1_head *head)
{
    const struct api_route *route = NULL;
    int r = api_route_find(head->path, &route);

    if (r == API_ROUTE_NOT_FOUND) {
        refuse(d, REASON_not_found, NULL);
        return HTTP_CONN_REFUSED;
    }
    if (r == API_ROUTE_REDIRECT) {
        answer_redirect(d, head, route);
        return HTTP_CONN_REFUSED;
    }
    d->exchange->route = route;
    d->exchange->tl.route = route;
    if ((route->methods & head->method) == 0) {
        answer_method(d, route);
        return HTTP_CONN_REFUSED;
    }
    return 0;
}

/* Asked from this machine, through whatever listener. */
static bool is_local(const struct door_conn *d)
{
    char peer[NET_PEER_MAX];
    struct str text = str_of(net_stream_peer(&d->http.stream, peer));

    return d->http.server->is_loopback || str_starts(text, STR("127.")) ||
           str_starts(text, STR("[::1]")) || str_starts(text, STR("::1"));
}

/* Return: NULL the request may use the route; else what stands against it. */
static const char *why_not(const struct door_conn *d, const struct h1_head *head)
{
    const struct view *view = d->exchange->view;
    const struct api_route *route = d->exchange->route;
    bool is_admin = d->is_admin || (view->keys.n_keys == 0 && is_local(d) &&
                                    h1_field_get(head, STR("origin")).s == NULL);

    if (route->access == API_FOR_ALL)
        return NULL;
    if (!is_admin)
        return "managing models needs a key with the scope admin, or, without any keys, a client "
               "on the gateway's own machine";
    if (route->access == API_SWITCHED_OFF &&
        !model_settings_has_route(&view->settings->models, str_of(route->switch_name)))
        return "this is switched off; see `models.routes` in the configuration";
    return NULL;
}

/* A blob is what it is named after, byte for byte. Return: whether the body can be read. */
static bool find_coding(struct door_conn *d, const struct h1_head *head)
{
    return coding_of(head, &d->coding) == 0 &&
           (d->coding == ZIP_NONE || d->exchange->route->work != API_BLOB);
}

/* Everything that can be said before the body. Return: 0, HTTP_CONN_REFUSED. */
static int admit(struct door_conn *d, const struct h1_head *head)
{
    const struct gateway *g = worker_of(&d->http)->gateway;
    struct str origin = h1_field_get(head, STR("origin"));
    enum reason reason = check_origin(d, head, origin);
    const char *text = NULL;
    int r;

    if (reason == REASON_forbidden)
        text = origin.s != NULL
                   ? "this origin may not use the gateway; see `origins` in the configuration"
                   : "this host name does not belong to the gateway";
    if (reason == REASON_none && head->method == H1_OPTIONS && origin.s != NULL) {
        answer_preflight(d);
        return HTTP_CONN_REFUSED;
    }
    if (reason == REASON_none)
        reason = authenticate(d, head, origin.s != NULL);
    if (reason == REASON_none && forward_is_loop(head, g->via_token))
        reason = REASON_loop;
    if (reason == REASON_none && worker_of(&d->http)->is_draining)
        reason = REASON_shutting_down;
    if (reason != REASON_none) {
        refuse(d, reason, text);
        return HTTP_CONN_REFUSED;
    }
    r = find_route(d, head);
    if (r == 0)
        text = why_not(d, head);
    if (text != NULL) {
        refuse(d, REASON_forbidden, text);
        return HTTP_CONN_REFUSED;
    }
    if (r == 0 && !find_coding(d, head)) {
        refuse(d, REASON_unsupported_encoding,
               "a request body may be in gzip or zstd, once, and a blob in neither");
        r = HTTP_CONN_REFUSED;
    }
    return r;
}

/*
 * Requests
 */

/* Return: 0, -ENOMEM. */
static int begin_exchange(struct door_conn *d)
{
    struct exchange *ex = exchange_new(worker_of(&d->http), &d->sink);

    if (ex == NULL)
        return -ENOMEM;
    if (d->peer[0] == '\0' && (log_access_is_on() || view_needs_source(ex->view)))
        (void)net_stream_peer(&d->http.stream, d->peer);
    ex->tl.begun = d->http.head_begun;
    ex->tl.peer = arena_dup(&ex->arena, str_of(d->peer));
    d->exchange = ex;
    d->own_fields = STR_NULL;
    d->is_admin = false;
    return 0;
}

static void on_reject(struct http_conn *c, int status, const char *text)
{
    const struct api_error error = {
        .reason = status == 413   ? REASON_too_large
                  : status == 408 ? REASON_request_timeout
                  : status == 503 ? REASON_overload
                                  : REASON_bad_request,
        .status = status,
        .text = str_of(text),
    };
    struct door_conn *d = door_of(c);

    if (d->exchange == NULL && begin_exchange(d) < 0)
        return;
    exchange_fail(d->exchange, &error);
}

static int on_head(struct http_conn *c, const struct h1_head *head)
{
    struct door_conn *d = door_of(c);
    int r;

    if (begin_exchange(d) < 0) {
        http_conn_answer(c, 503, STR("Content-Type: application/json\r\nRetry-After: 1\r\n"),
                         STR("{\"error\":\"the gateway is out of memory\"}\n"));
        return HTTP_CONN_REFUSED;
    }
    d->exchange->tl.method = arena_dup(&d->exchange->arena, head->method_name);
    /* An error has the shape of the API that was meant, also where there is no such route. */
    d->exchange->family = api_family_of_path(head->path);
    if (admit(d, head) != 0)
        return HTTP_CONN_REFUSED;
    d->exchange->wants_events = events_are_wanted(d->exchange->route, head);
    home_take_cookie(d->exchange, head);
    r = forward_prepare(d->exchange, head, &d->exchange->view->keys, worker_of(c)->gateway->via);
    if (r == -ENOMEM)
        refuse(d, REASON_overload, NULL);
    else if (r < 0)
        on_reject(c, h1_error_status(r), err_text(r));
    if (r < 0)
        return HTTP_CONN_REFUSED;
    if (upload_flows(d->exchange->route, head)) {
        http_conn_flow(c);
        upload_begin(d->exchange, &d->client, head);
    }
    return d->exchange != NULL ? 0 : HTTP_CONN_REFUSED;
}

static void on_pause(struct upload_client *client)
{
    http_conn_pause(&container_of(client, struct door_conn, client)->http);
}

static void on_resume(struct upload_client *client)
{
    http_conn_resume(&container_of(client, struct door_conn, client)->http);
}

static int on_body(struct http_conn *c, struct str bytes)
{
    struct door_conn *d = door_of(c);

    if (d->exchange->upload != NULL) {
        upload_put(d->exchange, bytes);
        return d->exchange != NULL ? 0 : HTTP_CONN_REFUSED;
    }
    if (exchange_hold(d->exchange, bytes) == 0)
        return 0;
    refuse(d, REASON_overload, bodies_full);
    return HTTP_CONN_REFUSED;
}

/* Return: whether the body is plain now; else the client is told why it is not. */
static bool decode(struct door_conn *d)
{
    int r = coding_decode(d->exchange, d->coding);

    if (r == -EMSGSIZE)
        refuse(d, REASON_too_large, "the request body is too large when it is decoded");
    else if (r == -EPROTO)
        refuse(d, REASON_bad_request, "the request body is not what its Content-Encoding says");
    else if (r < 0)
        refuse(d, REASON_overload, bodies_full);
    return r == 0;
}

static void on_request(struct http_conn *c)
{
    struct door_conn *d = door_of(c);

    if (d->coding == ZIP_NONE || d->exchange->body.len == 0 || decode(d))
        exchange_start(d->exchange);
}

static void on_gone(struct http_conn *c)
{
    struct door_conn *d = door_of(c);
    struct exchange *ex = d->exchange;

    d->exchange = NULL;
    if (ex != NULL)
        exchange_leave(ex, &sink_discard);
}

static void on_room(struct http_conn *c)
{
    struct door_conn *d = door_of(c);

    if (d->exchange != NULL)
        exchange_room(d->exchange);
}

static struct http_conn *conn_new(struct http_server *server)
{
    struct door_conn *d = calloc(1, sizeof(*d));

    (void)server;
    if (d == NULL)
        return NULL;
    d->sink.ops = &door_sink_ops;
    d->client = (struct upload_client){on_pause, on_resume};
    return &d->http;
}

static void conn_free(struct http_conn *c)
{
    free(door_of(c));
}

const struct http_conn_ops door_ops = {
    .name = "door",
    .conn_new = conn_new,
    .conn_free = conn_free,
    .on_head = on_head,
    .on_body = on_body,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_reject = on_reject,
};
