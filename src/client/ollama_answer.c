/* SPDX-License-Identifier: MIT */
#include "client/ollama_answer.h"

#include <errno.h>

#include "client/client.h"
#include "client/fault.h"
#include "client/ollama_read.h"

int client_ask_fail(chasqui_error *ret, int err)
{
    if (err == -EINVAL)
        return client_error_local(ret, MCP_INVALID_ARGUMENT,
                                  "the model is missing, or a text that must be JSON is none");
    if (err == -ENOBUFS)
        return client_error_local(ret, MCP_TOO_LARGE, "the request is longer than max_message");
    return client_error_errno(ret, err);
}

int client_answer_fail(chasqui_error *ret, int err)
{
    if (err == -ENOMEM || err == -ENOBUFS)
        return client_error_local(ret, MCP_RESOURCE_EXHAUSTED, "no memory for the answer");
    return client_error_local(ret, MCP_DATA_LOSS, "the answer is not what this call answers");
}

int client_answer_new(chasqui_answer *ret, const chasqui_client *client)
{
    struct client_growing_answer *g = malloc(sizeof(*g));
    uint32_t max = client->options.max_message;

    *ret = (chasqui_answer){.memory = g};
    if (g == NULL)
        return -ENOMEM;
    *g = (struct client_growing_answer){.text = BUF_INIT(max),
                                        .thinking = BUF_INIT(max),
                                        .tool_calls = BUF_INIT(max),
                                        .done_reason = BUF_INIT(max),
                                        .json = BUF_INIT(max)};
    return 0;
}

/*
 * Pieces
 */

static void tell(chasqui_text_fn *fn, void *user, const struct buf *b, size_t before)
{
    struct str piece = str_from(buf_str(b), before);

    if (fn != NULL && piece.len > 0)
        fn(user, client_bytes(piece));
}

/* Elements of a record's tool calls: those before have a comma behind them. */
static size_t skip_comma(const struct buf *tool_calls, size_t before)
{
    return before > 0 && tool_calls->len > before ? before + 1 : before;
}

static int take(chasqui_answer *answer, const struct client_pieces *pieces, struct str json)
{
    struct client_growing_answer *g = answer->memory;
    size_t thinking = g->thinking.len;
    size_t text = g->text.len;
    size_t tool_calls = g->tool_calls.len;
    int r = client_read_record(json, g, answer);

    if (r < 0)
        return r;
    tell(pieces->on_thinking, pieces->user, &g->thinking, thinking);
    tell(pieces->on_text, pieces->user, &g->text, text);
    tell(pieces->on_tool_calls, pieces->user, &g->tool_calls,
         skip_comma(&g->tool_calls, tool_calls));
    return 0;
}

int client_answer_record(chasqui_answer *answer, const struct client_pieces *pieces,
                         chasqui_bytes record)
{
    return take(answer, pieces, client_str(record));
}

int client_answer_final(chasqui_answer *answer, const struct client_pieces *pieces,
                        const chasqui_reply *reply)
{
    struct client_growing_answer *g = answer->memory;
    int r;

    answer->error = reply->error;
    if (reply->error.code != CHASQUI_OK)
        return 0;
    r = take(answer, pieces, client_str(reply->body));
    return r < 0 ? r : buf_put(&g->json, client_str(reply->body));
}

/*
 * The end
 */

/* Every text ends in a NUL. Return: 0; -ENOMEM. */
static int close_text(struct buf *b, chasqui_bytes *ret)
{
    int r = buf_put_char(b, '\0');

    if (r == 0)
        *ret = chasqui_bytes_make(b->data, b->len - 1);
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

int client_answer_close(chasqui_answer *answer)
{
    struct client_growing_answer *g = answer->memory;
    struct {
        struct buf *from;
        chasqui_bytes *to;
    } texts[] = {{&g->text, &answer->text},
                 {&g->thinking, &answer->thinking},
                 {&g->tool_calls, &answer->tool_calls},
                 {&g->done_reason, &answer->done_reason},
                 {&g->json, &answer->json}};
    int r = close_tool_calls(&g->tool_calls);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && r == 0; i++)
        r = close_text(texts[i].from, texts[i].to);
    return r;
}

void chasqui_answer_free(chasqui_answer *answer)
{
    struct client_growing_answer *g = answer != NULL ? answer->memory : NULL;

    if (answer == NULL)
        return;
    if (g != NULL) {
        buf_fini(&g->text);
        buf_fini(&g->thinking);
        buf_fini(&g->tool_calls);
        buf_fini(&g->done_reason);
        buf_fini(&g->json);
    }
    free(g);
    *answer = (chasqui_answer){0};
}

/*
 * What comes at once
 */

void client_take_embeddings(const chasqui_reply *reply, chasqui_embeddings *ret)
{
    int r = 0;

    *ret = (chasqui_embeddings){.error = reply->error};
    if (reply->error.code == CHASQUI_OK)
        r = client_read_embeddings(client_str(reply->body), ret);
    if (r < 0)
        (void)client_answer_fail(&ret->error, r);
}

void client_take_models(const chasqui_reply *reply, chasqui_models *ret)
{
    int r = 0;

    *ret = (chasqui_models){.error = reply->error};
    if (reply->error.code == CHASQUI_OK)
        r = client_read_models(client_str(reply->body), ret);
    if (r < 0)
        (void)client_answer_fail(&ret->error, r);
}

chasqui_reply client_take_version(const chasqui_reply *reply, struct buf *text)
{
    chasqui_reply view = *reply;

    view.memory = NULL;
    if (reply->error.code != CHASQUI_OK)
        return view;
    if (client_read_version(client_str(reply->body), text) < 0 || close_text(text, &view.body) < 0)
        (void)client_reply_fail(&view, MCP_DATA_LOSS, "the answer tells no version");
    return view;
}
