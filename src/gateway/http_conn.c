/* SPDX-License-Identifier: MIT */
#include "gateway/http_conn.h"

#include <assert.h>
#include <errno.h>

#include "base/err.h"

#define PIPELINE_MAX   (64 * 1024) /* unread bytes kept while an answer is on its way */
#define LINGER_IDLE_NS (2 * NSEC_PER_SEC)
#define LINGER_NS      (30 * NSEC_PER_SEC)
#define HEAD_OWN_MAX   256 /* status line, framing, Connection */
#define COPY_MAX       2048
#define KEPT_MAX       (PIPELINE_MAX + 2 * NET_READ_BUF_BYTES)

static void go_on(struct http_conn *c);

/*
 * Life
 */

static void conn_close(struct http_conn *c)
{
    if (c->state == HTTP_CONN_CLOSING)
        return;
    c->state = HTTP_CONN_CLOSING;
    net_timer_fini(c->server->loop, &c->timer);
    net_stream_close(&c->stream);
}

static void forget_output(struct http_conn *c)
{
    struct http_out *out = c->server->out;

    if (out->conn != c)
        return;
    out->conn = NULL;
    out->n_pieces = 0;
    out->text.len = 0;
}

static void on_closed(struct net_stream *s)
{
    struct http_conn *c = container_of(s, struct http_conn, stream);
    struct http_server *server = c->server;

    forget_output(c); /* a flush that failed may have been followed by more */
    list_remove(&c->link);
    if (c->next.is_queued)
        list_remove(&c->next.link);
    server->n_conns--;
    metrics_gauge_add(server->metrics, METRICS_CLIENTS, -1);
    buf_fini(&c->in);
    server->ops->conn_free(c);
    if (server->is_draining && server->n_conns == 0 && server->on_idle != NULL)
        net_defer(server->loop, server->on_idle);
}

/* The client is not there any more, or may not stay: an open request is told. */
static void abandon(struct http_conn *c)
{
    bool is_open = c->state == HTTP_CONN_BODY || c->state == HTTP_CONN_ANSWERING;

    forget_output(c);
    conn_close(c);
    if (is_open)
        c->server->ops->on_gone(c);
}

static void arm(struct http_conn *c, nsec_t after)
{
    net_timer_arm(c->server->loop, &c->timer,
                  after == NSEC_NEVER ? NSEC_NEVER : net_now(c->server->loop) + after);
}

/* A client that takes nothing for the whole time-out is cut off. */
static void watch_sending(struct http_conn *c)
{
    c->unsent_seen = net_stream_unsent(&c->stream);
    arm(c, c->server->settings->send_timeout_ns);
}

/* Our side is done: FIN behind what is queued, then wait for the client's. */
static void linger(struct http_conn *c)
{
    c->state = HTTP_CONN_LINGER;
    c->linger_until = time_now() + LINGER_NS;
    net_stream_shutdown(&c->stream);
    net_stream_read_start(&c->stream);
    if (net_stream_unsent(&c->stream) > 0)
        watch_sending(c);
    else
        arm(c, LINGER_IDLE_NS);
    if (c->stream.is_eof && net_stream_unsent(&c->stream) == 0)
        conn_close(c);
}

/*
 * Output
 */

void http_conn_flush(struct http_conn *c)
{
    struct http_out *out = c->server->out;

    if (out->conn != c)
        return;
    out->conn = NULL;
    if (c->state != HTTP_CONN_CLOSING &&
        net_stream_write_later(&c->stream, out->pieces, out->n_pieces) < 0)
        abandon(c);
    out->n_pieces = 0;
    out->text.len = 0;
    if (c->state == HTTP_CONN_ANSWERING && c->timer.due == NSEC_NEVER &&
        net_stream_unsent(&c->stream) > 0)
        watch_sending(c);
}

/* Makes the output of this loop ours, with room for @n pieces and @text bytes of text. */
static struct http_out *claim(struct http_conn *c, size_t n, size_t text)
{
    struct http_out *out = c->server->out;

    if (out->conn != NULL && out->conn != c)
        http_conn_flush(out->conn);
    if (out->n_pieces + n > HTTP_OUT_PIECES || out->text.len + text > HTTP_OUT_TEXT_BYTES)
        http_conn_flush(c);
    out->conn = c;
    return out;
}

static void put_piece(struct http_out *out, struct str piece)
{
    out->pieces[out->n_pieces++] = piece;
}

