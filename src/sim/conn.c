/* SPDX-License-Identifier: MIT */
#include "sim/conn.h"

#include <assert.h>
#include <stdio.h>

#include "sim/routes.h"

#define IN_MAX       ((size_t)1024 * 1024)
#define IN_PAUSE     ((size_t)256 * 1024) /* unread bytes behind a request in work: read no more */
#define CHUNKED_FROM 2048                 /* Go sends larger bodies in chunks */

static void put(struct sim_conn *c, const struct str *pieces, size_t n)
{
    if (net_stream_write(&c->stream, pieces, n) < 0)
        net_stream_close(&c->stream);
}

void sim_conn_hang_up(struct sim_conn *c)
{
    c->state = SIM_CONN_ENDING;
    if (net_stream_unsent(&c->stream) == 0)
        net_stream_close(&c->stream);
}

/* The answer is complete. */
static void finish(struct sim_conn *c)
{
    buf_fini(&c->body);
    if (!c->keeps_alive) {
        sim_conn_hang_up(c);
        return;
    }
    c->state = SIM_CONN_HEAD;
    c->scan = (struct h1_scan){0};
    net_stream_read_start(&c->stream);
    if (c->in.len > 0)
        net_defer(&c->sim->loop, &c->resume);
}

static struct str put_head(struct sim_conn *c, int status, struct str type, struct str extra,
                           size_t length, char *out, size_t cap)
{
    struct str date = sim_clock_date(&c->sim->clock, time_wall());
    int n =
        snprintf(out, cap, "HTTP/1.1 %d %s\r\n" STR_FMT "%s" STR_FMT "%sDate: " STR_FMT "\r\n",
                 status, h1_reason(status), STR_ARG(extra), type.len > 0 ? "Content-Type: " : "",
                 STR_ARG(type), type.len > 0 ? "\r\n" : "", STR_ARG(date));
    size_t at = (size_t)n;

    assert(n > 0 && at + 128 < cap);
    if (c->is_chunked)
        n = snprintf(out + at, cap - at, "Transfer-Encoding: chunked\r\n");
    else if (length != SIZE_MAX)
        n = snprintf(out + at, cap - at, "Content-Length: %zu\r\n", length);
    else
        n = 0;
    at += (size_t)n;
    at += (size_t)snprintf(out + at, cap - at, "%s\r\n",
                           c->keeps_alive ? "" : "Connection: close\r\n");
    return str_make(out, at);
}

void sim_conn_answer(struct sim_conn *c, int status, struct str type, struct str extra,
                     struct str body)
{
    char head[2048];
    char size[H1_CHUNK_HEAD_MAX];
    struct str pieces[4] = {[2] = body};

    c->is_chunked = body.len > CHUNKED_FROM && !c->is_old && !c->is_to_head;
    pieces[0] = put_head(c, status, type, extra, body.len, head, sizeof(head));
    if (c->is_chunked) {
        pieces[1] = str_make(size, h1_chunk_head(size, body.len));
        pieces[3] = STR("\r\n0\r\n\r\n");
    }
    put(c, pieces, c->is_to_head ? 1 : 4);
    finish(c);
}

void sim_conn_begin(struct sim_conn *c, struct str type)
{
    char head[2048];
    struct str piece;

    c->is_chunked = !c->is_old;
    c->keeps_alive &= !c->is_old;
    piece = put_head(c, 200, type, STR_NULL, SIZE_MAX, head, sizeof(head));
    put(c, &piece, 1);
}

void sim_conn_chunk(struct sim_conn *c, struct str bytes)
{
    char size[H1_CHUNK_HEAD_MAX];
    struct str pieces[] = {STR_NULL, bytes, STR("\r\n")};

    if (!c->is_chunked) {
        put(c, &bytes, 1);
        return;
    }
    pieces[0] = str_make(size, h1_chunk_head(size, bytes.len));
    put(c, pieces, 3);
}

void sim_conn_end(struct sim_conn *c)
{
    const struct str last = STR("0\r\n\r\n");

    if (c->is_chunked)
        put(c, &last, 1);
    finish(c);
}

void sim_conn_cut(struct sim_conn *c, struct str bytes)
{
    char size[H1_CHUNK_HEAD_MAX];
    struct str pieces[] = {STR_NULL, str_head(bytes, bytes.len / 2)};

    if (c->is_chunked)
        pieces[0] = str_make(size, h1_chunk_head(size, bytes.len));
    put(c, pieces, 2);
    sim_conn_hang_up(c);
}

/* The request cannot be understood: answer as Go's server does, and close. */
static void refuse_bytes(struct sim_conn *c, int err)
{
    int status = h1_error_status(err);
    char body[128];
    int n = snprintf(body, sizeof(body), "%d %s", status, h1_reason(status));

    c->keeps_alive = false;
    c->is_to_head = false;
    c->is_old = false;
    sim_conn_answer(c, status, STR("text/plain; charset=utf-8"), STR_NULL,
                    str_make(body, (size_t)n));
}

