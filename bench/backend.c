/* SPDX-License-Identifier: MIT */

/*
 * A node that costs next to nothing, for measuring what stands before it: each request gets the
 * same few bytes, in one write. Requests need a Content-Length or no body.
 * usage: backend [PORT]
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define EVENTS     256
#define READ_BYTES (1024 * 1024)

#define LISTED \
    "{\"models\":[{\"name\":\"tiny:latest\",\"model\":\"tiny:latest\",\"digest\":" \
    "\"abcdef0123456789\"}]}"

struct conn {
    int fd;
    size_t len;
    char in[READ_BYTES];
};

struct answer {
    const char *start; /* of the request */
    const char *body;
};

static const struct answer answers[] = {
    {"GET /api/version ", "{\"version\":\"0.11.4\"}"},
    {"GET /api/tags ", LISTED},
    {"GET /api/ps ", LISTED},
    {"POST /api/generate ",
     "{\"model\":\"tiny\",\"created_at\":\"2026-11-24T22:58:24.180996053Z\",\"response\":\"Because "
     "of Rayleigh "
     "scattering: blue light is scattered "
     "more.\",\"done\":true,\"done_reason\":\"stop\",\"total_duration\":262946990,"
     "\"load_duration\":259974714,\"prompt_eval_count\":6,\"prompt_eval_duration\":975402,\"eval_"
     "count\":20,"
     "\"eval_duration\":1231959}"},
    {"POST /api/chat ",
     "{\"model\":\"tiny\",\"created_at\":\"2026-11-24T22:58:24.180996053Z\",\"message\":{\"role\":"
     "\"assistant\",\"content\":\"Because.\"},\"done\":true,\"done_reason\":\"stop\",\"eval_"
     "count\":2}"},
    {"", "{\"error\":\"no such route\"}"},
};

static void answer(int fd, const char *request)
{
    const struct answer *a = answers;
    char out[1024];
    int n;

    while (strncmp(request, a->start, strlen(a->start)) != 0)
        a++;
    n = snprintf(out, sizeof(out),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json; "
                 "charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(a->body), a->body);
    load_write(fd, out, (size_t)n);
}

/* Return: bytes of the whole request, 0 when more is to come. */
static size_t request_len(struct conn *c)
{
    const char *end;
    const char *field;
    size_t body = 0;

    c->in[c->len] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return 0;
    field = strcasestr(c->in, "\r\ncontent-length:");
    if (field != NULL && field < end)
        body = (size_t)strtoul(field + 17, NULL, 10);
    body += (size_t)(end - c->in) + 4;
    return body <= c->len ? body : 0;
}

static void serve(struct conn *c)
{
    ssize_t n = read(c->fd, c->in + c->len, sizeof(c->in) - 1 - c->len);
    size_t used;

    if (n <= 0) {
        (void)close(c->fd);
        free(c);
        return;
    }
    c->len += (size_t)n;
    while (c->len > 0 && (used = request_len(c)) > 0) {
        answer(c->fd, c->in);
        c->len -= used;
        memmove(c->in, c->in + used, c->len);
    }
}

static void take(int poller, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct conn *c = fd >= 0 ? malloc(sizeof(*c)) : NULL;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c == NULL || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        load_die("taking a connection");
    c->fd = fd;
    c->len = 0;
}

int main(int argc, char **argv)
{
    int listener = load_listen(argc > 1 ? (int)load_number(argv[1], 0, 65535) : 0);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event events[EVENTS];

    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0)
        load_die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                take(poller, listener);
            else
                serve(events[i].data.ptr);
        }
    }
}
