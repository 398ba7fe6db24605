/* SPDX-License-Identifier: MIT */

/*
 * Token streams that do not end, of a simulated node, and how many records of them arrive. Over
 * HTTP/1.1 each stream has a connection, over MCP all share one. The text of each stream's first
 * records goes into the hash, which must be the same whoever relays.
 * usage: stream_load http|json|protobuf PORT PIDS SECONDS STREAMS
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"
#include "mcp_peer.h"

#define STREAMS_MAX  1024
#define HASHED       32 /* records of each stream */
#define RECORD_MAX   1024
#define READ_BYTES   (256 * 1024)
#define OUT_BYTES    (64 * 1024)
#define CALL_WINDOW  (UINT32_C(256) << 10)
#define CONN_WINDOW  (UINT32_C(1) << 20)
#define WARM_SECONDS 30

enum chunk_state {
    CHUNK_HEAD, /* of the answer */
    CHUNK_SIZE,
    CHUNK_DATA,
};

struct stream {
    int fd; /* HTTP */
    enum chunk_state state;
    size_t left; /* of the chunk, CR LF included */
    size_t len;  /* of what is incomplete: head or record */
    size_t size_len;
    char part[RECORD_MAX];
    char size[32];     /* line of a chunk */
    uint32_t received; /* MCP: credit */
    uint32_t announced;
    uint64_t n;
    uint64_t hash;
};

struct load {
    struct stream *streams;
    uint32_t n_streams;
    uint32_t n_hashed; /* streams whose first records are there */
    bool is_mcp;
    bool is_protobuf;
    int poller;
    int fd; /* MCP */
    uint32_t received;
    uint32_t announced;
    size_t in_len;
    size_t out_len;
    char in[READ_BYTES];
    char out[OUT_BYTES];
    struct load_result result;
};

/*
 * Records
 */

static bool has_ends(const char *record, size_t len, const char *begin, const char *end)
{
    size_t n = strlen(begin);
    size_t m = strlen(end);

    return len >= n + m && memcmp(record, begin, n) == 0 && memcmp(record + len - m, end, m) == 0;
}

/* The text between two marks. Return: its length; 0: there is none. */
static size_t text_of_json(const char *record, size_t len, const char **ret)
{
    static const char mark[] = "\"response\":\"";
    const char *at = memmem(record, len, mark, sizeof(mark) - 1);

    if (at == NULL)
        return 0;
    at += sizeof(mark) - 1;
    *ret = at;
    return (size_t)(record + len - at) - strlen("\",\"done\":false}");
}

/* Field 3, behind fields 1 and 2, all shorter than 128 bytes. */
static size_t text_of_protobuf(const char *record, size_t len, const char **ret)
{
    size_t at = 0;

    while (at + 2 <= len) {
        size_t n = (unsigned char)record[at + 1];

        if (at + 2 + n > len)
            return 0;
        *ret = record + at + 2;
        if (record[at] == (3 << 3 | 2))
            return n;
        at += 2 + n;
    }
    return 0;
}

static void take_record(struct load *l, struct stream *s, const char *record, size_t len)
{
    bool is_good = l->is_protobuf
                       ? has_ends(record, len, "\012\003sim", "")
                       : has_ends(record, len, "{\"model\":\"sim\"", "\",\"done\":false}");
    const char *text = record;

    l->result.n++;
    if (!is_good)
        l->result.bad++;
    if (s->n >= HASHED)
        return;
    len = l->is_protobuf ? text_of_protobuf(record, len, &text) : text_of_json(record, len, &text);
    s->hash = load_hash(s->hash, text, len);
    if (++s->n == HASHED)
        l->n_hashed++;
}

/*
 * HTTP
 */

static void put_part(struct stream *s, const char *bytes, size_t len)
{
    if (s->len + len > sizeof(s->part))
        load_die("a line is too long");
    memcpy(s->part + s->len, bytes, len);
    s->len += len;
}

static void take_data(struct load *l, struct stream *s, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;

        if (end == NULL) {
            put_part(s, bytes, n);
            return;
        }
        if (s->len > 0) {
            put_part(s, bytes, n);
            take_record(l, s, s->part, s->len);
            s->len = 0;
        } else {
            take_record(l, s, bytes, n);
        }
        bytes += n + 1;
        len -= n + 1;
    }
}

