/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/desk.h"

#define X STR("registry.ollama.ai/library/x:latest")

static struct fleet_ask ask_for(const struct desk *d)
{
    return (struct fleet_ask){.key = X, .hash = hash_bytes(d->fleet.hash_key, X)};
}

static void report(struct desk *d, uint16_t node, bool is_ok, struct desk_news *ret_news)
{
    const struct fleet_ask x = ask_for(d);
    struct fleet_report report = {.is_ok = is_ok, .why = "connection refused", .version = "0.11.4"};

    assert_int_equal(models_put(&report.models, x.key, x.hash), 0);
    desk_report(d, node, &report, ret_news);
    models_fini(&report.models);
    models_fini(&report.listed);
    models_fini(&report.resident);
}

/* Two nodes that are up and have x. */
static int setup(void **state)
{
    static struct desk d;
    static const struct fleet_entry entries[2] = {{.name = STR_INIT("a")}, {.name = STR_INIT("b")}};
    struct desk_news news;

    *state = &d;
    if (desk_init(&d, 0.0, (struct queue_limits){4, 1000}) < 0 ||
        desk_list_nodes(&d, entries, 2) < 0)
        return -1;
    report(&d, 0, true, &news);
    report(&d, 1, true, &news);
    return 0;
}

static int teardown(void **state)
{
    desk_fini(*state);
    return 0;
}

static int try_enter(struct desk *d, const struct fleet_ask *ask, struct grant *ret_grant)
{
    struct desk_request q = {.in = {.ask = ask, .is_first = true}};

    return desk_enter(d, &q, time_now(), ret_grant);
}

static void enter(struct desk *d, struct grant *ret_grant)
{
    const struct fleet_ask x = ask_for(d);

    assert_int_equal(try_enter(d, &x, ret_grant), 0);
    assert_true(ret_grant->is_held);
}

static void leave(struct desk *d, struct grant *grant, enum call_outcome outcome,
                  struct desk_news *ret_news)
{
    const struct fleet_ask x = ask_for(d);

    (void)desk_leave(d, grant, &x, &(struct fleet_outcome){.what = outcome, .why = "because"},
                     ret_news);
    assert_false(grant->is_held);
}

static uint32_t in_flight(struct desk *d, uint16_t node)
{
    struct desk_node look;

    desk_look(d, node, &look);
    return look.in_flight;
}

static void a_grant_counts_until_it_is_given_back(void **state)
{
    struct desk *d = *state;
    struct grant grants[2];
    struct desk_news news;

    enter(d, &grants[0]);
    enter(d, &grants[1]);
    assert_int_not_equal(grants[0].node, grants[1].node);
    assert_int_equal(in_flight(d, 0), 1);
    assert_int_equal(in_flight(d, 1), 1);
    leave(d, &grants[0], CALL_OK, &news);
    leave(d, &grants[1], CALL_CANCELLED, &news);
    assert_int_equal(in_flight(d, 0) + in_flight(d, 1), 0);
}

static void a_refused_request_holds_nothing(void **state)
{
    struct desk *d = *state;
    const struct fleet_ask y = {.key = STR_INIT("y"), .hash = 1};
    struct grant grant = {0};

    assert_int_equal(try_enter(d, &y, &grant), FLEET_NO_MODEL);
    assert_false(grant.is_held);
    assert_int_equal(in_flight(d, 0) + in_flight(d, 1), 0);
}

static void an_answer_makes_the_model_loaded(void **state)
{
    struct desk *d = *state;
    const struct fleet_ask x = ask_for(d);
    struct desk_news news;
    struct grant grant;
    uint16_t node;

    enter(d, &grant);
    node = grant.node;
    assert_false(grant.is_resident);
    desk_begun(d, &grant, &x);
    assert_true(grant.is_resident);
    assert_true(desk_is_resident(d, node, &x));
    leave(d, &grant, CALL_OK, &news);
    assert_false(desk_is_resident(d, (uint16_t)!node, &x));
}

