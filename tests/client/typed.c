/* SPDX-License-Identifier: MIT */
/*
 * Every typed call of libchasqui, as tests/e2e/client.test.mjs wants them; results are lines of JSON
 *
 *     typed blocking URL MODEL EMBED-MODEL
 *     typed started URL MODEL EMBED-MODEL    the same calls, begun and waited for
 *     typed echo URL N -                     so many kilobytes of text, there and back
 *
 * In the environment, KEY is the key; JSON set: bodies travel as JSON; PROFILE and
 * COMPRESSION: numbers of CHASQUI_PROFILE_* and CHASQUI_COMPRESSION_*.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <chasqui/chasqui.h>

/* One call that was begun. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_done;
    const char *name;
    int n_pieces;
    pthread_t caller;
};

static struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER};

static void done(void)
{
    (void)pthread_mutex_lock(&waiter.lock);
    if (pthread_equal(waiter.caller, pthread_self()))
        printf("{\"call\":\"%s\",\"code\":\"on the caller's stack\"}\n", waiter.name);
    waiter.n_done++;
    (void)pthread_cond_signal(&waiter.changed);
    (void)pthread_mutex_unlock(&waiter.lock);
}

static void await(int code)
{
    if (code != CHASQUI_OK) {
        printf("{\"call\":\"%s\",\"code\":\"not begun: %s\"}\n", waiter.name,
               chasqui_code_name(code));
        return;
    }
    (void)pthread_mutex_lock(&waiter.lock);
    while (waiter.n_done == 0)
        (void)pthread_cond_wait(&waiter.changed, &waiter.lock);
    (void)pthread_mutex_unlock(&waiter.lock);
}

static void begin(const char *name)
{
    waiter.name = name;
    waiter.n_done = 0;
    waiter.n_pieces = 0;
    waiter.caller = pthread_self();
}

static void on_text(void *user, chasqui_bytes text)
{
    (void)user;
    (void)text;
    waiter.n_pieces++;
}

/*
 * What came
 */

static void print_answer(const chasqui_answer *answer)
{
    printf(
        "{\"call\":\"%s\",\"code\":\"%s\",\"len\":%zu,\"tokens\":%" PRIu64
        ",\"reason\":\"%s\",\"pieces\":%d}\n",
        waiter.name, chasqui_code_name(answer->error.code), answer->text.len, answer->answer_tokens,
        answer->done_reason.len > 0 ? (const char *)answer->done_reason.data : "", waiter.n_pieces);
}

static void print_embeddings(const chasqui_embeddings *e)
{
    printf("{\"call\":\"%s\",\"code\":\"%s\",\"n\":%zu,\"dimension\":%zu,\"first\":%.6f}\n",
           waiter.name, chasqui_code_name(e->error.code), e->n, e->dimension,
           e->n > 0 ? (double)e->values[0] : 0.0);
}

static void print_models(const chasqui_models *models)
{
    printf("{\"call\":\"%s\",\"code\":\"%s\",\"n\":%zu,\"first\":\"%s\"}\n", waiter.name,
           chasqui_code_name(models->error.code), models->n,
           models->n > 0 ? models->models[0].name : "");
}

/* @has_text: the body is one, not JSON. */
static void print_reply(const chasqui_reply *reply, int has_text)
{
    int is_ok = reply->error.code == CHASQUI_OK;

    printf("{\"call\":\"%s\",\"code\":\"%s\",\"text\":\"%.*s\"}\n", waiter.name,
           chasqui_code_name(reply->error.code),
           is_ok ? (has_text ? (int)reply->body.len : 0) : (int)strlen(reply->error.text),
           is_ok ? (const char *)reply->body.data : reply->error.text);
}

static void on_answer(void *user, const chasqui_answer *answer)
{
    (void)user;
    print_answer(answer);
    done();
}

static void on_embeddings(void *user, const chasqui_embeddings *e)
{
    (void)user;
    print_embeddings(e);
    done();
}

static void on_models(void *user, const chasqui_models *models)
{
    (void)user;
    print_models(models);
    done();
}

static void on_show(void *user, const chasqui_reply *reply)
{
    (void)user;
    print_reply(reply, 0);
    done();
}

static void on_version(void *user, const chasqui_reply *reply)
{
    (void)user;
    print_reply(reply, 1);
    done();
}

/*
 * Calls
 */

static int is_started;

static void generate(chasqui_client *client, const char *model, int is_stream)
{
    chasqui_generate_request q = {.size = sizeof(q),
                                  .model = model,
                                  .prompt = "a \"quoted\" prompt",
                                  .options = "{\"num_predict\":20,\"seed\":1}",
                                  .on_text = is_stream ? on_text : NULL};
    chasqui_answer answer;

    begin(is_stream ? "generate stream" : "generate");
    if (is_started) {
        await(chasqui_start_generate(client, &q, on_answer, NULL, NULL));
        return;
    }
    (void)chasqui_generate(client, &q, &answer);
    print_answer(&answer);
    chasqui_answer_free(&answer);
}