static size_t take_size(struct stream *s, const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    size_t n = end != NULL ? (size_t)(end - bytes) + 1 : len;

    if (s->size_len + n >= sizeof(s->size))
        load_die("a size line is too long");
    memcpy(s->size + s->size_len, bytes, n);
    s->size_len += n;
    if (end != NULL) {
        s->size[s->size_len] = '\0';
        s->left = (size_t)strtoul(s->size, NULL, 16) + 2;
        s->state = CHUNK_DATA;
        s->size_len = 0;
    }
    return n;
}

static size_t take_head(struct stream *s, const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    size_t n = end != NULL ? (size_t)(end - bytes) + 1 : len;

    put_part(s, bytes, n);
    if (s->len >= 4 && memcmp(s->part + s->len - 4, "\r\n\r\n", 4) == 0) {
        if (memcmp(s->part, "HTTP/1.1 200 ", 13) != 0)
            load_die("not 200");
        s->state = CHUNK_SIZE;
        s->len = 0;
    }
    return n;
}

static size_t take_chunk(struct load *l, struct stream *s, const char *bytes, size_t len)
{
    size_t n = len < s->left ? len : s->left;
    size_t data = s->left <= 2 ? 0 : s->left - 2;

    take_data(l, s, bytes, n < data ? n : data);
    s->left -= n;
    if (s->left == 0)
        s->state = CHUNK_SIZE;
    return n;
}

static void read_http(struct load *l, struct stream *s)
{
    ssize_t n = read(s->fd, l->in, sizeof(l->in));
    size_t at = 0;

    if (n <= 0)
        load_die("a stream ended");
    while (at < (size_t)n) {
        const char *bytes = l->in + at;
        size_t len = (size_t)n - at;

        if (s->state == CHUNK_HEAD)
            at += take_head(s, bytes, len);
        else if (s->state == CHUNK_SIZE)
            at += take_size(s, bytes, len);
        else
            at += take_chunk(l, s, bytes, len);
    }
}

/*
 * MCP
 */

static void put_credit(struct load *l, uint32_t seq, uint32_t limit)
{
    char *at = mcp_peer_put_head(l->out + l->out_len, MCP_PEER_CREDIT, 0, 8);

    at = mcp_peer_put32(at, seq);
    at = mcp_peer_put32(at, limit);
    l->out_len = (size_t)(at - l->out);
}

/* As a library would: half a window is used, the other half is granted. */
static void count_credit(struct load *l, struct stream *s, uint32_t seq, size_t len)
{
    s->received += (uint32_t)len;
    l->received += (uint32_t)len;
    if (s->received - s->announced >= CALL_WINDOW / 2) {
        s->announced = s->received;
        put_credit(l, seq, s->announced + CALL_WINDOW);
    }
    if (l->received - l->announced >= CONN_WINDOW / 2) {
        l->announced = l->received;
        put_credit(l, 0, l->announced + CONN_WINDOW);
    }
}

static void take_frame(struct load *l, const struct mcp_peer_frame *frame, size_t counted)
{
    switch (frame->type) {
    case MCP_PEER_CHUNK:
        if (frame->seq == 0 || frame->seq > l->n_streams)
            load_die("a call that was not opened");
        count_credit(l, &l->streams[frame->seq - 1], frame->seq, counted);
        take_record(l, &l->streams[frame->seq - 1], frame->payload, frame->len);
        break;
    case MCP_PEER_PING:
        memcpy(mcp_peer_put_head(l->out + l->out_len, MCP_PEER_PONG, 0, 8), frame->payload, 8);
        l->out_len += MCP_PEER_HEAD + 8;
        break;
    case MCP_PEER_ERROR: /* its text stands behind 10 bytes */
        (void)fprintf(stderr, "%.*s\n", frame->len > 10 ? (int)frame->len - 10 : 0,
                      frame->payload + 10);
        load_die("a stream failed");
    case MCP_PEER_RESPONSE:
        load_die("a stream ended");
    default:
        break;
    }
}

static void read_mcp(struct load *l)
{
    ssize_t n = read(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len);
    struct mcp_peer_frame frame;
    size_t at = 0;
    size_t used;

    if (n <= 0)
        load_die("reading");
    l->in_len += (size_t)n;
    for (; (used = mcp_peer_next(l->in + at, l->in_len - at, &frame)) > 0; at += used)
        take_frame(l, &frame, used - MCP_PEER_HEAD);
    memmove(l->in, l->in + at, l->in_len - at);
    l->in_len -= at;
    load_write(l->fd, l->out, l->out_len);
    l->out_len = 0;
}

