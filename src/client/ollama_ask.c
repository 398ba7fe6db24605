/* SPDX-License-Identifier: MIT */
#include "client/ollama_ask.h"

#include "client/client.h"
#include "client/fault.h"
#include "client/ollama_body.h"

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

static struct client_ask ask_make(const char *service, chasqui_context *context,
                                  const char *own_class, const char *usual_class)
{
    return (struct client_ask){
        .request = {.size = sizeof(chasqui_request),
                    .service = service,
                    .context = context,
                    .class_name = choose_class(context, own_class, usual_class)}};
}

/* Return: @r, the body's. */
static int finish(struct client_ask *a, int r)
{
    if (r < 0)
        buf_fini(&a->body);
    else
        a->request.payload = client_bytes(buf_str(&a->body));
    if (client_pieces_wanted(&a->pieces))
        a->request.flags |= CHASQUI_STREAM;
    return r;
}

int client_ask_generate(struct client_ask *a, const chasqui_client *client,
                        const chasqui_generate_request *request)
{
    chasqui_generate_request q;
    int r = client_copy_sized(&q, sizeof(q), request, request->size,
                              offsetof(chasqui_generate_request, suffix));

    if (r < 0)
        return r;
    *a = ask_make("ollama.generate", q.context, q.class_name, "answer");
    a->request.session = q.session;
    a->pieces = (struct client_pieces){q.on_text, q.on_thinking, q.on_tool_calls, q.user};
    a->body = BUF_INIT(client->options.max_message);
    return finish(a, client_body_generate(&a->body, &q));
}

int client_ask_chat(struct client_ask *a, const chasqui_client *client,
                    const chasqui_chat_request *request)
{
    chasqui_chat_request q;
    int r = client_copy_sized(&q, sizeof(q), request, request->size,
                              offsetof(chasqui_chat_request, tools));

    if (r < 0)
        return r;
    *a = ask_make("ollama.chat", q.context, q.class_name, "answer");
    a->request.session = q.session;
    a->pieces = (struct client_pieces){q.on_text, q.on_thinking, q.on_tool_calls, q.user};
    a->body = BUF_INIT(client->options.max_message);
    return finish(a, client_body_chat(&a->body, &q));
}

int client_ask_embed(struct client_ask *a, const chasqui_client *client,
                     const chasqui_embed_request *request)
{
    chasqui_embed_request q;
    int r = client_copy_sized(&q, sizeof(q), request, request->size,
                              offsetof(chasqui_embed_request, keep_alive));

    if (r < 0)
        return r;
    *a = ask_make("ollama.embed", q.context, q.class_name, "answer");
    a->request.session = q.session;
    a->body = BUF_INIT(client->options.max_message);
    return finish(a, client_body_embed(&a->body, &q));
}

int client_ask_show(struct client_ask *a, const chasqui_client *client, chasqui_context *context,
                    const char *model)
{
    *a = ask_make("ollama.show", context, NULL, "query");
    a->body = BUF_INIT(client->options.max_message);
    return finish(a, client_body_show(&a->body, model));
}

struct client_ask client_ask_query(const char *service, chasqui_context *context)
{
    return ask_make(service, context, NULL, "query");
}

void client_ask_fini(struct client_ask *a)
{
    buf_fini(&a->body);
}
