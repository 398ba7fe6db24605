/* SPDX-License-Identifier: MIT */
#include "wire/wire.h"

#include <errno.h>

#define OUTPUT_PIECES 64
#define TAIL_MAX      (8 + UINT16_MAX + NET_READ_BUF_BYTES)

static void close_stream(struct wire *w)
{
    net_timer_fini(w->loop, &w->timer);
    net_stream_close(&w->stream);
}

void wire_close(struct wire *w)
{
    if (w->stream.is_closing)
        return;
    mcp_session_eof(&w->session, time_now());
    mcp_session_tick(&w->session, time_now());
    close_stream(w);
}

static void on_closed(struct net_stream *s)
{
    struct wire *w = container_of(s, struct wire, stream);

    if (w->pump.is_queued) {
        list_remove(&w->pump.link);
        w->pump.is_queued = false;
    }
    w->ops->on_closed(w);
}

void wire_fini(struct wire *w)
{
    mcp_session_fini(&w->session);
    buf_fini(&w->tail);
}

/* Tells the session what the socket has taken since it was told last: its clock of stalls follows that, not what was handed over. */
static void settle(struct wire *w)
{
    size_t unsent = net_stream_unsent(&w->stream);
    size_t n = w->given > unsent ? w->given - unsent : 0;

    w->given -= n;
    if (n > 0)
        mcp_session_sent(&w->session, n, time_now());
}

/* What the session is now decides what becomes of the connection. */
static void follow(struct wire *w)
{
    enum mcp_state state = mcp_session_state(&w->session);

    if (w->stream.is_closing || w->is_connecting)
        return;
    if (state == MCP_STATE_DEAD) {
        wire_close(w);
        return;
    }
    if (mcp_session_has_output(&w->session)) {
        if (net_stream_unsent(&w->stream) == 0) /* else on_room comes */
            net_defer(w->loop, &w->pump);
    } else if (state == MCP_STATE_FLUSH && !w->is_shut && net_stream_unsent(&w->stream) == 0) {
        w->is_shut = true;
        net_stream_shutdown(&w->stream);
    }
    net_timer_arm(w->loop, &w->timer, mcp_session_next_due(&w->session));
}

void wire_wake(struct wire *w)
{
    net_defer(w->loop, &w->pump);
}

/*
 * Asks for output only while the socket takes it, so that the session chooses what goes next as
 * late as possible.
 */
static void on_pump(struct net_task *task)
{
    struct wire *w = container_of(task, struct wire, pump);
    struct str pieces[OUTPUT_PIECES];
    nsec_t now = time_now();

    settle(w);
    while (!w->stream.is_closing && !w->is_connecting && net_stream_unsent(&w->stream) == 0) {
        int n = mcp_session_output(&w->session, pieces, OUTPUT_PIECES, now);

        if (n <= 0)
            break;
        for (int i = 0; i < n; i++)
            w->given += pieces[i].len;
        if (net_stream_write(&w->stream, pieces, (size_t)n) < 0) {
            wire_close(w);
            return;
        }
        settle(w);
    }
    follow(w);
}

void wire_flush(struct wire *w)
{
    on_pump(&w->pump);
}

static void on_timer(struct net_timer *timer)
{
    struct wire *w = container_of(timer, struct wire, timer);

    if (w->is_connecting) {
        w->ops->on_failed(w, -ETIMEDOUT);
        return;
    }
    if (!w->stream.is_closing)
        settle(w);
    mcp_session_tick(&w->session, time_now());
    follow(w);
}

/* Keeps what the session did not use in front of what comes next. */
static void on_read(struct net_stream *s, struct str bytes)
{
    struct wire *w = container_of(s, struct wire, stream);
    bool is_kept = w->tail.len > 0;
    size_t used;
    int r = is_kept ? buf_put(&w->tail, bytes) : 0;

    if (r == 0) {
        used = mcp_session_feed(&w->session, is_kept ? buf_str(&w->tail) : bytes, time_now());
        if (is_kept)
            buf_take(&w->tail, used);
        else
            r = buf_put(&w->tail, str_from(bytes, used));
    }
    if (r < 0) {
        wire_close(w);
        return;
    }
    if (w->tail.len == 0)
        buf_fini(&w->tail);
    follow(w);
}

static void on_eof(struct net_stream *s)
{
    wire_close(container_of(s, struct wire, stream));
}

static void on_error(struct net_stream *s, int err)
{
    (void)err;
    on_eof(s);
}

static void on_room(struct net_stream *s)
{
    on_pump(&container_of(s, struct wire, stream)->pump);
}

static void begin(struct wire *w)
{
    net_stream_lowat(&w->stream);
    net_stream_read_start(&w->stream);
    follow(w);
}

static void on_connect(struct net_stream *s, int err)
{
    struct wire *w = container_of(s, struct wire, stream);

    if (err < 0) {
        w->ops->on_failed(w, err);
        return;
    }
    w->is_connecting = false;
    begin(w);
    w->ops->on_open(w);
}

static const struct net_stream_ops stream_ops = {
    .name = "wire",
    .on_connect = on_connect,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_room = on_room,
    .on_closed = on_closed,
};

static int init(struct wire *w, const struct wire_setup *setup, enum mcp_role role)
{
    int r;

    *w = (struct wire){.loop = setup->loop,
                       .ops = setup->ops,
                       .tail = BUF_INIT(TAIL_MAX),
                       .pump = {.run = on_pump}};
    r = mcp_session_init(&w->session, role, setup->settings, setup->session_ops, setup->pool,
                         time_now());
    if (r < 0)
        return r;
    r = net_timer_init(w->loop, &w->timer, on_timer);
    if (r < 0)
        wire_fini(w);
    return r;
}

static void undo(struct wire *w)
{
    net_timer_fini(w->loop, &w->timer);
    wire_fini(w);
}

int wire_accept(struct wire *w, const struct wire_setup *setup, struct net_listener *listener)
{
    int r = init(w, setup, MCP_SERVER);

    if (r < 0)
        return r;
    r = net_listener_accept(listener, &w->stream, &stream_ops);
    if (r < 0 && !w->stream.is_open)
        undo(w);
    if (r == 0)
        begin(w);
    return r;
}

int wire_connect(struct wire *w, const struct wire_setup *setup, const struct addr *to,
                 nsec_t timeout)
{
    int r = init(w, setup, MCP_CLIENT);

    if (r < 0)
        return r;
    w->is_connecting = true;
    r = net_stream_connect(w->loop, &w->stream, to, &stream_ops);
    if (r < 0)
        undo(w);
    else if (timeout != NSEC_NEVER)
        net_timer_arm(w->loop, &w->timer, time_now() + timeout);
    return r;
}
