/* SPDX-License-Identifier: MIT */
/*
 * Two requests on one connection, answered in the order they are done
 *
 * The session without I/O, between a client and a server that are both in this program: what would
 * go over a socket is handed over, and printed. Each call has a SeqID of its own; the server
 * answers the second one first.
 */
#include <inttypes.h>
#include <stdio.h>

#include <chasqui/session.h>

struct peer {
    chasqui_session *session;
    const char *name;
    unsigned char kept[70000]; /* begin of a frame that is not whole yet */
    size_t n_kept;
    chasqui_session_call *waiting[2];
    int n_waiting;
    int n_answers;
};

/* Frame header: version, type, SeqID and length in network byte order. */
static void print_frames(const char *name, const unsigned char *bytes, size_t len)
{
    for (size_t at = 0; at + 8 <= len;) {
        const unsigned char *head = bytes + at;
        uint32_t seq =
            (uint32_t)head[2] << 24 | (uint32_t)head[3] << 16 | (uint32_t)head[4] << 8 | head[5];

        printf("%s type 0x%02x SeqID %" PRIu32 "\n", name, head[1], seq);
        at += 8 + ((size_t)head[6] << 8 | head[7]);
    }
}

/* What @from has to say is read by @to. Returns whether there was something. */
static int carry(struct peer *from, struct peer *to)
{
    chasqui_bytes pieces[16];
    size_t n = chasqui_session_output(from->session, pieces, 16, 0);
    size_t len = 0;
    size_t used;

    for (size_t i = 0; i < n; i++) {
        memcpy(to->kept + to->n_kept + len, pieces[i].data, pieces[i].len);
        len += pieces[i].len;
    }
    if (len == 0)
        return 0;
    print_frames(from->name, to->kept + to->n_kept, len);
    chasqui_session_sent(from->session, len, 0);
    to->n_kept += len;
    used = chasqui_session_feed(to->session, chasqui_bytes_make(to->kept, to->n_kept), 0);
    to->n_kept -= used;
    memmove(to->kept, to->kept + used, to->n_kept);
    return 1;
}

/* The server lets both requests come in before it answers any. */
static void on_request(void *user, chasqui_session_call *call,
                       const chasqui_session_request *request)
{
    struct peer *server = user;

    printf("server got \"%.*s\"\n", (int)request->body.len, (const char *)request->body.data);
    server->waiting[server->n_waiting++] = call;
}

static void on_end(void *user, void *call_user, const chasqui_reply *reply)
{
    struct peer *client = user;

    client->n_answers++;
    printf("client got \"%.*s\" to request %s\n", (int)reply->body.len,
           (const char *)reply->body.data, (const char *)call_user);
}

int main(void)
{
    static struct peer client = {.name = "client ->"};
    static struct peer server = {.name = "server ->"};
    const chasqui_session_handler at_client = {
        .size = sizeof(at_client), .user = &client, .on_end = on_end};
    const chasqui_session_handler at_server = {
        .size = sizeof(at_server), .user = &server, .on_request = on_request};
    char one[] = "one";
    char two[] = "two";

    if (chasqui_session_new(CHASQUI_SESSION_CLIENT, &at_client, NULL, 0, &client.session) !=
            CHASQUI_OK ||
        chasqui_session_new(CHASQUI_SESSION_SERVER, &at_server, NULL, 0, &server.session) !=
            CHASQUI_OK)
        return 1;
    if (chasqui_session_call_open(client.session, "echo", chasqui_text("first"), 1000, one, 0,
                                  NULL) != CHASQUI_OK ||
        chasqui_session_call_open(client.session, "echo", chasqui_text("second"), 1000, two, 0,
                                  NULL) != CHASQUI_OK)
        return 1;
    while (server.n_waiting < 2)
        carry(&client, &server);
    if (chasqui_session_call_respond(server.waiting[1], chasqui_text("second")) != CHASQUI_OK ||
        chasqui_session_call_respond(server.waiting[0], chasqui_text("first")) != CHASQUI_OK)
        return 1;
    while (client.n_answers < 2)
        carry(&server, &client);
    chasqui_session_free(client.session);
    chasqui_session_free(server.session);
    return 0;
}
