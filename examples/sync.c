/* SPDX-License-Identifier: MIT */
/*
 * One request, one answer
 *
 *     cc sync.c $(pkg-config --cflags --libs libchasqui) -o sync
 *     ./sync mcp://127.0.0.1:11436 echo Hi
 */
#include <stdio.h>

#include <chasqui/chasqui.h>

int main(int argc, char **argv)
{
    chasqui_client *client;
    chasqui_error error;
    chasqui_reply reply;

    if (argc != 4) {
        fprintf(stderr, "usage: sync URL SERVICE PAYLOAD\n");
        return 2;
    }
    if (chasqui_open(argv[1], NULL, &client, &error) != CHASQUI_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (chasqui_send_request(client, argv[2], chasqui_text(argv[3]), &reply) == CHASQUI_OK)
        printf("%s\n", (const char *)reply.body.data);
    else
        fprintf(stderr, "%s: %s%s\n", chasqui_code_name(reply.error.code), reply.error.text,
                (reply.error.flags & CHASQUI_NOT_PROCESSED) != 0 ? " (nothing was done)" : "");
    argc = reply.error.code != CHASQUI_OK;
    chasqui_reply_free(&reply);
    chasqui_close(client);
    return argc;
}
