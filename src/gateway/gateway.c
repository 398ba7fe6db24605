/* SPDX-License-Identifier: MIT */
#include "gateway/gateway.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#include "base/err.h"
#include "observe/log.h"

/*
 * What the log says
 */

static const char *start_hint(const struct url *url)
{
    if (str_eq(str_of(url->scheme), STR("mcp")))
        return "On that machine: chasqui serve --mcp ADDR";
    return addr_is_loopback(&url->addr) ? "Start it: ollama serve"
                                        : "On that machine: OLLAMA_HOST=0.0.0.0 ollama serve";
}

void gateway_log_news(struct gateway *g, const struct desk_news *news)
{
    const char *scheme = news->url.scheme;
    char addr[280];

    (void)g;
    if (news->what == FLEET_NO_NEWS)
        return;
    (void)addr_print(&news->url.addr, addr);
    switch (news->what) {
    case FLEET_NODE_UP:
        log_event(LOG_INFO, "node_up", "node %s %s://%s is up; serving %zu of %zu", news->name,
                  scheme, addr, news->n_up, news->n_nodes);
        break;
    case FLEET_NODE_DOWN:
        log_event(LOG_WARN, "node_down", "node %s %s://%s: %s; still serving %zu of %zu. %s",
                  news->name, scheme, addr, news->why, news->n_up, news->n_nodes,
                  start_hint(&news->url));
        break;
    case FLEET_NODE_EJECTED:
        log_event(LOG_WARN, "node_ejected",
                  "node %s %s://%s answers badly (%s): left alone for a while", news->name, scheme,
                  addr, news->why);
        break;
    case FLEET_NO_NEWS:
        break;
    }
}

/* "a, b, c and 4 more" out of names with a NUL behind each. */
static void list_names(struct str names, char *out, size_t size)
{
    const size_t most = 8;
    size_t n = 0;
    int at = 0;

    out[0] = '\0';
    while (names.len > 0) {
        struct str name = str_split(&names, '\0');

        if (n++ < most && (size_t)at + name.len + 3 < size)
            at += snprintf(out + at, size - (size_t)at, "%s" STR_FMT, n > 1 ? ", " : "",
                           STR_ARG(name));
    }
    if (n > most)
        (void)snprintf(out + at, size - (size_t)at, " and %zu more", n - most);
}

static void log_node(struct gateway *g, uint16_t index, const struct desk_node *node)
{
    struct buf names = BUF_INIT(1024 * 1024);
    char list[1024];

    (void)!desk_models(&g->desk, index, /* is_loaded= */ false, &names);
    list_names(buf_str(&names), list, sizeof(list));
    buf_fini(&names);
    if (node->state == NODE_UP)
        log_event(LOG_INFO, "node", "node %s: Ollama %s, %zu models (%zu loaded): %s", node->name,
                  node->version, node->n_models, node->n_resident, list[0] != '\0' ? list : "none");
}

void gateway_on_ready(struct gateway *g)
{
    char addr[280];
    size_t n_models = 0;
    size_t n_up = desk_n_up(&g->desk);

    for (size_t i = 0; i < g->view->n_entries; i++) {
        struct desk_node node;

        if (!desk_look(&g->desk, (uint16_t)i, &node))
            continue;
        log_node(g, (uint16_t)i, &node);
        n_models += node.n_models;
    }
    (void)addr_print(&g->listens[0], addr);
    if (n_up == 0)
        log_event(LOG_WARN, "ready",
                  "ready, but none of %zu nodes is up: requests get 503 until one is",
                  desk_n_nodes(&g->desk));
    else if (n_models == 0)
        log_event(LOG_INFO, "ready",
                  "ready, but no node has a model yet. On a node: ollama pull llama3.2");
    else
        log_event(LOG_INFO, "ready",
                  "ready. Try: curl http://%s/api/tags  or  OLLAMA_HOST=%s ollama list", addr,
                  addr);
}

/*
 * The end
 */

