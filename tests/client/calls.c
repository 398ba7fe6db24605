/* SPDX-License-Identifier: MIT */
/*
 * Calls of libchasqui as tests/e2e/client.test.mjs wants them; results are lines of JSON
 *
 *     calls deadline URL MODEL MS         an endless answer under a context of so many milliseconds
 *     calls cancel URL MODEL MS           the same, cancelled by another thread after so many
 *     calls idle URL - MS                 one call, and then nothing, with a heartbeat every MS
 *     calls batch URL - N                 so many small calls at once, that may go together
 *     calls many URL MODEL N              so many endless answers at once, until each has ended
 *
 * Typed calls are typed.c's.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <chasqui/chasqui.h>

static double now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void on_text(void *user, chasqui_bytes text)
{
    (void)text;
    ++*(int *)user;
}

/*
 * deadline, cancel
 */

struct later {
    chasqui_context *context;
    unsigned ms;
};

static void *cancel_later(void *arg)
{
    const struct later *later = arg;

    (void)usleep(later->ms * 1000);
    chasqui_context_cancel(later->context);
    return NULL;
}

static int endless(chasqui_client *client, const char *model, unsigned ms, int is_cancel)
{
    chasqui_generate_request q = {
        .size = sizeof(q), .model = model, .prompt = "x", .on_text = on_text};
    struct later later = {chasqui_context_new(NULL), ms};
    double begin = now_ms();
    int n_pieces = 0;
    chasqui_answer answer;
    pthread_t thread;

    q.context = later.context;
    q.user = &n_pieces;
    if (is_cancel && pthread_create(&thread, NULL, cancel_later, &later) != 0)
        return 1;
    if (!is_cancel)
        chasqui_context_set_timeout(later.context, ms);
    (void)chasqui_generate(client, &q, &answer);
    printf("{\"code\":\"%s\",\"ms\":%.1f,\"pieces\":%d,\"flags\":%u}\n",
           chasqui_code_name(answer.error.code), now_ms() - begin, n_pieces, answer.error.flags);
    if (is_cancel)
        (void)pthread_join(thread, NULL);
    chasqui_answer_free(&answer);
    chasqui_context_unref(later.context);
    return 0;
}

/*
 * many
 */

struct many {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_begun;
    unsigned n_done;
    unsigned n_code[64];
    unsigned n_not_processed;
};

struct one {
    struct many *all;
    unsigned n_records;
    unsigned n_done;
};

static void on_record(void *user, chasqui_bytes record)
{
    struct one *one = user;

    (void)record;
    if (one->n_records++ > 0)
        return;
    (void)pthread_mutex_lock(&one->all->lock);
    one->all->n_begun++;
    (void)pthread_cond_signal(&one->all->changed);
    (void)pthread_mutex_unlock(&one->all->lock);
}

static void on_done(void *user, const chasqui_reply *reply)
{
    struct one *one = user;

    (void)pthread_mutex_lock(&one->all->lock);
    one->n_done++;
    one->all->n_done++;
    one->all->n_code[reply->error.code & 63]++;
    if ((reply->error.flags & CHASQUI_NOT_PROCESSED) != 0)
        one->all->n_not_processed++;
    (void)pthread_cond_signal(&one->all->changed);
    (void)pthread_mutex_unlock(&one->all->lock);
}

static void print_codes(const struct many *all, const struct one *ones, unsigned n)
{
    unsigned n_twice = 0;

    for (unsigned i = 0; i < n; i++)
        n_twice += ones[i].n_done != 1;
    printf("{\"done\":%u,\"not_once\":%u,\"not_processed\":%u", all->n_done, n_twice,
           all->n_not_processed);
    for (int code = 0; code < 64; code++)
        if (all->n_code[code] > 0)
            printf(",\"%s\":%u", chasqui_code_name(code), all->n_code[code]);
    printf("}\n");
}

