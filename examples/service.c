/* SPDX-License-Identifier: MIT */
/*
 * A service of one's own
 *
 *     ./service 127.0.0.1:7000
 *
 *     echo    answers with what it was sent, at once
 *     count   {"options":{"num_predict":N}}: N records and a last one, from a thread of its own for
 *             each call, waiting while the client cannot take more
 *     slow    answers after as many milliseconds as the body says
 *
 * Prints its port. SIGTERM and Ctrl-C: it takes no new calls, lets those in flight finish, and leaves.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <chasqui/chasqui.h>

/* A call and who waits for room in it. */
struct job {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int is_full;
    chasqui_served *call;
};

static void pause_ms(long ms)
{
    struct timespec t;

    t.tv_sec = ms / 1000;
    t.tv_nsec = ms % 1000 * 1000000;
    (void)nanosleep(&t, NULL);
}

static void on_echo(void *user, chasqui_served *call)
{
    (void)user;
    if (chasqui_served_respond(call, chasqui_served_payload(call)) != CHASQUI_OK)
        chasqui_served_fail(call, CHASQUI_RESOURCE_EXHAUSTED, 0, "out of memory");
}

/* Whether there is room, or nobody listens any more. */
static void wake(void *user, chasqui_served *call)
{
    struct job *job = chasqui_served_user(call);

    (void)user;
    pthread_mutex_lock(&job->lock);
    job->is_full = 0;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->lock);
}

/* The thread may be on its last steps still, so it is waited for. */
static void on_done(void *user, chasqui_served *call)
{
    struct job *job = chasqui_served_user(call);

    (void)user;
    if (job == NULL)
        return;
    pthread_join(job->thread, NULL);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static int write_record(struct job *job, const char *text)
{
    int r;

    /* Before the write: room may come while it returns. */
    pthread_mutex_lock(&job->lock);
    job->is_full = 1;
    pthread_mutex_unlock(&job->lock);
    r = chasqui_served_record(job->call, chasqui_text(text));
    if (r != CHASQUI_SERVED_FULL)
        return r;
    pthread_mutex_lock(&job->lock);
    while (job->is_full && !chasqui_served_is_cancelled(job->call))
        pthread_cond_wait(&job->changed, &job->lock);
    pthread_mutex_unlock(&job->lock);
    return CHASQUI_OK;
}

static void *count(void *arg)
{
    struct job *job = arg;
    const char *n = strstr(chasqui_served_payload(job->call).data, "\"num_predict\":");
    long left = n != NULL ? strtol(n + strlen("\"num_predict\":"), NULL, 10) : 0;

    if (n == NULL) {
        chasqui_served_fail(job->call, CHASQUI_INVALID_ARGUMENT, 0, "how many?");
        return NULL;
    }
    while (left > 0 && write_record(job, "{\"response\":\"x\"}") == CHASQUI_OK) {
        pause_ms(1);
        left--;
    }
    if (left > 0 ||
        chasqui_served_respond(job->call, chasqui_text("{\"done\":true}")) != CHASQUI_OK)
        chasqui_served_fail(job->call, CHASQUI_CANCELLED, 0, "the count was broken off");
    return NULL;
}

static void *slow(void *arg)
{
    struct job *job = arg;

    pause_ms(strtol(chasqui_served_payload(job->call).data, NULL, 10));
    if (chasqui_served_respond(job->call, chasqui_text("at last")) != CHASQUI_OK)
        chasqui_served_fail(job->call, CHASQUI_RESOURCE_EXHAUSTED, 0, "out of memory");
    return NULL;
}

static void begin(chasqui_served *call, void *(*run)(void *))
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL) {
        chasqui_served_fail(call, CHASQUI_RESOURCE_EXHAUSTED, CHASQUI_NOT_PROCESSED, NULL);
        return;
    }
    job->call = call;
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->changed, NULL);
    chasqui_served_set_user(call, job);
    if (pthread_create(&job->thread, NULL, run, job) == 0)
        return;
    chasqui_served_set_user(call, NULL);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
    chasqui_served_fail(call, CHASQUI_OVERLOADED, CHASQUI_NOT_PROCESSED, "too many at once");
}

static void on_count(void *user, chasqui_served *call)
{
    (void)user;
    begin(call, count);
}

static void on_slow(void *user, chasqui_served *call)
{
    (void)user;
    begin(call, slow);
}

static int add_all(chasqui_server *server)
{
    const chasqui_service echo = {sizeof(echo), "echo", on_echo, NULL, NULL, NULL, NULL};
    const chasqui_service counts = {sizeof(counts), "count", on_count, wake, wake, on_done, NULL};
    const chasqui_service slows = {sizeof(slows), "slow", on_slow, NULL, NULL, on_done, NULL};

    if (chasqui_server_add(server, &echo) != CHASQUI_OK ||
        chasqui_server_add(server, &counts) != CHASQUI_OK)
        return -1;
    return chasqui_server_add(server, &slows) == CHASQUI_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
    chasqui_server_options options = {.size = sizeof(options)};
    chasqui_server *server;
    chasqui_error error;
    sigset_t ends;

    if (argc < 2) {
        fprintf(stderr, "usage: service ADDRESS [KEY]\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in all threads */
    options.key = argc > 2 ? argv[2] : NULL;
    if (chasqui_server_new(&options, &server, &error) != CHASQUI_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (add_all(server) < 0 || chasqui_server_listen(server, argv[1], &error) != CHASQUI_OK) {
        fprintf(stderr, "%s\n", error.text);
        chasqui_server_free(server);
        return 1;
    }
    printf("%u\n", chasqui_server_port(server));
    fflush(stdout);
    sigwait(&ends, &argc);
    chasqui_server_drain(server, 10000);
    chasqui_server_free(server);
    return 0;
}
