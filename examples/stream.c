/* SPDX-License-Identifier: MIT */
/*
 * A stream, record by record
 *
 * Records are taken when there is time for them; until then the server is held back. A context
 * gives the whole thing ten seconds.
 *
 *     ./stream mcp://127.0.0.1:11436 sim:latest "Tell me about the Inca road"
 */
#include <stdio.h>

#include <chasqui/chasqui.h>

static int print_records(chasqui_stream *stream)
{
    const chasqui_reply *end;
    chasqui_bytes record;

    while (chasqui_stream_next(stream, &record) == CHASQUI_OK)
        printf("%s\n", (const char *)record.data);
    end = chasqui_stream_reply(stream);
    if (end->error.code != CHASQUI_OK) {
        fprintf(stderr, "%s: %s\n", chasqui_code_name(end->error.code), end->error.text);
        return 1;
    }
    printf("%s\n", (const char *)end->body.data);
    return 0;
}

int main(int argc, char **argv)
{
    chasqui_request request = {
        .size = sizeof(request), .service = "ollama.generate", .class_name = "answer"};
    chasqui_client *client;
    chasqui_stream *stream;
    char body[1000];
    int failed = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: stream URL MODEL PROMPT\n");
        return 2;
    }
    if (chasqui_open(argv[1], NULL, &client, NULL) != CHASQUI_OK)
        return 1;
    /*
     * A prompt with quotes would need escaping: chasqui_generate() does that. Here it is about
     * records.
     */
    snprintf(body, sizeof(body),
             "{\"model\":\"%s\",\"prompt\":\"%s\",\"options\":{\"num_predict\":5}}", argv[2],
             argv[3]);
    request.payload = chasqui_text(body);
    request.context = chasqui_context_new(NULL);
    if (request.context != NULL) {
        chasqui_context_set_timeout(request.context, 10000);
        if (chasqui_stream_open(client, &request, &stream) == CHASQUI_OK) {
            failed = print_records(stream);
            chasqui_stream_free(stream);
        }
        chasqui_context_unref(request.context);
    }
    chasqui_close(client);
    return failed;
}