static void a_cancelled_attempt_proves_no_load(void **state)
{
    struct desk *d = *state;
    const struct fleet_ask x = ask_for(d);
    struct desk_news news;
    struct grant grant;

    enter(d, &grant);
    leave(d, &grant, CALL_CANCELLED, &news);
    assert_false(desk_is_resident(d, grant.node, &x));
}

static void news_name_the_node_the_reason_and_what_is_left(void **state)
{
    struct desk *d = *state;
    struct desk_news news;
    struct grant grant;

    enter(d, &grant);
    leave(d, &grant, CALL_CONNECT_FAILED, &news);
    assert_int_equal(news.what, FLEET_NODE_DOWN);
    assert_int_equal(news.node, grant.node);
    assert_int_equal(news.n_up, 1);
    assert_string_equal(news.why, "because");
    report(d, grant.node, false, &news);
    assert_int_equal(news.what, FLEET_NO_NEWS);
    report(d, grant.node, true, &news);
    assert_int_equal(news.what, FLEET_NODE_UP);
    assert_int_equal(desk_n_up(d), 2);
}

/* The budget of this desk is a share of nothing and the ten that are always there. */
static void the_budget_ends_and_one_death_costs_one_token(void **state)
{
    struct desk *d = *state;
    const struct grant cut = {.node = 0, .granted_at = 1};
    const struct grant other = {.node = 1, .granted_at = 1};

    for (int i = 0; i < 100; i++)
        assert_true(desk_may_retry(d, &cut, CALL_RESET));
    for (int i = 0; i < 9; i++)
        assert_true(desk_may_retry(d, &other, CALL_OVERLOAD));
    assert_false(desk_may_retry(d, &other, CALL_OVERLOAD));
    assert_true(desk_may_retry(d, &cut, CALL_RESET));
}

static void the_version_is_one_that_a_node_has(void **state)
{
    struct desk *d = *state;
    struct desk_news news;
    char version[64];

    desk_version(d, version);
    assert_string_equal(version, "0.11.4");
    report(d, 0, false, &news);
    report(d, 1, false, &news);
    desk_version(d, version);
    assert_string_equal(version, "");
}

