/* SPDX-License-Identifier: MIT */
#include "sim/routes.h"

#include <stdio.h>

#include "json/writer.h"
#include "sim/infer.h"
#include "sim/listing.h"
#include "sim/manage.h"

#define PLAIN STR("text/plain")

static void run_root(struct sim_conn *c)
{
    sim_conn_answer(c, 200, STR("text/plain; charset=utf-8"), STR_NULL, STR("Ollama is running"));
}

static void run_fault(struct sim_conn *c)
{
    struct sim_fault fault;

    if (sim_fault_parse_json(buf_str(&c->body), &fault) < 0) {
        sim_conn_refuse(
            c, 400, STR_NULL,
            STR("expected "
                "{\"kind\":\"die|stall|cut|503|none\",\"after\":N,\"count\":N,\"retry_after\":S}"));
        return;
    }
    c->sim->next_fault = fault;
    sim_conn_answer(c, 200, STR("application/json; charset=utf-8"), STR_NULL, STR("{}"));
}

static void run_not_found(struct sim_conn *c)
{
    sim_conn_answer(c, 404, PLAIN, STR_NULL, STR("404 page not found"));
}

/* c->arg holds the methods. */
static void run_bad_method(struct sim_conn *c)
{
    char allow[300];

    (void)snprintf(allow, sizeof(allow), "Allow: %s\r\n", c->arg);
    sim_conn_answer(c, 405, PLAIN, str_of(allow), STR("405 method not allowed"));
}

/* c->arg holds the path that was meant. */
static void redirect(struct sim_conn *c, int status, const char *text)
{
    char location[300];
    char body[400] = "";

    (void)snprintf(location, sizeof(location), "Location: %s\r\n", c->arg);
    if (status == 301)
        (void)snprintf(body, sizeof(body), "<a href=\"%s\">%s</a>.\n\n", c->arg, text);
    sim_conn_answer(c, status, STR("text/html; charset=utf-8"), str_of(location), str_of(body));
}

static void run_redirect_get(struct sim_conn *c)
{
    redirect(c, 301, "Moved Permanently");
}

static void run_redirect(struct sim_conn *c)
{
    redirect(c, 307, "Temporary Redirect");
}

#define GET_HEAD (H1_GET | H1_HEAD)

static const struct sim_route routes[] = {
    {STR_INIT("/"), GET_HEAD, SIM_API_OLLAMA, 0, run_root},
    {STR_INIT("/api/version"), GET_HEAD, SIM_API_OLLAMA, 0, sim_list_version},
    {STR_INIT("/api/tags"), GET_HEAD, SIM_API_OLLAMA, 0, sim_list_tags},
    {STR_INIT("/api/ps"), H1_GET, SIM_API_OLLAMA, 0, sim_list_ps},
    {STR_INIT("/api/show"), H1_POST, SIM_API_OLLAMA, 0, sim_list_show},
    {STR_INIT("/api/generate"), H1_POST, SIM_API_OLLAMA, SIM_GENERATE, sim_infer},
    {STR_INIT("/api/chat"), H1_POST, SIM_API_OLLAMA, SIM_CHAT, sim_infer},
    {STR_INIT("/api/embed"), H1_POST, SIM_API_OLLAMA, SIM_EMBED, sim_infer},
    {STR_INIT("/api/embeddings"), H1_POST, SIM_API_OLLAMA, SIM_EMBEDDINGS, sim_infer},
    {STR_INIT("/v1/chat/completions"), H1_POST, SIM_API_OPENAI, SIM_V1_CHAT, sim_infer},
    {STR_INIT("/v1/completions"), H1_POST, SIM_API_OPENAI, SIM_V1_COMPLETIONS, sim_infer},
    {STR_INIT("/v1/embeddings"), H1_POST, SIM_API_OPENAI, SIM_V1_EMBEDDINGS, sim_infer},
    {STR_INIT("/v1/responses"), H1_POST, SIM_API_OPENAI, SIM_V1_RESPONSES, sim_infer},
    {STR_INIT("/v1/messages"), H1_POST, SIM_API_ANTHROPIC, SIM_V1_MESSAGES, sim_infer},
    {STR_INIT("/v1/models"), H1_GET, SIM_API_OPENAI, 0, sim_list_v1_models},
    {STR_INIT("/v1/models/"), H1_GET, SIM_API_OPENAI, 0, sim_list_v1_model},
    {STR_INIT("/api/pull"), H1_POST, SIM_API_OLLAMA, SIM_PULL, sim_manage},
    {STR_INIT("/api/push"), H1_POST, SIM_API_OLLAMA, SIM_PUSH, sim_manage},
    {STR_INIT("/api/create"), H1_POST, SIM_API_OLLAMA, SIM_CREATE, sim_manage},
    {STR_INIT("/api/copy"), H1_POST, SIM_API_OLLAMA, SIM_COPY, sim_manage},
    {STR_INIT("/api/delete"), H1_DELETE, SIM_API_OLLAMA, SIM_DELETE, sim_manage},
    {STR_INIT("/api/blobs/"), H1_HEAD | H1_POST, SIM_API_OLLAMA, SIM_BLOB, sim_blob},
    {STR_INIT("/sim/state"), H1_GET, SIM_API_OLLAMA, 0, sim_list_state},
    {STR_INIT("/sim/fault"), H1_POST, SIM_API_OLLAMA, 0, run_fault},
};

