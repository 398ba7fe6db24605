/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "client/call.h"

/* Blocking calls: an asynchronous one, and somebody who waits for it. */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    chasqui_reply *reply;
};

static void on_done(void *user, const chasqui_reply *reply)
{
    struct waiter *w = user;

    (void)client_reply_copy(w->reply, reply);
    (void)pthread_mutex_lock(&w->lock);
    w->is_done = true;
    /* Under the lock: behind it the waiter may be gone. */
    (void)pthread_cond_signal(&w->done);
    (void)pthread_mutex_unlock(&w->lock);
}

static int waiter_init(struct waiter *w, chasqui_reply *reply)
{
    *w = (struct waiter){.reply = reply};
    if (pthread_mutex_init(&w->lock, NULL) != 0)
        return -ENOMEM;
    if (pthread_cond_init(&w->done, NULL) == 0)
        return 0;
    (void)pthread_mutex_destroy(&w->lock);
    return -ENOMEM;
}

static void wait_and_fini(struct waiter *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (!w->is_done)
        (void)pthread_cond_wait(&w->done, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_cond_destroy(&w->done);
    (void)pthread_mutex_destroy(&w->lock);
}

/* Why the loop's thread was not reached. */
static int fail_post(chasqui_reply *reply, int code)
{
    return client_reply_fail(reply, (unsigned)code,
                             code == CHASQUI_OVERLOADED ? "too many calls are open"
                                                        : "the client is being closed");
}

int chasqui_send(chasqui_client *client, const chasqui_request *request, chasqui_reply *reply)
{
    struct waiter w;
    chasqui_handler handler = {.size = sizeof(handler), .on_done = on_done, .user = &w};
    const char *why = client_may_block(client);
    chasqui_call *call;
    int r;

    if (why != NULL)
        return client_reply_fail(reply, MCP_FAILED_PRECONDITION, why);
    *reply = (chasqui_reply){0};
    call = client_call_new(client, request, &handler, &reply->error);
    if (call == NULL)
        return reply->error.code;
    if (waiter_init(&w, reply) < 0) {
        client_call_unref(call);
        return client_error_errno(&reply->error, -ENOMEM);
    }
    r = client_call_post(call);
    if (r != CHASQUI_OK) {
        (void)fail_post(reply, r);
        w.is_done = true;
    }
    wait_and_fini(&w);
    client_call_unref(call);
    return reply->error.code;
}

int chasqui_send_request(chasqui_client *client, const char *service, chasqui_bytes payload,
                         chasqui_reply *reply)
{
    const chasqui_request request = {
        .size = sizeof(request), .service = service, .payload = payload};

    return chasqui_send(client, &request, reply);
}

int chasqui_do_request(chasqui_client *client, const char *endpoint, chasqui_bytes body,
                       chasqui_reply *target)
{
    const chasqui_request request = {
        .size = sizeof(request), .service = endpoint, .payload = body, .class_name = "answer"};

    return chasqui_send(client, &request, target);
}
