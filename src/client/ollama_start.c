/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "client/call.h"
#include "client/ollama_answer.h"

/* Typed calls that do not block: a call, and on the loop's thread a struct made of its reply. */

static int fail_start(int err)
{
    return client_ask_fail(NULL, err);
}

/*
 * generate, chat
 */

/* From the start to the completion. */
struct growing {
    chasqui_answer answer;
    struct client_pieces pieces;
    chasqui_answer_fn *on_done;
    void *user;
    chasqui_call *call; /* the loop's reference keeps it as long as there are callbacks */
    int err;            /* of a record that could not be read */
};

static void growing_free(struct growing *g)
{
    chasqui_answer_free(&g->answer);
    free(g);
}

static void on_record(void *user, chasqui_bytes record)
{
    struct growing *g = user;

    if (g->err < 0)
        return;
    g->err = client_answer_record(&g->answer, &g->pieces, record);
    if (g->err < 0)
        chasqui_call_cancel(g->call);
}

static void on_answer(void *user, const chasqui_reply *reply)
{
    struct growing *g = user;
    int r = g->err;

    if (r == 0)
        r = client_answer_final(&g->answer, &g->pieces, reply);
    if (r == 0)
        r = client_answer_close(&g->answer);
    if (r < 0)
        (void)client_answer_fail(&g->answer.error, r);
    if (g->on_done != NULL)
        g->on_done(g->user, &g->answer);
    growing_free(g);
}

static struct growing *growing_new(const chasqui_client *client, const struct client_pieces *pieces)
{
    struct growing *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->pieces = *pieces;
    if (client_answer_new(&g->answer, client) < 0) {
        free(g);
        return NULL;
    }
    return g;
}

/* Return: CHASQUI_OK; else @g is still the caller's. */
static int post(struct growing *g, chasqui_client *client, const chasqui_request *request,
                chasqui_call **ret_call)
{
    const chasqui_handler handler = {
        .size = sizeof(handler), .on_record = on_record, .on_done = on_answer, .user = g};
    chasqui_error error = {0};
    chasqui_call *call = client_call_new(client, request, &handler, &error);
    int r;

    if (call == NULL)
        return error.code;
    g->call = call;
    r = client_call_post(call);
    if (r != CHASQUI_OK || ret_call == NULL)
        client_call_unref(call);
    else
        *ret_call = call;
    return r;
}

/* Takes @a. @r: whether there is something to ask. */
static int start_growing(chasqui_client *client, struct client_ask *a, int r,
                         const struct growing *wanted, chasqui_call **ret_call)
{
    struct growing *g;

    if (r < 0)
        return fail_start(r);
    g = growing_new(client, &a->pieces);
    r = CHASQUI_RESOURCE_EXHAUSTED;
    if (g != NULL) {
        g->on_done = wanted->on_done;
        g->user = wanted->user;
        r = post(g, client, &a->request, ret_call);
        if (r != CHASQUI_OK)
            growing_free(g);
    }
    client_ask_fini(a);
    return r;
}

int chasqui_start_generate(chasqui_client *client, const chasqui_generate_request *request,
                           chasqui_answer_fn *on_done, void *user, chasqui_call **ret_call)
{
    const struct growing wanted = {.on_done = on_done, .user = user};
    struct client_ask a;

    return start_growing(client, &a, client_ask_generate(&a, client, request), &wanted, ret_call);
}

int chasqui_start_chat(chasqui_client *client, const chasqui_chat_request *request,
                       chasqui_answer_fn *on_done, void *user, chasqui_call **ret_call)
{
    const struct growing wanted = {.on_done = on_done, .user = user};
    struct client_ask a;

    return start_growing(client, &a, client_ask_chat(&a, client, request), &wanted, ret_call);
}

/*
 * What comes at once
 */

struct typed {
    union {
        chasqui_embeddings_fn *embeddings;
        chasqui_models_fn *models;
        chasqui_done_fn *reply;
    } on_done; /* one that is not NULL */
    void *user;
};

