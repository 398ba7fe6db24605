/* SPDX-License-Identifier: MIT */

/*
 * A session against a hostile peer and a restless application
 *
 * Input: a byte of options, then steps: a byte that says which, and its operands. Steps feed
 * frames, well made or not, let time pass, write, fail an allocation, or call what an application
 * may call. Claims: a call ends exactly once and is never heard of afterwards, callbacks come only
 * where they may, states go forward, output is frames the peer must accept within its credit,
 * memory is bounded, nothing is left in the end.
 */

#include <errno.h>

#include "fuzz.h"
#include "mcp/session.h"
#include "mcp/wire.h"

#define KIB        1024u
#define N_SLOTS    256
#define STEPS_MAX  2000
#define ZEROS_UNIT 257u        /* 255 of them are the longest payload */
#define MEMORY_MAX (512 * KIB) /* partial and unsent bytes, buffers that double, calls */

enum {
    OPT_SERVER = 1 << 0,
    OPT_ECHO = 1 << 1, /* answers in the callback */
    OPT_NEEDS_HELLO = 1 << 2,
    OPT_NEEDS_KEY = 1 << 3,
    OPT_ABANDON = 1 << 4, /* the owner gives up without an end */
    OPT_PLAIN = 1 << 5,   /* client: without HELLO */
    OPT_GATHER = 1 << 6,  /* client: small requests wait for each other */
};

/* What the application knows of a call; mcp_call.owner points here. */
struct slot {
    struct mcp_call *call; /* NULL: free */
    uint64_t cost;         /* of chunks, not taken yet */
    bool is_cancelled;
};

struct run {
    struct mcp_session session;
    struct mcp_settings settings;
    struct mcp_memory memory;
    struct mcp_pool pool;
    size_t n_bytes; /* allocated */
    size_t n_resizes;
    size_t fail_at; /* the request that fails */
    struct buf unread;
    struct buf written; /* begin of a frame that is not out yet */
    struct slot slots[N_SLOTS];
    nsec_t now;
    uint8_t options;
    enum mcp_state state;
    bool may_call_back;
};

static const char zeros[MCP_PAYLOAD_MAX];

/* ---- memory -------------------------------------------------------------------------------- */

struct block {
    size_t n;
    max_align_t bytes[];
};

static void *resize(struct mcp_memory *memory, void *p, size_t n)
{
    struct run *r = container_of(memory, struct run, memory);
    struct block *old = p != NULL ? container_of(p, struct block, bytes) : NULL;
    size_t n_old = old != NULL ? old->n : 0;
    struct block *b;

    if (n == 0) {
        r->n_bytes -= n_old;
        free(old);
        return NULL;
    }
    if (++r->n_resizes == r->fail_at)
        return NULL;
    b = realloc(old, sizeof(*b) + n);
    FUZZ_CHECK(b != NULL);
    b->n = n;
    r->n_bytes += n - n_old;
    FUZZ_CHECK(r->n_bytes <= MEMORY_MAX);
    return b->bytes;
}

/* ---- the application ----------------------------------------------------------------------- */

static struct run *run_of(struct mcp_session *s)
{
    struct run *r = container_of(s, struct run, session);

    FUZZ_CHECK(r->may_call_back);
    return r;
}

static struct slot *slot_of(const struct mcp_call *call)
{
    struct slot *slot = call->owner;

    FUZZ_CHECK(slot != NULL && slot->call == call);
    return slot;
}

static struct slot *free_slot(struct run *r)
{
    for (size_t i = 0; i < N_SLOTS; i++)
        if (r->slots[i].call == NULL)
            return &r->slots[i];
    return NULL;
}

/* The first call at or behind a place, or NULL. */
static struct slot *pick(struct run *r, unsigned from)
{
    for (unsigned i = 0; i < N_SLOTS; i++)
        if (r->slots[(from + i) % N_SLOTS].call != NULL)
            return &r->slots[(from + i) % N_SLOTS];
    return NULL;
}

