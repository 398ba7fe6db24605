/* SPDX-License-Identifier: MIT */
#include "admin/views.h"

#include <errno.h>

#include "gateway/gateway.h"
#include "json/reader.h"
#include "json/writer.h"
#include "observe/log.h"
#include "observe/openmetrics.h"

int view_livez(struct gateway *g, struct buf *out, int *ret_status)
{
    (void)g;
    (void)ret_status;
    return buf_put(out, STR("ok\n"));
}

int view_readyz(struct gateway *g, struct buf *out, int *ret_status)
{
    size_t n_up = desk_n_up(&g->desk);

    if (!g->control.is_draining && n_up > 0)
        return buf_printf(out, "ready: %zu of %zu nodes are up\n", n_up, desk_n_nodes(&g->desk));
    *ret_status = 503;
    if (g->control.is_draining)
        return buf_put(out, STR("not ready: shutting down\n"));
    return buf_printf(out, "not ready: none of %zu nodes is up\n", desk_n_nodes(&g->desk));
}

static const char *state_name(const struct desk_node *node)
{
    static const char *const names[] = {
        [NODE_UNKNOWN] = "unknown", [NODE_UP] = "up", [NODE_DOWN] = "down"};

    if (node->is_leaving)
        return "leaving";
    if (node->state == NODE_UP && node->is_drained)
        return node->in_flight > 0 ? "draining" : "drained";
    return node->state == NODE_UP && node->is_ejected ? "ejected" : names[node->state];
}

/* Names with a NUL behind each, as a JSON array. */
static void print_names(struct json_writer *w, struct str names)
{
    json_begin_array(w);
    while (names.len > 0)
        json_str(w, str_split(&names, '\0'));
    json_end(w);
}

static void print_models(struct gateway *g, uint16_t index, bool is_loaded, struct json_writer *w)
{
    struct buf names = BUF_INIT(4 * 1024 * 1024);

    /* A list that is too long is shown as far as it went. */
    (void)!desk_models(&g->desk, index, is_loaded, &names);
    print_names(w, buf_str(&names));
    buf_fini(&names);
}

/* Connections to the node. */
static void print_pool(struct gateway *g, uint16_t index, struct json_writer *w)
{
    struct pool_counters c;

    quota_look(&g->quota, index, &c);
    json_begin_object(w);
    json_key(w, "open");
    json_u64(w, c.n_idle + c.n_busy);
    json_key(w, "idle");
    json_u64(w, c.n_idle);
    json_key(w, "max");
    if (c.max == QUOTA_UNLIMITED)
        json_null(w);
    else
        json_u64(w, c.max);
    json_key(w, "waiting");
    json_u64(w, c.n_waiting);
    json_key(w, "created");
    json_u64(w, c.n_created);
    json_key(w, "reused");
    json_u64(w, c.n_reused);
    json_key(w, "timeouts");
    json_u64(w, c.n_timeouts);
    json_key(w, "closed");
    json_begin_object(w);
    for (int i = 0; i < N_POOL_CLOSED; i++) {
        json_key(w, pool_closed_names[i]);
        json_u64(w, c.n_closed[i]);
    }
    json_end(w);
    json_end(w);
}

/* By model and options: what is in use, and how much there is. */
static void print_slots(struct gateway *g, uint16_t index, struct json_writer *w)
{
    struct desk_slots all[SLOTS_MAX];
    size_t n = desk_slots(&g->desk, index, all);

    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        struct model_key key;

        json_begin_object(w);
        json_key(w, "model");
        json_str(w, model_key_parse(str_of(all[i].model), &key) == 0 ? model_key_short(&key)
                                                                     : STR_NULL);
        json_key(w, "busy");
        json_u64(w, all[i].n_busy);
        json_key(w, "limit");
        json_u64(w, all[i].limit);
        json_key(w, "service_ms");
        json_double(w, all[i].service_ns < 0 ? 0 : (double)all[i].service_ns / 1e6, 1);
        json_end(w);
    }
    json_end(w);
}

