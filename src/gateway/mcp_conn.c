/* SPDX-License-Identifier: MIT */
#include "gateway/mcp_conn.h"

#include <errno.h>

#define OUTPUT_PIECES 64
#define TAIL_MAX      (8 + UINT16_MAX + NET_READ_BUF_BYTES)

static void conn_close(struct mcp_conn *c)
{
    net_timer_fini(c->server->loop, &c->timer);
    net_stream_close(&c->stream);
}

/* The client is gone, or may not stay: its calls are told. */
static void abandon(struct mcp_conn *c)
{
    if (c->stream.is_closing)
        return;
    mcp_session_eof(&c->session, time_now());
    mcp_session_tick(&c->session, time_now());
    conn_close(c);
}

static void on_closed(struct net_stream *s)
{
    struct mcp_conn *c = container_of(s, struct mcp_conn, stream);
    struct mcp_listener *server = c->server;

    if (c->pump.is_queued)
        list_remove(&c->pump.link);
    list_remove(&c->link);
    server->on_gone(c);
    mcp_session_fini(&c->session);
    buf_fini(&c->tail);
    free(c);
    server->n_conns--;
    metrics_gauge_add(server->metrics, METRICS_CLIENTS, -1);
    if (server->is_draining && server->n_conns == 0 && server->on_idle != NULL)
        net_defer(server->loop, server->on_idle);
}

/* What the session is now decides what becomes of the connection. */
static void follow(struct mcp_conn *c)
{
    enum mcp_state state = mcp_session_state(&c->session);

    if (c->stream.is_closing)
        return;
    if (state == MCP_STATE_DEAD) {
        conn_close(c);
        return;
    }
    if (mcp_session_has_output(&c->session))
        net_defer(c->server->loop, &c->pump);
    else if (state == MCP_STATE_FLUSH && !c->is_shut && net_stream_unsent(&c->stream) == 0) {
        c->is_shut = true;
        net_stream_shutdown(&c->stream);
    }
    net_timer_arm(c->server->loop, &c->timer, mcp_session_next_due(&c->session));
}

void mcp_conn_wake(struct mcp_conn *c)
{
    net_defer(c->server->loop, &c->pump);
}

/* Asks for output only while the socket takes it, so that the session chooses what goes next as late as possible. */
static void on_pump(struct net_task *task)
{
    struct mcp_conn *c = container_of(task, struct mcp_conn, pump);
    struct str pieces[OUTPUT_PIECES];
    nsec_t now = time_now();

    while (!c->stream.is_closing && net_stream_unsent(&c->stream) == 0) {
        int n = mcp_session_output(&c->session, pieces, OUTPUT_PIECES, now);
        size_t len = 0;

        if (n <= 0)
            break;
        for (int i = 0; i < n; i++)
            len += pieces[i].len;
        if (net_stream_write(&c->stream, pieces, (size_t)n) < 0) {
            abandon(c);
            return;
        }
        mcp_session_sent(&c->session, len, now);
    }
    follow(c);
}

static void on_timer(struct net_timer *timer)
{
    struct mcp_conn *c = container_of(timer, struct mcp_conn, timer);

    mcp_session_tick(&c->session, time_now());
    follow(c);
}

/* Keeps what the session did not use in front of what comes next. */
static void on_read(struct net_stream *s, struct str bytes)
{
    struct mcp_conn *c = container_of(s, struct mcp_conn, stream);
    bool is_kept = c->tail.len > 0;
    size_t used;

    if (is_kept && buf_put(&c->tail, bytes) < 0) {
        abandon(c);
        return;
    }
    used = mcp_session_feed(&c->session, is_kept ? buf_str(&c->tail) : bytes, time_now());
    if (is_kept)
        buf_take(&c->tail, used);
    else if (buf_put(&c->tail, str_from(bytes, used)) < 0) {
        abandon(c);
        return;
    }
    if (c->tail.len == 0)
        buf_fini(&c->tail);
    follow(c);
}

static void on_eof(struct net_stream *s)
{
    abandon(container_of(s, struct mcp_conn, stream));
}

static void on_error(struct net_stream *s, int err)
{
    (void)err;
    on_eof(s);
}

static void on_room(struct net_stream *s)
{
    on_pump(&container_of(s, struct mcp_conn, stream)->pump);
}

static const struct net_stream_ops stream_ops = {
    .name = "mcp_conn",
    .on_read = on_read,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_room = on_room,
    .on_closed = on_closed,
};

static struct mcp_conn *conn_new(struct mcp_listener *server)
{
    struct mcp_conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->server = server;
    c->tail = BUF_INIT(TAIL_MAX);
    c->pump.run = on_pump;
    list_init(&c->link);
    list_init(&c->requests);
    if (mcp_session_init(&c->session, MCP_SERVER, &server->settings, server->ops, &server->pool, time_now()) < 0) {
        free(c);
        return NULL;
    }
    if (net_timer_init(server->loop, &c->timer, on_timer) < 0) {
        mcp_session_fini(&c->session);
        free(c);
        return NULL;
    }
    return c;
}

static void on_connection(struct net_listener *listener)
{
    struct mcp_listener *server = container_of(listener, struct mcp_listener, listener);
    struct mcp_conn *c = conn_new(server);

    if (c == NULL) {
        net_listener_refuse(listener);
        return;
    }
    server->n_conns++;
    metrics_gauge_add(server->metrics, METRICS_CLIENTS, 1);
    metrics_count(server->metrics, METRICS_CONNECTIONS);
    if (net_listener_accept(listener, &c->stream, &stream_ops) < 0) {
        net_timer_fini(server->loop, &c->timer);
        if (!c->stream.is_open)
            on_closed(&c->stream);
        return;
    }
    net_stream_lowat(&c->stream);
    list_put_back(&server->conns, &c->link);
    net_stream_read_start(&c->stream);
    follow(c);
}

int mcp_listener_open(struct mcp_listener *server, int fd)
{
    list_init(&server->conns);
    mcp_pool_init(&server->pool, NULL);
    server->is_open = true;
    return net_listener_open(server->loop, &server->listener, fd, on_connection);
}

void mcp_listener_drain(struct mcp_listener *server, unsigned grace_s)
{
    if (!server->is_open)
        return;
    server->is_draining = true;
    net_listener_close(&server->listener);
    list_for_each_safe(it, &server->conns) {
        struct mcp_conn *c = container_of(it, struct mcp_conn, link);

        if (mcp_session_goaway(&c->session, MCP_GOAWAY_MAINTENANCE, grace_s, time_now()) < 0)
            abandon(c);
        else
            follow(c);
    }
}

void mcp_listener_close(struct mcp_listener *server)
{
    if (!server->is_open)
        return;
    net_listener_close(&server->listener);
    list_for_each_safe(it, &server->conns)
        abandon(container_of(it, struct mcp_conn, link));
}

void mcp_listener_fini(struct mcp_listener *server)
{
    if (server->is_open)
        mcp_pool_fini(&server->pool);
}
