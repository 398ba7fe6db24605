/* SPDX-License-Identifier: MIT */

/*
 * Small calls beside a large one on the same MCP connection, whose reader takes so many bytes a
 * second. Small calls go one after the other. A small call that is refused is counted, and its
 * time is that of the refusal.
 * usage: beside_load PORT TRANSFERS BODY_MIB READ_MB_PER_S WINDOW_KIB
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load.h"
#include "mcp/session.h"

#define SAMPLES_MAX 1000000
#define READ_BYTES  (16 * 1024)
#define TAIL_BYTES  (128 * 1024)
#define SMALL       64
#define PIECES      64
#define BETWEEN_NS  (NSEC_PER_MSEC / 2) /* from an answer to the next small call */

struct phase {
    nsec_t *samples;
    size_t n;
};

struct client {
    struct mcp_session session;
    int fd;
    char in[TAIL_BYTES];
    size_t in_len;
    char *body;
    size_t body_len;
    size_t got; /* of the large answer */
    bool is_large_open;
    bool is_small_open;
    size_t n_refused; /* small calls */
    bool is_bad;
    nsec_t begun; /* of the small call */
    nsec_t next_small;
    nsec_t next_read;
    double ns_per_byte;
    struct phase up;   /* the large request is on its way */
    struct phase down; /* its answer is */
};

static struct client *client_of(struct mcp_session *s)
{
    return container_of(s, struct client, session);
}

static void put_sample(struct phase *p, nsec_t took)
{
    if (p->n < SAMPLES_MAX)
        p->samples[p->n++] = took;
}

static void on_chunk(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *chunk)
{
    (void)s;
    mcp_call_take(call, chunk->cost);
}

static void on_end(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *response,
                   const struct mcp_error *error)
{
    struct client *c = client_of(s);
    bool is_large = call->owner == c->body;
    size_t len = is_large ? c->body_len : SMALL;

    if (error != NULL && !is_large)
        c->n_refused++;
    else
        c->is_bad |= error != NULL || response->body.len != len ||
                     memcmp(response->body.s, c->body, len) != 0;
    if (is_large) {
        c->is_large_open = false;
        return;
    }
    c->is_small_open = false;
    c->next_small = time_now() + BETWEEN_NS;
    if (c->is_large_open)
        put_sample(c->got > 0 ? &c->down : &c->up, time_now() - c->begun);
}

static const struct mcp_session_ops ops = {
    .name = "beside_load", .on_chunk = on_chunk, .on_end = on_end};

static void call_echo(struct client *c, size_t len, void *owner)
{
    const struct mcp_request request = {
        .ext = {.method = STR("echo")},
        .body = str_make(c->body, len),
        .owner = owner,
    };
    struct mcp_call *call;

    if (mcp_session_open(&c->session, &request, time_now(), &call) != 0)
        load_die("opening a call");
}

static void write_some(struct client *c)
{
    struct str pieces[PIECES];
    struct iovec iov[PIECES];
    int n;

    while ((n = mcp_session_output(&c->session, pieces, PIECES, time_now())) > 0) {
        ssize_t sent;

        for (int i = 0; i < n; i++)
            iov[i] = (struct iovec){.iov_base = (char *)(uintptr_t)pieces[i].s,
                                    .iov_len = pieces[i].len};
        sent = writev(c->fd, iov, n);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            load_die("writing");
        mcp_session_sent(&c->session, (size_t)sent, time_now());
    }
}

/* Takes a piece, and rests for as long as a reader of that speed would need for it. */
static void read_some(struct client *c)
{
    nsec_t now = time_now();
    ssize_t n;
    size_t used;

    if (now < c->next_read)
        return;
    n = read(c->fd, c->in + c->in_len, READ_BYTES);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        load_die("reading");
    if (c->next_read < now - NSEC_PER_MSEC)
        c->next_read = now; /* time that nothing came is not saved up */
    c->next_read += (nsec_t)((double)n * c->ns_per_byte);
    c->in_len += (size_t)n;
    if (n > 8192)
        c->got += (size_t)n; /* the large answer has begun */
    used = mcp_session_feed(&c->session, str_make(c->in, c->in_len), now);
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= used;
}