static void print_node(struct gateway *g, uint16_t index, struct json_writer *w)
{
    struct desk_node copy;
    const struct desk_node *node = &copy;
    char addr[280];
    char url[900];

    if (!desk_look(&g->desk, index, &copy))
        return;
    (void)snprintf(url, sizeof(url), "%.15s://%.279s%.255s", node->url.scheme,
                   addr_print(&node->url.addr, addr), node->url.path);
    json_begin_object(w);
    json_key(w, "name");
    json_str(w, str_of(node->name));
    json_key(w, "url");
    json_str(w, str_of(url));
    json_key(w, "state");
    json_str(w, str_of(state_name(node)));
    json_key(w, "why");
    json_str(w, str_of(node->why));
    json_key(w, "since_seconds");
    json_double(w, (double)(time_now() - node->since) / 1e9, 1);
    json_key(w, "version");
    json_str(w, str_of(node->version));
    json_key(w, "clock_ahead_ms");
    if (node->has_clock)
        json_i64(w, node->clock_ms);
    else
        json_null(w);
    json_key(w, "models");
    print_models(g, index, /* is_loaded= */ false, w);
    json_key(w, "loaded");
    print_models(g, index, /* is_loaded= */ true, w);
    json_key(w, "in_flight");
    json_u64(w, node->in_flight);
    json_key(w, "slots");
    print_slots(g, index, w);
    json_key(w, "attempts");
    json_u64(w, node->n_granted);
    json_key(w, "pool");
    print_pool(g, index, w);
    json_end(w);
}

int view_nodes(struct gateway *g, struct buf *out, int *ret_status)
{
    struct json_writer w;

    (void)ret_status;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "nodes");
    json_begin_array(&w);
    for (size_t i = 0; i < desk_n_slots(&g->desk); i++)
        print_node(g, (uint16_t)i, &w);
    json_end(&w);
    json_key(&w, "waiting");
    json_u64(&w, desk_n_waiting(&g->desk));
    json_end(&w);
    return json_writer_result(&w);
}

int view_config(struct gateway *g, struct buf *out, int *ret_status)
{
    (void)ret_status;
    return g->view->ops->print(g->view->config, out);
}

static int print_refusal(struct str errors, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "error");
    json_str(&w, errors);
    json_end(&w);
    return json_writer_result(&w);
}

struct drain {
    struct json_token name;
    bool has_name;
    bool has_drain;
    bool is_drained;
};

static int read_drain(struct str body, struct drain *ret)
{
    struct json_reader r;
    struct json_token key;
    struct json_token value;
    int rc;

    *ret = (struct drain){0};
    json_reader_init(&r, body);
    rc = json_next(&r, &value);
    if (rc < 0 || value.type != JSON_OBJECT_BEGIN)
        return -EINVAL;
    while ((rc = json_next(&r, &key)) == 0 && key.type == JSON_KEY) {
        rc = json_next(&r, &value);
        if (rc == 0 && str_eq(key.raw, STR("name")) && value.type == JSON_STRING) {
            ret->name = value;
            ret->has_name = true;
        } else if (rc == 0 && str_eq(key.raw, STR("drain")) &&
                   (value.type == JSON_TRUE || value.type == JSON_FALSE)) {
            ret->is_drained = value.type == JSON_TRUE;
            ret->has_drain = true;
        } else {
            return -EINVAL;
        }
    }
    return rc == 0 && ret->has_name && ret->has_drain ? 0 : -EINVAL;
}

int view_drain(struct gateway *g, struct str body, struct buf *out, int *ret_status)
{
    struct buf name = BUF_INIT(FLEET_NAME_MAX);
    struct drain drain;
    bool is_known = false;
    int r;

    if (read_drain(body, &drain) < 0) {
        *ret_status = 400;
        return print_refusal(STR("the body must be {\"name\": \"NODE\", \"drain\": true or false}"),
                             out);
    }
    if (json_decode(&drain.name, &name) == 0)
        is_known = desk_drain(&g->desk, buf_str(&name), drain.is_drained);
    if (is_known)
        log_event(LOG_INFO, drain.is_drained ? "node_drained" : "node_undrained",
                  "node " STR_FMT " %s", STR_ARG(buf_str(&name)),
                  drain.is_drained ? "gets nothing new: somebody wants it drained"
                                   : "is back in use");
    else
        *ret_status = 404;
    r = is_known ? view_nodes(g, out, ret_status) : print_refusal(STR("no node is called so"), out);
    buf_fini(&name);
    return r;
}

