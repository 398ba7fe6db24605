/* SPDX-License-Identifier: MIT */
#include "upstream/conn.h"

#include <errno.h>

#include "base/err.h"
#include "upstream/kind.h"

#define REQUEST_HEAD_MAX  (128 * 1024)
#define HEAD_MAX          (32 * 1024)
#define INFORMATIONAL_MAX 16
#define SURELY_HELD_BYTES 3072         /* of a request: net/ sends it at the end of the turn */
#define SMALL_BODY_BYTES  4096         /* goes behind the head in the same piece */
#define BODY_PIECE_BYTES  (256 * 1024) /* of a request body, so that little of it is ever copied */

static const struct h1_limits answer_limits = {.line_max = 8192, .head_max = HEAD_MAX};

static void on_closed(struct net_stream *s)
{
    struct upstream_conn *c = container_of(s, struct upstream_conn, stream);

    upstream_gone(c->upstream);
    buf_fini(&c->head);
    free(c);
}

void conn_close(struct upstream_conn *c, enum pool_closed why)
{
    struct upstream *u = c->upstream;

    if (c->state == CONN_CLOSING)
        return;
    upstream_count(u, c->member.is_idle ? -1 : 0, c->member.is_idle ? 0 : -1);
    c->state = CONN_CLOSING;
    pool_leave(&u->pool, &c->member);
    list_remove(&c->busy_link);
    net_timer_fini(u->loop, &c->timer);
    net_stream_close(&c->stream);
    quota_count(&u->quota.n_closed[why]);
    if (u->quota.quota != NULL)
        quota_give(&u->quota);
    if (c->is_warming)
        upstream_warmed(u, /* is_open= */ false);
    else
        upstream_cooled(u);
}

/* Parts connection and attempt; the connection stays open. */
static struct attempt *detach(struct upstream_conn *c)
{
    struct attempt *a = c->attempt;

    c->attempt = NULL;
    a->conn = NULL;
    a->is_running = false;
    return a;
}

static void fail(struct upstream_conn *c, enum call_outcome outcome, int err)
{
    struct attempt *a;

    if (c->attempt == NULL) {
        conn_close(c, c->state == CONN_IDLE ? POOL_CLOSED_NODE : POOL_CLOSED_FAILED);
        return;
    }
    a = detach(c);
    conn_close(c, outcome == CALL_STALE_CONNECTION ? POOL_CLOSED_NODE : POOL_CLOSED_FAILED);
    records_fini(&a->records);
    a->ops->on_fail(a, outcome, err);
}

/* The connection is gone. What that means depends on how far the answer had come. */
static void lose(struct upstream_conn *c, int err)
{
    bool is_stale = c->is_reused && c->attempt != NULL && !c->attempt->has_answer;

    fail(c, is_stale ? CALL_STALE_CONNECTION : CALL_RESET, err);
}

static void on_opening_timeout(struct net_timer *timer)
{
    struct upstream_conn *c = container_of(timer, struct upstream_conn, timer);

    fail(c, CALL_CONNECT_FAILED, -ETIMEDOUT);
}

/* Sends as much of the body as keeps the copied rest small. */
static int send_body(struct upstream_conn *c, struct str *pieces, size_t n)
{
    const struct str body = c->attempt->request->body;

    do {
        pieces[n++] = str_head(str_from(body, c->body_sent), BODY_PIECE_BYTES);
        c->body_sent += pieces[n - 1].len;
        if (net_stream_write_later(&c->stream, pieces, n) < 0)
            return -ENOMEM;
        n = 0;
    } while (c->body_sent < body.len && net_stream_unsent(&c->stream) == 0);
    return 0;
}

/* The head in one piece: the kernel takes one of it cheaper than nine. Return: 0, -ENOBUFS, -ENOMEM. */
static int put_head(struct upstream *u, const struct attempt_request *q)
{
    const struct str parts[] = {
        q->method,
        STR(" "),
        str_of(u->url.path),
        q->target,
        STR(" HTTP/1.1\r\nHost: "),
        str_make(u->host_field, u->host_field_len),
        STR("\r\n"),
        q->fields,
        STR("\r\n"),
    };
    int r = 0;

    buf_reset(&u->head);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++)
        r = buf_put(&u->head, parts[i]);
    return r;
}

