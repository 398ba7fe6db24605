/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A session under test
 *
 * What it tells its application is written into `events`, what it sends into `wire` as bytes;
 * peer_said() reads the frames among these as text. A small script language for the other side:
 * frame_make() and friends. Memory comes from an allocator that counts, and can fail from the n-th
 * request on.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mcp/session.h"
#include "mcp/wire.h"

#define T0  (1000 * NSEC_PER_SEC)
#define SEC NSEC_PER_SEC
#define MS  NSEC_PER_MSEC

struct meter {
    struct mcp_memory memory;
    size_t n_requests;
    size_t n_live;
    size_t fail_at;     /* the request that fails; 0: none */
    bool is_failing_on; /* and all after it */
};

struct peer {
    struct mcp_session session;
    struct mcp_settings settings;
    struct mcp_pool pool;
    struct meter meter;
    struct buf events;
    struct buf in;               /* not used up yet */
    struct buf wire;             /* sent and not looked at yet */
    struct mcp_call *calls[512]; /* by SeqID modulo */
    bool is_echo;                /* answer every request at once */
    uint32_t stalled;            /* the call whose chunks are not taken */
    int hello_code;
    nsec_t now;
    bool is_closed; /* fini was done */
};

static inline void *meter_resize(struct mcp_memory *memory, void *p, size_t n)
{
    struct meter *m = container_of(memory, struct meter, memory);
    void *q;

    if (n == 0) {
        m->n_live -= p != NULL;
        free(p);
        return NULL;
    }
    m->n_requests++;
    if (m->fail_at > 0 &&
        (m->n_requests == m->fail_at || (m->is_failing_on && m->n_requests > m->fail_at)))
        return NULL;
    q = realloc(p, n);
    m->n_live += p == NULL && q != NULL;
    return q;
}

static inline struct peer *peer_of(struct mcp_session *s)
{
    return container_of(s, struct peer, session);
}

static inline void put_flags(struct buf *b, unsigned flags)
{
    static const char *const names[] = {"NOT_PROCESSED", "TRANSIENT", "NO_RETRY", "PARTIAL"};

    for (unsigned i = 0; i < 4; i++) {
        if ((flags & 1u << i) != 0)
            assert_int_equal(buf_printf(b, "+%s", names[i]), 0);
    }
}

/* Long bodies are told by their length. */
static inline void put_body(struct buf *b, struct str body)
{
    if (body.len > 40)
        assert_int_equal(buf_printf(b, " [%zu]", body.len), 0);
    else if (body.len > 0)
        assert_int_equal(buf_printf(b, " " STR_FMT, STR_ARG(body)), 0);
}

/* Without a copy, where the request has memory of its own. */
static inline int peer_echo(struct peer *p, struct mcp_call *call, struct str body)
{
    void *memory = mcp_session_keep_request(&p->session);
    int r = memory != NULL ? mcp_call_respond_owned(call, NULL, body, memory)
                           : mcp_call_respond(call, NULL, body);

    if (r < 0)
        (void)mcp_pool_resize(&p->pool, memory, 0);
    return r;
}

static inline void on_request(struct mcp_session *s, struct mcp_call *call,
                              const struct mcp_message *m)
{
    struct peer *p = peer_of(s);

    p->calls[call->seq % 512] = call;
    assert_int_equal(
        buf_printf(&p->events, "request %u " STR_FMT, call->seq, STR_ARG(m->ext->method)), 0);
    put_body(&p->events, m->body);
    assert_int_equal(buf_put_char(&p->events, ';'), 0);
    if (p->is_echo && peer_echo(p, call, m->body) < 0) {
        struct mcp_error error = MCP_ERROR_MAKE(MCP_INTERNAL, 0, MCP_ORIGIN_GATEWAY, STR_NULL);

        mcp_call_fail(call, NULL, &error);
    }
}

static inline void on_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    assert_int_equal(buf_printf(&peer_of(s)->events, "cancel %u %d;", call->seq, (int)reason), 0);
}

static inline void on_chunk(struct mcp_session *s, struct mcp_call *call,
                            const struct mcp_message *m)
{
    struct peer *p = peer_of(s);

    assert_int_equal(buf_printf(&p->events, "chunk %u", call->seq), 0);
    put_body(&p->events, m->body);
    assert_int_equal(buf_put_char(&p->events, ';'), 0);
    if (p->is_echo && call->seq != p->stalled)
        mcp_call_take(call, m->cost);
}

static inline void on_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m,
                          const struct mcp_error *error)
{
    struct buf *b = &peer_of(s)->events;

    assert_true((m == NULL) != (error == NULL));
    assert_int_equal(
        buf_printf(b, "end %u %s", call->seq, m != NULL ? "OK" : mcp_code_info(error->code)->name),
        0);
    if (error != NULL)
        put_flags(b, error->flags);
    if (error != NULL && error->ext != NULL)
        assert_int_equal(
            buf_printf(b, " reason=" STR_FMT, STR_ARG(mcp_ext_metadata(error->ext, STR("reason")))),
            0);
    if (error == NULL)
        put_body(b, m->body);
    assert_int_equal(buf_put_char(b, ';'), 0);
}

