/* SPDX-License-Identifier: MIT */
#ifndef CHASQUI_OLLAMA_H
#define CHASQUI_OLLAMA_H

/*
 * Typed calls of the Ollama API
 *
 * The same over mcp:// and http://, to a gateway or to an Ollama itself. Each exists twice:
 *
 *     chasqui_chat()        blocks: not from callbacks and not with CHASQUI_OWN_LOOP
 *                           (CHASQUI_FAILED_PRECONDITION). Its answer is a struct of yours that is
 *                           always filled, also on failure, and freed by its function
 *     chasqui_start_chat()  begins it; the answer comes to a callback, and is not yours to free
 *
 * Texts in answers end in a NUL byte that does not count. Strings in requests are UTF-8; NULL leaves
 * the field out. Where a text is JSON it is copied into the body as it is.
 */

#include <chasqui/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A piece of an answer, as it comes; valid during the call. Runs on the thread that called, which
 * waits for the next; of a call that was started, where completions run. */
typedef void chasqui_text_fn(void *user, chasqui_bytes text);

typedef struct chasqui_generate_request {
    size_t size;       /* sizeof(chasqui_generate_request) */
    const char *model; /* needed */
    const char *prompt;
    const char *suffix;
    const char *system;
    const char *format;       /* "json", or a JSON schema: {...} */
    const char *think;        /* "true", "false", or a level: "high" */
    const char *keep_alive;   /* "5m", "-1" */
    const char *options;      /* JSON object: {"temperature":0,"num_predict":100} */
    const char *extra;        /* JSON object: its members are added to the body */
    chasqui_context *context; /* or NULL */
    const char *class_name;   /* NULL: the context's, else "answer" */
    const char *session;      /* see chasqui_request */
    chasqui_text_fn *on_text; /* all three NULL: the answer comes in one piece */
    void *user;               /* of these */
    chasqui_text_fn *on_thinking;
    chasqui_text_fn *on_tool_calls; /* JSON, calls with commas between them */
} chasqui_generate_request;

typedef struct chasqui_message {
    const char *role; /* "system", "user", "assistant", "tool" */
    const char *content;
    const char *tool_name;       /* of a tool's answer */
    const char *tool_calls;      /* JSON array, as an answer had them */
    const chasqui_bytes *images; /* the files' bytes, n_images of them */
    size_t n_images;
} chasqui_message;

typedef struct chasqui_chat_request {
    size_t size;                     /* sizeof(chasqui_chat_request) */
    const char *model;               /* needed */
    const chasqui_message *messages; /* n_messages of them */
    size_t n_messages;
    const char *tools;  /* JSON array */
    const char *format; /* these as above */
    const char *think;
    const char *keep_alive;
    const char *options;
    const char *extra;
    chasqui_context *context;
    const char *class_name;
    const char *session;
    chasqui_text_fn *on_text;
    void *user;
    chasqui_text_fn *on_thinking;
    chasqui_text_fn *on_tool_calls;
} chasqui_chat_request;

/* Of generate and chat. On failure what had come stands in it. */
typedef struct chasqui_answer {
    chasqui_error error;
    chasqui_bytes text; /* all of it, also when it came in pieces */
    chasqui_bytes thinking;
    chasqui_bytes tool_calls;  /* JSON array; empty: none */
    chasqui_bytes done_reason; /* "stop", "length", "load" */
    chasqui_bytes json;        /* the final object as it came */
    uint64_t prompt_tokens;    /* these 0 when not told */
    uint64_t answer_tokens;
    uint64_t total_ns;
    uint64_t load_ns;
    uint64_t prompt_ns;
    uint64_t answer_ns;
    void *memory; /* private */
    void *reserved[4];
} chasqui_answer;

/* Return: CHASQUI_OK, else answer->error.code. */
CHASQUI_API int chasqui_generate(chasqui_client *client, const chasqui_generate_request *request,
                                 chasqui_answer *answer);
CHASQUI_API int chasqui_chat(chasqui_client *client, const chasqui_chat_request *request,
                             chasqui_answer *answer);
CHASQUI_API void chasqui_answer_free(chasqui_answer *answer);

typedef struct chasqui_embed_request {
    size_t size;               /* sizeof(chasqui_embed_request) */
    const char *model;         /* needed */
    const char *const *inputs; /* n_inputs texts */
    size_t n_inputs;
    const char *keep_alive; /* these as above */
    const char *options;
    const char *extra;
    chasqui_context *context;
    const char *class_name;
    const char *session;
} chasqui_embed_request;