static void touch(struct str bytes)
{
    fuzz_free(fuzz_exact(bytes));
}

static void fail(struct slot *slot, const struct mcp_ext *ext, unsigned code)
{
    struct mcp_error error = MCP_ERROR_MAKE((uint16_t)code, 0, MCP_ORIGIN_NODE, STR("failed"));
    struct mcp_call *call = TAKE(slot->call);

    mcp_call_fail(call, ext, &error);
}

static void respond(struct slot *slot, const struct mcp_ext *ext, struct str body)
{
    int rc = mcp_call_respond(slot->call, ext, body);

    FUZZ_CHECK(rc == 0 || rc == -EMSGSIZE || rc == -ENOBUFS || rc == -ENOMEM);
    FUZZ_CHECK(rc == 0 || !slot->is_cancelled);
    if (rc == 0)
        slot->call = NULL;
    else
        fail(slot, NULL, MCP_INTERNAL);
}

static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    (void)run_of(s);
    touch(hello->software);
    return hello->auth.len > 1 ? MCP_UNAUTHENTICATED : 0;
}

static void on_request(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    struct run *r = run_of(s);
    struct slot *slot = free_slot(r);

    FUZZ_CHECK((r->options & OPT_SERVER) != 0 && call->owner == NULL && slot != NULL);
    FUZZ_CHECK(m->ext->method.len > 0 && m->body.len <= r->settings.hello.max_message);
    touch(m->ext->method);
    touch(m->body);
    *slot = (struct slot){.call = call};
    call->owner = slot;
    if ((r->options & OPT_ECHO) != 0)
        respond(slot, NULL, m->body);
}

static void on_cancel(struct mcp_session *s, struct mcp_call *call, enum mcp_cancel reason)
{
    struct slot *slot = slot_of(call);

    (void)run_of(s);
    (void)reason;
    FUZZ_CHECK(!slot->is_cancelled);
    slot->is_cancelled = true;
}

static void on_chunk(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m)
{
    struct run *r = run_of(s);
    struct slot *slot = slot_of(call);

    FUZZ_CHECK((r->options & OPT_SERVER) == 0 && !slot->is_cancelled);
    touch(m->body);
    slot->cost += m->cost;
    if ((r->options & OPT_ECHO) != 0) {
        mcp_call_take(call, m->cost);
        slot->cost -= m->cost;
    }
}

static void on_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m,
                   const struct mcp_error *error)
{
    struct run *r = run_of(s);
    struct slot *slot = slot_of(call);

    FUZZ_CHECK((r->options & OPT_SERVER) == 0 && (m == NULL) != (error == NULL));
    touch(m != NULL ? m->body : error->text);
    slot->call = NULL;
}

static void on_goaway(struct mcp_session *s, unsigned reason, unsigned grace_s)
{
    (void)run_of(s);
    (void)reason;
    (void)grace_s;
}

static void on_room(struct mcp_session *s, struct mcp_call *call)
{
    (void)run_of(s);
    FUZZ_CHECK(!slot_of(call)->is_cancelled);
}

static const struct mcp_session_ops ops = {
    .name = "fuzz",
    .on_hello = on_hello,
    .on_request = on_request,
    .on_cancel = on_cancel,
    .on_chunk = on_chunk,
    .on_end = on_end,
    .on_goaway = on_goaway,
    .on_room = on_room,
};

/* ---- the socket ---------------------------------------------------------------------------- */

static void feed(struct run *r, struct str bytes)
{
    size_t used;
    struct str exact;

    fuzz_put(&r->unread, bytes);
    exact = fuzz_exact(buf_str(&r->unread));
    r->may_call_back = true;
    used = mcp_session_feed(&r->session, exact, r->now);
    r->may_call_back = false;
    fuzz_free(exact);
    FUZZ_CHECK(used <= r->unread.len);
    buf_take(&r->unread, used);
    FUZZ_CHECK(r->unread.len < MCP_HEADER_LEN + MCP_PAYLOAD_MAX);
}

