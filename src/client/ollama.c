/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "client/client.h"
#include "client/fault.h"
#include "client/ollama_body.h"
#include "client/ollama_read.h"

/* Typed calls: a body from a struct, a request, a struct from its answer. */

/* Of a request that has a prompt. */
struct asking {
    chasqui_client *client;
    chasqui_request request;
    chasqui_text_fn *on_text;
    void *user;
};

/* Whether the context names a class itself: then it is not named here. */
static const char *choose_class(const chasqui_context *context, const char *own, const char *usual)
{
    struct client_inherited inherited;

    if (own != NULL)
        return own;
    if (client_context_inherit(context, &inherited) == 0 && inherited.class_name[0] != '\0')
        return NULL;
    return usual;
}

static struct buf body_init(const chasqui_client *client)
{
    return BUF_INIT(client->options.max_message);
}

static int fail_body(chasqui_error *error, int r)
{
    if (r == -EINVAL)
        return client_error_local(error, MCP_INVALID_ARGUMENT,
                                  "the model is missing, or a text that must be JSON is none");
    if (r == -ENOBUFS)
        return client_error_local(error, MCP_TOO_LARGE, "the request is longer than max_message");
    return client_error_errno(error, r);
}

static int fail_read(chasqui_error *error, int r)
{
    if (r == -ENOMEM || r == -ENOBUFS)
        return client_error_local(error, MCP_RESOURCE_EXHAUSTED, "no memory for the answer");
    return client_error_local(error, MCP_DATA_LOSS, "the answer is not what this call answers");
}

/*
 * generate, chat
 */

static void growing_init(struct client_growing_answer *g, uint32_t max)
{
    *g = (struct client_growing_answer){.text = BUF_INIT(max),
                                        .thinking = BUF_INIT(max),
                                        .tool_calls = BUF_INIT(max),
                                        .done_reason = BUF_INIT(max),
                                        .json = BUF_INIT(max)};
}

static void growing_fini(struct client_growing_answer *g)
{
    buf_fini(&g->text);
    buf_fini(&g->thinking);
    buf_fini(&g->tool_calls);
    buf_fini(&g->done_reason);
    buf_fini(&g->json);
}

/* Every text ends in a NUL. Return: 0; -ENOMEM. */
static int close_text(struct buf *b, chasqui_bytes *ret)
{
    int r = buf_put_char(b, '\0');

    if (r == 0)
        *ret = chasqui_bytes_make(b->data, b->len - 1);
    return r;
}

static int close_answer(struct client_growing_answer *g, chasqui_answer *answer)
{
    struct {
        struct buf *from;
        chasqui_bytes *to;
    } texts[] = {{&g->text, &answer->text},
                 {&g->thinking, &answer->thinking},
                 {&g->tool_calls, &answer->tool_calls},
                 {&g->done_reason, &answer->done_reason},
                 {&g->json, &answer->json}};
    int r = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && r == 0; i++)
        r = close_text(texts[i].from, texts[i].to);
    return r;
}

/* Elements become an array. */
static int close_tool_calls(struct buf *b)
{
    int r;

    if (b->len == 0)
        return 0;
    r = buf_reserve(b, 2);
    if (r < 0)
        return r;
    memmove(b->data + 1, b->data, b->len);
    b->data[0] = '[';
    b->data[b->len + 1] = ']';
    b->len += 2;
    return 0;
}

/* What @reply says is how it ended; its body is the final object. */
static int take_final(const chasqui_reply *reply, struct client_growing_answer *g,
                      chasqui_answer *answer)
{
    int r;

    answer->error = reply->error;
    if (reply->error.code != CHASQUI_OK)
        return 0;
    r = client_read_record(client_str(reply->body), g, answer);
    return r < 0 ? r : buf_put(&g->json, client_str(reply->body));
}