static int send_request(struct upstream_conn *c, struct attempt *a)
{
    struct upstream *u = c->upstream;
    struct str pieces[2];
    int r;

    c->attempt = a;
    a->conn = c;
    c->state = CONN_HEAD;
    c->scan = (struct h1_scan){0};
    c->body_sent = 0;
    c->n_informational = 0;
    c->is_last = false;
    c->is_flowed = false;
    a->sent_at = net_now(u->loop);
    r = put_head(u, a->request);
    if (r == 0 && a->request->body.len <= SMALL_BODY_BYTES) {
        r = buf_put(&u->head, a->request->body);
        c->body_sent = a->request->body.len;
    }
    if (r < 0)
        return r;
    pieces[0] = buf_str(&u->head);
    return send_body(c, pieces, 1);
}

/* We lack what a connection needs; the node has no part in it. */
static bool is_own_want(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS;
}

static void settle(struct upstream_conn *c);

/* Nobody waits for it. */
static void become_warm(struct upstream_conn *c)
{
    c->is_warming = false;
    list_remove(&c->busy_link);
    settle(c);
    upstream_warmed(c->upstream, /* is_open= */ true);
}

/* A flowing body may go on. */
static void tell_room(struct upstream_conn *c)
{
    struct attempt *a = c->attempt;

    if (a != NULL && a->request->is_flowing && !c->is_flowed && attempt_has_room(a))
        a->ops->on_room(a);
}

bool attempt_has_room(const struct attempt *a)
{
    return a->conn != NULL && a->conn->state != CONN_OPENING &&
           net_stream_unsent(&a->conn->stream) == 0;
}

int attempt_flow(struct attempt *a, struct str bytes)
{
    char size[H1_CHUNK_HEAD_MAX];
    struct str chunk[] = {STR_NULL, bytes, STR("\r\n")};

    if (!a->request->is_chunked)
        return net_stream_write(&a->conn->stream, &bytes, 1);
    chunk[0] = str_make(size, h1_chunk_head(size, bytes.len));
    return net_stream_write(&a->conn->stream, chunk, 3);
}

int attempt_flow_end(struct attempt *a)
{
    const struct str last = STR("0\r\n\r\n");

    a->conn->is_flowed = true;
    return a->request->is_chunked ? net_stream_write(&a->conn->stream, &last, 1) : 0;
}

static void on_connect(struct net_stream *s, int err)
{
    struct upstream_conn *c = container_of(s, struct upstream_conn, stream);
    nsec_t keepalive = c->upstream->settings->keepalive_interval_ns;

    if (err < 0) {
        fail(c, is_own_want(err) ? CALL_OVERLOAD : CALL_CONNECT_FAILED, err);
        return;
    }
    net_timer_fini(c->upstream->loop, &c->timer);
    if (keepalive != NSEC_NEVER)
        net_stream_keepalive(s, (unsigned)((keepalive + NSEC_PER_SEC - 1) / NSEC_PER_SEC));
    net_stream_read_start(s);
    if (c->attempt == NULL) {
        become_warm(c);
        return;
    }
    c->attempt->connected_at = time_now();
    if (send_request(c, c->attempt) < 0)
        fail(c, CALL_RESET, -ENOMEM);
    else
        tell_room(c);
}

static void on_room(struct net_stream *s)
{
    struct upstream_conn *c = container_of(s, struct upstream_conn, stream);
    struct str pieces[1];

    if (c->attempt != NULL && c->body_sent < c->attempt->request->body.len &&
        send_body(c, pieces, 0) < 0)
        fail(c, CALL_RESET, -ENOMEM);
    else
        tell_room(c);
}

static void choose_form(struct attempt *a, const struct h1_head *head)
{
    struct str type = h1_field_get(head, STR("content-type"));
    struct str essence = str_trim(str_head(type, str_find(type, ';')));

    if (head->status != 200)
        return;
    a->is_sse = str_eq_nocase(essence, STR("text/event-stream"));
    a->is_stream = a->is_sse || str_eq_nocase(essence, STR("application/x-ndjson"));
    if (a->is_stream)
        records_init(&a->records, a->is_sse ? RECORDS_SSE : RECORDS_NDJSON, ATTEMPT_RECORD_MAX);
}