/* What the peer gets must be what it has to accept. */
static void check_frame(const struct run *r, const struct mcp_frame *f)
{
    enum mcp_role receiver = (r->options & OPT_SERVER) != 0 ? MCP_CLIENT : MCP_SERVER;
    struct mcp_ext ext;
    struct mcp_error error;
    struct str body = f->payload;

    if (r->session.is_plain) {
        FUZZ_CHECK(f->type == (receiver == MCP_SERVER ? MCP_REQUEST : MCP_RESPONSE));
        FUZZ_CHECK(f->flags == 0);
        return;
    }
    FUZZ_CHECK(mcp_frame_check(f, receiver) == 0);
    if ((f->flags & MCP_EXT) != 0)
        FUZZ_CHECK(mcp_ext_parse(f->payload, &ext, &body) == 0);
    if (f->type == MCP_ERROR)
        FUZZ_CHECK(mcp_error_parse(body, &error) == 0);
}

static void read_written(struct run *r)
{
    struct str rest = buf_str(&r->written);
    struct mcp_frame f;
    int rc;

    while ((rc = mcp_frame_next(&rest, MCP_PAYLOAD_MAX, &f)) == 0)
        check_frame(r, &f);
    FUZZ_CHECK(rc == MCP_FRAME_MORE);
    buf_take(&r->written, r->written.len - rest.len);
}

/* Writes up to @max bytes. */
static void write_out(struct run *r, size_t max)
{
    struct str pieces[8];
    size_t sent = 0;
    int n = mcp_session_output(&r->session, pieces, 8, r->now);

    FUZZ_CHECK(n <= 8 && (n >= 0 || n == -ENOMEM));
    for (int i = 0; i < n && sent < max; i++) {
        struct str piece = str_head(pieces[i], max - sent);

        fuzz_put(&r->written, piece);
        sent += piece.len;
    }
    r->may_call_back = true;
    if (n > 0)
        mcp_session_sent(&r->session, sent, r->now);
    r->may_call_back = false;
    read_written(r);
}

static void tick(struct run *r)
{
    r->may_call_back = true;
    mcp_session_tick(&r->session, r->now);
    r->may_call_back = false;
    /* A timer that is due at once again would turn for ever. */
    FUZZ_CHECK(mcp_session_next_due(&r->session) > r->now);
}

/* ---- frames of the peer -------------------------------------------------------------------- */

/* Most ids are small; some are at the ends of the range. */
static uint32_t take_seq(struct str *in)
{
    static const uint32_t ends[] = {MCP_SEQ_MAX, MCP_SEQ_MAX - 1, 0x80000000u, 0xFFFFFFFFu};
    uint8_t b = fuzz_u8(in);

    return b >= 0xFC ? ends[b & 3] : b;
}

/* Up to 254 bytes of the input, or up to 64 KiB of zeros. */
static struct str take_body(struct str *in)
{
    uint8_t n = fuzz_u8(in);

    if (n < UINT8_MAX)
        return fuzz_take(in, n);
    n = fuzz_u8(in);
    return str_make(zeros, (size_t)n * ZEROS_UNIT);
}

static void put_frame(struct buf *out, unsigned type, uint32_t seq, struct str payload)
{
    char head[MCP_HEADER_LEN];

    mcp_frame_pack_head(head, type, seq, payload.len);
    fuzz_put(out, str_make(head, sizeof(head)));
    fuzz_put(out, payload);
}