static void on_embeddings(void *user, const chasqui_reply *reply)
{
    struct typed *t = user;
    chasqui_embeddings embeddings;

    client_take_embeddings(reply, &embeddings);
    t->on_done.embeddings(t->user, &embeddings);
    chasqui_embeddings_free(&embeddings);
    free(t);
}

static void on_models(void *user, const chasqui_reply *reply)
{
    struct typed *t = user;
    chasqui_models models;

    client_take_models(reply, &models);
    t->on_done.models(t->user, &models);
    chasqui_models_free(&models);
    free(t);
}

static void on_version(void *user, const chasqui_reply *reply)
{
    struct typed *t = user;
    struct buf text = BUF_INIT(CLIENT_VERSION_MAX);
    chasqui_reply view = client_take_version(reply, &text);

    t->on_done.reply(t->user, &view);
    buf_fini(&text);
    free(t);
}

/* @on_reply makes of a reply what @wanted is told. */
static int start_typed(chasqui_client *client, const chasqui_request *request,
                       chasqui_done_fn *on_reply, const struct typed *wanted,
                       chasqui_call **ret_call)
{
    chasqui_handler handler = {.size = sizeof(handler), .on_done = on_reply};
    struct typed *t;
    int r;

    if (wanted->on_done.reply == NULL)
        return chasqui_start(client, request, NULL, ret_call);
    t = malloc(sizeof(*t));
    if (t == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    *t = *wanted;
    handler.user = t;
    r = chasqui_start(client, request, &handler, ret_call);
    if (r != CHASQUI_OK)
        free(t);
    return r;
}

int chasqui_start_embed(chasqui_client *client, const chasqui_embed_request *request,
                        chasqui_embeddings_fn *on_done, void *user, chasqui_call **ret_call)
{
    const struct typed wanted = {.on_done = {.embeddings = on_done}, .user = user};
    struct client_ask a;
    int r = client_ask_embed(&a, client, request);

    if (r < 0)
        return fail_start(r);
    r = start_typed(client, &a.request, on_embeddings, &wanted, ret_call);
    client_ask_fini(&a);
    return r;
}

static int start_models(chasqui_client *client, chasqui_context *context, const char *service,
                        const struct typed *wanted, chasqui_call **ret_call)
{
    struct client_ask a = client_ask_query(service, context);

    return start_typed(client, &a.request, on_models, wanted, ret_call);
}

int chasqui_start_tags(chasqui_client *client, chasqui_context *context, chasqui_models_fn *on_done,
                       void *user, chasqui_call **ret_call)
{
    const struct typed wanted = {.on_done = {.models = on_done}, .user = user};

    return start_models(client, context, "ollama.tags", &wanted, ret_call);
}

int chasqui_start_ps(chasqui_client *client, chasqui_context *context, chasqui_models_fn *on_done,
                     void *user, chasqui_call **ret_call)
{
    const struct typed wanted = {.on_done = {.models = on_done}, .user = user};

    return start_models(client, context, "ollama.ps", &wanted, ret_call);
}

int chasqui_start_show(chasqui_client *client, chasqui_context *context, const char *model,
                       chasqui_done_fn *on_done, void *user, chasqui_call **ret_call)
{
    const chasqui_handler handler = {.size = sizeof(handler), .on_done = on_done, .user = user};
    struct client_ask a;
    int r = client_ask_show(&a, client, context, model);

    if (r < 0)
        return fail_start(r);
    r = chasqui_start(client, &a.request, &handler, ret_call);
    client_ask_fini(&a);
    return r;
}

int chasqui_start_version(chasqui_client *client, chasqui_context *context,
                          chasqui_done_fn *on_done, void *user, chasqui_call **ret_call)
{
    const struct typed wanted = {.on_done = {.reply = on_done}, .user = user};
    struct client_ask a = client_ask_query("ollama.version", context);

    return start_typed(client, &a.request, on_version, &wanted, ret_call);
}
