/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "client/client.h"
#include "client/fault.h"
#include "client/ollama_answer.h"
#include "client/ollama_read.h"

/* Typed calls that block: a body from a struct, a request, a struct from its answer. */

/*
 * generate, chat
 */

static int ask_at_once(chasqui_client *client, const struct client_ask *a, chasqui_answer *answer)
{
    chasqui_reply reply;
    int r;

    (void)chasqui_send(client, &a->request, &reply);
    r = client_answer_final(answer, &a->pieces, &reply);
    chasqui_reply_free(&reply);
    return r;
}

static int take_stream(const struct client_ask *a, chasqui_stream *stream, chasqui_answer *answer)
{
    chasqui_bytes record;
    int r = 0;

    while (r == 0 && chasqui_stream_next(stream, &record) == CHASQUI_OK)
        r = client_answer_record(answer, &a->pieces, record);
    return r < 0 ? r : client_answer_final(answer, &a->pieces, chasqui_stream_reply(stream));
}

static int ask_in_pieces(chasqui_client *client, const struct client_ask *a, chasqui_answer *answer)
{
    const char *why = client_may_block(client);
    chasqui_stream *stream;
    int r = chasqui_stream_open(client, &a->request, &stream);

    if (r != CHASQUI_OK) {
        (void)client_error_local(&answer->error, (unsigned)r, why != NULL ? why : "");
        return 0;
    }
    r = take_stream(a, stream, answer);
    chasqui_stream_free(stream);
    return r;
}

/* @r: whether there is something to ask. */
static int ask(chasqui_client *client, struct client_ask *a, int r, chasqui_answer *answer)
{
    *answer = (chasqui_answer){0};
    if (r < 0)
        return client_ask_fail(&answer->error, r);
    r = client_answer_new(answer, client);
    if (r == 0)
        r = client_pieces_wanted(&a->pieces) ? ask_in_pieces(client, a, answer)
                                             : ask_at_once(client, a, answer);
    if (r == 0)
        r = client_answer_close(answer);
    client_ask_fini(a);
    return r < 0 ? client_answer_fail(&answer->error, r) : answer->error.code;
}

int chasqui_generate(chasqui_client *client, const chasqui_generate_request *request,
                     chasqui_answer *answer)
{
    struct client_ask a;

    return ask(client, &a, client_ask_generate(&a, client, request), answer);
}

int chasqui_chat(chasqui_client *client, const chasqui_chat_request *request,
                 chasqui_answer *answer)
{
    struct client_ask a;

    return ask(client, &a, client_ask_chat(&a, client, request), answer);
}

/*
 * embed
 */

int chasqui_embed(chasqui_client *client, const chasqui_embed_request *request,
                  chasqui_embeddings *embeddings)
{
    struct client_ask a;
    chasqui_reply reply;
    int r = client_ask_embed(&a, client, request);

    *embeddings = (chasqui_embeddings){0};
    if (r < 0)
        return client_ask_fail(&embeddings->error, r);
    (void)chasqui_send(client, &a.request, &reply);
    client_take_embeddings(&reply, embeddings);
    chasqui_reply_free(&reply);
    client_ask_fini(&a);
    return embeddings->error.code;
}

void chasqui_embeddings_free(chasqui_embeddings *embeddings)
{
    if (embeddings == NULL)
        return;
    free(embeddings->memory);
    *embeddings = (chasqui_embeddings){0};
}

/*
 * Questions about models
 */

static int list_models(chasqui_client *client, chasqui_context *context, const char *service,
                       chasqui_models *models)
{
    struct client_ask a = client_ask_query(service, context);
    chasqui_reply reply;

    (void)chasqui_send(client, &a.request, &reply);
    client_take_models(&reply, models);
    chasqui_reply_free(&reply);
    return models->error.code;
}

int chasqui_tags(chasqui_client *client, chasqui_context *context, chasqui_models *models)
{
    return list_models(client, context, "ollama.tags", models);
}

int chasqui_ps(chasqui_client *client, chasqui_context *context, chasqui_models *models)
{
    return list_models(client, context, "ollama.ps", models);
}

void chasqui_models_free(chasqui_models *models)
{
    if (models == NULL)
        return;
    free(models->memory);
    *models = (chasqui_models){0};
}

int chasqui_show(chasqui_client *client, chasqui_context *context, const char *model,
                 chasqui_reply *reply)
{
    struct client_ask a;
    int r = client_ask_show(&a, client, context, model);

    *reply = (chasqui_reply){0};
    if (r < 0)
        return client_ask_fail(&reply->error, r);
    r = chasqui_send(client, &a.request, reply);
    client_ask_fini(&a);
    return r;
}

int chasqui_version(chasqui_client *client, chasqui_context *context, chasqui_reply *reply)
{
    struct client_ask a = client_ask_query("ollama.version", context);
    struct buf text = BUF_INIT(CLIENT_VERSION_MAX);
    chasqui_reply json;
    chasqui_reply view;

    (void)chasqui_send(client, &a.request, &json);
    view = client_take_version(&json, &text);
    (void)client_reply_copy(reply, &view);
    buf_fini(&text);
    chasqui_reply_free(&json);
    return reply->error.code;
}
