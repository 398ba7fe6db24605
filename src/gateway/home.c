/* SPDX-License-Identifier: MIT */
#include "gateway/home.h"

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

void home_find(struct exchange *ex)
{
    const struct fleet_settings *s = ex->view->fleet;
    struct str source = host_of(ex->tl.peer);

    ex->ask.source = source.len > 0 ? fleet_stable_hash(source) : 0;
    if (ex->request.session.len > 0 && fleet_settings_has_affinity(s, STR("header")))
        ex->ask.session = session_of(ex, 1, ex->request.session);
    else if (source.len > 0 && fleet_settings_has_affinity(s, STR("source")))
        ex->ask.session = session_of(ex, 2, source);
    if (s->routing.strategy != BALANCE_PREFIX && !fleet_settings_has_affinity(s, STR("prefix")))
        return;
    prefix_read(&ex->prefix, ex->ask.hash, ex->asked.system, ex->asked.content);
    ex->ask.prefix = &ex->prefix;
}
