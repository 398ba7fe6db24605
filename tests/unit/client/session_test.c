/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <chasqui/session.h>
#include <cmocka.h>

/*
 * Two public sessions back to back: what one has to say is fed to the other, in pieces of any
 * length.
 */

struct peer {
    chasqui_session *session;
    unsigned char kept[200000];
    size_t n_kept;
    chasqui_session_call *call; /* server: the last request's */
    int n_requests;
    int n_cancels;
    int n_records;
    int n_ends;
    int code;
    unsigned flags;
    char body[64];
    int64_t deadline_ms;
};

struct pair {
    struct peer client;
    struct peer server;
};

static void on_request(void *user, chasqui_session_call *call,
                       const chasqui_session_request *request)
{
    struct peer *p = user;

    p->n_requests++;
    p->call = call;
    p->deadline_ms = request->deadline_ms;
    (void)snprintf(p->body, sizeof(p->body), "%.*s %.*s", (int)request->service.len,
                   (const char *)request->service.data, (int)request->body.len,
                   (const char *)request->body.data);
}

static void on_cancel(void *user, chasqui_session_call *call)
{
    struct peer *p = user;

    p->n_cancels++;
    chasqui_session_call_fail(call, CHASQUI_CANCELLED, 0, "as you wish");
}

static void on_record(void *user, void *call_user, chasqui_bytes record, uint32_t cost)
{
    struct peer *p = user;

    assert_ptr_equal(call_user, p);
    assert_true(cost >= record.len);
    p->n_records++;
}

static void on_end(void *user, void *call_user, const chasqui_reply *reply)
{
    struct peer *p = user;

    assert_ptr_equal(call_user, p);
    p->n_ends++;
    p->code = reply->error.code;
    p->flags = reply->error.flags;
    (void)snprintf(p->body, sizeof(p->body), "%.*s", (int)reply->body.len,
                   reply->body.len > 0 ? (const char *)reply->body.data : "");
}

static int carry(struct peer *from, struct peer *to, size_t step)
{
    chasqui_bytes pieces[8];
    size_t n = chasqui_session_output(from->session, pieces, 8, 0);
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        memcpy(to->kept + to->n_kept + len, pieces[i].data, pieces[i].len);
        len += pieces[i].len;
    }
    if (len == 0)
        return 0;
    chasqui_session_sent(from->session, len, 0);
    for (size_t at = 0; at < len; at += step) {
        size_t more = len - at < step ? len - at : step;
        size_t used;

        to->n_kept += more;
        used = chasqui_session_feed(to->session, chasqui_bytes_make(to->kept, to->n_kept), 0);
        to->n_kept -= used;
        memmove(to->kept, to->kept + used, to->n_kept + (len - at - more));
    }
    return 1;
}

static void talk(struct pair *p)
{
    while (carry(&p->client, &p->server, 7) + carry(&p->server, &p->client, 7) > 0)
        continue;
}

static void open_pair(struct pair *p, const char *client_key, const char *server_key)
{
    const chasqui_session_handler client = {
        .size = sizeof(client), .user = &p->client, .on_record = on_record, .on_end = on_end};
    const chasqui_session_handler server = {.size = sizeof(server),
                                            .user = &p->server,
                                            .on_request = on_request,
                                            .on_cancel = on_cancel};

    assert_int_equal(
        chasqui_session_new(CHASQUI_SESSION_CLIENT, &client, client_key, 0, &p->client.session), 0);
    assert_int_equal(
        chasqui_session_new(CHASQUI_SESSION_SERVER, &server, server_key, 0, &p->server.session), 0);
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct pair));
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    chasqui_session_free(p->client.session);
    chasqui_session_free(p->server.session);
    free(p);
    return 0;
}

static int ask(struct pair *p, const char *service, chasqui_session_call **ret_call)
{
    return chasqui_session_call_open(p->client.session, service, chasqui_text("body"), 5000,
                                     &p->client, 0, ret_call);
}

