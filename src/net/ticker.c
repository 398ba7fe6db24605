/* SPDX-License-Identifier: MIT */
#include "net/ticker.h"

#include <errno.h>
#include <sys/timerfd.h>

static void on_readable(uv_poll_t *uv, int status, int events)
{
    struct net_ticker *ticker = container_of(uv, struct net_ticker, uv);
    uint64_t n_times;

    (void)status;
    (void)events;
    if (read(ticker->fd, &n_times, sizeof(n_times)) == (ssize_t)sizeof(n_times))
        ticker->on_due(ticker);
}

int net_ticker_init(struct net_loop *loop, struct net_ticker *ticker,
                    void (*on_due)(struct net_ticker *ticker))
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int r;

    *ticker = (struct net_ticker){.fd = fd, .on_due = on_due};
    if (fd < 0)
        return -errno;
    r = uv_poll_init(&loop->uv, &ticker->uv, fd);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    ticker->is_open = true;
    return uv_poll_start(&ticker->uv, UV_READABLE, on_readable);
}

void net_ticker_arm(struct net_ticker *ticker, nsec_t due)
{
    /* zero would disarm it */
    const struct itimerspec at = {
        .it_value = {.tv_sec = due > 0 ? due / NSEC_PER_SEC : 0,
                     .tv_nsec = due > 0 ? due % NSEC_PER_SEC : 1},
    };

    (void)timerfd_settime(ticker->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void on_closed(uv_handle_t *handle)
{
    struct net_ticker *ticker = container_of((uv_poll_t *)handle, struct net_ticker, uv);

    (void)close(ticker->fd);
}

void net_ticker_close(struct net_ticker *ticker)
{
    if (!ticker->is_open)
        return;
    ticker->is_open = false;
    (void)uv_poll_stop(&ticker->uv);
    uv_close((uv_handle_t *)&ticker->uv, on_closed);
}