/* What was appended to the text since @begin goes out; behind other text it is the same piece. */
static void end_text(struct http_out *out, size_t begin)
{
    struct str text = str_make(out->text.data + begin, out->text.len - begin);
    struct str *last = out->n_pieces > 0 ? &out->pieces[out->n_pieces - 1] : NULL;

    if (last != NULL && last->s + last->len == text.s)
        last->len += text.len;
    else
        put_piece(out, text);
}

/* Copies; claim() made the room. */
static void put_text(struct http_out *out, struct str text)
{
    size_t begin = out->text.len;

    if (text.len == 0)
        return;
    memcpy(out->text.data + begin, text.s, text.len);
    out->text.len += text.len;
    end_text(out, begin);
}

/* A little is cheaper copied than named to the kernel as a piece of its own. */
static void put_bytes(struct http_out *out, struct str bytes)
{
    if (bytes.len <= COPY_MAX)
        put_text(out, bytes);
    else
        put_piece(out, bytes);
}

static struct str connection_field(const struct http_conn *c)
{
    if (c->wants_close)
        return STR("Connection: close\r\n\r\n");
    return c->is_http10 ? STR("Connection: keep-alive\r\n\r\n") : STR("\r\n");
}

static bool has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* How the reader finds the end of the answer. */
static void put_framing(struct http_conn *c, struct http_out *out, const struct http_answer *answer)
{
    char digits[U64_DIGITS_MAX];

    c->is_chunked = false;
    if (has_no_body(answer->status))
        return;
    if (answer->has_length) {
        put_text(out, STR("Content-Length: "));
        put_text(out, str_make(digits, str_put_u64(answer->length, digits)));
        put_text(out, STR("\r\n"));
    } else if (c->is_http10) {
        c->wants_close = true; /* the end of the connection is the end of the answer */
    } else {
        c->is_chunked = true;
        put_text(out, STR("Transfer-Encoding: chunked\r\n"));
    }
}

void http_conn_head(struct http_conn *c, const struct http_answer *answer)
{
    size_t own = HEAD_OWN_MAX + answer->own_fields.len;
    bool is_long = own + answer->fields.len > HTTP_OUT_TEXT_BYTES;
    struct http_out *out = claim(c, 3, is_long ? own : own + answer->fields.len);
    size_t begin = out->text.len;

    c->is_continue_due = false;
    if (c->server->is_draining || c->state == HTTP_CONN_BODY)
        c->wants_close = true; /* with unread body bytes before it, nothing behind can be read */
    (void)!h1_put_status(&out->text, answer->status);
    end_text(out, begin);
    put_text(out, answer->own_fields);
    if (is_long)
        put_piece(out, answer->fields);
    else
        put_text(out, answer->fields);
    put_framing(c, out, answer);
    put_text(out, connection_field(c));
}

void http_conn_wrapped_piece(struct http_conn *c, struct str front, struct str bytes,
                             struct str back)
{
    struct http_out *out;
    char size[H1_CHUNK_HEAD_MAX];
    size_t len = front.len + bytes.len + back.len;

    assert(front.len + back.len <= HTTP_WRAP_MAX);
    if (len == 0 || c->is_head_request || c->state == HTTP_CONN_CLOSING)
        return;
    out = claim(c, 3, sizeof(size) + HTTP_WRAP_MAX + COPY_MAX + 2);
    if (c->is_chunked)
        put_text(out, str_make(size, h1_chunk_head(size, len)));
    put_text(out, front);
    put_bytes(out, bytes);
    put_text(out, back);
    if (c->is_chunked)
        put_text(out, STR("\r\n"));
}

void http_conn_piece(struct http_conn *c, struct str bytes)
{
    http_conn_wrapped_piece(c, STR_NULL, bytes, STR_NULL);
}

/* The request in hand is done with: ready for the next. */
static void next_request(struct http_conn *c)
{
    c->state = HTTP_CONN_HEAD;
    c->scan = (struct h1_scan){0};
    c->head_begun = 0;
    c->is_answered = false;
    if (c->server->is_draining) {
        linger(c);
        return;
    }
    arm(c, c->server->settings->keep_alive_ns);
    net_stream_read_start(&c->stream);
    if (c->in.len > 0)
        net_defer(c->server->loop, &c->next);
}

static void break_off(struct http_conn *c)
{
    http_conn_flush(c);
    if (c->state == HTTP_CONN_CLOSING)
        return;
    /* Without chunks only a reset differs from an end. */
    if (!c->is_chunked && c->is_http10) {
        c->state = HTTP_CONN_CLOSING;
        net_timer_fini(c->server->loop, &c->timer);
        net_stream_reset(&c->stream);
        return;
    }
    linger(c);
}

