/* SPDX-License-Identifier: MIT */
/*
 * A chat, printed as it comes: the same over both schemes
 *
 *     ./chat mcp://127.0.0.1:11436 llama3.2 "Why is the sky blue?"
 *     ./chat http://127.0.0.1:11434 llama3.2 "Why is the sky blue?"
 */
#include <inttypes.h>
#include <stdio.h>

#include <chasqui/chasqui.h>

static void on_text(void *user, chasqui_bytes text)
{
    (void)fwrite(text.data, 1, text.len, user);
    (void)fflush(user);
}

int main(int argc, char **argv)
{
    chasqui_chat_request request = {.size = sizeof(request), .on_text = on_text, .user = stdout};
    chasqui_message message = {.role = "user"};
    chasqui_client *client;
    chasqui_answer answer;
    chasqui_error error;
    int code;

    if (argc != 4) {
        fprintf(stderr, "usage: chat URL MODEL PROMPT\n");
        return 2;
    }
    if (chasqui_open(argv[1], NULL, &client, &error) != CHASQUI_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    message.content = argv[3];
    request.model = argv[2];
    request.messages = &message;
    request.n_messages = 1;
    request.options = "{\"num_predict\":200}";
    code = chasqui_chat(client, &request, &answer);
    if (code == CHASQUI_OK)
        printf("\n[%" PRIu64 " tokens]\n", answer.answer_tokens);
    else
        fprintf(stderr, "%s: %s\n", chasqui_code_name(code), answer.error.text);
    chasqui_answer_free(&answer);
    chasqui_close(client);
    return code != CHASQUI_OK;
}
