/* SPDX-License-Identifier: MIT */

/*
 * The load of echo_load.c over nng: one connection, DEPTH contexts.
 * usage: nng_load PORT PIDS SECONDS DEPTH
 */

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define BODY 64

struct context {
    nng_ctx ctx;
    nng_aio *aio;
    uint64_t id;
    bool is_sending;
};

static _Atomic uint64_t n_done;
static _Atomic uint64_t n_bad;

static void send_next(struct context *c)
{
    char body[BODY];
    nng_msg *msg;

    c->id++;
    memset(body, (int)(c->id & 0xFF), BODY);
    memcpy(body, &c->id, sizeof(c->id));
    if (nng_msg_alloc(&msg, 0) != 0 || nng_msg_append(msg, body, BODY) != 0)
        load_die("message");
    nng_aio_set_msg(c->aio, msg);
    c->is_sending = true;
    nng_ctx_send(c->ctx, c->aio);
}

static void check(const struct context *c, nng_msg *msg)
{
    const char *body = nng_msg_body(msg);
    uint64_t id;

    n_done++;
    if (nng_msg_len(msg) != BODY) {
        n_bad++;
        return;
    }
    memcpy(&id, body, sizeof(id));
    if (id != c->id || body[BODY - 1] != (char)(id & 0xFF))
        n_bad++;
}

static void on_done(void *arg)
{
    struct context *c = arg;

    if (nng_aio_result(c->aio) != 0)
        return;
    if (c->is_sending) {
        c->is_sending = false;
        nng_ctx_recv(c->ctx, c->aio);
        return;
    }
    check(c, nng_aio_get_msg(c->aio));
    nng_msg_free(nng_aio_get_msg(c->aio));
    send_next(c);
}

static void rest(long milliseconds)
{
    nng_msleep((nng_duration)milliseconds);
}

int main(int argc, char **argv)
{
    struct load_result result = {0};
    struct load_window window;
    struct context *contexts;
    char url[64];
    long depth;
    nng_socket s;

    if (argc != 5)
        load_die("usage: nng_load PORT PIDS SECONDS DEPTH");
    depth = load_number(argv[4], 1, 1024);
    contexts = calloc((size_t)depth, sizeof(*contexts));
    (void)snprintf(url, sizeof(url), "tcp://127.0.0.1:%s", argv[1]);
    if (contexts == NULL || nng_req0_open(&s) != 0 || nng_dial(s, url, NULL, 0) != 0)
        load_die(url);
    load_window_init(&window, argv[2]);
    for (long i = 0; i < depth; i++) {
        contexts[i].id = (uint64_t)i << 40;
        if (nng_ctx_open(&contexts[i].ctx, s) != 0 ||
            nng_aio_alloc(&contexts[i].aio, on_done, &contexts[i]) != 0)
            load_die("context");
        send_next(&contexts[i]);
    }
    rest(500);
    result.n = n_done;
    load_window_begin(&window);
    rest(load_number(argv[3], 1, 3600) * 1000);
    result.n = n_done - result.n;
    result.bad = n_bad;
    load_window_end(&window, &result, "");
    (void)fflush(stdout);
    _Exit(result.bad == 0 ? 0 : 1); /* calls are still in flight */
}
