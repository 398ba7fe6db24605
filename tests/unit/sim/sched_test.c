/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/sched.h"

/* Loads take no time here: they end in the next turn of the loop, which run_until() lets come. */
struct fixture {
    struct net_loop loop;
    struct sim_settings settings;
    struct sim_sched sched;
    struct sim_model *model;
    struct sim_ticket tickets[3];
};

static void on_granted(struct sim_ticket *ticket)
{
    (void)ticket;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->settings = sim_settings_default;
    assert_int_equal(net_loop_init(&f->loop), 0);
    assert_int_equal(sim_sched_init(&f->sched, &f->loop, &f->settings), 0);
    f->model = &f->sched.models[0];
    for (size_t i = 0; i < 3; i++)
        f->tickets[i].on_granted = on_granted;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++)
        if (f->tickets[i].stage != SIM_IDLE)
            sim_sched_leave(&f->tickets[i]);
    sim_sched_fini(&f->sched);
    net_loop_fini(&f->loop);
    free(f);
    return 0;
}

static void finish_load(struct fixture *f)
{
    for (int turn = 0; turn < 100 && f->model->residency == SIM_LOAD_RUNS; turn++)
        (void)uv_run(&f->loop.uv, UV_RUN_ONCE);
    assert_int_equal(f->model->residency, SIM_LOADED);
}

static void enter_all(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++)
        sim_sched_enter(f->model, &f->tickets[i]);
}

static void names_are_found_without_tag_and_in_any_case(void **state)
{
    static const char *const rows[] = {"sim", "SIM:latest", "sim:LATEST", "library/sim",
                                       "registry.ollama.ai/library/sim:latest"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_ptr_equal(sim_sched_find(&f->sched, str_of(rows[i])), f->model);
    assert_null(sim_sched_find(&f->sched, STR("sim:8b")));
    assert_null(sim_sched_find(&f->sched, STR("other/sim")));
    assert_null(sim_sched_find(&f->sched, STR("")));
}

static void the_first_request_loads_and_the_others_join(void **state)
{
    struct fixture *f = *state;

    enter_all(f);
    assert_int_equal(f->sched.n_loads, 1);
    assert_int_equal(f->model->n_waiting, 3);
    finish_load(f);
    assert_int_equal(f->sched.n_loads, 1);
    assert_int_equal(f->tickets[0].stage, SIM_RUNNING);
    assert_int_equal(f->tickets[1].stage, SIM_WAITING);
}

static void a_slot_goes_to_the_next_in_line(void **state)
{
    struct fixture *f = *state;

    enter_all(f);
    finish_load(f);
    sim_sched_leave(&f->tickets[0]);
    assert_int_equal(f->tickets[1].stage, SIM_RUNNING);
    assert_int_equal(f->tickets[2].stage, SIM_WAITING);
}

static void who_leaves_the_line_gets_no_slot(void **state)
{
    struct fixture *f = *state;

    enter_all(f);
    finish_load(f);
    sim_sched_leave(&f->tickets[1]);
    sim_sched_leave(&f->tickets[0]);
    assert_int_equal(f->tickets[1].stage, SIM_IDLE);
    assert_int_equal(f->tickets[2].stage, SIM_RUNNING);
    assert_int_equal(f->model->n_waiting, 0);
}

static void a_load_is_lost_with_the_request_that_began_it(void **state)
{
    struct fixture *f = *state;

    enter_all(f);
    sim_sched_leave(&f->tickets[0]);
    assert_int_equal(f->sched.n_aborted_loads, 1);
    assert_int_equal(f->sched.n_loads, 2);
    finish_load(f);
    assert_int_equal(f->tickets[1].stage, SIM_RUNNING);
}

static void a_load_goes_on_when_another_request_leaves(void **state)
{
    struct fixture *f = *state;

    enter_all(f);
    sim_sched_leave(&f->tickets[1]);
    assert_int_equal(f->sched.n_aborted_loads, 0);
    assert_int_equal(f->sched.n_loads, 1);
}

static void a_busy_model_is_unloaded_when_its_last_request_ends(void **state)
{
    struct fixture *f = *state;

    sim_sched_enter(f->model, &f->tickets[0]);
    finish_load(f);
    sim_sched_expire(f->model);
    assert_int_equal(f->model->residency, SIM_LOADED);
    sim_sched_leave(&f->tickets[0]);
    assert_int_equal(f->model->residency, SIM_UNLOADED);
}

static void an_idle_model_stays_for_its_keep_alive(void **state)
{
    struct fixture *f = *state;

    sim_sched_enter(f->model, &f->tickets[0]);
    finish_load(f);
    sim_sched_leave(&f->tickets[0]);
    assert_int_equal(f->model->residency, SIM_LOADED);
    assert_true(f->model->expiry.due == f->model->expires_at);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_found_without_tag_and_in_any_case),
        TEST(the_first_request_loads_and_the_others_join),
        TEST(a_slot_goes_to_the_next_in_line),
        TEST(who_leaves_the_line_gets_no_slot),
        TEST(a_load_is_lost_with_the_request_that_began_it),
        TEST(a_load_goes_on_when_another_request_leaves),
        TEST(a_busy_model_is_unloaded_when_its_last_request_ends),
        TEST(an_idle_model_stays_for_its_keep_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