static void a_request_is_answered(void **state)
{
    struct pair *p = *state;

    open_pair(p, NULL, NULL);
    assert_int_equal(ask(p, "echo", NULL), CHASQUI_OK);
    talk(p);
    assert_string_equal(p->server.body, "echo body");
    assert_in_range(p->server.deadline_ms, 4999, 5000);
    assert_int_equal(chasqui_session_call_respond(p->server.call, chasqui_text("yes")), CHASQUI_OK);
    talk(p);
    assert_int_equal(p->client.n_ends, 1);
    assert_int_equal(p->client.code, CHASQUI_OK);
    assert_string_equal(p->client.body, "yes");
}

static void records_come_before_the_end_and_a_failure_says_partial(void **state)
{
    struct pair *p = *state;

    open_pair(p, NULL, NULL);
    assert_int_equal(ask(p, "stream", NULL), CHASQUI_OK);
    talk(p);
    for (int i = 0; i < 3; i++)
        assert_int_equal(chasqui_session_call_record(p->server.call, chasqui_text("r")),
                         CHASQUI_OK);
    chasqui_session_call_fail(p->server.call, CHASQUI_BACKEND_LOST, CHASQUI_TRANSIENT, "gone");
    talk(p);
    assert_int_equal(p->client.n_records, 3);
    assert_int_equal(p->client.code, CHASQUI_BACKEND_LOST);
    assert_int_equal(p->client.flags, CHASQUI_TRANSIENT | CHASQUI_PARTIAL);
}

static void a_producer_is_told_when_its_call_is_full(void **state)
{
    struct pair *p = *state;
    static char big[100000];
    int r = CHASQUI_OK;
    int n = 0;

    open_pair(p, NULL, NULL);
    assert_int_equal(ask(p, "stream", NULL), CHASQUI_OK);
    talk(p);
    while (r == CHASQUI_OK && n++ < 100)
        r = chasqui_session_call_record(p->server.call, chasqui_bytes_make(big, sizeof(big)));
    assert_int_equal(r, CHASQUI_SESSION_FULL);
    assert_in_range(n, 1, 10);
}

static void a_cancel_reaches_the_server(void **state)
{
    struct pair *p = *state;
    chasqui_session_call *call;

    open_pair(p, NULL, NULL);
    assert_int_equal(ask(p, "hang", &call), CHASQUI_OK);
    talk(p);
    chasqui_session_call_cancel(call, 0);
    talk(p);
    assert_int_equal(p->server.n_cancels, 1);
    assert_int_equal(p->client.n_ends, 1);
    assert_int_equal(p->client.code, CHASQUI_CANCELLED);
}

static void the_end_of_a_connection_ends_its_calls(void **state)
{
    struct pair *p = *state;

    open_pair(p, NULL, NULL);
    assert_int_equal(ask(p, "hang", NULL), CHASQUI_OK);
    talk(p);
    chasqui_session_eof(p->client.session, 0);
    chasqui_session_tick(p->client.session, 0);
    assert_int_equal(chasqui_session_state(p->client.session), CHASQUI_SESSION_DEAD);
    assert_int_equal(p->client.n_ends, 1);
    assert_int_equal(p->client.code, CHASQUI_UNAVAILABLE);
    assert_int_equal(ask(p, "echo", NULL), CHASQUI_OVERLOADED);
}

static void a_key_is_asked_for(void **state)
{
    struct pair *p = *state;

    open_pair(p, "wrong", "right");
    assert_int_equal(ask(p, "echo", NULL), CHASQUI_OK);
    talk(p);
    chasqui_session_tick(p->client.session, 0);
    assert_int_equal(p->server.n_requests, 0);
    assert_int_equal(p->client.n_ends, 1);
    assert_int_not_equal(p->client.code, CHASQUI_OK);
    chasqui_session_free(p->client.session);
    chasqui_session_free(p->server.session);
    memset(p, 0, sizeof(*p));
    open_pair(p, "right", "right");
    assert_int_equal(ask(p, "echo", NULL), CHASQUI_OK);
    talk(p);
    assert_int_equal(p->server.n_requests, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(records_come_before_the_end_and_a_failure_says_partial),
        TEST(a_producer_is_told_when_its_call_is_full),
        TEST(a_cancel_reaches_the_server),
        TEST(the_end_of_a_connection_ends_its_calls),
        TEST(a_key_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