void http_conn_end(struct http_conn *c, bool is_complete)
{
    if (!is_complete) {
        break_off(c);
        return;
    }
    if (c->is_chunked && !c->is_head_request)
        put_text(claim(c, 1, 5), STR("0\r\n\r\n"));
    http_conn_flush(c);
    if (c->state == HTTP_CONN_CLOSING)
        return;
    if (c->wants_close)
        linger(c);
    /* who asks without reading waits: on_room() goes on */
    else if (net_stream_unsent(&c->stream) > 0)
        c->is_answered = true;
    else
        next_request(c);
}

void http_conn_answer(struct http_conn *c, int status, struct str fields, struct str body)
{
    const struct http_answer answer = {
        .status = status, .fields = fields, .has_length = true, .length = body.len};

    http_conn_head(c, &answer);
    http_conn_piece(c, body);
    http_conn_end(c, /* is_complete= */ true);
}

/*
 * Input
 */

static const char *reject_text(int err)
{
    if (err == -ETIMEDOUT)
        return "the request did not arrive in time";
    if (err == -EMFILE)
        return "the gateway has too many connections";
    return err == -EMSGSIZE ? "the request body is too large" : err_text(err);
}

static int reject_status(int err)
{
    if (err == -ETIMEDOUT)
        return 408;
    if (err == -EMFILE)
        return 503;
    return err == -EMSGSIZE ? 413 : h1_error_status(err);
}

static void reject(struct http_conn *c, int err)
{
    int status = reject_status(err);

    if (status != 503)
        metrics_count(c->server->metrics, METRICS_PARSE_REJECTS);
    if (c->state == HTTP_CONN_HEAD) {
        c->is_http10 = false;
        c->is_head_request = false;
    }
    c->state = HTTP_CONN_BODY; /* what follows cannot be read as a request */
    c->wants_close = true;
    c->server->ops->on_reject(c, status, reject_text(err));
    /* no memory for an answer */
    if (c->state == HTTP_CONN_BODY)
        conn_close(c);
}

static void on_timer(struct net_timer *timer)
{
    struct http_conn *c = container_of(timer, struct http_conn, timer);

    switch (c->state) {
    case HTTP_CONN_HEAD:
        if (c->head_begun != 0)
            reject(c, -ETIMEDOUT);
        else
            conn_close(c);
        break;
    case HTTP_CONN_BODY:
        reject(c, -ETIMEDOUT);
        break;
    case HTTP_CONN_ANSWERING:
        if (net_stream_unsent(&c->stream) == 0)
            break;
        if (net_stream_unsent(&c->stream) == c->unsent_seen)
            abandon(c);
        else
            watch_sending(c);
        break;
    case HTTP_CONN_LINGER:
        if (net_stream_unsent(&c->stream) > 0 && net_stream_unsent(&c->stream) != c->unsent_seen)
            watch_sending(c);
        else
            conn_close(c);
        break;
    case HTTP_CONN_CLOSING:
        conn_close(c);
        break;
    }
}

