/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous calls in an event loop that is yours
 *
 * The client has no thread: its descriptor is one of those the loop waits for, its time one of the
 * loop's. All completions run inside chasqui_process().
 *
 *     ./epoll mcp://127.0.0.1:11436 100
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chasqui/chasqui.h>

struct counter {
    int n_open;
    int n_good;
};

static void on_done(void *user, const chasqui_reply *reply)
{
    struct counter *counter = user;

    counter->n_open--;
    if (reply->error.code == CHASQUI_OK)
        counter->n_good++;
    else
        fprintf(stderr, "%s: %s\n", chasqui_code_name(reply->error.code), reply->error.text);
}

static void start_calls(chasqui_client *client, struct counter *counter, int n)
{
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_done, .user = counter};
    const chasqui_request request = {
        .size = sizeof(request), .service = "echo", .payload = chasqui_text("Hi")};

    for (int i = 0; i < n; i++)
        if (chasqui_start(client, &request, &handler, NULL) == CHASQUI_OK)
            counter->n_open++;
}

/* A real program has more descriptors and timers than this. */
static void run_loop(chasqui_client *client, const struct counter *counter)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};

    (void)epoll_ctl(ep, EPOLL_CTL_ADD, chasqui_fd(client), &event);
    while (counter->n_open > 0) {
        (void)epoll_wait(ep, &event, 1, chasqui_next_due(client));
        (void)chasqui_process(client);
    }
    (void)close(ep);
}

int main(int argc, char **argv)
{
    const chasqui_options options = {.size = sizeof(options), .flags = CHASQUI_OWN_LOOP};
    struct counter counter = {0, 0};
    chasqui_client *client;
    int n = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;

    if (n <= 0) {
        fprintf(stderr, "usage: epoll URL CALLS\n");
        return 2;
    }
    if (chasqui_open(argv[1], &options, &client, NULL) != CHASQUI_OK)
        return 1;
    start_calls(client, &counter, n);
    run_loop(client, &counter);
    chasqui_close(client);
    printf("%d of %d\n", counter.n_good, n);
    return counter.n_good != n;
}
