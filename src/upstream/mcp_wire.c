/* SPDX-License-Identifier: MIT */
#include "upstream/mcp_wire.h"

#include <errno.h>

#define WIRES_MAX     4  /* connections per loop and node */
#define WIRES_ALL_MAX 16 /* with those that end with their last call */

/*
 * Life
 */

static struct str put_auth(struct upstream_mcp *m, struct str key)
{
    if (key.len == 0)
        return STR_NULL;
    m->auth[0] = MCP_AUTH_BEARER;
    memcpy(m->auth + 1, key.s, key.len);
    return str_make(m->auth, 1 + key.len);
}

int mcp_wires_init(struct upstream *u, const struct mcp_session_ops *session_ops)
{
    struct upstream_mcp *m;

    if (u->settings->key.len > MCP_WIRE_KEY_MAX)
        return -EINVAL;
    m = calloc(1, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    u->mcp = m;
    m->session_ops = session_ops;
    m->settings = mcp_settings_default;
    m->settings.hello.max_inflight = 0; /* we take no calls */
    m->settings.hello.auth = put_auth(m, u->settings->key);
    m->record = BUF_INIT(ATTEMPT_RECORD_MAX + 1);
    mcp_pool_init(&m->pool, NULL);
    list_init(&m->wires);
    list_init(&m->waiting);
    return 0;
}

static void release(struct upstream *u)
{
    struct upstream_mcp *m = TAKE(u->mcp);

    if (m->placing.is_queued)
        list_remove(&m->placing.link);
    mcp_pool_fini(&m->pool);
    buf_fini(&m->record);
    free(m);
}

void mcp_wires_close(struct upstream *u)
{
    if (list_is_empty(&u->mcp->wires)) {
        release(u);
        return;
    }
    list_for_each_safe (it, &u->mcp->wires)
        wire_close(&container_of(it, struct mcp_wire, link)->wire);
}

void mcp_wires_retire(struct upstream *u)
{
    list_for_each_safe (it, &u->mcp->wires) {
        struct mcp_wire *mw = container_of(it, struct mcp_wire, link);

        mw->is_going = mw->has_greeted;
        if (mw->wire.session.n_calls == 0 && list_is_empty(&u->mcp->waiting))
            wire_close(&mw->wire);
    }
    net_timer_arm(u->loop, &u->sweep, time_now() + NSEC_PER_SEC);
}

/*
 * Connections
 */

static void on_open(struct wire *w)
{
    container_of(w, struct mcp_wire, wire)->is_open = true;
}

static void on_failed(struct wire *w, int err)
{
    struct mcp_wire *mw = container_of(w, struct mcp_wire, wire);

    mw->connect_err = err;
    mw->is_going = true;
    wire_close(w);
}

static enum pool_closed closed_by(const struct upstream *u, int err)
{
    if (u->is_retired || u->is_closing)
        return POOL_CLOSED_LEFT;
    return err < 0 ? POOL_CLOSED_FAILED : POOL_CLOSED_NODE;
}

/* They are few, and each carries hundreds of calls: counted, but not limited by the quota. */
static void count_wire(struct upstream *u, int delta)
{
    upstream_count(u, 0, delta);
    if (u->quota.quota == NULL)
        return;
    if (delta > 0)
        quota_force(&u->quota);
    else
        quota_give(&u->quota);
}

static void on_closed(struct wire *w)
{
    struct mcp_wire *mw = container_of(w, struct mcp_wire, wire);
    struct upstream *u = mw->upstream;
    int err = mw->has_greeted ? 0 : mw->connect_err;

    list_remove(&mw->link);
    wire_fini(w);
    free(mw);
    u->mcp->n_wires--;
    mcp_wires_on_lost(u, err);
    count_wire(u, -1);
    quota_count(&u->quota.n_closed[closed_by(u, err)]);
    upstream_gone(u);
    if (u->is_closing && u->n_conns == 0)
        release(u);
}

static const struct wire_ops wire_ops = {
    .name = "upstream_mcp",
    .on_open = on_open,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

int mcp_wire_open(struct upstream *u, struct mcp_wire **ret)
{
    const struct wire_setup setup = {
        .loop = u->loop,
        .ops = &wire_ops,
        .settings = &u->mcp->settings,
        .session_ops = u->mcp->session_ops,
        .pool = &u->mcp->pool,
    };
    struct mcp_wire *mw = calloc(1, sizeof(*mw));
    int r;

    if (mw == NULL)
        return -ENOMEM;
    mw->upstream = u;
    mw->connect_err = -ECONNREFUSED;
    r = wire_connect(&mw->wire, &setup, &u->url.addr, u->settings->connect_timeout_ns);
    if (r < 0) {
        free(mw);
        return r;
    }
    list_put_front(&u->mcp->wires, &mw->link);
    u->mcp->n_wires++;
    u->n_conns++;
    count_wire(u, 1);
    quota_count(&u->quota.n_created);
    *ret = mw;
    return 0;
}

bool mcp_wires_may_grow(const struct upstream_mcp *m)
{
    unsigned n = 0;

    list_for_each (it, &m->wires)
        n += mcp_wire_is_usable(container_of(it, struct mcp_wire, link));
    return n < WIRES_MAX && m->n_wires < WIRES_ALL_MAX;
}