static void models_are_listed_by_their_short_names(void **state)
{
    struct buf out = BUF_INIT(1024);

    assert_int_equal(desk_models(*state, 0, false, &out), 0);
    assert_int_equal(out.len, sizeof("x:latest"));
    assert_string_equal(out.data, "x:latest");
    buf_reset(&out);
    assert_int_equal(desk_models(*state, 0, true, &out), 0);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

/* The queue: both nodes have one slot for x. */

struct waiting {
    struct desk_request q;
    struct fleet_ask ask;
    bool was_called;
};

static void on_turn(struct desk_request *q)
{
    container_of(q, struct waiting, q)->was_called = true;
}

static int queue_up(struct desk *d, struct net_loop *loop, struct waiting *w, bool is_first,
                    struct grant *ret_grant)
{
    *w = (struct waiting){.ask = ask_for(d)};
    w->ask.needs_slot = true;
    w->q = (struct desk_request){.in = {.ask = &w->ask, .is_first = is_first, .n_bytes = 100},
                                 .loop = loop,
                                 .on_turn = on_turn};
    return desk_enter(d, &w->q, time_now(), ret_grant);
}

struct queued_desk {
    struct desk *d;
    struct net_loop loop;
    struct grant grants[2]; /* all there are */
};

static int setup_queue(void **state)
{
    static const struct fleet_entry entries[2] = {{.name = STR_INIT("a"), .slots = 1},
                                                  {.name = STR_INIT("b"), .slots = 1}};
    static struct queued_desk qd;
    struct waiting w;

    if (setup(state) < 0)
        return -1;
    qd.d = *state;
    *state = &qd;
    if (desk_list_nodes(qd.d, entries, 2) < 0 || net_loop_init(&qd.loop) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (queue_up(qd.d, &qd.loop, &w, true, &qd.grants[i]) != 0)
            return -1;
    return 0;
}

static int teardown_queue(void **state)
{
    struct queued_desk *qd = *state;

    assert_true(desk_is_idle(qd->d));
    net_loop_fini(&qd->loop);
    desk_fini(qd->d);
    return 0;
}

static void give(struct queued_desk *qd, struct grant *grant, enum call_outcome outcome)
{
    struct desk_news news;

    leave(qd->d, grant, outcome, &news);
}

static void who_finds_no_slot_is_called_in_order(void **state)
{
    struct queued_desk *qd = *state;
    struct waiting w[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(queue_up(qd->d, &qd->loop, &w[i], true, NULL), DISPATCH_QUEUED);
    assert_int_equal(desk_n_waiting(qd->d), 2);
    give(qd, &qd->grants[0], CALL_OK);
    net_loop_poll(&qd->loop);
    assert_true(w[0].was_called && !w[1].was_called);
    assert_int_equal(w[0].q.in.result, 0);
    give(qd, &w[0].q.in.grant, CALL_OK);
    net_loop_poll(&qd->loop);
    assert_true(w[1].was_called);
    give(qd, &w[1].q.in.grant, CALL_OK);
    give(qd, &qd->grants[1], CALL_OK);
}

static void nobody_overtakes_but_who_had_its_turn_before(void **state)
{
    struct queued_desk *qd = *state;
    struct waiting first;
    struct waiting again;

    assert_int_equal(queue_up(qd->d, &qd->loop, &first, true, NULL), DISPATCH_QUEUED);
    assert_int_equal(queue_up(qd->d, &qd->loop, &again, false, NULL), DISPATCH_QUEUED);
    give(qd, &qd->grants[0], CALL_OK);
    net_loop_poll(&qd->loop);
    assert_true(again.was_called && !first.was_called);
    assert_true(desk_leave_line(qd->d, &first.q));
    assert_false(desk_leave_line(qd->d, &first.q));
    give(qd, &again.q.in.grant, CALL_OK);
    give(qd, &qd->grants[1], CALL_OK);
}

static void a_grant_that_finds_nobody_goes_to_the_next(void **state)
{
    struct queued_desk *qd = *state;
    struct waiting gone;
    struct waiting next;

    assert_int_equal(queue_up(qd->d, &qd->loop, &gone, true, NULL), DISPATCH_QUEUED);
    assert_int_equal(queue_up(qd->d, &qd->loop, &next, true, NULL), DISPATCH_QUEUED);
    give(qd, &qd->grants[0], CALL_OK);
    assert_false(desk_leave_line(qd->d, &gone.q)); /* the call is on its way */
    net_loop_poll(&qd->loop);
    desk_give_back(qd->d, &gone.q.in.grant, &gone.ask);
    net_loop_poll(&qd->loop);
    assert_true(next.was_called);
    give(qd, &next.q.in.grant, CALL_OK);
    give(qd, &qd->grants[1], CALL_OK);
}

static void a_full_line_refuses(void **state)
{
    struct queued_desk *qd = *state;
    struct waiting w[4];
    struct waiting more;

    for (int i = 0; i < 4; i++)
        assert_int_equal(queue_up(qd->d, &qd->loop, &w[i], true, NULL), DISPATCH_QUEUED);
    assert_int_equal(queue_up(qd->d, &qd->loop, &more, true, NULL), DISPATCH_QUEUE_FULL);
    for (int i = 0; i < 4; i++)
        assert_true(desk_leave_line(qd->d, &w[i].q));
    give(qd, &qd->grants[0], CALL_OK);
    give(qd, &qd->grants[1], CALL_OK);
}

static void who_waits_for_nodes_that_went_down_is_told(void **state)
{
    struct queued_desk *qd = *state;
    struct desk_news news;
    struct waiting w;

    assert_int_equal(queue_up(qd->d, &qd->loop, &w, true, NULL), DISPATCH_QUEUED);
    report(qd->d, 0, false, &news);
    report(qd->d, 1, false, &news);
    net_loop_poll(&qd->loop);
    assert_true(w.was_called);
    assert_int_equal(w.q.in.result, FLEET_NO_NODE);
    give(qd, &qd->grants[0], CALL_RESET);
    give(qd, &qd->grants[1], CALL_RESET);
}

static void the_slot_of_a_cancelled_attempt_comes_back_later(void **state)
{
    struct queued_desk *qd = *state;
    const struct fleet_ask x = ask_for(qd->d);
    struct desk_news news;
    struct waiting w;
    nsec_t due;

    assert_int_equal(queue_up(qd->d, &qd->loop, &w, true, NULL), DISPATCH_QUEUED);
    due = desk_leave(qd->d, &qd->grants[0], &x,
                     &(struct fleet_outcome){.what = CALL_CANCELLED, .why = ""}, &news);
    assert_true(due != NSEC_NEVER && due <= time_now() + 5 * NSEC_PER_SEC);
    net_loop_poll(&qd->loop);
    assert_false(w.was_called);
    assert_int_equal(desk_settle(qd->d, due), NSEC_NEVER);
    net_loop_poll(&qd->loop);
    assert_true(w.was_called);
    give(qd, &w.q.in.grant, CALL_OK);
    give(qd, &qd->grants[1], CALL_OK);
}

#define N_THREADS 4
#define N_ROUNDS  2000

static void *come_and_go(void *arg)
{
    static const enum call_outcome outcomes[] = {CALL_OK, CALL_RESET, CALL_OVERLOAD,
                                                 CALL_CANCELLED};
    struct desk *d = arg;
    const struct fleet_ask x = ask_for(d);
    uintptr_t n_bad = 0;

    for (int i = 0; i < N_ROUNDS; i++) {
        struct desk_news news;
        struct grant grant;

        if (try_enter(d, &x, &grant) != 0) {
            n_bad++;
            continue;
        }
        desk_begun(d, &grant, &x);
        (void)desk_leave(d, &grant, &x,
                         &(struct fleet_outcome){.what = outcomes[i % 4], .why = "because"}, &news);
    }
    return (void *)n_bad;
}

static void workers_may_come_all_at_once(void **state)
{
    struct desk *d = *state;
    pthread_t threads[N_THREADS];
    struct desk_node look[2];

    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, d), 0);
    for (int i = 0; i < N_THREADS; i++) {
        void *n_bad;

        assert_int_equal(pthread_join(threads[i], &n_bad), 0);
        assert_null(n_bad);
    }
    desk_look(d, 0, &look[0]);
    desk_look(d, 1, &look[1]);
    assert_int_equal(look[0].in_flight + look[1].in_flight, 0);
    assert_int_equal(look[0].n_granted + look[1].n_granted, N_THREADS * N_ROUNDS);
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_QUEUE(name) cmocka_unit_test_setup_teardown(name, setup_queue, teardown_queue)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_grant_counts_until_it_is_given_back),
        TEST(a_refused_request_holds_nothing),
        TEST(an_answer_makes_the_model_loaded),
        TEST(a_cancelled_attempt_proves_no_load),
        TEST(news_name_the_node_the_reason_and_what_is_left),
        TEST(the_budget_ends_and_one_death_costs_one_token),
        TEST(the_version_is_one_that_a_node_has),
        TEST(models_are_listed_by_their_short_names),
        TEST(workers_may_come_all_at_once),
        TEST_QUEUE(who_finds_no_slot_is_called_in_order),
        TEST_QUEUE(nobody_overtakes_but_who_had_its_turn_before),
        TEST_QUEUE(a_grant_that_finds_nobody_goes_to_the_next),
        TEST_QUEUE(a_full_line_refuses),
        TEST_QUEUE(who_waits_for_nodes_that_went_down_is_told),
        TEST_QUEUE(the_slot_of_a_cancelled_attempt_comes_back_later),
    };

    return cmocka_run_group_tests_name("gateway/desk", tests, NULL, NULL);
}
