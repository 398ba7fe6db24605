/* SPDX-License-Identifier: MIT */
#include "admin/admin.h"

#include "admin/views.h"
#include "api/error_body.h"
#include "gateway/door.h"
#include "gateway/gateway.h"

struct admin_conn {
    struct http_conn http;
    const struct page *page; /* of the request in hand */
};

struct page {
    struct str path;
    const char *type;
    bool needs_admin;
    int (*print)(struct gateway *g, struct buf *out, int *ret_status);
};

#define TEXT_TYPE    "text/plain; charset=utf-8"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static const struct page pages[] = {
    {STR_INIT("/livez"), TEXT_TYPE, false, view_livez},
    {STR_INIT("/readyz"), TEXT_TYPE, false, view_readyz},
    {STR_INIT("/metrics"), METRICS_TYPE, false, view_metrics},
    {STR_INIT("/admin/nodes"), API_JSON_TYPE, true, view_nodes},
};

static struct gateway *gateway_of(const struct http_conn *c)
{
    return container_of(c->server, struct control, admin)->gateway;
}

static const struct page *find_page(struct str path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (str_eq(pages[i].path, path))
            return &pages[i];
    return NULL;
}

static void answer_error(struct http_conn *c, const struct api_error *error)
{
    struct buf body = BUF_INIT(4096);

    (void)!api_put_error(&body, API_OLLAMA, error);
    http_conn_answer(c, error->status, api_json_field(API_OLLAMA), buf_str(&body));
    buf_fini(&body);
}

static int refuse(struct http_conn *c, enum reason reason)
{
    const struct api_error error = {
        .reason = reason,
        .status = reason_http_status(reason),
        .text = str_of(reason_text(reason)),
    };

    answer_error(c, &error);
    return HTTP_CONN_REFUSED;
}

/* With keys, an admin's; without, only this machine reaches the listener, and no web page may. */
static enum reason admit(struct http_conn *c, const struct h1_head *head, const struct page *page)
{
    const struct gateway *g = gateway_of(c);
    const struct key *key;

    if (h1_field_get(head, STR("origin")).s != NULL)
        return REASON_forbidden;
    if (c->server->is_loopback && !guard_allows_host(&g->guard, head->host))
        return REASON_forbidden;
    if (!page->needs_admin || g->keys.n_keys == 0)
        return REASON_none;
    key = keys_find(&g->keys, door_shown_secret(head));
    if (key == NULL)
        return REASON_unauthorized;
    return (key->scopes & KEY_ADMIN) != 0 ? REASON_none : REASON_forbidden;
}

static int on_head(struct http_conn *c, const struct h1_head *head)
{
    struct admin_conn *a = container_of(c, struct admin_conn, http);
    enum reason reason;

    a->page = find_page(head->path);
    if (a->page == NULL)
        return refuse(c, REASON_not_found);
    if (head->method != H1_GET && head->method != H1_HEAD)
        return refuse(c, REASON_method_not_allowed);
    reason = admit(c, head, a->page);
    return reason == REASON_none ? 0 : refuse(c, reason);
}

static int on_body(struct http_conn *c, struct str bytes)
{
    (void)c;
    (void)bytes;
    return 0; /* a body of GET means nothing */
}

static void on_request(struct http_conn *c)
{
    const struct page *page = container_of(c, struct admin_conn, http)->page;
    struct buf body = BUF_INIT(16 * 1024 * 1024);
    char fields[128];
    int status = 200;
    int n = snprintf(fields, sizeof(fields), "Content-Type: %s\r\nCache-Control: no-store\r\n",
                     page->type);

    if (page->print(gateway_of(c), &body, &status) < 0)
        (void)refuse(c, REASON_overload);
    else
        http_conn_answer(c, status, str_make(fields, (size_t)n), buf_str(&body));
    buf_fini(&body);
}

static void on_gone(struct http_conn *c)
{
    (void)c; /* answers are whole before anybody can leave */
}

static void on_reject(struct http_conn *c, int status, const char *text)
{
    const struct api_error error = {
        .reason = REASON_bad_request, .status = status, .text = str_of(text)};

    answer_error(c, &error);
}

static struct http_conn *conn_new(struct http_server *server)
{
    struct admin_conn *a = calloc(1, sizeof(*a));

    (void)server;
    return a != NULL ? &a->http : NULL;
}

static void conn_free(struct http_conn *c)
{
    free(container_of(c, struct admin_conn, http));
}

static const struct http_conn_ops conn_ops = {
    .name = "admin",
    .conn_new = conn_new,
    .conn_free = conn_free,
    .on_head = on_head,
    .on_body = on_body,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_room = on_gone,
    .on_reject = on_reject,
};

const struct control_ops admin_ops = {
    .name = "admin",
    .admin = &conn_ops,
};