void gateway_drain(struct gateway *g)
{
    log_event(LOG_INFO, "draining",
              "ending: nothing new is accepted, streams may go on for %lld s; a second signal ends "
              "at once",
              (long long)(g->view->settings->drain_timeout_ns / NSEC_PER_SEC));
    g->control.is_draining = true;
    for (size_t i = 0; i < g->n_workers; i++)
        worker_drain(&g->workers[i]);
}

void gateway_stop(struct gateway *g)
{
    for (size_t i = 0; i < g->n_workers; i++)
        worker_stop(&g->workers[i]);
}

static void on_worker_ended(struct net_mail *mail)
{
    struct worker *w = container_of(mail, struct worker, ended_mail);
    struct gateway *g = w->gateway;

    if (++g->n_ended == g->n_workers)
        net_loop_stop(&g->control.loop);
}

/*
 * The beginning
 */

static void make_via(struct gateway *g)
{
    uint64_t id = 0;

    (void)!getrandom(&id, sizeof(id), 0);
    (void)snprintf(g->via, sizeof(g->via), "1.1 chasqui-%016llx", (unsigned long long)id);
    g->via_token = str_from(str_of(g->via), 4);
}

static void make_cookie_key(struct gateway *g)
{
    uint64_t key[2] = {0};

    (void)!getrandom(key, sizeof(key), 0);
    (void)snprintf(g->cookie_key, sizeof(g->cookie_key), "%016llx%016llx",
                   (unsigned long long)key[0], (unsigned long long)key[1]);
}

/* @is_optional: nobody asked for it, so that it is in use is no reason to give up. */
static int bind_one(struct addr *at, size_t n, int *ret_fds, const char *what, bool is_optional)
{
    char addr[280];
    int r = net_listen_fds(at, n, ret_fds);

    if (r == -EADDRINUSE && is_optional)
        log_event(LOG_WARN, "listen",
                  "%s is in use: there will be no %s door; choose another address with --%s",
                  addr_print(at, addr), what, what);
    else if (r < 0)
        log_event(LOG_ERROR, "listen", "cannot listen on %s for %s: %s%s", addr_print(at, addr),
                  what, err_text(r),
                  r == -EADDRINUSE ? "; another program (maybe another gateway) has it: stop that, "
                                     "or choose another address"
                                   : "");
    else
        log_event(LOG_INFO, "listening", "listening for %s on %s", what, addr_print(at, addr));
    return r;
}

static int parse_list(const struct strings *texts, uint16_t default_port, struct addr **ret_addrs)
{
    int r = 0;

    *ret_addrs = calloc(texts->n > 0 ? texts->n : 1, sizeof(struct addr));
    if (*ret_addrs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < texts->n && r == 0; i++)
        r = addr_parse(str_of(texts->items[i]), default_port, &(*ret_addrs)[i]);
    return r;
}

static int parse_listens(struct gateway *g)
{
    const struct gateway_settings *s = g->view->settings;
    int r = parse_list(&s->listen, 11435, &g->listens);

    if (r == 0)
        r = parse_list(&s->listen_mcp, 11436, &g->mcp_listens);
    if (r == 0)
        r = addr_parse(str_of(s->admin), 11437, &g->control.admin_addr);
    if (r < 0)
        return r;
    g->n_listens = s->listen.n;
    g->n_mcp_listens = s->listen_mcp.n;
    return 0;
}

/*
 * Binds all listeners, for each worker one descriptor: @fds by listener (HTTP, then MCP), then by
 * worker.
 */
static int bind_listens(struct gateway *g, int *fds)
{
    int r = 0;

    for (size_t i = 0; i < g->n_listens && r == 0; i++)
        r = bind_one(&g->listens[i], g->n_workers, fds + i * g->n_workers, "http", false);
    for (size_t i = 0; i < g->n_mcp_listens && r == 0; i++) {
        r = bind_one(&g->mcp_listens[i], g->n_workers, fds + (g->n_listens + i) * g->n_workers,
                     "mcp", g->view->settings->is_mcp_default);
        if (r == -EADDRINUSE && g->view->settings->is_mcp_default) {
            g->n_mcp_listens = 0;
            r = 0;
        }
    }
    return r;
}