static void chat(chasqui_client *client, const char *model, int is_stream)
{
    const chasqui_message message = {.role = "user", .content = "hello"};
    chasqui_chat_request q = {.size = sizeof(q),
                              .model = model,
                              .messages = &message,
                              .n_messages = 1,
                              .options = "{\"num_predict\":20,\"seed\":1}",
                              .on_text = is_stream ? on_text : NULL};
    chasqui_answer answer;

    begin(is_stream ? "chat stream" : "chat");
    if (is_started) {
        await(chasqui_start_chat(client, &q, on_answer, NULL, NULL));
        return;
    }
    (void)chasqui_chat(client, &q, &answer);
    print_answer(&answer);
    chasqui_answer_free(&answer);
}

static void embed(chasqui_client *client, const char *model)
{
    const char *const inputs[] = {"one", "two"};
    chasqui_embed_request q = {.size = sizeof(q), .model = model, .inputs = inputs, .n_inputs = 2};
    chasqui_embeddings e;

    begin("embed");
    if (is_started) {
        await(chasqui_start_embed(client, &q, on_embeddings, NULL, NULL));
        return;
    }
    (void)chasqui_embed(client, &q, &e);
    print_embeddings(&e);
    chasqui_embeddings_free(&e);
}

static void tags(chasqui_client *client)
{
    chasqui_models models;

    begin("tags");
    if (is_started) {
        await(chasqui_start_tags(client, NULL, on_models, NULL, NULL));
        return;
    }
    (void)chasqui_tags(client, NULL, &models);
    print_models(&models);
    chasqui_models_free(&models);
}

static void ps(chasqui_client *client)
{
    chasqui_models models;

    begin("ps");
    if (is_started) {
        await(chasqui_start_ps(client, NULL, on_models, NULL, NULL));
        return;
    }
    (void)chasqui_ps(client, NULL, &models);
    print_models(&models);
    chasqui_models_free(&models);
}

static void show(chasqui_client *client, const char *model)
{
    chasqui_reply reply;

    begin("show");
    if (is_started) {
        await(chasqui_start_show(client, NULL, model, on_show, NULL, NULL));
        return;
    }
    (void)chasqui_show(client, NULL, model, &reply);
    print_reply(&reply, 0);
    chasqui_reply_free(&reply);
}

static void version(chasqui_client *client)
{
    chasqui_reply reply;

    begin("version");
    if (is_started) {
        await(chasqui_start_version(client, NULL, on_version, NULL, NULL));
        return;
    }
    (void)chasqui_version(client, NULL, &reply);
    print_reply(&reply, 1);
    chasqui_reply_free(&reply);
}

static void do_request(chasqui_client *client)
{
    chasqui_reply reply;

    begin("do_request");
    (void)chasqui_do_request(client, "/api/version", chasqui_text(""), &reply);
    print_reply(&reply, 0);
    chasqui_reply_free(&reply);
}

static int echo(chasqui_client *client, size_t n)
{
    static const char line[] = "a line of text that comes again and again, with a number: 12345678";
    char *text = malloc(n * 1000);
    chasqui_reply reply;
    int is_same;

    if (text == NULL)
        return 1;
    for (size_t i = 0; i < n * 1000; i++)
        text[i] = (char)(line[i % sizeof(line)] + (i % 1009 == 0));
    (void)chasqui_send_request(client, "echo", chasqui_bytes_make(text, n * 1000), &reply);
    is_same = reply.body.len == n * 1000 && memcmp(reply.body.data, text, n * 1000) == 0;
    printf("{\"code\":\"%s\",\"same\":%s}\n", chasqui_code_name(reply.error.code),
           is_same ? "true" : "false");
    chasqui_reply_free(&reply);
    free(text);
    return 0;
}

static uint32_t number_of(const char *variable)
{
    const char *text = getenv(variable);

    return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

int main(int argc, char **argv)
{
    const chasqui_options options = {.size = sizeof(options),
                                     .key = getenv("KEY"),
                                     .codec = getenv("JSON") != NULL ? CHASQUI_CODEC_JSON
                                                                     : CHASQUI_CODEC_PROTOBUF,
                                     .profile = number_of("PROFILE"),
                                     .compression = number_of("COMPRESSION")};
    chasqui_client *client;
    chasqui_error error;

    if (argc != 5)
        return 2;
    is_started = strcmp(argv[1], "started") == 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (chasqui_open(argv[2], &options, &client, &error) != CHASQUI_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (strcmp(argv[1], "echo") == 0) {
        int result = echo(client, strtoul(argv[3], NULL, 10));

        chasqui_close(client);
        return result;
    }
    generate(client, argv[3], 0);
    generate(client, argv[3], 1);
    chat(client, argv[3], 0);
    chat(client, argv[3], 1);
    generate(client, "nowhere", 0);
    generate(client, "nowhere", 1);
    embed(client, argv[4]);
    tags(client);
    ps(client);
    show(client, argv[3]);
    version(client);
    do_request(client);
    chasqui_close(client);
    return 0;
}