static void put_message(struct buf *out, struct str *in)
{
    unsigned type = fuzz_u8(in);
    uint32_t seq = take_seq(in);
    unsigned has = fuzz_u8(in);
    struct mcp_ext ext = {
        .method = (has & 1) != 0 ? STR_NULL : STR("echo"),
        .has_deadline = (has & 2) != 0,
        .deadline_ms = (has & 2) != 0 ? fuzz_u8(in) * 8u : 0,
        .has_total_len = (has & 4) != 0,
        .total_len = (has & 4) != 0 ? fuzz_u8(in) * ((has & 64) != 0 ? ZEROS_UNIT : 8u) : 0,
        .order_lane = (has & 8) != 0 ? fuzz_u8(in) : 0,
        .stream_limit = (has & 16) != 0 ? MCP_WINDOW_MIN : 0,
        .codec = (has & 32) != 0 ? MCP_CODEC_JSON : 0,
        .has_compression = (has & 128) != 0,
        .compression = (has & 128) != 0 ? MCP_COMPRESSION_GZIP : MCP_COMPRESSION_NONE,
        .raw_len = (has & 128) != 0 ? fuzz_u8(in) : 0,
    };
    char block[MCP_EXT_MAX];
    struct str body = take_body(in);
    struct buf payload = BUF_INIT(1u << 17);

    mcp_ext_pack(block, &ext, NULL);
    fuzz_put(&payload, str_make(block, mcp_ext_len(&ext)));
    fuzz_put(&payload, str_head(body, MCP_PAYLOAD_MAX - payload.len));
    put_frame(out, type | MCP_EXT, seq, buf_str(&payload));
    buf_fini(&payload);
}

static void put_hello(const struct run *r, struct buf *out, struct str *in)
{
    struct mcp_hello hello = mcp_settings_default.hello;
    char payload[MCP_HELLO_MAX];
    uint8_t has = fuzz_u8(in);

    if ((has & 1) != 0)
        hello.features = fuzz_u8(in);
    if ((has & 2) != 0)
        hello.conn_limit = MCP_EARLY_BYTES;
    if ((has & 4) != 0)
        hello.call_limit = MCP_WINDOW_MIN;
    if ((has & 8) != 0)
        hello.max_frame = MCP_FRAME_MIN;
    if ((has & 16) != 0)
        hello.max_message = fuzz_u8(in) * 64u;
    if ((has & 32) != 0)
        hello.auth = STR("\1key");
    mcp_hello_pack(payload, &hello);
    put_frame(out, (r->options & OPT_SERVER) != 0 ? MCP_HELLO : MCP_HELLO_ACK, 0,
              str_make(payload, mcp_hello_len(&hello)));
}

static void put_credit(struct buf *out, struct str *in)
{
    char entry[8];

    wire_put_u32(entry, take_seq(in));
    wire_put_u32(entry + 4, (uint32_t)fuzz_u8(in) << 13);
    put_frame(out, MCP_CREDIT, 0, str_make(entry, sizeof(entry)));
}

/* ---- steps --------------------------------------------------------------------------------- */

static void step_frame(struct run *r, struct str *in)
{
    struct buf out = BUF_INIT(1u << 18);
    uint8_t kind = fuzz_u8(in);
    unsigned type;
    uint32_t seq;

    switch (kind & 7) {
    case 0:
    case 1:
        put_message(&out, in);
        break;
    case 2:
        put_hello(r, &out, in);
        break;
    case 3:
        put_credit(&out, in);
        break;
    case 4:
        fuzz_put(&out, take_body(in));
        break;
    default:
        type = fuzz_u8(in);
        seq = take_seq(in);
        put_frame(&out, type, seq, take_body(in));
        break;
    }
    /* Sometimes only half of it has come, and the rest comes later. */
    if ((kind & 0x80) != 0)
        feed(r, str_head(buf_str(&out), out.len / 2));
    if ((kind & 0xC0) == 0x80)
        feed(r, str_from(buf_str(&out), out.len / 2));
    else if ((kind & 0x80) == 0)
        feed(r, buf_str(&out));
    buf_fini(&out);
}

static void step_time(struct run *r, struct str *in)
{
    uint8_t n = fuzz_u8(in);
    nsec_t due = mcp_session_next_due(&r->session);

    if (n == UINT8_MAX && due != NSEC_NEVER)
        r->now = due > r->now ? due : r->now;
    else
        r->now += (nsec_t)n * n * NSEC_PER_MSEC;
    tick(r);
}

