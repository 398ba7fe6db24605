/* SPDX-License-Identifier: MIT */

/*
 * 64-byte messages on one connection, as many in flight as --depth says; for each answer a new one
 * goes out, all that a read brought in one write. Every answer is compared with its request.
 * usage: echo_load raw|mcp PORT PIDS SECONDS DEPTH
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "mcp_peer.h"

#define BODY        64
#define DEPTH_MAX   1024
#define FRAME_MAX   128
#define READ_BYTES  (256 * 1024)
#define CREDIT_STEP (UINT32_C(256) << 20)

struct client {
    int fd;
    bool is_mcp;
    uint32_t next; /* id of the next message */
    uint32_t depth;
    uint32_t received; /* credit used by answers */
    uint32_t announced;
    char in[READ_BYTES];
    size_t in_len;
    char out[DEPTH_MAX * FRAME_MAX];
    size_t out_len;
    struct load_result result;
};

/* A body tells its id in each of its words, so that two mixed up answers show. */
static void make_body(uint32_t id, char body[static BODY])
{
    uint32_t words[BODY / 4];

    for (uint32_t i = 0; i < BODY / 4; i++)
        words[i] = id * UINT32_C(2654435761) + i;
    memcpy(body, words, BODY);
}

static void put_message(struct client *c)
{
    char *at = c->out + c->out_len;
    char body[BODY];

    make_body(c->next, body);
    if (c->is_mcp)
        at = mcp_peer_put_request(at, c->next, "echo", 0, body, BODY);
    else
        at = (char *)memcpy(at, body, BODY) + BODY;
    c->out_len = (size_t)(at - c->out);
    c->next++;
}

static void check(struct client *c, uint32_t id, const char *answer, size_t len)
{
    char body[BODY];

    make_body(id, body);
    if (len != BODY || memcmp(answer, body, BODY) != 0)
        c->result.bad++;
    c->result.n++;
    put_message(c);
}

static void grant(struct client *c, size_t len)
{
    char *at = c->out + c->out_len;

    c->received += (uint32_t)len;
    if (c->received - c->announced < CREDIT_STEP)
        return;
    c->announced = c->received;
    at = mcp_peer_put_head(at, MCP_PEER_CREDIT, 0, 8);
    at = mcp_peer_put32(at, 0);
    at = mcp_peer_put32(at, c->announced + INT32_MAX);
    c->out_len = (size_t)(at - c->out);
}

static size_t take_mcp(struct client *c)
{
    struct mcp_peer_frame frame;
    size_t at = 0;
    size_t n;

    for (; (n = mcp_peer_next(c->in + at, c->in_len - at, &frame)) > 0; at += n) {
        if (frame.type == MCP_PEER_RESPONSE) {
            grant(c, n - MCP_PEER_HEAD);
            check(c, frame.seq, frame.payload, frame.len);
        } else if (frame.type == MCP_PEER_ERROR) {
            load_die("an ERROR came");
        }
    }
    return at;
}

static size_t take_raw(struct client *c)
{
    size_t at = 0;

    for (; c->in_len - at >= BODY; at += BODY)
        check(c, c->next - c->depth, c->in + at, BODY);
    return at;
}

static void turn(struct client *c)
{
    ssize_t n = read(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len);
    size_t used;

    if (n <= 0)
        load_die("reading");
    c->in_len += (size_t)n;
    used = c->is_mcp ? take_mcp(c) : take_raw(c);
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= used;
    load_write(c->fd, c->out, c->out_len);
    c->out_len = 0;
}

static void run_for(struct client *c, load_ns time)
{
    load_ns end = load_now() + time;

    while (load_now() < end)
        turn(c);
}

static void begin(struct client *c)
{
    if (c->is_mcp) {
        char hello[64];

        load_write(c->fd, hello, (size_t)(mcp_peer_put_hello(hello, INT32_MAX, 1 << 20) - hello));
    }
    c->next = 1;
    for (uint32_t i = 0; i < c->depth; i++)
        put_message(c);
    load_write(c->fd, c->out, c->out_len);
    c->out_len = 0;
}

int main(int argc, char **argv)
{
    struct client *c = calloc(1, sizeof(*c));
    struct load_window window;

    if (argc != 6 || c == NULL)
        load_die("usage: echo_load raw|mcp PORT PIDS SECONDS DEPTH");
    c->is_mcp = strcmp(argv[1], "mcp") == 0;
    c->fd = load_connect((int)load_number(argv[2], 1, 65535));
    c->depth = (uint32_t)load_number(argv[5], 1, DEPTH_MAX);
    load_window_init(&window, argv[3]);
    begin(c);
    run_for(c, LOAD_SECOND / 2);
    c->result = (struct load_result){0};
    load_window_begin(&window);
    run_for(c, load_number(argv[4], 1, 3600) * LOAD_SECOND);
    load_window_end(&window, &c->result, "");
    return c->result.bad == 0 ? 0 : 1;
}
