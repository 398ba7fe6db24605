/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>

#include "net/held.h"

static void heap_set(struct net_loop *loop, uint32_t i, struct net_timer *timer)
{
    loop->heap[i] = timer;
    timer->slot = i + 1;
}

static void heap_up(struct net_loop *loop, uint32_t i, struct net_timer *timer)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;

        if (loop->heap[parent]->key <= timer->key)
            break;
        heap_set(loop, i, loop->heap[parent]);
        i = parent;
    }
    heap_set(loop, i, timer);
}

static void heap_down(struct net_loop *loop, uint32_t i, struct net_timer *timer)
{
    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= loop->n_heap)
            break;
        if (child + 1 < loop->n_heap && loop->heap[child + 1]->key < loop->heap[child]->key)
            child++;
        if (timer->key <= loop->heap[child]->key)
            break;
        heap_set(loop, i, loop->heap[child]);
        i = child;
    }
    heap_set(loop, i, timer);
}

static void heap_put(struct net_loop *loop, struct net_timer *timer)
{
    assert(loop->n_heap < loop->heap_cap);

    timer->key = timer->due;
    heap_up(loop, loop->n_heap++, timer);
}

static void heap_remove(struct net_loop *loop, struct net_timer *timer)
{
    uint32_t i = timer->slot - 1;
    struct net_timer *last = loop->heap[--loop->n_heap];

    timer->slot = 0;
    if (last == timer)
        return;
    if (i > 0 && last->key < loop->heap[(i - 1) / 2]->key)
        heap_up(loop, i, last);
    else
        heap_down(loop, i, last);
}

int net_timer_init(struct net_loop *loop, struct net_timer *timer, net_timer_fn *on_due)
{
    if (loop->n_timers == loop->heap_cap) {
        uint32_t cap = loop->heap_cap > 0 ? loop->heap_cap * 2 : 64;
        struct net_timer **heap = realloc(loop->heap, cap * sizeof(struct net_timer *));

        if (heap == NULL)
            return -ENOMEM;
        loop->heap = heap;
        loop->heap_cap = cap;
    }
    loop->n_timers++;
    *timer = (struct net_timer){.on_due = on_due, .due = NSEC_NEVER};
    return 0;
}

void net_timer_fini(struct net_loop *loop, struct net_timer *timer)
{
    if (timer->on_due == NULL)
        return;
    if (timer->slot > 0)
        heap_remove(loop, timer);
    loop->n_timers--;
    *timer = (struct net_timer){0};
}

void net_timer_arm(struct net_loop *loop, struct net_timer *timer, nsec_t due)
{
    timer->due = due;
    if (due == NSEC_NEVER)
        return;
    if (timer->slot > 0) {
        if (timer->key <= due)
            return; /* it will be looked at before it is due */
        heap_remove(loop, timer);
    }
    heap_put(loop, timer);
}

static void run_timers(struct net_loop *loop, nsec_t now)
{
    /* A timer that arms itself again for now waits for the next turn. */
    uint32_t budget = loop->n_heap;

    while (loop->n_heap > 0 && loop->heap[0]->key <= now && budget-- > 0) {
        struct net_timer *timer = loop->heap[0];

        heap_remove(loop, timer);
        if (timer->due <= now) {
            timer->due = NSEC_NEVER;
            timer->on_due(timer);
        } else if (timer->due != NSEC_NEVER) {
            heap_put(loop, timer);
        }
    }
}

static void on_alarm(uv_timer_t *alarm)
{
    struct net_loop *loop = container_of(alarm, struct net_loop, alarm);

    loop->alarm_at = NSEC_NEVER;
    run_timers(loop, time_now());
}