/* @changes: as gateway_reload() has them. */
static int print_changes(const struct gateway *g, struct str changes, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "generation");
    json_u64(&w, g->view->generation);
    json_key(&w, "changes");
    json_begin_object(&w);
    while (changes.len > 0) {
        struct str key = str_split(&changes, '\0');
        bool needs_restart = str_starts(key, STR("!"));

        json_key(&w, needs_restart ? key.s + 1 : key.s);
        json_str(&w, needs_restart ? STR("needs a restart") : STR("applied"));
    }
    json_end(&w);
    json_end(&w);
    return json_writer_result(&w);
}

int view_reload(struct gateway *g, struct str body, struct buf *out, int *ret_status)
{
    struct buf changes = BUF_INIT(RELOAD_TEXT_MAX);
    struct buf errors = BUF_INIT(RELOAD_TEXT_MAX);
    int r = gateway_reload(g, str_trim(body).len > 0 ? body : STR_NULL, &changes, &errors);

    *ret_status = r == 0 ? 200 : 400;
    if (r == 0)
        r = print_changes(g, buf_str(&changes), out);
    else
        r = print_refusal(str_trim(buf_str(&errors)), out);
    buf_fini(&changes);
    buf_fini(&errors);
    return r;
}

static int print_reloads(const struct gateway *g, struct buf *out)
{
    return buf_printf(
        out,
        "# HELP chasqui_config_generation Configurations that were in effect, this one included\n"
        "# TYPE chasqui_config_generation gauge\nchasqui_config_generation %llu\n"
        "# HELP chasqui_config_last_reload_successful Whether the latest reload did (1) or not "
        "(0)\n"
        "# TYPE chasqui_config_last_reload_successful gauge\n"
        "chasqui_config_last_reload_successful %d\n"
        "# HELP chasqui_config_reloads_total Reloads of the configuration\n"
        "# TYPE chasqui_config_reloads_total counter\n"
        "chasqui_config_reloads_total{result=\"ok\"} %llu\n"
        "chasqui_config_reloads_total{result=\"failed\"} %llu\n",
        (unsigned long long)g->view->generation, !g->reloads.has_failed,
        (unsigned long long)g->reloads.n_ok, (unsigned long long)g->reloads.n_failed);
}

static int print_process(struct gateway *g, struct buf *out)
{
    return buf_printf(
        out,
        "# HELP chasqui_held_body_bytes Memory of request bodies kept for a retry\n"
        "# TYPE chasqui_held_body_bytes gauge\nchasqui_held_body_bytes %llu\n"
        "# HELP chasqui_log_dropped_total Log lines dropped because nobody took them in time\n"
        "# TYPE chasqui_log_dropped_total counter\nchasqui_log_dropped_total %llu\n"
        "# HELP chasqui_build_info The version that runs\n"
        "# TYPE chasqui_build_info gauge\nchasqui_build_info{version=\"%s\"} 1\n",
        (unsigned long long)atomic_load_explicit(&g->bodies_bytes, memory_order_relaxed),
        (unsigned long long)log_n_dropped(), CHASQUI_VERSION);
}

int view_metrics(struct gateway *g, struct buf *out, int *ret_status)
{
    struct metrics **all = calloc(g->n_workers + 1, sizeof(struct metrics *));
    int r;

    (void)ret_status;
    if (all == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < g->n_workers; i++)
        all[i] = g->workers[i].metrics;
    all[g->n_workers] = g->control.metrics;
    r = metrics_print(all, g->n_workers + 1, out);
    free(all);
    if (r == 0)
        r = view_node_metrics(g, out);
    if (r == 0)
        r = print_reloads(g, out);
    if (r == 0)
        r = view_process_metrics(out);
    return r == 0 ? print_process(g, out) : r;
}

int view_openmetrics(struct gateway *g, struct buf *out)
{
    struct buf text = BUF_INIT(32 * 1024 * 1024);
    int status;
    int r = view_metrics(g, &text, &status);

    if (r == 0)
        r = openmetrics_print(buf_str(&text), out);
    buf_fini(&text);
    return r;
}
