/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A server of server.h, a client of it, and somebody who waits for completions
 */

#include <chasqui/chasqui.h>

#include "server.h"

struct fixture {
    struct server server;
    chasqui_client *client;
};

static inline int setup_with(void **state, const chasqui_options *options)
{
    static struct fixture f;

    server_start(&f.server);
    *state = &f;
    return chasqui_open(f.server.url, options, &f.client, NULL);
}

static inline int setup(void **state)
{
    return setup_with(state, NULL);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    chasqui_close(f->client);
    server_stop(&f->server);
    return 0;
}

/* What one call, or many, came to. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_done;
    unsigned n_records;
    unsigned n_code[64];
    chasqui_error error; /* of the last one */
    char body[64];
};

#define SEEN_INIT \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static inline void seen_on_record(void *user, chasqui_bytes record)
{
    struct seen *s = user;

    (void)record;
    (void)pthread_mutex_lock(&s->lock);
    s->n_records++;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static inline void seen_on_done(void *user, const chasqui_reply *reply)
{
    struct seen *s = user;

    (void)pthread_mutex_lock(&s->lock);
    s->n_done++;
    s->n_code[reply->error.code]++;
    s->error = reply->error;
    (void)snprintf(s->body, sizeof(s->body), "%.*s", (int)reply->body.len,
                   reply->body.len > 0 ? (const char *)reply->body.data : "");
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static inline chasqui_handler seen_handler(struct seen *s)
{
    return (chasqui_handler){.size = sizeof(chasqui_handler),
                             .on_record = seen_on_record,
                             .on_done = seen_on_done,
                             .user = s};
}

static inline void seen_wait_done(struct seen *s, unsigned n)
{
    (void)pthread_mutex_lock(&s->lock);
    while (s->n_done < n)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

static inline void seen_wait_records(struct seen *s, unsigned n)
{
    (void)pthread_mutex_lock(&s->lock);
    while (s->n_records < n)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

/* Waits for a counter of the server. */
static inline void wait_for(const atomic_uint *counter, unsigned n)
{
    while (atomic_load(counter) != n)
        (void)usleep(200);
}

static inline chasqui_request ask(const char *service, const char *payload)
{
    return (chasqui_request){
        .size = sizeof(chasqui_request), .service = service, .payload = chasqui_text(payload)};
}

static inline chasqui_stats stats_of(const chasqui_client *client)
{
    chasqui_stats stats = {.size = sizeof(stats)};

    (void)chasqui_get_stats(client, &stats);
    return stats;
}