/* Reads the head in c->in. Return: false when more bytes are needed. */
static bool take_head(struct sim_conn *c, struct str *in)
{
    struct h1_head head;
    size_t len;
    int r = h1_scan_head(&c->scan, *in, &H1_LIMITS_DEFAULT, &len);

    if (r == H1_MORE)
        return false;
    if (r == 0)
        r = h1_parse_request(str_head(*in, len), &head);
    if (r < 0) {
        refuse_bytes(c, r);
        return true;
    }
    c->is_to_head = head.method == H1_HEAD;
    c->keeps_alive = head.keep_alive;
    c->is_old = head.minor == 0;
    h1_body_init(&c->framing, &head);
    sha256_init(&c->blob);
    sim_route_find(c, &head);
    c->state = SIM_CONN_BODY;
    if (head.expect_continue && in->len == len) {
        const struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");

        put(c, &go_on, 1);
    }
    *in = str_from(*in, len);
    return true;
}

static bool take_body(struct sim_conn *c, struct str *in)
{
    struct str data;
    int r;

    while ((r = h1_body_feed(&c->framing, in, &data)) == 0)
        if (c->route->dialect == SIM_BLOB) {
            sha256_feed(&c->blob, data);
        } else if (buf_put(&c->body, data) < 0) {
            c->keeps_alive = false;
            sim_conn_refuse(c, 413, STR_NULL, STR("http: request body too large"));
            return true;
        }
    if (r == H1_MORE)
        return false;
    if (r < 0) {
        refuse_bytes(c, r);
        return true;
    }
    c->state = SIM_CONN_BUSY;
    sim_route_run(c);
    return true;
}

static bool step(struct sim_conn *c, struct str *in)
{
    switch (c->state) {
    case SIM_CONN_HEAD:
        return in->len > 0 && take_head(c, in);
    case SIM_CONN_BODY:
        return take_body(c, in);
    case SIM_CONN_BUSY:
    case SIM_CONN_ENDING:
        return false;
    }
    return false;
}

static void take_requests(struct sim_conn *c)
{
    struct str in = buf_str(&c->in);

    while (!c->stream.is_closing && step(c, &in))
        ;
    buf_take(&c->in, c->in.len - in.len);
    /* idle connections cost no buffer */
    if (c->in.len == 0)
        buf_fini(&c->in);
    if (c->in.len >= IN_PAUSE && c->state == SIM_CONN_BUSY)
        net_stream_read_stop(&c->stream);
}

static void on_resume(struct net_task *task)
{
    take_requests(container_of(task, struct sim_conn, resume));
}

static void on_read(struct net_stream *s, struct str bytes)
{
    struct sim_conn *c = container_of(s, struct sim_conn, stream);

    if (c->state == SIM_CONN_ENDING)
        return;
    if (buf_put(&c->in, bytes) < 0) {
        net_stream_close(&c->stream);
        return;
    }
    take_requests(c);
}

/* A half-closed connection counts as a client that left, as in Go's server. */
static void on_eof(struct net_stream *s)
{
    struct sim_conn *c = container_of(s, struct sim_conn, stream);

    sim_job_cancel(&c->job);
    sim_progress_cancel(&c->progress);
    if (c->spoil.what != NULL)
        net_stream_close(s); /* it would never be all sent */
    else
        sim_conn_hang_up(c);
}

static void on_error(struct net_stream *s, int err)
{
    struct sim_conn *c = container_of(s, struct sim_conn, stream);

    (void)err;
    sim_job_cancel(&c->job);
    sim_progress_cancel(&c->progress);
    net_stream_close(s);
}

static void on_room(struct net_stream *s)
{
    struct sim_conn *c = container_of(s, struct sim_conn, stream);

    if (c->state == SIM_CONN_ENDING)
        net_stream_close(s);
    else
        sim_job_go_on(&c->job);
}

static void on_closed(struct net_stream *s)
{
    struct sim_conn *c = container_of(s, struct sim_conn, stream);

    if (c->resume.is_queued)
        list_remove(&c->resume.link);
    sim_spoil_end(c);
    sim_job_fini(&c->job);
    sim_progress_fini(&c->progress);
    c->sim->n_connections--;
    buf_fini(&c->in);
    buf_fini(&c->body);
    free(c);
}

static const struct net_stream_ops conn_ops = {.name = "sim",
                                               .on_read = on_read,
                                               .on_eof = on_eof,
                                               .on_error = on_error,
                                               .on_room = on_room,
                                               .on_closed = on_closed};

void sim_conn_accept(struct net_listener *listener)
{
    struct sim *sim = container_of(listener, struct sim, listener);
    struct sim_conn *c;

    if (sim_fault_takes_connection(&sim->next_fault)) {
        net_listener_refuse(listener);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return;
    c->sim = sim;
    c->in.max = IN_MAX;
    c->body.max = SIM_BODY_MAX;
    c->resume.run = on_resume;
    if (sim_progress_init(&c->progress, sim) < 0) {
        free(c);
        return;
    }
    if (sim_job_init(&c->job, sim) < 0) {
        sim_progress_fini(&c->progress);
        free(c);
        return;
    }
    sim->n_connections++;
    if (net_listener_accept(listener, &c->stream, &conn_ops) == 0) {
        net_stream_read_start(&c->stream);
    } else if (!c->stream.is_open) {
        on_closed(&c->stream);
    }
}