static inline void on_room(struct mcp_session *s, struct mcp_call *call)
{
    assert_int_equal(buf_printf(&peer_of(s)->events, "room %u;", call->seq), 0);
}

static inline void on_goaway(struct mcp_session *s, unsigned reason, unsigned grace_s)
{
    assert_int_equal(buf_printf(&peer_of(s)->events, "goaway %u %u;", reason, grace_s), 0);
}

static inline int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    (void)hello;
    return peer_of(s)->hello_code;
}

static const struct mcp_session_ops peer_ops = {
    .name = "test",
    .on_hello = on_hello,
    .on_request = on_request,
    .on_cancel = on_cancel,
    .on_chunk = on_chunk,
    .on_end = on_end,
    .on_goaway = on_goaway,
    .on_room = on_room,
};

/* Settings may be changed between make and begin. */
static inline struct peer *peer_make(void)
{
    struct peer *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->settings = mcp_settings_default;
    p->meter.memory.resize = meter_resize;
    mcp_pool_init(&p->pool, &p->meter.memory);
    p->events = BUF_INIT(64u << 20);
    p->in = BUF_INIT(256u << 20);
    p->wire = BUF_INIT(256u << 20);
    p->now = T0;
    return p;
}

static inline void peer_begin(struct peer *p, enum mcp_role role)
{
    assert_int_equal(mcp_session_init(&p->session, role, &p->settings, &peer_ops, &p->pool, p->now),
                     0);
}

/* Nothing it allocated is left. */
static inline void peer_free(struct peer *p)
{
    if (!p->is_closed)
        mcp_session_fini(&p->session);
    mcp_pool_fini(&p->pool);
    assert_int_equal(p->meter.n_live, 0);
    buf_fini(&p->events);
    buf_fini(&p->in);
    buf_fini(&p->wire);
    free(p);
}

static inline void peer_feed(struct peer *p, struct str bytes)
{
    assert_int_equal(buf_put(&p->in, bytes), 0);
    buf_take(&p->in, mcp_session_feed(&p->session, buf_str(&p->in), p->now));
}

/* Writes all there is, up to @max bytes. Return: how much. */
static inline size_t peer_write(struct peer *p, size_t max)
{
    struct str pieces[8];
    size_t total = 0;
    int n;

    while (total < max && (n = mcp_session_output(&p->session, pieces, 8, p->now)) > 0) {
        size_t sent = 0;

        for (int i = 0; i < n && total + sent < max; i++) {
            struct str piece = str_head(pieces[i], max - total - sent);

            assert_int_equal(buf_put(&p->wire, piece), 0);
            sent += piece.len;
        }
        mcp_session_sent(&p->session, sent, p->now);
        total += sent;
    }
    return total;
}

static inline void peer_tick(struct peer *p, nsec_t passed)
{
    p->now += passed;
    mcp_session_tick(&p->session, p->now);
}

static inline void put_credits(struct buf *b, struct str payload)
{
    for (; payload.len >= 8; payload = str_from(payload, 8))
        assert_int_equal(
            buf_printf(b, " %u=%u", wire_get_u32(payload.s), wire_get_u32(payload.s + 4)), 0);
}

static inline void put_frame_text(struct buf *b, const struct mcp_frame *f)
{
    const struct mcp_frame_rule *rule = mcp_frame_rule(f->type);
    struct mcp_ext ext;
    struct str body = f->payload;
    struct mcp_error e;

    assert_int_equal(buf_printf(b, "%s%s%s %u", rule != NULL ? rule->name : "UNKNOWN",
                                (f->flags & MCP_EXT) != 0 ? "|EXT" : "",
                                (f->flags & MCP_MORE) != 0 ? "|MORE" : "", f->seq),
                     0);
    if ((f->flags & MCP_EXT) != 0)
        assert_int_equal(mcp_ext_parse(f->payload, &ext, &body), 0);
    if (f->type == MCP_ERROR) {
        assert_int_equal(mcp_error_parse(body, &e), 0);
        assert_int_equal(buf_printf(b, " %s", mcp_code_info(e.code)->name), 0);
        put_flags(b, e.flags);
    } else if (f->type == MCP_CREDIT) {
        put_credits(b, f->payload);
    } else if (f->type == MCP_CANCEL) {
        assert_int_equal(buf_printf(b, " %d", f->payload.s[0]), 0);
    } else if (f->type == MCP_GOAWAY) {
        assert_int_equal(buf_printf(b, " last %u reason %u grace %u", wire_get_u32(f->payload.s),
                                    wire_get_u16(f->payload.s + 4), wire_get_u16(f->payload.s + 6)),
                         0);
    } else if (f->type <= MCP_CHUNK) {
        put_body(b, body);
    }
    assert_int_equal(buf_put_char(b, ';'), 0);
}