/* Unread bytes of a head stay with the connection until the rest comes. */
static int keep_head(struct upstream_conn *c, struct str in, bool is_kept)
{
    return is_kept ? 0 : buf_put(&c->head, in);
}

/*
 * Reads one head off the front of *in, which on H1_MORE is used up.
 * Return: 0 a final head, handed over; H1_MORE; H1_DONE an informational one, skipped; <0.
 */
static int read_head(struct upstream_conn *c, struct str *in)
{
    struct attempt *a = c->attempt;
    bool is_kept = c->head.len > 0;
    struct h1_head head;
    struct str bytes;
    size_t len;
    int r = is_kept ? buf_put(&c->head, *in) : 0;

    if (r < 0)
        return r;
    bytes = is_kept ? buf_str(&c->head) : *in;
    r = h1_scan_head(&c->scan, bytes, &answer_limits, &len);
    if (r == H1_MORE) {
        r = keep_head(c, *in, is_kept);
        *in = STR_NULL;
        return r < 0 ? r : H1_MORE;
    }
    if (r == 0)
        r = h1_parse_response(str_head(bytes, len), a->request->is_head, &head);
    if (r < 0)
        return r;
    *in = str_from(*in, in->len - (bytes.len - len));
    c->scan = (struct h1_scan){0};
    c->head.len = 0; /* the slices of `head` point into it until the next read */
    if (head.status < 200)
        return ++c->n_informational > INFORMATIONAL_MAX ? -EX_H1_SYNTAX : H1_DONE;
    c->is_last = !head.keep_alive;
    h1_body_init(&c->body, &head);
    c->state = CONN_BODY;
    choose_form(a, &head);
    a->ops->on_head(a, &head);
    return 0;
}

/* Hands over what @data completes. Return: 0, also when the attempt was cancelled meanwhile; <0. */
static int hand_over(struct upstream_conn *c, struct str data)
{
    struct attempt *a = c->attempt;
    struct str record;
    int r;

    if (!a->is_stream) {
        a->ops->on_bytes(a, data);
        return 0;
    }
    while ((r = records_next(&a->records, &data, &record)) == 0) {
        bool is_lent = a->records.partial.len > 0;

        a->ops->on_record(a, record);
        if (is_lent && c->attempt == a)
            a->ops->on_flush(a); /* the splitter takes its memory back at the next call */
        if (c->attempt != a)
            return 0;
    }
    return r == RECORDS_MORE ? 0 : r;
}

/* It is idle, unless somebody waits for it, or for its permit. */
static void offer(struct upstream_conn *c)
{
    struct upstream *u = c->upstream;
    enum quota_verdict verdict = u->quota.quota != NULL ? quota_judge(&u->quota) : QUOTA_KEEP;
    struct attempt *next = verdict == QUOTA_HAND ? upstream_next(u) : NULL;

    if (next != NULL) {
        (void)pool_take(&u->pool); /* it is the newest */
        if (conn_reuse(c, next) < 0)
            next->ops->on_fail(next, CALL_RESET, -ENOMEM);
    } else if (verdict == QUOTA_CLOSE) {
        conn_close(c, POOL_CLOSED_SURPLUS);
    } else {
        net_timer_arm(u->loop, &u->sweep, pool_next_expiry(&u->pool));
    }
}

/* It carries nothing: into the pool, or away with it. */
static void settle(struct upstream_conn *c)
{
    struct upstream *u = c->upstream;
    int r = pool_put(&u->pool, &c->member, net_now(u->loop));

    c->state = CONN_IDLE;
    if (r != 0) {
        conn_close(c, r == POOL_OLD ? POOL_CLOSED_AGE : POOL_CLOSED_SURPLUS);
        return;
    }
    upstream_count(u, 1, -1);
    offer(c);
}