static void wait_for(struct client *c)
{
    nsec_t now = time_now();
    nsec_t until = now + 10 * NSEC_PER_MSEC;
    struct pollfd p = {.fd = c->fd, .events = 0};
    struct timespec ts;

    if (now >= c->next_read)
        p.events |= POLLIN;
    else if (c->next_read < until)
        until = c->next_read;
    if (mcp_session_has_output(&c->session))
        p.events |= POLLOUT;
    if (!c->is_small_open && c->next_small < until)
        until = c->next_small;
    until = until > now ? until - now : 0;
    ts = (struct timespec){.tv_nsec = until};
    (void)ppoll(&p, 1, &ts, NULL);
}

static void transfer(struct client *c)
{
    c->got = 0;
    c->is_large_open = true;
    call_echo(c, c->body_len, c->body);
    while (c->is_large_open || c->is_small_open) {
        if (!c->is_small_open && c->is_large_open && time_now() >= c->next_small) {
            c->is_small_open = true;
            c->begun = time_now();
            call_echo(c, SMALL, NULL);
        }
        write_some(c);
        read_some(c);
        mcp_session_tick(&c->session, time_now());
        if (mcp_session_state(&c->session) == MCP_STATE_DEAD)
            load_die("the session ended");
        wait_for(c);
    }
}

static void print_phase(const char *name, struct phase *p)
{
    load_ns p99 = load_percentile(p->samples, p->n, 990);

    (void)printf("\"%s\":{\"n\":%zu,\"p50_ns\":%lld,\"p99_ns\":%lld,\"max_ns\":%lld}", name, p->n,
                 (long long)load_percentile(p->samples, p->n, 500), (long long)p99,
                 (long long)load_percentile(p->samples, p->n, 1000));
}

static void connect_session(struct client *c, int port, uint32_t window)
{
    static struct mcp_settings settings;
    static struct mcp_pool pool;

    settings = mcp_settings_default;
    settings.hello.conn_limit = window;
    settings.session_unsent = 256U << 20;
    mcp_pool_init(&pool, NULL);
    c->fd = load_connect(port);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        mcp_session_init(&c->session, MCP_CLIENT, &settings, &ops, &pool, time_now()) < 0)
        load_die("beginning");
    for (nsec_t end = time_now() + 200 * NSEC_PER_MSEC; time_now() < end;) {
        write_some(c);
        read_some(c);
    }
}

int main(int argc, char **argv)
{
    struct client *c = calloc(1, sizeof(*c));
    nsec_t begun;
    long n;

    if (argc != 6 || c == NULL)
        load_die("usage: beside_load PORT TRANSFERS BODY_MIB READ_MB_PER_S WINDOW_KIB");
    n = load_number(argv[2], 1, 1000);
    c->body_len = (size_t)load_number(argv[3], 1, 64) << 20;
    c->body = malloc(c->body_len);
    c->up.samples = calloc(SAMPLES_MAX, sizeof(nsec_t));
    c->down.samples = calloc(SAMPLES_MAX, sizeof(nsec_t));
    if (c->body == NULL || c->up.samples == NULL || c->down.samples == NULL)
        load_die("memory");
    for (size_t i = 0; i < c->body_len; i++)
        c->body[i] = (char)(i * 2654435761U >> 24);
    c->ns_per_byte = 1e3 / (double)load_number(argv[4], 1, 100000);
    connect_session(c, (int)load_number(argv[1], 1, 65535),
                    (uint32_t)load_number(argv[5], 64, 1 << 20) << 10);
    begun = time_now();
    for (long i = 0; i < n; i++)
        transfer(c);
    (void)printf("{\"bad\":%d,\"refused\":%zu,\"wall_ns\":%lld,", c->is_bad, c->n_refused,
                 (long long)(time_now() - begun));
    print_phase("up", &c->up);
    (void)printf(",");
    print_phase("down", &c->down);
    (void)printf("}\n");
    return c->is_bad ? 1 : 0;
}