static int start_workers(struct gateway *g)
{
    size_t n = g->n_listens + g->n_mcp_listens;
    int *fds = calloc(g->n_workers * n, sizeof(int));
    int *own = calloc(n, sizeof(int));
    int r = fds == NULL || own == NULL ? -ENOMEM : bind_listens(g, fds);

    for (size_t k = 0; k < g->n_workers && r == 0; k++) {
        for (size_t i = 0; i < g->n_listens + g->n_mcp_listens; i++)
            own[i] = fds[i * g->n_workers + k];
        r = worker_init(&g->workers[k], g, own);
        g->workers[k].ended_mail.deliver = on_worker_ended;
    }
    free(fds);
    free(own);
    return r;
}

static int start(struct gateway *g, const struct control_ops *ops, struct buf *errors)
{
    int admin_fd;
    int r = parse_listens(g);

    make_via(g);
    make_cookie_key(g);
    if (r == 0)
        r = desk_init(&g->desk, g->view->settings->retry_budget, view_queue_limits(g->view));
    if (r == 0)
        desk_set_routing(&g->desk, fleet_settings_routing(g->view->fleet));
    if (r == 0)
        r = quota_init(&g->quota, FLEET_MAX_SLOTS);
    if (r == 0)
        gateway_limit_connections(g, g->view);
    if (r == 0)
        r = bind_one(&g->control.admin_addr, 1, &admin_fd, "admin", false);
    if (r == 0)
        r = start_workers(g);
    if (r == 0)
        r = control_init(&g->control, g, ops, admin_fd);
    if (r == 0)
        r = gateway_list_nodes(g, g->view, errors);
    for (size_t k = 0; k < g->n_workers && r == 0; k++)
        r = worker_start(&g->workers[k]);
    /* out of threads in the middle of starting: nothing sane is left to do */
    if (r < 0 && g->workers[0].is_running)
        abort();
    if (r == 0)
        prober_look_again(&g->control.prober);
    return r;
}

static size_t count_workers(const struct gateway_settings *s)
{
    long n = s->n_workers > 0 ? (long)s->n_workers : sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : (size_t)n;
}

static void gateway_fini(struct gateway *g)
{
    for (size_t k = 0; k < g->n_workers && g->workers != NULL; k++)
        worker_join(&g->workers[k]);
    control_fini(&g->control);
    /* whatever way an exchange ended, it gave back what it had */
    assert(desk_is_idle(&g->desk));
    desk_fini(&g->desk);
    quota_fini(&g->quota);
    free(g->workers);
    free(g->listens);
    free(g->mcp_listens);
    view_unref(g->view);
    view_unref(g->first_view);
}

/* A view, and all that runs on it. */
static int open_gateway(struct gateway *g, struct gateway_config *config,
                        const struct config_ops *config_ops, const struct control_ops *control_ops,
                        struct buf *errors)
{
    int r = view_new(config_ops, config, &g->view, errors);

    if (r < 0)
        return r;
    g->view->generation = 1;
    g->first_view = view_ref(g->view);
    g->n_workers = count_workers(g->view->settings);
    g->workers = calloc(g->n_workers, sizeof(struct worker));
    return g->workers == NULL ? -ENOMEM : start(g, control_ops, errors);
}

int gateway_run(struct gateway_config *config, const struct config_ops *config_ops,
                const struct control_ops *control_ops)
{
    struct gateway g = {0};
    struct buf errors = BUF_INIT(65536);
    int r = open_gateway(&g, config, config_ops, control_ops, &errors);

    if (errors.len > 0)
        log_event(r < 0 ? LOG_ERROR : LOG_WARN, "config", STR_FMT,
                  STR_ARG(str_trim(buf_str(&errors))));
    buf_fini(&errors);
    if (r == 0)
        control_run(&g.control);
    else
        log_event(LOG_ERROR, "start", "cannot start: %s", err_text(r));
    gateway_fini(&g);
    if (r == 0)
        log_event(LOG_INFO, "ended", "ended");
    return r < 0 ? 1 : 0;
}