static int ask_at_once(const struct asking *a, struct client_growing_answer *g,
                       chasqui_answer *answer)
{
    chasqui_reply reply;
    int r;

    (void)chasqui_send(a->client, &a->request, &reply);
    r = take_final(&reply, g, answer);
    chasqui_reply_free(&reply);
    return r;
}

/* One record: its text goes on at once. */
static int take_record(const struct asking *a, chasqui_bytes record,
                       struct client_growing_answer *g, chasqui_answer *answer)
{
    size_t before = g->text.len;
    int r = client_read_record(client_str(record), g, answer);

    if (r == 0 && g->text.len > before)
        a->on_text(a->user, client_bytes(str_from(buf_str(&g->text), before)));
    return r;
}

static int take_stream(const struct asking *a, chasqui_stream *stream,
                       struct client_growing_answer *g, chasqui_answer *answer)
{
    chasqui_bytes record;
    size_t before;
    int r = 0;

    while (r == 0 && chasqui_stream_next(stream, &record) == CHASQUI_OK)
        r = take_record(a, record, g, answer);
    if (r < 0)
        return r;
    before = g->text.len;
    r = take_final(chasqui_stream_reply(stream), g, answer);
    if (r == 0 && g->text.len > before)
        a->on_text(a->user, client_bytes(str_from(buf_str(&g->text), before)));
    return r;
}

static int ask_in_pieces(const struct asking *a, struct client_growing_answer *g,
                         chasqui_answer *answer)
{
    const char *why = client_may_block(a->client);
    chasqui_stream *stream;
    int r = chasqui_stream_open(a->client, &a->request, &stream);

    if (r != CHASQUI_OK) {
        (void)client_error_local(&answer->error, (unsigned)r, why != NULL ? why : "");
        return 0;
    }
    r = take_stream(a, stream, g, answer);
    chasqui_stream_free(stream);
    return r;
}

static int ask(const struct asking *a, chasqui_answer *answer)
{
    struct client_growing_answer *g = malloc(sizeof(*g));
    int r;

    if (g == NULL)
        return client_error_errno(&answer->error, -ENOMEM);
    growing_init(g, a->client->options.max_message);
    answer->memory = g;
    r = a->on_text != NULL ? ask_in_pieces(a, g, answer) : ask_at_once(a, g, answer);
    if (r == 0)
        r = close_tool_calls(&g->tool_calls);
    if (r == 0)
        r = close_answer(g, answer);
    return r < 0 ? fail_read(&answer->error, r) : answer->error.code;
}

int chasqui_generate(chasqui_client *client, const chasqui_generate_request *request,
                     chasqui_answer *answer)
{
    struct buf body = body_init(client);
    chasqui_generate_request q;
    struct asking a = {.client = client};
    int r;

    *answer = (chasqui_answer){0};
    r = client_copy_sized(&q, sizeof(q), request, request->size,
                          offsetof(chasqui_generate_request, suffix));
    if (r == 0)
        r = client_body_generate(&body, &q);
    if (r == 0) {
        a.on_text = q.on_text;
        a.user = q.user;
        a.request = (chasqui_request){.size = sizeof(a.request),
                                      .service = "ollama.generate",
                                      .payload = client_bytes(buf_str(&body)),
                                      .context = q.context,
                                      .class_name = choose_class(q.context, q.class_name, "answer"),
                                      .session = q.session};
        r = ask(&a, answer);
    } else {
        r = fail_body(&answer->error, r);
    }
    buf_fini(&body);
    return r;
}

int chasqui_chat(chasqui_client *client, const chasqui_chat_request *request,
                 chasqui_answer *answer)
{
    struct buf body = body_init(client);
    chasqui_chat_request q;
    struct asking a = {.client = client};
    int r;

    *answer = (chasqui_answer){0};
    r = client_copy_sized(&q, sizeof(q), request, request->size,
                          offsetof(chasqui_chat_request, tools));
    if (r == 0)
        r = client_body_chat(&body, &q);
    if (r == 0) {
        a.on_text = q.on_text;
        a.user = q.user;
        a.request = (chasqui_request){.size = sizeof(a.request),
                                      .service = "ollama.chat",
                                      .payload = client_bytes(buf_str(&body)),
                                      .context = q.context,
                                      .class_name = choose_class(q.context, q.class_name, "answer"),
                                      .session = q.session};
        r = ask(&a, answer);
    } else {
        r = fail_body(&answer->error, r);
    }
    buf_fini(&body);
    return r;
}

