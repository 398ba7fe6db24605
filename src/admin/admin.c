/* SPDX-License-Identifier: MIT */
#include "admin/admin.h"

#include "admin/views.h"
#include "api/error_body.h"
#include "gateway/door.h"
#include "gateway/gateway.h"
#include "observe/openmetrics.h"

#define BODY_MAX   SETTINGS_MAX_FILE
#define ANSWER_MAX (32 * 1024 * 1024)

struct admin_conn {
    struct http_conn http;
    const struct page *page; /* of the request in hand */
    bool is_post;
    bool wants_openmetrics;
    struct buf body; /* of a POST */
};

struct page {
    struct str path;
    const char *type;
    bool needs_admin;
    int (*print)(struct gateway *g, struct buf *out, int *ret_status);
    /* POST; NULL: it may only be read */
    int (*act)(struct gateway *g, struct str body, struct buf *out, int *ret_status);
    const char *act_type;
};

#define TEXT_TYPE    "text/plain; charset=utf-8"
#define YAML_TYPE    "application/yaml; charset=utf-8"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static const struct page pages[] = {
    {STR_INIT("/livez"), TEXT_TYPE, false, view_livez, NULL, NULL},
    {STR_INIT("/readyz"), TEXT_TYPE, false, view_readyz, NULL, NULL},
    {STR_INIT("/metrics"), METRICS_TYPE, false, view_metrics, NULL, NULL},
    {STR_INIT("/admin/nodes"), API_JSON_TYPE, true, view_nodes, view_drain, API_JSON_TYPE},
    {STR_INIT("/admin/config"), YAML_TYPE, true, view_config, view_reload, API_JSON_TYPE},
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
    if (c->server->is_loopback && !guard_allows_host(&g->view->guard, head->host))
        return REASON_forbidden;
    if (!page->needs_admin || g->view->keys.n_keys == 0)
        return REASON_none;
    key = keys_find(&g->view->keys, door_shown_secret(head));
    if (key == NULL)
        return REASON_unauthorized;
    return (key->scopes & KEY_ADMIN) != 0 ? REASON_none : REASON_forbidden;
}

static int on_head(struct http_conn *c, const struct h1_head *head)
{
    struct admin_conn *a = container_of(c, struct admin_conn, http);
    enum reason reason;

    a->page = find_page(head->path);
    a->is_post = head->method == H1_POST;
    a->wants_openmetrics = openmetrics_is_accepted(h1_field_get(head, STR("accept")));
    buf_reset(&a->body);
    if (a->page == NULL)
        return refuse(c, REASON_not_found);
    if (a->is_post ? a->page->act == NULL : head->method != H1_GET && head->method != H1_HEAD)
        return refuse(c, REASON_method_not_allowed);
    reason = admit(c, head, a->page);
    return reason == REASON_none ? 0 : refuse(c, reason);
}

static int on_body(struct http_conn *c, struct str bytes)
{
    struct admin_conn *a = container_of(c, struct admin_conn, http);

    /* a body of GET means nothing */
    return !a->is_post || buf_put(&a->body, bytes) == 0 ? 0 : refuse(c, REASON_too_large);
}

static bool is_openmetrics(const struct admin_conn *a)
{
    return a->wants_openmetrics && a->page->print == view_metrics;
}

static int make_answer(struct admin_conn *a, struct buf *out, int *ret_status)
{
    struct gateway *g = gateway_of(&a->http);

    if (a->is_post)
        return a->page->act(g, buf_str(&a->body), out, ret_status);
    return is_openmetrics(a) ? view_openmetrics(g, out) : a->page->print(g, out, ret_status);
}

static const char *type_of(const struct admin_conn *a)
{
    if (a->is_post)
        return a->page->act_type;
    return is_openmetrics(a) ? OPENMETRICS_TYPE : a->page->type;
}

static void on_request(struct http_conn *c)
{
    struct admin_conn *a = container_of(c, struct admin_conn, http);
    struct buf body = BUF_INIT(ANSWER_MAX);
    char fields[128];
    int status = 200;
    int n = snprintf(fields, sizeof(fields), "Content-Type: %s\r\nCache-Control: no-store\r\n",
                     type_of(a));

    if (make_answer(a, &body, &status) < 0)
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
    if (a == NULL)
        return NULL;
    a->body = BUF_INIT(BODY_MAX);
    return &a->http;
}

static void conn_free(struct http_conn *c)
{
    struct admin_conn *a = container_of(c, struct admin_conn, http);

    buf_fini(&a->body);
    free(a);
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