/* libuv counts whole milliseconds: round up, so that the alarm is never early. */
static void set_alarm(struct net_loop *loop)
{
    nsec_t first = loop->n_heap > 0 ? loop->heap[0]->key : NSEC_NEVER;
    nsec_t wait;

    if (first == loop->alarm_at)
        return;
    loop->alarm_at = first;
    if (first == NSEC_NEVER) {
        (void)uv_timer_stop(&loop->alarm);
        return;
    }
    uv_update_time(&loop->uv);
    wait = first - time_now();
    (void)uv_timer_start(&loop->alarm, on_alarm,
                         wait > 0 ? (uint64_t)(wait + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0, 0);
}

static void run_tasks(struct net_loop *loop)
{
    struct list due;

    if (list_is_empty(&loop->tasks))
        return;
    list_init(&due);
    list_insert_after(&loop->tasks, &due); /* take over the whole ring */
    list_remove(&loop->tasks);
    for (struct list *it = list_first(&due); it != NULL; it = list_first(&due)) {
        struct net_task *task = container_of(it, struct net_task, link);

        list_remove(it);
        task->is_queued = false;
        task->run(task);
    }
}

void net_defer(struct net_loop *loop, struct net_task *task)
{
    if (task->is_queued)
        return;
    task->is_queued = true;
    list_put_back(&loop->tasks, &task->link);
}

static void on_turn_end(uv_prepare_t *prepare)
{
    struct net_loop *loop = container_of(prepare, struct net_loop, turn_end);

    run_tasks(loop);
    net_held_flush_all(loop);
    /* Tasks that tasks added must not wait for the next packet. */
    if (!list_is_empty(&loop->tasks))
        (void)uv_async_send(&loop->bell);
    set_alarm(loop);
}

static struct net_mail *take_mail(struct net_loop *loop)
{
    struct net_mail *newest = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire);
    struct net_mail *oldest = NULL;

    while (newest != NULL) {
        struct net_mail *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void on_bell(uv_async_t *bell)
{
    struct net_loop *loop = container_of(bell, struct net_loop, bell);
    struct net_mail *mail = take_mail(loop);

    while (mail != NULL) {
        struct net_mail *next = mail->next;

        mail->deliver(mail);
        mail = next;
    }
}

void net_mail_post(struct net_loop *loop, struct net_mail *mail)
{
    struct net_mail *newest = atomic_load_explicit(&loop->mail, memory_order_relaxed);

    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mail, &newest, mail,
                                                    memory_order_release, memory_order_relaxed));
    (void)uv_async_send(&loop->bell);
}

int net_loop_init(struct net_loop *loop)
{
    int r;

    *loop = (struct net_loop){.alarm_at = NSEC_NEVER};
    list_init(&loop->tasks);
    list_init(&loop->held);
    loop->read_buf = malloc(NET_READ_BUF_BYTES);
    if (loop->read_buf == NULL)
        return -ENOMEM;
    r = uv_loop_init(&loop->uv);
    if (r < 0) {
        free(loop->read_buf);
        return r;
    }
    (void)uv_prepare_init(&loop->uv, &loop->turn_end);
    (void)uv_prepare_start(&loop->turn_end, on_turn_end);
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    uv_unref((uv_handle_t *)&loop->turn_end);
    r = uv_async_init(&loop->uv, &loop->bell, on_bell);
    if (r < 0) {
        uv_close((uv_handle_t *)&loop->turn_end, NULL);
        uv_close((uv_handle_t *)&loop->alarm, NULL);
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
        (void)uv_loop_close(&loop->uv);
        free(loop->read_buf);
    }
    return r;
}

void net_loop_run(struct net_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void net_loop_turn(struct net_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
}

void net_loop_wake(struct net_loop *loop)
{
    (void)uv_async_send(&loop->bell);
}

int net_loop_fd(const struct net_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

int net_loop_wait_ms(struct net_loop *loop)
{
    if (!list_is_empty(&loop->tasks))
        return 0;
    set_alarm(loop); /* timers armed since the end of the turn */
    uv_update_time(&loop->uv);
    return uv_backend_timeout(&loop->uv);
}

/*
 * The work that a turn has put off is done in the next one. Bounded, since work may make work for
 * ever.
 */
#define POLL_TURNS 8

void net_loop_poll(struct net_loop *loop)
{
    unsigned n = POLL_TURNS;

    do
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    while (--n > 0 && net_loop_wait_ms(loop) == 0);
}

void net_loop_stop(struct net_loop *loop)
{
    loop->is_stopping = true;
    uv_stop(&loop->uv);
}

void net_loop_fini(struct net_loop *loop)
{
    uv_close((uv_handle_t *)&loop->turn_end, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->bell, NULL);
    /* A stop that nobody has seen yet must not end this run. */
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        continue;
    while (!list_is_empty(&loop->tasks))
        run_tasks(loop);
    (void)uv_loop_close(&loop->uv);
    net_held_fini(loop);
    free(loop->heap);
    free(loop->read_buf);
}