/* All that was sent since last time, as text in static memory. */
static inline const char *peer_said(struct peer *p)
{
    static char text[65536];
    struct buf b = BUF_INIT(sizeof(text) - 1);
    struct str rest;
    struct mcp_frame f;

    (void)peer_write(p, SIZE_MAX);
    rest = buf_str(&p->wire);
    while (mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f) == 0)
        put_frame_text(&b, &f);
    assert_int_equal(rest.len, 0);
    buf_reset(&p->wire);
    if (b.len > 0)
        memcpy(text, b.data, b.len);
    text[b.len] = '\0';
    buf_fini(&b);
    return text;
}

static inline size_t count_of(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

/* What the application was told since last time. */
static inline const char *peer_told(struct peer *p)
{
    static char text[65536];

    assert_true(p->events.len < sizeof(text));
    if (p->events.len > 0)
        memcpy(text, p->events.data, p->events.len);
    text[p->events.len] = '\0';
    buf_reset(&p->events);
    return text;
}

/*
 * Frames of the other side, in static memory each
 */

static inline struct str frame_make(unsigned type, uint32_t seq, struct str payload)
{
    static char frames[4][MCP_HEADER_LEN + MCP_PAYLOAD_MAX];
    static unsigned turn;
    char *p = frames[turn++ % 4];

    mcp_frame_pack_head(p, type, seq, payload.len);
    (void)wire_put(p + MCP_HEADER_LEN, payload);
    return str_make(p, MCP_HEADER_LEN + payload.len);
}

static inline struct str message_make(unsigned type, uint32_t seq, const struct mcp_ext *ext,
                                      struct str body)
{
    static char payload[MCP_PAYLOAD_MAX];

    mcp_ext_pack(payload, ext, NULL);
    (void)wire_put(payload + mcp_ext_len(ext), body);
    return frame_make(type | MCP_EXT, seq, str_make(payload, mcp_ext_len(ext) + body.len));
}

static inline struct str request_make(uint32_t seq, struct str body)
{
    struct mcp_ext ext = {.method = STR("echo")};

    return message_make(MCP_REQUEST, seq, &ext, body);
}

/* First fragment of a request of @total bytes, @n of them here. */
static inline struct str first_make(uint32_t seq, uint32_t total, size_t n)
{
    static char zeros[MCP_PAYLOAD_MAX];
    struct mcp_ext ext = {.method = STR("echo"), .has_total_len = true, .total_len = total};

    return message_make(MCP_REQUEST | MCP_MORE, seq, &ext, str_make(zeros, n));
}

static inline struct str bytes_make(size_t n)
{
    static char zeros[1 << 20];

    return str_make(zeros, n);
}

static inline struct str credit_make(uint32_t seq, uint32_t limit)
{
    char entry[8];

    wire_put_u32(entry, seq);
    wire_put_u32(entry + 4, limit);
    return frame_make(MCP_CREDIT, 0, str_make(entry, sizeof(entry)));
}

static inline struct str error_make(uint32_t seq, unsigned code, unsigned flags)
{
    struct mcp_error e =
        MCP_ERROR_MAKE((uint16_t)code, (uint8_t)flags, MCP_ORIGIN_GATEWAY, STR_NULL);
    char payload[MCP_ERROR_LEN];

    mcp_error_pack(payload, &e);
    return frame_make(MCP_ERROR, seq, str_make(payload, sizeof(payload)));
}

static inline struct str hello_make(unsigned type, const struct mcp_hello *hello)
{
    char payload[512];

    mcp_hello_pack(payload, hello);
    return frame_make(type, 0, str_make(payload, mcp_hello_len(hello)));
}

/* A server that has got its HELLO, or a client that has got its ACK, everything read. */
static inline struct peer *peer_ready(enum mcp_role role, const struct mcp_settings *settings)
{
    struct peer *p = peer_make();

    if (settings != NULL)
        p->settings = *settings;
    peer_begin(p, role);
    peer_feed(p, hello_make(role == MCP_SERVER ? MCP_HELLO : MCP_HELLO_ACK, &p->settings.hello));
    (void)peer_said(p);
    assert_int_equal(mcp_session_state(&p->session), MCP_STATE_RUNNING);
    return p;
}

static inline struct mcp_call *peer_open(struct peer *p, struct mcp_ext ext, struct str body)
{
    struct mcp_request request = {.ext = ext, .body = body};
    struct mcp_call *call = NULL;

    if (ext.method.len == 0)
        request.ext.method = STR("echo");
    assert_int_equal(mcp_session_open(&p->session, &request, p->now, &call), 0);
    return call;
}