static void step_write(struct run *r, struct str *in)
{
    uint8_t n = fuzz_u8(in);

    write_out(r, n == 0 ? SIZE_MAX : (size_t)n * n);
}

static void open_call(struct run *r, struct str *in)
{
    struct slot *slot = free_slot(r);
    uint8_t has = fuzz_u8(in);
    struct mcp_request request = {.ext = {.method = STR("echo")}, .owner = slot};
    struct mcp_call *call;
    int rc;

    if (slot == NULL)
        return;
    if ((has & 1) != 0) {
        request.ext.has_deadline = true;
        request.ext.deadline_ms = fuzz_u8(in) * 8u;
    }
    request.ext.order_lane = (has & 2) != 0 ? fuzz_u8(in) & 3 : 0;
    request.ext.codec = (has & 4) != 0 ? MCP_CODEC_JSON : MCP_CODEC_PROTOBUF;
    request.body = take_body(in);
    rc = mcp_session_open(&r->session, &request, r->now, &call);
    if (rc == 0)
        *slot = (struct slot){.call = call};
}

static void use_server_call(struct run *r, struct slot *slot, unsigned what, struct str body)
{
    const struct mcp_metadata pair = {.key = STR("reason"), .value = STR("no_node")};
    const struct mcp_ext some = {.metadata = &pair, .n_metadata = 1};
    const struct mcp_ext *ext = (what & 4) != 0 ? &some : NULL;
    int rc;

    switch (what & 3) {
    case 0:
    case 1:
        rc = mcp_call_chunk(slot->call, ext, body);
        FUZZ_CHECK(rc <= MCP_FULL);
        if (rc == 0 || rc == MCP_FULL)
            FUZZ_CHECK(!slot->is_cancelled && !r->session.is_plain);
        return;
    case 2:
        respond(slot, ext, body);
        return;
    default:
        fail(slot, ext, what);
        return;
    }
}

static void use_client_call(struct run *r, struct slot *slot, unsigned what)
{
    uint32_t cost = (uint32_t)slot->cost;

    switch (what & 3) {
    case 0:
        slot->is_cancelled = true;
        mcp_call_cancel(slot->call, MCP_CANCEL_APPLICATION, r->now);
        return;
    case 1:
        cost /= 2;
        break;
    default:
        break;
    }
    slot->cost -= cost;
    mcp_call_take(slot->call, cost);
}

static void step_call(struct run *r, struct str *in)
{
    struct slot *slot = pick(r, fuzz_u8(in));
    unsigned what = fuzz_u8(in);

    if (slot == NULL)
        return;
    if ((r->options & OPT_SERVER) != 0)
        use_server_call(r, slot, what, take_body(in));
    else
        use_client_call(r, slot, what);
}

static void step_open(struct run *r, struct str *in)
{
    if ((r->options & OPT_SERVER) == 0)
        open_call(r, in);
}

static void step_session(struct run *r, struct str *in)
{
    uint8_t what = fuzz_u8(in);

    switch (what & 7) {
    case 0:
        (void)!mcp_session_ping(&r->session, "fuzzfuzz");
        return;
    case 1:
        (void)!mcp_session_goaway(&r->session, MCP_GOAWAY_MAINTENANCE, what >> 3, r->now);
        return;
    case 2:
        mcp_session_close(&r->session, r->now);
        return;
    case 3:
        if (mcp_session_charge(&r->session, 1000) == 0)
            mcp_session_discharge(&r->session, 1000);
        return;
    default:
        r->fail_at = r->n_resizes + (what >> 3) + 1;
        return;
    }
}