/* An idle one is busy again. */
int conn_reuse(struct upstream_conn *c, struct attempt *a)
{
    struct upstream *u = c->upstream;
    int r;

    upstream_count(u, -1, 1);
    quota_count(&u->quota.n_reused);
    upstream_cooled(u);
    list_put_back(&u->busy, &c->busy_link);
    a->connected_at = net_now(u->loop);
    r = send_request(c, a);
    if (r < 0) {
        (void)detach(c);
        conn_close(c, POOL_CLOSED_FAILED);
    }
    return r;
}

/* The answer is complete: keep the connection if nothing speaks against it. */
static void finish(struct upstream_conn *c, bool can_keep)
{
    struct attempt *a = c->attempt;
    struct str rest = a->is_stream ? records_rest(&a->records) : STR_NULL;

    can_keep = can_keep && !c->is_last && (!a->request->is_flowing || c->is_flowed) &&
               !c->upstream->is_closing && !c->upstream->is_retired && c->stream.is_reading &&
               c->body_sent == a->request->body.len && net_stream_unsent(&c->stream) == 0;
    if (rest.len > 0) {
        a->ops->on_record(a, rest);
        if (c->attempt == a)
            a->ops->on_flush(a);
        if (c->attempt != a)
            return;
    }
    (void)detach(c);
    records_fini(&a->records);
    list_remove(&c->busy_link);
    c->is_reused = true;
    if (can_keep)
        settle(c);
    else
        conn_close(c, c->upstream->is_retired ? POOL_CLOSED_LEFT : POOL_CLOSED_NODE);
    a->ops->on_end(a);
}

/* Return: 0 go on; H1_MORE *in is used up; H1_DONE finished; <0. */
static int read_body(struct upstream_conn *c, struct str *in)
{
    struct str data;
    int r = h1_body_feed(&c->body, in, &data);

    if (r == 0)
        return hand_over(c, data);
    if (r == H1_DONE)
        finish(c, in->len == 0);
    return r;
}

static void on_read(struct net_stream *s, struct str bytes)
{
    struct upstream_conn *c = container_of(s, struct upstream_conn, stream);
    struct attempt *a = c->attempt;
    int r = 0;

    /* An answer that nobody asked for, or not yet, is never taken for one. */
    if (a == NULL) {
        conn_close(c, POOL_CLOSED_FAILED);
        return;
    }
    if (c->is_reused && net_stream_is_holding(s)) {
        lose(c, -ECONNRESET);
        return;
    }
    a->has_answer = true;
    while (r >= 0 && c->attempt == a) {
        r = c->state == CONN_HEAD ? read_head(c, &bytes) : read_body(c, &bytes);
        if (r == H1_MORE)
            break;
        if (r == H1_DONE && bytes.len == 0)
            break; /* behind an informational answer, or finished */
    }
    if (r < 0)
        fail(c, CALL_RESET, r);
    else if (c->attempt == a)
        a->ops->on_flush(a);
}

static void on_eof(struct net_stream *s)
{
    struct upstream_conn *c = container_of(s, struct upstream_conn, stream);

    if (c->state == CONN_BODY && h1_body_eof(&c->body) == 0) {
        c->is_last = true;
        finish(c, false);
        return;
    }
    lose(c, -ECONNRESET);
}

static void on_error(struct net_stream *s, int err)
{
    lose(container_of(s, struct upstream_conn, stream), err);
}

static const struct net_stream_ops conn_ops = {
    .name = "upstream",
    .on_connect = on_connect,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_room = on_room,
    .on_closed = on_closed,
};

int conn_open(struct upstream *u, struct attempt *a)
{
    struct upstream_conn *c = calloc(1, sizeof(*c));
    int r;

    if (c == NULL)
        return -ENOMEM;
    c->upstream = u;
    c->head = BUF_INIT(HEAD_MAX + NET_READ_BUF_BYTES);
    r = net_timer_init(u->loop, &c->timer, on_opening_timeout);
    if (r == 0)
        r = net_stream_connect(u->loop, &c->stream, &u->url.addr, &conn_ops);
    if (r < 0) {
        net_timer_fini(u->loop, &c->timer);
        free(c);
        return r;
    }
    if (u->settings->connect_timeout_ns != NSEC_NEVER)
        net_timer_arm(u->loop, &c->timer, time_now() + u->settings->connect_timeout_ns);
    u->n_conns++;
    pool_join(&u->pool, &c->member, upstream_death(u, time_now()));
    upstream_count(u, 0, 1);
    quota_count(&u->quota.n_created);
    list_put_back(&u->busy, &c->busy_link);
    c->attempt = a;
    c->is_warming = a == NULL;
    if (a != NULL)
        a->conn = c;
    return 0;
}