/*
 * Beginning
 */

static void open_http(struct load *l, struct stream *s, int port, unsigned i)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    char request[512];
    char body[128];
    int n = snprintf(body, sizeof(body), "{\"model\":\"sim\",\"prompt\":\"Tell me story %u.\"}", i);

    n = snprintf(
        request, sizeof(request),
        "POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s",
        port, n, body);
    s->fd = load_connect(port);
    if (epoll_ctl(l->poller, EPOLL_CTL_ADD, s->fd, &event) < 0)
        load_die("epoll_ctl");
    load_write(s->fd, request, (size_t)n);
}

static void open_call(struct load *l, unsigned i)
{
    char prompt[64];
    char body[160];
    int n = snprintf(prompt, sizeof(prompt), "Tell me story %u.", i);
    char *end;

    if (l->is_protobuf)
        n = snprintf(body, sizeof(body), "\012\003sim\022%c%s", n, prompt);
    else
        n = snprintf(body, sizeof(body), "{\"model\":\"sim\",\"prompt\":\"%s\"}", prompt);
    end = mcp_peer_put_request(l->out + l->out_len, i + 1, "ollama.generate",
                               l->is_protobuf ? 0 : 1, body, (size_t)n);
    l->out_len = (size_t)(end - l->out);
}

/* Before HELLO_ACK a client may send little: it is waited for. */
static void open_mcp(struct load *l, int port)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    struct mcp_peer_frame frame = {0};
    char hello[64];
    ssize_t n;

    l->fd = load_connect(port);
    load_write(l->fd, hello, (size_t)(mcp_peer_put_hello(hello, CONN_WINDOW, CALL_WINDOW) - hello));
    n = read(l->fd, l->in, sizeof(l->in));
    if (n <= 0 || mcp_peer_next(l->in, (size_t)n, &frame) == 0 || frame.type != MCP_PEER_HELLO_ACK)
        load_die("no HELLO_ACK");
    for (unsigned i = 0; i < l->n_streams; i++)
        open_call(l, i);
    load_write(l->fd, l->out, l->out_len);
    l->out_len = 0;
    if (epoll_ctl(l->poller, EPOLL_CTL_ADD, l->fd, &event) < 0)
        load_die("epoll_ctl");
}

static void turn(struct load *l)
{
    struct epoll_event events[STREAMS_MAX];
    int n = epoll_wait(l->poller, events, STREAMS_MAX, 1000);

    for (int i = 0; i < n; i++) {
        if (l->is_mcp)
            read_mcp(l);
        else
            read_http(l, events[i].data.ptr);
    }
}

static void warm(struct load *l)
{
    load_ns now = load_now();
    load_ns end = now + WARM_SECONDS * LOAD_SECOND;
    load_ns rest = now + LOAD_SECOND;

    for (; l->n_hashed < l->n_streams || now < rest; now = load_now()) {
        if (now > end)
            load_die("the streams do not come");
        turn(l);
    }
    for (unsigned i = 0; i < l->n_streams; i++)
        l->result.hash ^= l->streams[i].hash * (i + 1);
    l->result.n = 0;
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof(*l));
    struct load_window window;
    load_ns end;
    int port;

    if (argc != 6 || l == NULL)
        load_die("usage: stream_load http|json|protobuf PORT PIDS SECONDS STREAMS");
    l->is_mcp = strcmp(argv[1], "http") != 0;
    l->is_protobuf = strcmp(argv[1], "protobuf") == 0;
    port = (int)load_number(argv[2], 1, 65535);
    l->n_streams = (uint32_t)load_number(argv[5], 1, STREAMS_MAX);
    l->streams = calloc(l->n_streams, sizeof(*l->streams));
    l->poller = epoll_create1(EPOLL_CLOEXEC);
    load_window_init(&window, argv[3]);
    for (unsigned i = 0; i < l->n_streams; i++) {
        l->streams[i].hash = LOAD_HASH;
        if (!l->is_mcp)
            open_http(l, &l->streams[i], port, i);
    }
    if (l->is_mcp)
        open_mcp(l, port);
    warm(l);
    load_window_begin(&window);
    end = load_now() + load_number(argv[4], 1, 3600) * LOAD_SECOND;
    while (load_now() < end)
        turn(l);
    load_window_end(&window, &l->result, "");
    return l->result.bad == 0 ? 0 : 1;
}
