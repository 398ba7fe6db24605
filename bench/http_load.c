/* SPDX-License-Identifier: MIT */

/*
 * Small requests over keep-alive connections, the next when the answer is there. Each body is
 * compared with the first one; the hash of that is printed.
 * usage: http_load PORT PIDS SECONDS CONNECTIONS [BODY_BYTES]
 *   BODY_BYTES  chats of so many bytes, instead of small prompts
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

#define CONNS_MAX  1024
#define READ_BYTES 8192
#define BODY \
    "{\"model\":\"tiny\",\"prompt\":\"Why is the sky " \
    "blue?\",\"stream\":false,\"options\":{\"num_predict\":20}}"

struct conn {
    int fd;
    size_t len;
    char in[READ_BYTES];
};

struct load {
    struct conn *conns;
    int poller;
    char *request;
    size_t request_len;
    char expected[READ_BYTES];
    size_t expected_len;
    struct load_result result;
};

static void check(struct load *l, const char *body, size_t len)
{
    if (l->expected_len == 0) {
        memcpy(l->expected, body, len);
        l->expected_len = len;
    }
    if (len != l->expected_len || memcmp(body, l->expected, len) != 0)
        l->result.bad++;
    l->result.n++;
}

/* Takes an answer when it is whole. */
static bool take(struct load *l, struct conn *c)
{
    const char *end;
    const char *field;
    size_t head;
    size_t body;

    c->in[c->len] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return false;
    field = strcasestr(c->in, "\r\ncontent-length:");
    if (strncmp(c->in, "HTTP/1.1 200 ", 13) != 0 || field == NULL || field > end)
        load_die(c->in);
    head = (size_t)(end - c->in) + 4;
    body = (size_t)strtoul(field + 17, NULL, 10);
    if (head + body > c->len)
        return false;
    check(l, c->in + head, body);
    c->len = 0; /* nothing is pipelined */
    return true;
}

static void serve(struct load *l, struct conn *c)
{
    ssize_t n = read(c->fd, c->in + c->len, sizeof(c->in) - 1 - c->len);

    if (n <= 0)
        load_die("reading");
    c->len += (size_t)n;
    if (take(l, c))
        load_write(c->fd, l->request, l->request_len);
}

static void run_for(struct load *l, load_ns time)
{
    struct epoll_event events[CONNS_MAX];
    load_ns end = load_now() + time;

    while (load_now() < end) {
        int n = epoll_wait(l->poller, events, CONNS_MAX, 1000);

        for (int i = 0; i < n; i++)
            serve(l, events[i].data.ptr);
    }
}

/* A conversation: many messages, with escapes as text has them. */
static char *make_chat(size_t len)
{
    static const char begin[] = "{\"model\":\"tiny\",\"stream\":false,\"messages\":[";
    static const char message[] =
        "{\"role\":\"user\",\"content\":\"Why is the sky blue, and what does \\\"blue\\\" mean?\\n"
        "The quick brown fox jumps over the lazy dog, again and again, until the evening comes and "
        "all the dogs of the village have gone to sleep; then it goes home through the fields.\"},";
    char *body = calloc(1, len + sizeof(begin) + sizeof(message) + 8);
    char *at;

    if (body == NULL)
        load_die("memory");
    at = stpcpy(body, begin);
    while ((size_t)(at - body) < len)
        at = stpcpy(at, message);
    memcpy(at - 1, "]}", 3); /* instead of the last comma */
    return body;
}

static void make_request(struct load *l, int port, const char *path, const char *body)
{
    int n = asprintf(&l->request,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     path, port, strlen(body), body);

    if (n < 0)
        load_die("memory");
    l->request_len = (size_t)n;
}

static void begin(struct load *l, int port, long n)
{
    l->conns = calloc((size_t)n, sizeof(*l->conns));
    l->poller = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < n; i++) {
        struct conn *c = &l->conns[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

        c->fd = load_connect(port);
        if (epoll_ctl(l->poller, EPOLL_CTL_ADD, c->fd, &event) < 0)
            load_die("epoll_ctl");
        load_write(c->fd, l->request, l->request_len);
    }
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof(*l));
    struct load_window window;
    int port;

    if (argc < 5 || argc > 6 || l == NULL)
        load_die("usage: http_load PORT PIDS SECONDS CONNECTIONS [BODY_BYTES]");
    port = (int)load_number(argv[1], 1, 65535);
    if (argc == 6)
        make_request(l, port, "/api/chat", make_chat((size_t)load_number(argv[5], 1, 1 << 20)));
    else
        make_request(l, port, "/api/generate", BODY);
    load_window_init(&window, argv[2]);
    begin(l, port, load_number(argv[4], 1, CONNS_MAX));
    run_for(l, LOAD_SECOND / 2);
    l->result = (struct load_result){.hash = load_hash(LOAD_HASH, l->expected, l->expected_len)};
    load_window_begin(&window);
    run_for(l, load_number(argv[3], 1, 3600) * LOAD_SECOND);
    load_window_end(&window, &l->result, "");
    return l->result.bad == 0 ? 0 : 1;
}