static void check(struct run *r)
{
    const struct mcp_session *s = &r->session;
    enum mcp_state state = mcp_session_state(s);
    unsigned n = 0;

    FUZZ_CHECK(state >= r->state);
    r->state = state;
    FUZZ_CHECK(s->n_partial <= r->settings.partial_max);
    FUZZ_CHECK(s->partial_bytes <= r->settings.partial_bytes);
    if (s->is_acked)
        FUZZ_CHECK((int32_t)(s->tx.limit - s->tx.sent) >= 0);
    for (size_t i = 0; i < N_SLOTS; i++)
        n += r->slots[i].call != NULL;
    if ((r->options & OPT_SERVER) != 0)
        FUZZ_CHECK(n <= r->settings.hello.max_inflight);
    FUZZ_CHECK(state != MCP_STATE_DEAD || mcp_session_next_due(s) == NSEC_NEVER ||
               mcp_session_next_due(s) == 0);
}

static void run_steps(struct run *r, struct str in)
{
    static void (*const steps[8])(struct run *, struct str *) = {
        step_frame, step_frame, step_frame, step_write,
        step_time,  step_call,  step_open,  step_session,
    };

    for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++) {
        steps[fuzz_u8(&in) & 7](r, &in);
        check(r);
    }
}

/* ---- begin and end ------------------------------------------------------------------------- */

/* Limits are low, so that short inputs reach them. */
static bool begin(struct run *r, uint8_t options)
{
    struct mcp_settings *settings = &r->settings;

    *r = (struct run){.options = options, .now = 1000 * NSEC_PER_SEC};
    r->unread = BUF_INIT(1u << 20);
    r->written = BUF_INIT(1u << 20);
    *settings = mcp_settings_default;
    settings->needs_hello = (options & OPT_NEEDS_HELLO) != 0;
    settings->needs_key = (options & OPT_NEEDS_KEY) != 0;
    settings->hello.max_inflight = MCP_EARLY_CALLS;
    settings->hello.max_message = 64 * KIB;
    settings->hello.conn_limit = 128 * KIB;
    settings->hello.call_limit = 16 * KIB;
    settings->plain_inflight = 4;
    settings->fragment = 2 * KIB;
    settings->fragment_min = 16;
    settings->speaks_plain = (options & OPT_PLAIN) != 0;
    settings->gather_calls = (options & OPT_GATHER) != 0 ? 4 : 0;
    settings->gather_bytes = 2 * KIB;
    settings->gather_ns = NSEC_PER_MSEC;
    settings->partial_max = 8;
    settings->partial_bytes = 64 * KIB;
    settings->call_unsent = 16 * KIB;
    settings->session_unsent = 64 * KIB;
    settings->control_max = 32;
    settings->abuse_burst = 64;
    settings->abuse_per_s = 3;
    r->memory.resize = resize;
    mcp_pool_init(&r->pool, &r->memory);
    return mcp_session_init(&r->session, (options & OPT_SERVER) != 0 ? MCP_SERVER : MCP_CLIENT,
                            settings, &ops, &r->pool, r->now) == 0;
}

/* Every call ends once the connection is gone; a server's application lets go of its own. */
static void end_calls(struct run *r)
{
    struct slot *slot;

    r->may_call_back = true;
    mcp_session_eof(&r->session, r->now);
    r->may_call_back = false;
    tick(r);
    FUZZ_CHECK(mcp_session_state(&r->session) == MCP_STATE_DEAD);
    while ((r->options & OPT_SERVER) != 0 && (slot = pick(r, 0)) != NULL) {
        FUZZ_CHECK(slot->is_cancelled);
        fail(slot, NULL, MCP_INTERNAL);
    }
    FUZZ_CHECK(pick(r, 0) == NULL && r->session.n_calls == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    static struct run r;

    if (begin(&r, fuzz_u8(&in))) {
        run_steps(&r, in);
        if ((r.options & OPT_ABANDON) == 0)
            end_calls(&r);
        mcp_session_fini(&r.session);
    }
    mcp_pool_fini(&r.pool);
    FUZZ_CHECK(r.n_bytes == 0);
    buf_fini(&r.unread);
    buf_fini(&r.written);
    return 0;
}