/* Tells the client that its body is welcome, unless it began to send without waiting. */
static void send_continue(struct http_conn *c, struct str rest)
{
    struct http_out *out;

    if (!c->is_continue_due)
        return;
    c->is_continue_due = false;
    if (rest.len > 0)
        return;
    out = claim(c, 1, 0);
    put_piece(out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    http_conn_flush(c);
}

/* The next piece may not take long, nor the whole longer than its bytes so far allow. */
static void await_body(struct http_conn *c)
{
    const struct http_settings *settings = c->server->settings;
    nsec_t due = net_now(c->server->loop) + settings->body_idle_timeout_ns;
    nsec_t allowed;

    if (settings->body_rate_bytes > 0) {
        allowed = c->body_begun + settings->body_idle_timeout_ns +
                  (nsec_t)((double)c->body_bytes / (double)settings->body_rate_bytes *
                           (double)NSEC_PER_SEC);
        due = allowed < due ? allowed : due;
    }
    net_timer_arm(c->server->loop, &c->timer, due);
}

static void begin_request(struct http_conn *c, const struct h1_head *head)
{
    c->is_http10 = head->minor == 0;
    c->is_head_request = head->method == H1_HEAD;
    c->wants_close = !head->keep_alive;
    c->is_continue_due = head->expect_continue;
    c->body_bytes = 0;
    c->is_flowing = false;
    c->paused_at = 0;
    c->body_begun = net_now(c->server->loop);
    c->state = HTTP_CONN_BODY;
    h1_body_init(&c->body, head);
}

static bool is_too_long(const struct http_conn *c, uint64_t n_bytes)
{
    return !c->is_flowing && n_bytes > c->server->settings->body_max_bytes;
}

void http_conn_flow(struct http_conn *c)
{
    c->is_flowing = true;
}

void http_conn_pause(struct http_conn *c)
{
    if (c->state != HTTP_CONN_BODY || c->paused_at != 0)
        return;
    c->paused_at = time_now();
    net_timer_disarm(&c->timer);
    net_stream_read_stop(&c->stream);
}

void http_conn_resume(struct http_conn *c)
{
    if (c->state != HTTP_CONN_BODY || c->paused_at == 0)
        return;
    c->body_begun += time_now() - c->paused_at; /* that was not the client's time */
    c->paused_at = 0;
    await_body(c);
    net_stream_read_start(&c->stream);
}

/*
 * Return: 0 a head was read and the request goes on; H1_MORE; H1_DONE it was answered or refused.
 */
static int read_head(struct http_conn *c, struct str *in)
{
    const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct h1_head head;
    size_t len;
    int r = h1_scan_head(&c->scan, *in, &limits, &len);

    if (c->head_begun == 0) {
        c->head_begun = net_now(c->server->loop);
        arm(c, c->server->settings->head_timeout_ns);
    }
    if (r == H1_MORE)
        return r;
    if (r == 0)
        r = h1_parse_request(str_head(*in, len), &head);
    if (r < 0) {
        reject(c, r);
        return H1_DONE;
    }
    *in = str_from(*in, len);
    begin_request(c, &head);
    /* nothing unread, so an early answer need not close */
    if (head.framing == H1_BODY_NONE)
        c->state = HTTP_CONN_ANSWERING;
    r = c->server->ops->on_head(c, &head);
    if (r == HTTP_CONN_REFUSED)
        return H1_DONE;
    if (head.framing == H1_BODY_LENGTH && is_too_long(c, head.length)) {
        reject(c, -EMSGSIZE);
        return H1_DONE;
    }
    if (c->paused_at == 0)
        await_body(c);
    if (head.framing != H1_BODY_NONE)
        send_continue(c, *in);
    return 0;
}

/* Return: 0 go on; H1_MORE; H1_DONE the request is whole, or was refused. */
static int read_body(struct http_conn *c, struct str *in)
{
    struct str data;
    int r = h1_body_feed(&c->body, in, &data);

    if (r == H1_DONE) {
        c->state = HTTP_CONN_ANSWERING;
        net_timer_disarm(&c->timer);
        c->server->ops->on_request(c);
        return r;
    }
    if (r == H1_MORE)
        return r;
    if (r == 0) {
        c->body_bytes += data.len;
        if (is_too_long(c, c->body_bytes))
            r = -EMSGSIZE;
        else
            return c->server->ops->on_body(c, data) == HTTP_CONN_REFUSED ? H1_DONE : 0;
    }
    reject(c, r);
    return H1_DONE;
}

/*
 * Takes one request off the front of *in. Return: H1_MORE bytes are missing; H1_DONE it was
 * answered, or is going to be.
 */
static int read_request(struct http_conn *c, struct str *in)
{
    int r = 0;

    while (r == 0 && in->len > 0 && c->state == HTTP_CONN_HEAD)
        r = read_head(c, in);
    while (r == 0 && (c->state == HTTP_CONN_BODY || c->state == HTTP_CONN_ANSWERING))
        r = read_body(c, in);
    return r;
}

/*
 * Keeps what could not be used yet; goes on with it later when @r says that a request was done
 * with.
 */
static void keep(struct http_conn *c, struct str rest, bool is_kept, int r)
{
    if (c->state == HTTP_CONN_LINGER || c->state == HTTP_CONN_CLOSING) {
        buf_fini(&c->in);
        return;
    }
    if (is_kept)
        buf_take(&c->in, c->in.len - rest.len);
    else if (buf_put(&c->in, rest) < 0) {
        abandon(c);
        return;
    }
    if (c->in.len == 0)
        buf_fini(&c->in);
    else if (r == H1_DONE && c->state == HTTP_CONN_HEAD)
        net_defer(c->server->loop, &c->next);
    /* Far more than a head: answers come first. */
    if ((c->state != HTTP_CONN_BODY && c->in.len > PIPELINE_MAX) ||
        (c->state == HTTP_CONN_BODY && c->paused_at != 0))
        net_stream_read_stop(&c->stream);
    else
        net_stream_read_start(&c->stream);
}

static void go_on(struct http_conn *c)
{
    struct str rest = buf_str(&c->in);
    int r = H1_MORE;

    if (c->state == HTTP_CONN_HEAD || c->state == HTTP_CONN_BODY)
        r = read_request(c, &rest);
    keep(c, rest, /* is_kept= */ true, r);
}

static void on_next(struct net_task *task)
{
    go_on(container_of(task, struct http_conn, next));
}

/* A client that goes on sending is read for a while, so that no reset overtakes the answer. */
static void drop(struct http_conn *c)
{
    nsec_t now = time_now();

    if (net_stream_unsent(&c->stream) > 0)
        return;
    if (now >= c->linger_until)
        conn_close(c);
    else
        net_timer_arm(c->server->loop, &c->timer, now + LINGER_IDLE_NS);
}

static void on_read(struct net_stream *s, struct str bytes)
{
    struct http_conn *c = container_of(s, struct http_conn, stream);
    int r;

    if (c->state == HTTP_CONN_LINGER) {
        drop(c);
        return;
    }
    if (c->in.len > 0 || c->state == HTTP_CONN_ANSWERING) {
        if (buf_put(&c->in, bytes) < 0) {
            abandon(c);
            return;
        }
        go_on(c);
        return;
    }
    if (c->state == HTTP_CONN_BODY)
        await_body(c);
    r = read_request(c, &bytes);
    keep(c, bytes, /* is_kept= */ false, r);
}

static void on_eof(struct net_stream *s)
{
    struct http_conn *c = container_of(s, struct http_conn, stream);

    /* the answer is on its way, and a half-closed client still reads */
    if (c->is_answered)
        linger(c);
    else if (c->state != HTTP_CONN_LINGER || net_stream_unsent(s) == 0)
        abandon(c);
}

static void on_error(struct net_stream *s, int err)
{
    (void)err;
    abandon(container_of(s, struct http_conn, stream));
}

static void on_room(struct net_stream *s)
{
    struct http_conn *c = container_of(s, struct http_conn, stream);

    if (c->state == HTTP_CONN_LINGER) {
        if (c->stream.is_eof)
            conn_close(c);
        else
            arm(c, LINGER_IDLE_NS);
        return;
    }
    if (c->state != HTTP_CONN_ANSWERING)
        return;
    net_timer_disarm(&c->timer);
    if (c->is_answered)
        next_request(c);
    else
        c->server->ops->on_room(c);
}

static const struct net_stream_ops stream_ops = {
    .name = "http_conn",
    .on_read = on_read,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_room = on_room,
    .on_closed = on_closed,
};

/*
 * Server
 */

static void on_connection(struct net_listener *listener)
{
    struct http_server *server = container_of(listener, struct http_server, listener);
    struct http_conn *c = server->ops->conn_new(server);

    if (c == NULL) {
        net_listener_refuse(listener);
        return;
    }
    c->server = server;
    c->in = BUF_INIT(KEPT_MAX);
    c->next.run = on_next;
    list_init(&c->link);
    if (net_timer_init(server->loop, &c->timer, on_timer) < 0) {
        server->ops->conn_free(c);
        net_listener_refuse(listener);
        return;
    }
    server->n_conns++;
    metrics_gauge_add(server->metrics, METRICS_CLIENTS, 1);
    metrics_count(server->metrics, METRICS_CONNECTIONS);
    if (net_listener_accept(listener, &c->stream, &stream_ops) < 0) {
        c->state = HTTP_CONN_CLOSING;
        net_timer_fini(server->loop, &c->timer);
        if (!c->stream.is_open)
            on_closed(&c->stream);
        return;
    }
    list_put_back(&server->conns, &c->link);
    if (!server->takes_spare && net_stream_is_spare(&c->stream)) {
        reject(c, -EMFILE);
        return;
    }
    arm(c, server->settings->keep_alive_ns);
    net_stream_read_start(&c->stream);
}

int http_out_init(struct http_out *out)
{
    *out = (struct http_out){.text = BUF_INIT(HTTP_OUT_TEXT_BYTES)};
    return buf_reserve(&out->text, HTTP_OUT_TEXT_BYTES);
}

void http_out_fini(struct http_out *out)
{
    buf_fini(&out->text);
}

int http_server_open(struct http_server *server, int fd)
{
    list_init(&server->conns);
    return net_listener_open(server->loop, &server->listener, fd, on_connection);
}

void http_server_drain(struct http_server *server)
{
    server->is_draining = true;
    net_listener_close(&server->listener);
    list_for_each_safe (it, &server->conns) {
        struct http_conn *c = container_of(it, struct http_conn, link);

        if (c->state == HTTP_CONN_HEAD && c->head_begun == 0)
            conn_close(c);
    }
}

void http_server_close(struct http_server *server)
{
    net_listener_close(&server->listener);
    list_for_each_safe (it, &server->conns)
        abandon(container_of(it, struct http_conn, link));
}
