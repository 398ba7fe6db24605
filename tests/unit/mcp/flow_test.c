/* SPDX-License-Identifier: MIT */
#include "peer.h"

#define N_CALLS 200000

/* A client and a server with the least windows there are. */
struct pair {
    struct peer *client;
    struct peer *server;
};

static void carry(struct peer *from, struct peer *to)
{
    (void)peer_write(from, SIZE_MAX);
    peer_feed(to, buf_str(&from->wire));
    buf_reset(&from->wire);
}

/* Until neither has anything to say. */
static void settle(struct pair *p)
{
    do {
        carry(p->client, p->server);
        carry(p->server, p->client);
    } while (mcp_session_has_output(&p->client->session));
    buf_reset(&p->client->events);
    buf_reset(&p->server->events);
}

static struct pair pair_make(void)
{
    struct pair p = {peer_make(), peer_make()};

    p.client->settings.hello.conn_limit = MCP_WINDOW_MIN;
    p.client->settings.hello.call_limit = MCP_WINDOW_MIN;
    p.server->settings.hello.conn_limit = MCP_EARLY_BYTES;
    p.server->settings.hello.call_limit = MCP_WINDOW_MIN;
    peer_begin(p.client, MCP_CLIENT);
    peer_begin(p.server, MCP_SERVER);
    settle(&p);
    assert_int_equal(mcp_session_state(&p.client->session), MCP_STATE_RUNNING);
    return p;
}

static void pair_free(struct pair *p)
{
    peer_free(p->client);
    peer_free(p->server);
}

static void check_credit(const struct mcp_session *from, const struct mcp_session *to)
{
    assert_int_equal(from->tx.sent, to->rx.received);
    assert_int_equal(from->tx.limit, to->rx.limit);
    assert_int_equal(to->rx.received, to->rx.released);
    assert_true(mcp_tx_room(&from->tx) > to->rx.window / 2);
    assert_int_equal(from->unsent, 0);
}

static void no_credit_is_lost_in_many_calls(void **state)
{
    struct pair p = pair_make();

    (void)state;
    p.server->is_echo = true;
    for (size_t i = 0; i < N_CALLS; i++) {
        struct mcp_call *call = peer_open(p.client, (struct mcp_ext){0}, bytes_make(i * 7 % 3001));

        if (i % 5 == 0)
            carry(p.client, p.server);
        if (i % 3 == 0)
            mcp_call_cancel(call, MCP_CANCEL_APPLICATION, p.client->now);
        settle(&p);
    }
    check_credit(&p.client->session, &p.server->session);
    check_credit(&p.server->session, &p.client->session);
    pair_free(&p);
}

/* [M-81] */
static void a_message_of_ten_windows_arrives_both_ways(void **state)
{
    struct pair p = pair_make();

    (void)state;
    p.server->is_echo = true;
    (void)peer_open(p.client, (struct mcp_ext){0}, bytes_make(10 * MCP_WINDOW_MIN));
    do {
        carry(p.client, p.server);
        carry(p.server, p.client);
    } while (mcp_session_has_output(&p.client->session));
    assert_string_equal(peer_told(p.client), "end 1 OK [81920];");
    check_credit(&p.client->session, &p.server->session);
    check_credit(&p.server->session, &p.client->session);
    pair_free(&p);
}

/* [M-79] [M-80]: who takes no chunk keeps its own stream waiting, not the connection */
static void a_reader_that_stops_on_one_stream_stops_no_other(void **state)
{
    struct pair p = pair_make();
    struct mcp_call *client_calls[64];

    (void)state;
    for (size_t i = 0; i < 64; i++)
        client_calls[i] = peer_open(p.client, (struct mcp_ext){0}, STR("a"));
    settle(&p);
    for (size_t i = 0; i < 64; i++)
        for (int n = 0; n < 20; n++)
            (void)!mcp_call_chunk(p.server->calls[client_calls[i]->seq], NULL, bytes_make(1000));
    p.client->is_echo = true;
    p.client->stalled = client_calls[0]->seq;
    settle(&p);
    assert_int_equal(p.server->session.unsent, p.server->calls[client_calls[0]->seq]->unsent);
    assert_true(p.server->session.unsent >= 12 * 1000);
    pair_free(&p);
}

/* [M-79] [M-99] */
static void late_chunks_of_a_cancelled_call_are_credited(void **state)
{
    struct pair p = pair_make();
    struct mcp_call *call = peer_open(p.client, (struct mcp_ext){0}, STR("a"));

    (void)state;
    settle(&p);
    for (int n = 0; n < 8; n++)
        assert_int_equal(mcp_call_chunk(p.server->calls[1], NULL, bytes_make(1000)), 0);
    (void)peer_write(p.server, SIZE_MAX); /* on their way */
    mcp_call_cancel(call, MCP_CANCEL_APPLICATION, p.client->now);
    settle(&p);
    check_credit(&p.server->session, &p.client->session);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_credit_is_lost_in_many_calls),
        cmocka_unit_test(a_message_of_ten_windows_arrives_both_ways),
        cmocka_unit_test(a_reader_that_stops_on_one_stream_stops_no_other),
        cmocka_unit_test(late_chunks_of_a_cancelled_call_are_credited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