static const struct sim_route not_found = {.run = run_not_found};
static const struct sim_route bad_method = {.run = run_bad_method};
static const struct sim_route to_get = {.run = run_redirect_get};
static const struct sim_route to_other = {.run = run_redirect};

static bool set_arg(struct sim_conn *c, struct str text)
{
    if (text.len >= sizeof(c->arg))
        return false;
    (void)snprintf(c->arg, sizeof(c->arg), STR_FMT, STR_ARG(text));
    return true;
}

static const struct sim_route *find(struct sim_conn *c, struct str path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct sim_route *route = &routes[i];
        struct str rest = str_from(path, route->path.len);

        if (str_eq(path, route->path))
            return route->path.len > 1 && str_ends(path, STR("/")) ? NULL : route;
        if (route->path.len > 1 && str_ends(route->path, STR("/")) &&
            str_starts(path, route->path) && str_find(rest, '/') == rest.len &&
            str_find(rest, '%') == rest.len)
            return set_arg(c, rest) ? route : NULL;
    }
    return NULL;
}

static void print_allow(struct sim_conn *c, unsigned methods)
{
    (void)snprintf(c->arg, sizeof(c->arg), "%s%s%s%s", (methods & H1_HEAD) != 0 ? "HEAD, " : "",
                   (methods & H1_GET) != 0 ? "GET" : "", (methods & H1_POST) != 0 ? "POST" : "",
                   (methods & H1_DELETE) != 0 ? "DELETE" : "");
}

/* A path that is a route's but for its last slash, with a method of it. */
static bool is_redirect(struct sim_conn *c, const struct h1_head *head)
{
    struct str path = str_head(head->path, head->path.len - 1);
    const struct sim_route *route;

    if (head->path.len < 2 || !str_ends(head->path, STR("/")))
        return false;
    route = find(c, path);
    return route != NULL && (route->methods & head->method) != 0 && set_arg(c, path);
}

void sim_route_find(struct sim_conn *c, const struct h1_head *head)
{
    const struct sim_route *route = find(c, head->path);

    if (route != NULL && (route->methods & head->method) == 0) {
        print_allow(c, route->methods);
        route = &bad_method;
    } else if (route == NULL) {
        route = !is_redirect(c, head) ? &not_found : head->method == H1_GET ? &to_get : &to_other;
    }
    c->route = route;
    c->is_understood = false;
}

void sim_route_run(struct sim_conn *c)
{
    c->route->run(c);
}

/* 0.11.4 names the kind of error only where it reads the request. */
static struct str error_type(const struct sim_conn *c, int status)
{
    if (c->route->api == SIM_API_ANTHROPIC) {
        if (status == 503)
            return STR("overloaded_error");
        return status == 400   ? STR("invalid_request_error")
               : status == 404 ? STR("not_found_error")
                               : STR("api_error");
    }
    return status == 400 && !c->is_understood ? STR("invalid_request_error") : STR("api_error");
}

static void put_error(struct json_writer *w, enum sim_api api, struct str type, struct str text)
{
    json_begin_object(w);
    if (api == SIM_API_ANTHROPIC) {
        json_key(w, "type");
        json_str(w, STR("error"));
    }
    json_key(w, "error");
    if (api == SIM_API_OLLAMA) {
        json_str(w, text);
        json_end(w);
        return;
    }
    json_begin_object(w);
    json_key(w, api == SIM_API_ANTHROPIC ? "type" : "message");
    json_str(w, api == SIM_API_ANTHROPIC ? type : text);
    json_key(w, api == SIM_API_ANTHROPIC ? "message" : "type");
    json_str(w, api == SIM_API_ANTHROPIC ? text : type);
    if (api == SIM_API_OPENAI) {
        json_key(w, "param");
        json_null(w);
        json_key(w, "code");
        json_null(w);
    }
    json_end(w);
    json_end(w);
}

int sim_conn_put_error(const struct sim_conn *c, struct buf *out, int status, struct str text)
{
    struct json_writer w;

    json_writer_init(&w, out);
    put_error(&w, c->route->api, error_type(c, status), text);
    return json_writer_result(&w);
}

void sim_conn_refuse(struct sim_conn *c, int status, struct str extra, struct str text)
{
    struct buf out CLEANUP(buf_fini) = BUF_INIT(64 * 1024);
    bool names_charset = c->route->api == SIM_API_OLLAMA || !c->is_understood;

    if (sim_conn_put_error(c, &out, status, text) < 0 ||
        (!names_charset && buf_put_char(&out, '\n') < 0)) {
        net_stream_close(&c->stream);
        return;
    }
    sim_conn_answer(
        c, status, names_charset ? STR("application/json; charset=utf-8") : STR("application/json"),
        extra, buf_str(&out));
}
