/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "net/stream.h"

#define MS NSEC_PER_MSEC

static int setup(void **state)
{
    static struct net_loop loop;

    *state = &loop;
    return net_loop_init(&loop);
}

static int teardown(void **state)
{
    net_loop_fini(*state);
    return 0;
}

/*
 * Timers
 */

struct alarm {
    struct net_timer timer;
    struct net_loop *loop;
    nsec_t due;
    unsigned n_fired;
    unsigned place; /* 1: fired first */
};

static unsigned n_fired;

static void on_due(struct net_timer *timer)
{
    struct alarm *a = container_of(timer, struct alarm, timer);

    assert_true(time_now() >= a->due);
    a->n_fired++;
    a->place = ++n_fired;
}

static void make(struct net_loop *loop, struct alarm *a, size_t n, net_timer_fn *fn)
{
    n_fired = 0;
    for (size_t i = 0; i < n; i++) {
        a[i] = (struct alarm){.loop = loop};
        assert_int_equal(net_timer_init(loop, &a[i].timer, fn), 0);
    }
}

static void arm(struct alarm *a, nsec_t due)
{
    a->due = due;
    net_timer_arm(a->loop, &a->timer, due);
}

static void turn_until_fired(struct net_loop *loop, unsigned n)
{
    while (n_fired < n)
        net_loop_turn(loop);
}

static void fini_all(struct alarm *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        net_timer_fini(a[i].loop, &a[i].timer);
    assert_int_equal(a->loop->n_timers, 0);
    assert_int_equal(a->loop->n_heap, 0);
}

