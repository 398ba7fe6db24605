/* SPDX-License-Identifier: MIT */
#include "gateway/home.h"

#include "gateway/cookie.h"
#include "gateway/gateway.h"

/* An address without its port. */
static struct str host_of(struct str peer)
{
    const char *colon = peer.len > 0 ? memrchr(peer.s, ':', peer.len) : NULL;

    return colon != NULL ? str_head(peer, (size_t)(colon - peer.s)) : peer;
}

/* A name means something to its owner only. */
static uint64_t session_of(const struct exchange *ex, uint64_t kind, struct str name)
{
    return hash_bytes((struct hash_key){fleet_stable_hash(ex->tl.key), kind}, name);
}

/* Who has none, or one that is not ours, gets one. */
static void take_cookie(struct exchange *ex)
{
    const char *configured = ex->view->fleet->cookie_key;
    struct str key = str_of(configured[0] != '\0' ? configured : ex->worker->gateway->cookie_key);
    struct str id = cookie_find(key, ex->cookie);
    char value[COOKIE_VALUE_LEN + 1];

    if (id.s == NULL) {
        cookie_make(key, value);
        ex->set_cookie = arena_dup(&ex->arena, str_of(value));
        id = str_head(str_of(value), COOKIE_ID_LEN);
    }
    ex->ask.session = session_of(ex, 3, id);
}

void home_take_cookie(struct exchange *ex, const struct h1_head *head)
{
    const struct fleet_settings *s = ex->view->fleet;

    if (fleet_settings_has_affinity(s, STR("cookie")) || s->routing.strategy == BALANCE_COOKIE)
        ex->cookie = arena_dup(&ex->arena, h1_field_get(head, STR("cookie")));
}

void home_find(struct exchange *ex)
{
    const struct fleet_settings *s = ex->view->fleet;
    struct str source = host_of(ex->tl.peer);

    ex->ask.source = source.len > 0 ? fleet_stable_hash(source) : 0;
    if (ex->request.session.len > 0 && fleet_settings_has_affinity(s, STR("header")))
        ex->ask.session = session_of(ex, 1, ex->request.session);
    else if (ex->cookie.s != NULL)
        take_cookie(ex);
    else if (source.len > 0 && fleet_settings_has_affinity(s, STR("source")))
        ex->ask.session = session_of(ex, 2, source);
    if (s->routing.strategy != BALANCE_PREFIX && !fleet_settings_has_affinity(s, STR("prefix")))
        return;
    prefix_read(&ex->prefix, ex->ask.hash, ex->asked.system, ex->asked.content);
    ex->ask.prefix = &ex->prefix;
}