static int many(chasqui_client **client, const char *model, unsigned n)
{
    static struct many all = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    chasqui_handler handler = {.size = sizeof(handler), .on_record = on_record, .on_done = on_done};
    chasqui_request request = {.size = sizeof(request),
                               .service = "ollama.generate",
                               .class_name = "answer",
                               .flags = CHASQUI_STREAM};
    struct one *ones = calloc(n, sizeof(*ones));
    char body[200];
    unsigned n_begun = 0;

    if (ones == NULL)
        return 1;
    (void)snprintf(body, sizeof(body), "{\"model\":\"%s\",\"prompt\":\"x\"}", model);
    request.payload = chasqui_text(body);
    for (unsigned i = 0; i < n; i++) {
        ones[i].all = &all;
        handler.user = &ones[i];
        if (chasqui_start(*client, &request, &handler, NULL) != CHASQUI_OK)
            return 1;
    }
    printf("{\"started\":%u}\n", n);
    (void)pthread_mutex_lock(&all.lock);
    while (all.n_done < n) {
        (void)pthread_cond_wait(&all.changed, &all.lock);
        if (all.n_begun != n_begun && all.n_begun % 10 == 0)
            printf("{\"begun\":%u}\n", n_begun = all.n_begun);
    }
    (void)pthread_mutex_unlock(&all.lock);
    chasqui_close(*client); /* whatever were told twice has been told by now */
    *client = NULL;
    print_codes(&all, ones, n);
    free(ones);
    return 0;
}

static int idle(chasqui_client *client)
{
    chasqui_reply reply;

    (void)chasqui_send_request(client, "echo", chasqui_text("x"), &reply);
    printf("{\"code\":\"%s\"}\n", chasqui_code_name(reply.error.code));
    chasqui_reply_free(&reply);
    return pause(); /* until it is killed */
}

/*
 * batch
 */

static int batch(chasqui_client *client, unsigned n)
{
    static struct many all = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    chasqui_handler handler = {.size = sizeof(handler), .on_done = on_done};
    const chasqui_request request = {
        .size = sizeof(request), .service = "echo", .payload = chasqui_text("a small payload")};
    struct one *ones = calloc(n, sizeof(*ones));
    chasqui_stats stats = {.size = sizeof(stats)};

    if (ones == NULL)
        return 1;
    for (unsigned i = 0; i < n; i++) {
        ones[i].all = &all;
        handler.user = &ones[i];
        if (chasqui_start(client, &request, &handler, NULL) != CHASQUI_OK)
            return 1;
    }
    (void)pthread_mutex_lock(&all.lock);
    while (all.n_done < n)
        (void)pthread_cond_wait(&all.changed, &all.lock);
    (void)pthread_mutex_unlock(&all.lock);
    print_codes(&all, ones, n);
    (void)chasqui_get_stats(client, &stats);
    printf("{\"batches\":%" PRIu64 ",\"connections\":%" PRIu32 "}\n", stats.batches,
           stats.connections);
    free(ones);
    return 0;
}

int main(int argc, char **argv)
{
    const chasqui_batch_options together = {.size = sizeof(together)};
    unsigned number = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    const chasqui_options options = {
        .size = sizeof(options),
        .heartbeat_ms = argc > 1 && strcmp(argv[1], "idle") == 0 ? number : 0,
        .acquire_timeout_ms = 30000,
        .batch = argc > 1 && strcmp(argv[1], "batch") == 0 ? &together : NULL};
    chasqui_client *client;
    chasqui_error error;
    int result = 2;

    if (argc != 5)
        return 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (chasqui_open(argv[2], &options, &client, &error) != CHASQUI_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (strcmp(argv[1], "deadline") == 0)
        result = endless(client, argv[3], number, 0);
    else if (strcmp(argv[1], "cancel") == 0)
        result = endless(client, argv[3], number, 1);
    else if (strcmp(argv[1], "idle") == 0)
        result = idle(client);
    else if (strcmp(argv[1], "batch") == 0)
        result = batch(client, number);
    else if (strcmp(argv[1], "many") == 0)
        result = many(&client, argv[3], number);
    chasqui_close(client);
    return result;
}
