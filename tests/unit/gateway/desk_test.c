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
    if (desk_init(&d, 0.0) < 0 || desk_list_nodes(&d, entries, 2) < 0)
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

static void enter(struct desk *d, struct grant *ret_grant)
{
    const struct fleet_ask x = ask_for(d);

    assert_int_equal(desk_enter(d, &x, true, time_now(), ret_grant), 0);
    assert_true(ret_grant->is_held);
}

static void leave(struct desk *d, struct grant *grant, enum call_outcome outcome,
                  struct desk_news *ret_news)
{
    const struct fleet_ask x = ask_for(d);

    desk_leave(d, grant, &x, outcome, "because", ret_news);
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

    assert_int_equal(desk_enter(d, &y, true, time_now(), &grant), FLEET_NO_MODEL);
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
    desk_mark_resident(d, &grant, &x);
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

        if (desk_enter(d, &x, true, time_now(), &grant) != 0) {
            n_bad++;
            continue;
        }
        desk_mark_resident(d, &grant, &x);
        desk_leave(d, &grant, &x, outcomes[i % 4], "because", &news);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
    };

    return cmocka_run_group_tests_name("gateway/desk", tests, NULL, NULL);
}
