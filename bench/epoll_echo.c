/* SPDX-License-Identifier: MIT */

/*
 * The floor: an echo that knows no messages. What was read in one go is written in one go.
 * usage: epoll_echo PORT
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define EVENTS 64

static char bytes[64 * 1024];

static void take(int poller, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int on = 1;

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        load_die("epoll_ctl");
}

static void echo(int fd)
{
    ssize_t n = read(fd, bytes, sizeof(bytes));

    if (n > 0)
        load_write(fd, bytes, (size_t)n);
    else
        (void)close(fd);
}

int main(int argc, char **argv)
{
    int listener = load_listen(argc > 1 ? (int)load_number(argv[1], 0, 65535) : 0);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    struct epoll_event events[EVENTS];

    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0)
        load_die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                take(poller, listener);
            else
                echo(events[i].data.fd);
        }
    }
}
