/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Quota: how many connections there may be, to each node and to all
 *
 * Connections belong to loops, their number to the process. A loop that wants one more takes a
 * permit; where there is none, its attempt waits in the node's line, first come first served over
 * all loops. A permit that comes free goes to the head of a line, and its loop is told by mail. An
 * idle connection does not keep others waiting: its loop is asked to close it.
 *
 * One lock, taken when a connection opens or closes or an attempt waits, never for an attempt that
 * finds an idle connection. Counters of a member are written by its loop and read by others,
 * relaxed.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "net/loop.h"

#define QUOTA_AUTO      0
#define QUOTA_UNLIMITED UINT32_MAX
#define QUOTA_AUTO_MIN  10
#define QUOTA_AUTO_MAX  50

/* Why a connection was closed: a label of metrics. */
enum pool_closed {
    POOL_CLOSED_IDLE,      /* idle for too long */
    POOL_CLOSED_AGE,       /* old enough */
    POOL_CLOSED_SURPLUS,   /* enough are idle, or somebody waits for its permit */
    POOL_CLOSED_NODE,      /* the node closed it, or said that it would */
    POOL_CLOSED_FAILED,    /* it could not be opened, or broke */
    POOL_CLOSED_CANCELLED, /* with the attempt it carried */
    POOL_CLOSED_LEFT,      /* the node is off the list, or the process ends */
    N_POOL_CLOSED
};

extern const char *const pool_closed_names[N_POOL_CLOSED];

struct pool_counters {
    uint64_t n_idle;
    uint64_t n_busy; /* and those being opened */
    uint64_t n_waiting;
    uint64_t n_created;
    uint64_t n_reused;   /* attempts that found an idle connection */
    uint64_t n_timeouts; /* attempts that waited in vain */
    uint64_t n_closed[N_POOL_CLOSED];
    uint32_t max; /* what the node may have now; QUOTA_UNLIMITED: as all together */
};

struct quota_node {
    uint32_t n_open; /* permits that are out */
    uint32_t max;    /* where the size is automatic, what was last computed */
    struct list members;
    struct list waiting; /* of struct quota_wait, in their order */
    uint64_t n_waiting;
    nsec_t measured_at; /* automatic size: when, and what was seen then */
    uint64_t asked_seen;
    uint64_t done_seen;
    int64_t busy_seen;
};

struct quota {
    pthread_mutex_t lock;
    struct quota_node *nodes;
    size_t n_nodes;
    size_t n_used; /* nodes that ever had a member are below it */
    uint32_t n_open;
    uint32_t max_open;
    uint32_t node_max; /* QUOTA_AUTO, QUOTA_UNLIMITED, or a number */
    uint64_t order;    /* of the newest waiter */
    /*
     * Who waits counts itself here and then looks at n_idle; who becomes idle counts that and then
     * looks here: sequentially consistent, so that one of them sees the other.
     */
    _Atomic uint64_t n_waiting;
    _Atomic bool is_over; /* a node may have more than it should: to be looked at */
};

/* One loop's side of one node. */
struct quota_member {
    struct list link;
    struct quota *quota; /* NULL: it takes no permits */
    uint16_t node;
    struct net_loop *loop;
    struct net_mail mail; /* its deliver is the owner's: quota_receive() */
    bool is_posted;
    uint32_t n_granted; /* permits on their way */
    uint32_t n_wanted;  /* idle connections that others would like to have closed */
    _Atomic uint64_t n_idle;
    _Atomic uint64_t n_busy;
    _Atomic int64_t busy_ns; /* of all attempts, less now x those that run */
    _Atomic uint64_t n_asked;
    _Atomic uint64_t n_done;
    _Atomic uint64_t n_created;
    _Atomic uint64_t n_reused;
    _Atomic uint64_t n_timeouts;
    _Atomic uint64_t n_closed[N_POOL_CLOSED];
};

/* In line for a permit. */
struct quota_wait {
    struct list link;
    struct quota_member *member;
    uint64_t order;
};

/* @n_nodes: indexes are below it. Return: 0, -ENOMEM. */
MUST_USE int quota_init(struct quota *q, size_t n_nodes);
void quota_fini(struct quota *q);

/* Waiters that fit now get their permit; nobody's is taken away. */
void quota_configure(struct quota *q, uint32_t max_open, uint32_t node_max);

/* @m zeroed but for mail.deliver. */
void quota_join(struct quota *q, struct quota_member *m, uint16_t node, struct net_loop *loop);

/* Return: 0; -EBUSY mail is on its way to it: again when that has come. */
MUST_USE int quota_leave(struct quota_member *m);

enum {
    QUOTA_FULL = 1, /* wait, quota_queue() */
};

/* Return: 0 a permit; QUOTA_FULL. */
MUST_USE int quota_take(struct quota_member *m, nsec_t now);

/* A permit without asking: for connections that are few anyway, and only counted. */
void quota_force(struct quota_member *m);

void quota_give(struct quota_member *m);

/* Waits in line. The wait stays until it is granted or unqueued. */
void quota_queue(struct quota_member *m, struct quota_wait *wait);
void quota_unqueue(struct quota_member *m, struct quota_wait *wait); /* twice is once */

/* What the mail brought. */
void quota_receive(struct quota_member *m, uint32_t *ret_granted, uint32_t *ret_wanted);

enum quota_verdict {
    QUOTA_KEEP,  /* nobody waits for it */
    QUOTA_HAND,  /* the next in line is of this loop: use the connection for it */
    QUOTA_CLOSE, /* somebody waits for its permit */
};

/* What to do with a connection that has become idle, and is counted so. */
enum quota_verdict quota_judge(struct quota_member *m);

/* Sum over the loops. */
void quota_look(struct quota *q, uint16_t node, struct pool_counters *ret);

/* clamp(request rate x response time, 10, 50), by Little's law what is busy at once. */
uint32_t quota_auto_size(double requests_per_s, double response_s);

static inline void quota_count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}
