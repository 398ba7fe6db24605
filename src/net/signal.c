/* SPDX-License-Identifier: MIT */
#include "net/signal.h"

static void on_uv_signal(uv_signal_t *uv, int number)
{
    struct net_signal *signal = container_of(uv, struct net_signal, uv);

    signal->on_signal(signal, number);
}

int net_signal_start(struct net_loop *loop, struct net_signal *signal, int number,
                     void (*on_signal)(struct net_signal *signal, int number))
{
    int r = uv_signal_init(&loop->uv, &signal->uv);

    if (r < 0)
        return r;
    signal->on_signal = on_signal;
    uv_unref((uv_handle_t *)&signal->uv);
    return uv_signal_start(&signal->uv, on_uv_signal, number);
}

void net_signal_stop(struct net_signal *signal)
{
    if (signal->on_signal != NULL && !uv_is_closing((uv_handle_t *)&signal->uv))
        uv_close((uv_handle_t *)&signal->uv, NULL);
}
