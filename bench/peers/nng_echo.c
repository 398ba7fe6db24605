/* SPDX-License-Identifier: MIT */

/*
 * nng, rep0, as many contexts as messages may be in flight. usage: nng_echo PORT
 */

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdio.h>
#include <unistd.h>

#include "load.h"

#define CONTEXTS 128

struct context {
    nng_ctx ctx;
    nng_aio *aio;
    bool is_sending;
};

static void on_done(void *arg)
{
    struct context *c = arg;

    if (nng_aio_result(c->aio) != 0)
        return;
    c->is_sending = !c->is_sending; /* first: the next completion may come on another thread */
    if (c->is_sending)
        nng_ctx_send(c->ctx, c->aio); /* the message that came goes back */
    else
        nng_ctx_recv(c->ctx, c->aio);
}

int main(int argc, char **argv)
{
    static struct context contexts[CONTEXTS];
    char url[64];
    nng_socket s;

    (void)snprintf(url, sizeof(url), "tcp://127.0.0.1:%s", argc > 1 ? argv[1] : "0");
    if (nng_rep0_open(&s) != 0 || nng_listen(s, url, NULL, 0) != 0)
        load_die(url);
    for (int i = 0; i < CONTEXTS; i++) {
        if (nng_ctx_open(&contexts[i].ctx, s) != 0 ||
            nng_aio_alloc(&contexts[i].aio, on_done, &contexts[i]) != 0)
            load_die("context");
        nng_ctx_recv(contexts[i].ctx, contexts[i].aio);
    }
    (void)printf("%s\n", argc > 1 ? argv[1] : "0");
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}
