/* SPDX-License-Identifier: MIT */
#include "net/held.h"

#include <assert.h>
#include <errno.h>

#define SPARES_MAX 256

static struct net_held *held_get(struct net_loop *loop)
{
    struct net_held *h = loop->spare_held;

    if (h == NULL)
        return malloc(sizeof(*h));
    loop->spare_held = h->next_spare;
    loop->n_spare_held--;
    return h;
}

static void held_give(struct net_loop *loop, struct net_held *h)
{
    if (loop->n_spare_held >= SPARES_MAX) {
        free(h);
        return;
    }
    h->next_spare = loop->spare_held;
    loop->spare_held = h;
    loop->n_spare_held++;
}

bool net_held_put(struct net_stream *s, const struct str *pieces, size_t n_pieces, size_t total)
{
    struct net_held *h = s->held;

    if (total > NET_HELD_BYTES - (h != NULL ? h->len : 0))
        return false;
    if (h == NULL) {
        h = held_get(s->loop);
        if (h == NULL)
            return false;
        h->stream = s;
        h->len = 0;
        list_put_back(&s->loop->held, &h->link);
        s->held = h;
    }
    for (size_t i = 0; i < n_pieces; i++) {
        if (pieces[i].len > 0)
            memcpy(h->bytes + h->len, pieces[i].s, pieces[i].len);
        h->len += pieces[i].len;
    }
    return true;
}

int net_held_flush(struct net_stream *s)
{
    struct net_held *h = s->held;
    struct str bytes;
    int r;

    if (h == NULL)
        return 0;
    s->held = NULL;
    list_remove(&h->link);
    bytes = str_make(h->bytes, h->len);
    r = net_stream_write(s, &bytes, 1);
    held_give(s->loop, h);
    return r;
}

void net_held_flush_all(struct net_loop *loop)
{
    struct list *it;

    while ((it = list_first(&loop->held)) != NULL) {
        struct net_stream *s = container_of(it, struct net_held, link)->stream;

        if (net_held_flush(s) < 0)
            net_stream_fail(s, -ENOMEM);
    }
}

void net_held_fini(struct net_loop *loop)
{
    assert(list_is_empty(&loop->held));

    while (loop->spare_held != NULL) {
        struct net_held *next = loop->spare_held->next_spare;

        free(loop->spare_held);
        loop->spare_held = next;
    }
}