void chasqui_answer_free(chasqui_answer *answer)
{
    if (answer == NULL)
        return;
    if (answer->memory != NULL)
        growing_fini(answer->memory);
    free(answer->memory);
    *answer = (chasqui_answer){0};
}

/*
 * embed
 */

int chasqui_embed(chasqui_client *client, const chasqui_embed_request *request,
                  chasqui_embeddings *embeddings)
{
    struct buf body = body_init(client);
    chasqui_request ask_for = {.size = sizeof(ask_for), .service = "ollama.embed"};
    chasqui_embed_request q;
    chasqui_reply reply;
    int r;

    *embeddings = (chasqui_embeddings){0};
    r = client_copy_sized(&q, sizeof(q), request, request->size,
                          offsetof(chasqui_embed_request, keep_alive));
    if (r == 0)
        r = client_body_embed(&body, &q);
    if (r < 0) {
        buf_fini(&body);
        return fail_body(&embeddings->error, r);
    }
    ask_for.payload = client_bytes(buf_str(&body));
    ask_for.context = q.context;
    ask_for.class_name = choose_class(q.context, q.class_name, "answer");
    ask_for.session = q.session;
    (void)chasqui_send(client, &ask_for, &reply);
    embeddings->error = reply.error;
    if (reply.error.code == CHASQUI_OK)
        r = client_read_embeddings(client_str(reply.body), embeddings);
    if (r < 0)
        (void)fail_read(&embeddings->error, r);
    chasqui_reply_free(&reply);
    buf_fini(&body);
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

static int query(chasqui_client *client, chasqui_context *context, const char *service,
                 struct str body, chasqui_reply *reply)
{
    const chasqui_request request = {.size = sizeof(request),
                                     .service = service,
                                     .payload = client_bytes(body),
                                     .context = context,
                                     .class_name = choose_class(context, NULL, "query")};

    return chasqui_send(client, &request, reply);
}

static int list_models(chasqui_client *client, chasqui_context *context, const char *service,
                       chasqui_models *models)
{
    chasqui_reply reply;
    int r = 0;

    *models = (chasqui_models){0};
    if (query(client, context, service, STR_NULL, &reply) == CHASQUI_OK)
        r = client_read_models(client_str(reply.body), models);
    models->error = reply.error;
    if (r < 0)
        (void)fail_read(&models->error, r);
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
    struct buf body = body_init(client);
    int r = client_body_show(&body, model);

    if (r < 0) {
        *reply = (chasqui_reply){0};
        r = fail_body(&reply->error, r);
    } else {
        r = query(client, context, "ollama.show", buf_str(&body), reply);
    }
    buf_fini(&body);
    return r;
}

/* The text takes the place of the JSON. */
static int unwrap_version(chasqui_reply *reply)
{
    struct buf text = BUF_INIT(4096);
    chasqui_reply json = *reply;
    chasqui_reply view = json;
    int r = client_read_version(client_str(json.body), &text);

    view.body = client_bytes(buf_str(&text));
    if (r == 0)
        (void)client_reply_copy(reply, &view);
    else
        (void)client_reply_fail(reply, MCP_DATA_LOSS, "the answer tells no version");
    buf_fini(&text);
    chasqui_reply_free(&json);
    return reply->error.code;
}

int chasqui_version(chasqui_client *client, chasqui_context *context, chasqui_reply *reply)
{
    int r = query(client, context, "ollama.version", STR_NULL, reply);

    return r == CHASQUI_OK ? unwrap_version(reply) : r;
}
