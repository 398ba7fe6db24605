/* SPDX-License-Identifier: MIT */
#include "gateway/reload.h"

#include <errno.h>

#include "base/err.h"
#include "gateway/gateway.h"
#include "observe/log.h"

static bool is_same_addr(const struct addr *a, const struct addr *b)
{
    bool is_all = b->host[0] == '\0' || str_eq(str_of(b->host), STR("0.0.0.0")) ||
                  str_eq(str_of(b->host), STR("::"));

    return a->port == b->port && ((addr_is_loopback(a) && (addr_is_loopback(b) || is_all)) ||
                                  str_eq_nocase(str_of(a->host), str_of(b->host)));
}

/* A gateway that asks itself would go round for ever. */
static int check_not_self(const struct gateway *g, const struct view *v, struct buf *errors)
{
    char addr[280];

    for (size_t i = 0; i < v->n_entries; i++)
        for (size_t k = 0; k < g->n_listens; k++)
            if (is_same_addr(&v->entries[i].url.addr, &g->listens[k])) {
                (void)!buf_printf(errors,
                                  "node " STR_FMT " is this gateway itself (%s); name the Ollama "
                                  "server instead: --node URL, or unset OLLAMA_HOST\n",
                                  STR_ARG(v->entries[i].name), addr_print(&g->listens[k], addr));
                return -EX_CONFIG;
            }
    return 0;
}

static void follow_list(struct gateway *g)
{
    size_t n = desk_n_slots(&g->desk);

    for (size_t i = 0; i < n; i++) {
        const uint16_t node = (uint16_t)i;

        if (!desk_node_is_listed(&g->desk, node)) {
            if (prober_has(&g->control.prober, node))
                prober_remove(&g->control.prober, node);
            continue;
        }
        if (prober_has(&g->control.prober, node))
            continue;
        if (prober_add(&g->control.prober, node, desk_node_name(&g->desk, node),
                       desk_node_url(&g->desk, node)) == 0)
            desk_node_ref(&g->desk, node);
        else
            log_event(LOG_ERROR, "out_of_memory", "node " STR_FMT " is not probed: out of memory",
                      STR_ARG(desk_node_name(&g->desk, node)));
    }
}

/* A name may be of a node that is to come: no mistake, but worth a word. */
static void check_placement(const struct view *v)
{
    const struct placement policy = model_settings_placement(&v->settings->models);

    for (size_t i = 0; i < policy.n_names; i++) {
        struct str name = str_of(policy.names[i]);
        size_t k = 0;

        while (k < v->n_entries && !str_eq(v->entries[k].name, name))
            k++;
        if (k == v->n_entries)
            log_event(LOG_WARN, "placement",
                      "models.placement names " STR_FMT ", and no node is called so",
                      STR_ARG(name));
    }
}

int gateway_list_nodes(struct gateway *g, const struct view *view, struct buf *errors)
{
    int r = check_not_self(g, view, errors);

    if (r < 0)
        return r;
    r = desk_list_nodes(&g->desk, view->entries, view->n_entries);
    if (r < 0) {
        (void)!buf_printf(errors, "nodes: those of before still finish what they do, and there is "
                                  "no room for so many more: try again later\n");
        return r;
    }
    follow_list(g);
    check_placement(view);
    return 0;
}

void gateway_limit_connections(struct gateway *g, const struct view *view)
{
    quota_configure(&g->quota, (uint32_t)view->upstream->max_connections,
                    (uint32_t)view->upstream->max_pool_size);
}

/*
 * The swap
 */

static void on_view(struct net_mail *mail)
{
    struct view_mail *m = container_of(mail, struct view_mail, mail);

    worker_take_view(m->worker, m->view);
}

static void hand_out(struct gateway *g, struct view *view)
{
    for (size_t i = 0; i < g->n_workers; i++) {
        view->mails[i] = (struct view_mail){
            .mail = {.deliver = on_view}, .view = view_ref(view), .worker = &g->workers[i]};
        net_mail_post(&g->workers[i].loop, &view->mails[i].mail);
    }
}

static int prepare(struct gateway *g, struct str text, struct view **ret_view, struct buf *errors)
{
    const struct config_ops *ops = g->view->ops;
    struct gateway_config *config;
    struct view *view;
    int r = ops->load(text, &config, errors);

    if (r == 0)
        r = view_new(ops, config, &view, errors);
    if (r < 0)
        return r;
    view->generation = g->view->generation + 1;
    view->mails = calloc(g->n_workers, sizeof(*view->mails));
    r = view->mails == NULL ? -ENOMEM : gateway_list_nodes(g, view, errors);
    if (r == 0)
        *ret_view = view;
    else
        view_unref(view);
    return r;
}

static int on_change(void *arg, const char *key, bool needs_restart)
{
    struct buf *changes = arg;
    int r = needs_restart ? buf_put_char(changes, '!') : 0;

    log_event(needs_restart ? LOG_WARN : LOG_INFO, "config_changed", "%s: %s", key,
              needs_restart ? "needs a restart" : "applied");
    if (r == 0)
        r = buf_put(changes, str_of(key));
    return r < 0 ? r : buf_put_char(changes, '\0');
}

static void swap(struct gateway *g, struct view *view, struct buf *changes)
{
    struct view *before = g->view;

    /* A list of changes that is too long ends where it ends. */
    (void)!view->ops->compare(g->first_view->config, before->config, view->config, on_change,
                              changes);
    g->view = view;
    desk_set_retry_budget(&g->desk, view->settings->retry_budget);
    desk_set_routing(&g->desk, fleet_settings_routing(view->fleet));
    desk_set_queue_limits(&g->desk, view_queue_limits(view));
    gateway_limit_connections(g, view);
    control_take_view(&g->control, view);
    prober_look_again(&g->control.prober);
    view->ops->adopt(view->config);
    hand_out(g, view);
    view_unref(before);
}

int gateway_reload(struct gateway *g, struct str text, struct buf *changes, struct buf *errors)
{
    struct view *view = NULL;
    int r = -EX_CONFIG;

    if (g->control.is_draining)
        (void)!buf_put(errors, STR("the gateway is ending\n"));
    else
        r = prepare(g, text, &view, errors);
    g->reloads.has_failed = r < 0;
    if (r < 0) {
        g->reloads.n_failed++;
        if (errors->len == 0)
            (void)!buf_put(errors, str_of(err_text(r)));
        log_event(LOG_ERROR, "reload_failed", "the configuration stays as it is: " STR_FMT,
                  STR_ARG(str_trim(buf_str(errors))));
        return r;
    }
    g->reloads.n_ok++;
    swap(g, view, changes);
    log_event(LOG_INFO, "reloaded", "configuration %llu is in effect",
              (unsigned long long)view->generation);
    return 0;
}