static int open_with_permit(struct upstream *u, struct attempt *a)
{
    int r = conn_open(u, a);

    if (r < 0 && u->quota.quota != NULL)
        quota_give(&u->quota);
    return r;
}

void conn_open_permitted(struct upstream *u, struct attempt *a)
{
    int r = open_with_permit(u, a);

    if (r == 0)
        return;
    a->is_running = false;
    a->ops->on_fail(a, CALL_OVERLOAD, r);
}

int conn_warm(struct upstream *u)
{
    int r;

    if (u->quota.quota != NULL && quota_take(&u->quota, time_now()) == QUOTA_FULL)
        return -EBUSY;
    r = open_with_permit(u, NULL);
    u->is_warming = r == 0;
    return r;
}

static bool is_surely_held(const struct attempt_request *q)
{
    return q->target.len + q->fields.len + q->body.len <= SURELY_HELD_BYTES;
}

/*
 * An idle connection on which the node has said nothing, or NULL. A small request leaves at the end
 * of the turn, and what the node said by then on_read() has seen; for a large one the kernel is
 * asked.
 */
static struct upstream_conn *take_idle(struct upstream *u, const struct attempt_request *q)
{
    struct pool_member *m;

    while ((m = pool_take(&u->pool)) != NULL) {
        struct upstream_conn *c = container_of(m, struct upstream_conn, member);

        if (is_surely_held(q) || !net_stream_has_input(&c->stream))
            return c;
        upstream_count(u, -1, 1);
        conn_close(c, POOL_CLOSED_FAILED);
    }
    return NULL;
}

static int start(struct attempt *a, bool is_fresh)
{
    struct upstream *u = a->upstream;
    struct upstream_conn *idle = is_fresh ? NULL : take_idle(u, a->request);

    quota_count(&u->quota.n_asked);
    if (idle != NULL)
        return conn_reuse(idle, a);
    if (u->quota.quota == NULL || quota_take(&u->quota, time_now()) == 0)
        return open_with_permit(u, a);
    upstream_wait(u, a);
    return 0;
}

static void cancel(struct attempt *a)
{
    struct upstream_conn *c = a->conn;

    if (c == NULL) {
        upstream_unwait(a->upstream, a);
        return;
    }
    (void)detach(c);
    records_fini(&a->records);
    conn_close(c, POOL_CLOSED_CANCELLED);
}

static void pause_reading(struct attempt *a)
{
    if (a->conn != NULL)
        net_stream_read_stop(&a->conn->stream);
}

static void resume_reading(struct attempt *a)
{
    if (a->conn != NULL)
        net_stream_read_start(&a->conn->stream);
}

static int init(struct upstream *u)
{
    u->head = BUF_INIT(REQUEST_HEAD_MAX);
    return 0;
}

static void close_idle(struct upstream *u)
{
    struct list *it;

    while ((it = list_first(&u->pool.idle)) != NULL)
        conn_close(container_of(it, struct upstream_conn, member.link), POOL_CLOSED_LEFT);
}

static void close_all(struct upstream *u)
{
    struct list *it;

    buf_fini(&u->head);
    while ((it = list_first(&u->waiting)) != NULL)
        attempt_cancel(container_of(it, struct attempt, waiting));
    close_idle(u);
    while ((it = list_first(&u->busy)) != NULL) {
        struct upstream_conn *c = container_of(it, struct upstream_conn, busy_link);

        if (c->attempt != NULL)
            attempt_cancel(c->attempt);
        else
            conn_close(c, POOL_CLOSED_LEFT);
    }
}

const struct upstream_kind upstream_http = {
    .name = "http",
    .init = init,
    .start = start,
    .cancel = cancel,
    .pause = pause_reading,
    .resume = resume_reading,
    .retire = close_idle,
    .close = close_all,
};