typedef struct chasqui_embeddings {
    chasqui_error error;
    size_t n;            /* vectors, one an input */
    size_t dimension;    /* numbers in each */
    const float *values; /* n * dimension, one vector behind the other */
    uint64_t tokens;
    uint64_t total_ns;
    void *memory; /* private */
    void *reserved[4];
} chasqui_embeddings;

/* Return: CHASQUI_OK, else embeddings->error.code. */
CHASQUI_API int chasqui_embed(chasqui_client *client, const chasqui_embed_request *request,
                              chasqui_embeddings *embeddings);
CHASQUI_API void chasqui_embeddings_free(chasqui_embeddings *embeddings);

/* A model of a list. Texts are "" when not told. */
typedef struct chasqui_model {
    const char *name; /* "llama3.2:latest" */
    const char *digest;
    const char *family;
    const char *parameter_size; /* "8.0B" */
    const char *quantization;   /* "Q4_K_M" */
    const char *time;        /* tags: when it was changed; ps: when it will be unloaded; RFC 3339 */
    uint64_t size;           /* bytes */
    uint64_t size_vram;      /* ps: of these in the GPU's memory */
    uint64_t context_length; /* ps */
    void *reserved[4];
} chasqui_model;

typedef struct chasqui_models {
    chasqui_error error;
    size_t n;
    const chasqui_model *models;
    void *memory; /* private */
    void *reserved[4];
} chasqui_models;

/* What models there are; which of them are loaded. Class "query" unless the context says otherwise.
 * Return: CHASQUI_OK, else models->error.code. */
CHASQUI_API int chasqui_tags(chasqui_client *client, chasqui_context *context,
                             chasqui_models *models);
CHASQUI_API int chasqui_ps(chasqui_client *client, chasqui_context *context,
                           chasqui_models *models);
CHASQUI_API void chasqui_models_free(chasqui_models *models);

/* All about one model: reply->body is Ollama's JSON object. Return: CHASQUI_OK, else
 * reply->error.code. chasqui_reply_free() it. */
CHASQUI_API int chasqui_show(chasqui_client *client, chasqui_context *context, const char *model,
                             chasqui_reply *reply);

/* The version of the other side: reply->body is text, "0.11.4". Return: as above. */
CHASQUI_API int chasqui_version(chasqui_client *client, chasqui_context *context,
                                chasqui_reply *reply);

/*
 * The same without blocking
 *
 * From any thread, also from callbacks, and with CHASQUI_OWN_LOOP. On CHASQUI_OK @on_done runs
 * exactly once, where all completions run and never on this stack: see chasqui_start(), also for
 * @ret_call and for what else is returned. CHASQUI_INVALID_ARGUMENT: the request is wrong. What
 * @on_done gets is valid during the call and not yours to free; NULL: nobody is told.
 *
 * @user is @on_done's; that of a request belongs to its pieces, which all come before @on_done.
 */

typedef void chasqui_answer_fn(void *user, const chasqui_answer *answer);
typedef void chasqui_embeddings_fn(void *user, const chasqui_embeddings *embeddings);
typedef void chasqui_models_fn(void *user, const chasqui_models *models);

CHASQUI_API int chasqui_start_generate(chasqui_client *client,
                                       const chasqui_generate_request *request,
                                       chasqui_answer_fn *on_done, void *user,
                                       chasqui_call **ret_call);
CHASQUI_API int chasqui_start_chat(chasqui_client *client, const chasqui_chat_request *request,
                                   chasqui_answer_fn *on_done, void *user, chasqui_call **ret_call);
CHASQUI_API int chasqui_start_embed(chasqui_client *client, const chasqui_embed_request *request,
                                    chasqui_embeddings_fn *on_done, void *user,
                                    chasqui_call **ret_call);
CHASQUI_API int chasqui_start_tags(chasqui_client *client, chasqui_context *context,
                                   chasqui_models_fn *on_done, void *user, chasqui_call **ret_call);
CHASQUI_API int chasqui_start_ps(chasqui_client *client, chasqui_context *context,
                                 chasqui_models_fn *on_done, void *user, chasqui_call **ret_call);
CHASQUI_API int chasqui_start_show(chasqui_client *client, chasqui_context *context,
                                   const char *model, chasqui_done_fn *on_done, void *user,
                                   chasqui_call **ret_call);
CHASQUI_API int chasqui_start_version(chasqui_client *client, chasqui_context *context,
                                      chasqui_done_fn *on_done, void *user,
                                      chasqui_call **ret_call);

#ifdef __cplusplus
}
#endif

#endif