static void timers_fire_in_order(void **state)
{
    struct alarm a[3];
    nsec_t now = time_now();

    make(*state, a, 3, on_due);
    arm(&a[1], now + 2 * MS);
    arm(&a[2], now + 3 * MS);
    arm(&a[0], now + 1 * MS);
    turn_until_fired(*state, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(a[i].place, i + 1);
    fini_all(a, 3);
}

static void a_timer_moved_later_fires_once_and_then(void **state)
{
    struct alarm a[2];
    nsec_t now = time_now();

    make(*state, a, 2, on_due);
    arm(&a[0], now + 1 * MS);
    arm(&a[1], now + 3 * MS);
    arm(&a[0], now + 6 * MS);
    turn_until_fired(*state, 2);
    assert_int_equal(a[1].place, 1);
    assert_int_equal(a[0].place, 2);
    fini_all(a, 2);
}

static void a_timer_moved_earlier_does_not_wait_for_its_old_place(void **state)
{
    struct alarm a[2];
    nsec_t now = time_now();

    make(*state, a, 2, on_due);
    arm(&a[0], now + 3600 * NSEC_PER_SEC);
    net_loop_wake(*state);
    net_loop_turn(*state); /* the alarm is set for the hour */
    arm(&a[0], now + 2 * MS);
    arm(&a[1], now + 3 * MS);
    turn_until_fired(*state, 2);
    assert_int_equal(a[0].place, 1);
    fini_all(a, 2);
}

static void a_disarmed_timer_does_not_fire(void **state)
{
    struct alarm a[3];
    nsec_t now = time_now();

    make(*state, a, 3, on_due);
    arm(&a[0], now + 1 * MS);
    arm(&a[1], now + 1 * MS);
    arm(&a[2], now + 2 * MS);
    net_timer_disarm(&a[0].timer);
    arm(&a[1], NSEC_NEVER);
    turn_until_fired(*state, 1);
    assert_int_equal(a[2].n_fired, 1);
    fini_all(a, 3);
}

static void on_due_end_all(struct net_timer *timer)
{
    struct alarm *all = container_of(timer, struct alarm, timer); /* the first is due first */

    n_fired++;
    for (int i = 0; i < 3; i++)
        net_timer_fini(all[i].loop, &all[i].timer);
}

static void a_timer_may_end_itself_and_others_that_are_due(void **state)
{
    struct net_loop *loop = *state;
    struct alarm a[3];
    nsec_t past = time_now() - MS;

    make(loop, a, 3, on_due_end_all);
    for (int i = 0; i < 3; i++)
        arm(&a[i], past + i);
    turn_until_fired(loop, 1);
    net_loop_wake(loop);
    net_loop_turn(loop);
    assert_int_equal(n_fired, 1);
    assert_int_equal(loop->n_timers, 0);
}

static void on_due_again(struct net_timer *timer)
{
    struct alarm *a = container_of(timer, struct alarm, timer);

    n_fired++;
    net_timer_arm(a->loop, timer, time_now() - MS);
}

static void a_timer_that_is_always_due_lets_the_loop_turn(void **state)
{
    struct alarm a[1];

    make(*state, a, 1, on_due_again);
    arm(&a[0], time_now());
    turn_until_fired(*state, 1);
    assert_int_equal(n_fired, 1);
    turn_until_fired(*state, 3);
    fini_all(a, 1);
}

#define N_MANY 300

static void many_timers_fire_exactly_when_the_model_says(void **state)
{
    static struct alarm a[N_MANY];
    struct rng rng = {.state = 7};
    unsigned n_expected = 0;
    nsec_t now = time_now();

    make(*state, a, N_MANY, on_due);
    for (int i = 0; i < 20 * N_MANY; i++) {
        struct alarm *one = &a[rng_below(&rng, N_MANY)];

        if (rng_below(&rng, 4) == 0) {
            one->due = NSEC_NEVER;
            net_timer_disarm(&one->timer);
        } else {
            arm(one, now + (nsec_t)rng_below(&rng, 20 * (uint64_t)MS));
        }
        if (rng_below(&rng, 10) == 0) {
            net_timer_fini(*state, &one->timer);
            assert_int_equal(net_timer_init(*state, &one->timer, on_due), 0);
            one->due = NSEC_NEVER;
        }
    }
    for (int i = 0; i < N_MANY; i++) {
        if (a[i].due == 0)
            a[i].due = NSEC_NEVER; /* was never armed */
        n_expected += a[i].due != NSEC_NEVER;
    }
    assert_true(n_expected > 100);
    turn_until_fired(*state, n_expected);
    for (int i = 0; i < N_MANY; i++)
        assert_int_equal(a[i].n_fired, a[i].due != NSEC_NEVER);
    fini_all(a, N_MANY);
}

/*
 * Tasks
 */

struct job {
    struct net_task task;
    struct net_loop *loop;
    unsigned n_run;
    bool is_endless;
};

static void run_job(struct net_task *task)
{
    struct job *job = container_of(task, struct job, task);

    job->n_run++;
    if (job->is_endless)
        net_defer(job->loop, task);
}

static void a_task_deferred_twice_runs_once(void **state)
{
    struct job job = {.loop = *state, .task.run = run_job};

    net_defer(*state, &job.task);
    net_defer(*state, &job.task);
    assert_int_equal(job.n_run, 0);
    net_loop_wake(*state);
    net_loop_turn(*state);
    assert_int_equal(job.n_run, 1);
}

static void work_that_a_task_adds_waits_for_the_next_turn_and_for_nothing_else(void **state)
{
    struct job job = {.loop = *state, .task.run = run_job, .is_endless = true};

    net_defer(*state, &job.task);
    for (unsigned i = 1; i <= 5; i++) {
        net_loop_turn(*state); /* would block for ever if nothing rang */
        assert_int_equal(job.n_run, i);
    }
    job.is_endless = false;
    net_loop_wake(*state);
    net_loop_turn(*state);
}

static void tasks_that_are_left_run_when_the_loop_is_closed(void **state)
{
    struct job job = {.task.run = run_job};
    struct net_loop loop;

    (void)state;
    assert_int_equal(net_loop_init(&loop), 0);
    net_defer(&loop, &job.task);
    net_loop_fini(&loop);
    assert_int_equal(job.n_run, 1);
}

static bool is_listener_closed;

static void on_listener_closed(struct net_listener *listener)
{
    (void)listener;
    is_listener_closed = true;
}

static void a_stop_that_nobody_saw_does_not_leave_anything_open(void **state)
{
    struct net_listener listener = {.on_closed = on_listener_closed};
    struct addr at = {.host = "127.0.0.1"};
    struct net_loop loop;
    int fd;

    (void)state;
    assert_int_equal(net_loop_init(&loop), 0);
    assert_int_equal(net_listen_fds(&at, 1, &fd), 0);
    assert_int_equal(net_listener_open(&loop, &listener, fd, NULL), 0);
    net_listener_close(&listener);
    net_loop_stop(&loop);
    net_loop_fini(&loop);
    assert_true(is_listener_closed);
}

/*
 * Mail
 */

#define N_SENDERS 3
#define N_LETTERS 2000

struct letter {
    struct net_mail mail;
    unsigned sender;
    unsigned number;
};

struct sender {
    struct net_loop *loop;
    pthread_t thread;
    struct letter letters[N_LETTERS];
};

static unsigned n_delivered;
static unsigned next_number[N_SENDERS];
static struct net_loop *reader;

static void deliver(struct net_mail *mail)
{
    struct letter *l = container_of(mail, struct letter, mail);

    assert_int_equal(l->number, next_number[l->sender]);
    next_number[l->sender]++;
    if (++n_delivered == N_SENDERS * N_LETTERS)
        net_loop_stop(reader);
}

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (int i = 0; i < N_LETTERS; i++)
        net_mail_post(s->loop, &s->letters[i].mail);
    return NULL;
}

static void mail_of_many_threads_arrives_whole_and_each_ones_in_order(void **state)
{
    static struct sender senders[N_SENDERS];

    reader = *state;
    for (unsigned i = 0; i < N_SENDERS; i++) {
        senders[i].loop = reader;
        for (unsigned k = 0; k < N_LETTERS; k++)
            senders[i].letters[k] =
                (struct letter){.mail.deliver = deliver, .sender = i, .number = k};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    net_loop_run(reader);
    for (unsigned i = 0; i < N_SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_int_equal(n_delivered, N_SENDERS * N_LETTERS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order),
        TEST(a_timer_moved_later_fires_once_and_then),
        TEST(a_timer_moved_earlier_does_not_wait_for_its_old_place),
        TEST(a_disarmed_timer_does_not_fire),
        TEST(a_timer_may_end_itself_and_others_that_are_due),
        TEST(a_timer_that_is_always_due_lets_the_loop_turn),
        TEST(many_timers_fire_exactly_when_the_model_says),
        TEST(a_task_deferred_twice_runs_once),
        TEST(work_that_a_task_adds_waits_for_the_next_turn_and_for_nothing_else),
        cmocka_unit_test(tasks_that_are_left_run_when_the_loop_is_closed),
        cmocka_unit_test(a_stop_that_nobody_saw_does_not_leave_anything_open),
        TEST(mail_of_many_threads_arrives_whole_and_each_ones_in_order),
    };

    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
