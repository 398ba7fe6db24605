/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The loop of a thread
 *
 * Owns the libuv loop, the buffer that all its streams read into, its timers, work put off to the
 * end of the turn, and a mailbox for other threads. All functions but net_mail_post() are for the
 * loop's own thread. A callback may destroy its caller's object, so objects are freed by a deferred
 * task, never at once.
 */

#include <stdatomic.h>

#include <uv.h>

#include "base/list.h"
#include "base/str.h"
#include "base/time.h"

#define NET_READ_BUF_BYTES (64 * 1024)

struct net_held;
struct net_task;
struct net_timer;
struct net_mail;

typedef void net_task_fn(struct net_task *task);
typedef void net_timer_fn(struct net_timer *timer);
typedef void net_mail_fn(struct net_mail *mail);

/*
 * Work for the end of this turn of the loop; work added meanwhile waits for the next turn. Zeroed
 * before first use.
 */
struct net_task {
    struct list link;
    net_task_fn *run;
    bool is_queued;
};

/*
 * A deadline. Moving it further away costs nothing; it is put in its place only when the old one
 * comes up.
 */
struct net_timer {
    net_timer_fn *on_due;
    nsec_t due;    /* NSEC_NEVER: not armed */
    nsec_t key;    /* place in the heap, <= due */
    uint32_t slot; /* index in the heap + 1; 0: not in it */
};

/* A message to another loop. Owned by the receiver from posting on. */
struct net_mail {
    struct net_mail *next;
    net_mail_fn *deliver;
};

struct net_loop {
    uv_loop_t uv;
    uv_prepare_t turn_end;
    uv_timer_t alarm; /* of the timer that is due first */
    uv_async_t bell;
    char *read_buf; /* NET_READ_BUF_BYTES, shared by all streams of the loop */
    struct list tasks;
    /* small output of streams that leaves at the end of the turn; and memory for it */
    struct list held;
    struct net_held *spare_held;
    unsigned n_spare_held;
    struct net_timer **heap;
    uint32_t n_heap;
    uint32_t heap_cap;
    uint32_t n_timers; /* initialised ones; the heap has room for all, so arming cannot fail */
    nsec_t alarm_at;
    /* newest first; pushed by any thread, taken whole by the loop's */
    _Atomic(struct net_mail *) mail;
    nsec_t now; /* while bytes are handed over: when that began; 0: nobody asked yet */
    bool is_handing_over;
    bool is_stopping;
};

/*
 * Monotonic now. A clock costs as much as parsing a field, so what is done for the bytes of one read has one time.
 */
static inline nsec_t net_now(struct net_loop *loop)
{
    if (!loop->is_handing_over)
        return time_now();
    if (loop->now == 0)
        loop->now = time_now();
    return loop->now;
}

MUST_USE int net_loop_init(struct net_loop *loop);

/* Runs until net_loop_stop(). */
void net_loop_run(struct net_loop *loop);
void net_loop_stop(struct net_loop *loop);

/* One turn, waiting for something to happen; and how to make something happen. */
void net_loop_turn(struct net_loop *loop);
void net_loop_wake(struct net_loop *loop);

/*
 * A loop inside somebody else's: wait until the descriptor is readable or the time is over, then
 * poll.
 */
int net_loop_fd(const struct net_loop *loop);
int net_loop_wait_ms(struct net_loop *loop); /* 0: poll now; -1: nothing waits for time */
void net_loop_poll(struct net_loop *loop);   /* turns that do not wait, until nothing is ready */

/* Closes what is still open (streams get on_closed) and frees. */
void net_loop_fini(struct net_loop *loop);

/* Runs @task->run at the end of this turn. Twice is once. */
void net_defer(struct net_loop *loop, struct net_task *task);

/* Return: 0, -ENOMEM. */
MUST_USE int net_timer_init(struct net_loop *loop, struct net_timer *timer, net_timer_fn *on_due);
void net_timer_fini(struct net_loop *loop,
                    struct net_timer *timer); /* disarms; a zeroed timer is fine */
void net_timer_arm(struct net_loop *loop, struct net_timer *timer,
                   nsec_t due); /* monotonic; NSEC_NEVER disarms */

static inline void net_timer_disarm(struct net_timer *timer)
{
    timer->due = NSEC_NEVER;
}

/*
 * Any thread: @mail->deliver runs on @loop's thread. The release here pairs with the acquire in
 * take_mail().
 */
void net_mail_post(struct net_loop *loop, struct net_mail *mail);
