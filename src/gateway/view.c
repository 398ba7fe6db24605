/* SPDX-License-Identifier: MIT */
#include "gateway/view.h"

#include <errno.h>
#include <unistd.h>

#include "base/err.h"

void view_unref(struct view *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->n_refs, 1, memory_order_acq_rel) > 1)
        return;
    keys_fini(&v->keys);
    guard_fini(&v->guard);
    free(v->entries);
    free(v->name_texts);
    free(v->mails);
    v->ops->free(v->config);
    free(v);
}

static int list_nodes(struct view *v)
{
    const struct node_settings *nodes = v->fleet->nodes.items;
    size_t n = v->fleet->nodes.n;

    v->entries = calloc(n, sizeof(*v->entries));
    v->name_texts = calloc(n, FLEET_NAME_MAX);
    if (v->entries == NULL || v->name_texts == NULL)
        return -ENOMEM;
    v->n_entries = n;
    for (size_t i = 0; i < n; i++) {
        struct fleet_entry *e = &v->entries[i];
        char *name = v->name_texts + i * FLEET_NAME_MAX;
        int r = url_parse_node(str_of(nodes[i].url), &e->url);

        if (r < 0)
            return r;
        node_settings_name(&nodes[i], &e->url, name);
        e->slots = (uint32_t)nodes[i].slots;
        e->weight = (uint32_t)nodes[i].weight;
        e->tier = (uint32_t)nodes[i].tier;
        e->name = str_of(name);
    }
    return 0;
}

static int load_keys(struct view *v, struct buf *errors)
{
    if (v->settings->keys_file[0] == '\0')
        return 0;
    return keys_load(v->settings->keys_file, &v->keys, errors);
}

/* Others may come in only with keys, or when the operator says that anybody may. */
static int check_exposure(const struct view *v, const char *text, uint16_t port, bool is_admin,
                          struct buf *errors)
{
    bool is_open = !is_admin && v->settings->allow_anonymous;
    struct addr at;
    char addr[280];

    if (addr_parse(str_of(text), port, &at) < 0 || addr_is_loopback(&at) || v->keys.n_keys > 0 ||
        is_open)
        return 0;
    (void)!buf_printf(errors,
                      "%s can be reached by other machines and there are no keys: anybody could "
                      "use your models. Give --keys-file FILE (lines of name:key:scopes)%s, or "
                      "listen on 127.0.0.1\n",
                      addr_print(&at, addr),
                      is_admin ? "" : ", or allow_anonymous: true in the configuration");
    return -EX_CONFIG;
}

static int check_listeners(const struct view *v, struct buf *errors)
{
    const struct gateway_settings *s = v->settings;
    int r = check_exposure(v, s->admin, 11437, /* is_admin= */ true, errors);

    for (size_t i = 0; i < s->listen.n; i++)
        if (check_exposure(v, s->listen.items[i], 11435, /* is_admin= */ false, errors) < 0)
            r = -EX_CONFIG;
    for (size_t i = 0; i < s->listen_mcp.n; i++)
        if (check_exposure(v, s->listen_mcp.items[i], 11436, /* is_admin= */ false, errors) < 0)
            r = -EX_CONFIG;
    return r;
}

int view_new(const struct config_ops *ops, struct gateway_config *config, struct view **ret_view,
             struct buf *errors)
{
    struct view *v = calloc(1, sizeof(*v));
    char hostname[256] = "";
    int r;

    if (v == NULL) {
        ops->free(config);
        return -ENOMEM;
    }
    *v = (struct view){
        .n_refs = 1,
        .ops = ops,
        .config = config,
        .settings = &config->gateway,
        .upstream = &config->upstream,
        .fleet = &config->fleet,
    };
    (void)gethostname(hostname, sizeof(hostname) - 1);
    r = guard_init(&v->guard, str_of(v->settings->origins), str_of(hostname));
    if (r == 0)
        r = list_nodes(v);
    if (r == 0)
        r = load_keys(v, errors);
    if (r == 0)
        r = check_listeners(v, errors);
    if (r == 0)
        *ret_view = v;
    else
        view_unref(v);
    return r;
}
