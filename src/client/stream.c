/* SPDX-License-Identifier: MIT */
#include "client/stream.h"

#include <errno.h>

#include "client/call.h"

struct record {
    struct list link;
    uint32_t cost;
    size_t len;
    char bytes[]; /* and a NUL */
};

/* References: the reader's, and the call's until it has ended. */
struct chasqui_stream {
    atomic_uint refs;
    chasqui_call *call;
    struct record *current; /* lent to the reader */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list records; /* under the lock, as what follows */
    bool is_done;
    chasqui_reply reply; /* when it is done */
    bool is_told;        /* the reader has seen the end; its own */
};

static void stream_unref(chasqui_stream *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    list_for_each_safe (it, &s->records)
        free(container_of(it, struct record, link));
    free(s->current);
    chasqui_reply_free(&s->reply);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

int client_stream_put(chasqui_stream *stream, struct str record, uint32_t cost)
{
    struct record *r = malloc(sizeof(*r) + record.len + 1);

    if (r == NULL)
        return -ENOMEM;
    list_init(&r->link);
    r->cost = cost;
    r->len = record.len;
    if (record.len > 0)
        memcpy(r->bytes, record.s, record.len);
    r->bytes[record.len] = '\0';
    (void)pthread_mutex_lock(&stream->lock);
    list_put_back(&stream->records, &r->link);
    (void)pthread_cond_signal(&stream->changed);
    (void)pthread_mutex_unlock(&stream->lock);
    return 0;
}

static void on_done(void *user, const chasqui_reply *reply)
{
    chasqui_stream *s = user;
    chasqui_reply own;

    (void)client_reply_copy(&own, reply);
    (void)pthread_mutex_lock(&s->lock);
    s->reply = own;
    s->is_done = true;
    (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    stream_unref(s);
}

static chasqui_stream *stream_new(void)
{
    chasqui_stream *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    list_init(&s->records);
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return NULL;
    }
    if (pthread_cond_init(&s->changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
    }
    return s;
}

static int stream_start(chasqui_stream *s, chasqui_client *client, const chasqui_request *request)
{
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_done, .user = s};
    chasqui_error error = {0};
    int r;

    s->call = client_call_new(client, request, &handler, &error);
    if (s->call == NULL)
        return error.code;
    s->call->stream = s;
    s->call->is_stream = true;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    r = client_call_post(s->call);
    if (r != CHASQUI_OK)
        stream_unref(s);
    return r;
}

int chasqui_stream_open(chasqui_client *client, const chasqui_request *request,
                        chasqui_stream **ret_stream)
{
    chasqui_stream *s;
    int r;

    if (client_may_block(client) != NULL)
        return CHASQUI_FAILED_PRECONDITION;
    s = stream_new();
    if (s == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    r = stream_start(s, client, request);
    if (r == CHASQUI_OK) {
        *ret_stream = s;
        return r;
    }
    client_call_unref(s->call);
    stream_unref(s);
    return r;
}

/* The reader is done with the record it has: its credit goes back. */
static void give_back(chasqui_stream *s)
{
    uint32_t cost;

    if (s->current == NULL)
        return;
    cost = s->current->cost;
    free(s->current);
    s->current = NULL;
    atomic_fetch_add_explicit(&s->call->n_taken, cost, memory_order_relaxed);
    (void)client_call_poke(s->call, CLIENT_WANTS_TAKE);
}

/* Waits. Return: the next record; NULL the stream is done. */
static struct record *wait_for_record(chasqui_stream *s)
{
    struct list *first;

    (void)pthread_mutex_lock(&s->lock);
    while (list_is_empty(&s->records) && !s->is_done)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    first = list_first(&s->records);
    if (first != NULL)
        list_remove(first);
    (void)pthread_mutex_unlock(&s->lock);
    return first != NULL ? container_of(first, struct record, link) : NULL;
}

int chasqui_stream_next(chasqui_stream *stream, chasqui_bytes *ret_record)
{
    if (client_may_block(stream->call->client) != NULL)
        return CHASQUI_FAILED_PRECONDITION;
    give_back(stream);
    stream->current = wait_for_record(stream);
    if (stream->current != NULL) {
        *ret_record = chasqui_bytes_make(stream->current->bytes, stream->current->len);
        return CHASQUI_OK;
    }
    stream->is_told = true;
    return stream->reply.error.code == CHASQUI_OK ? CHASQUI_END : stream->reply.error.code;
}

const chasqui_reply *chasqui_stream_reply(const chasqui_stream *stream)
{
    return stream->is_told ? &stream->reply : NULL;
}

void chasqui_stream_cancel(chasqui_stream *stream)
{
    chasqui_call_cancel(stream->call);
}

void chasqui_stream_free(chasqui_stream *stream)
{
    if (stream == NULL)
        return;
    chasqui_call_cancel(stream->call);
    client_call_unref(stream->call);
    stream_unref(stream);
}
