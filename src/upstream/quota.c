/* SPDX-License-Identifier: MIT */
#include "upstream/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define MEASURE_NS NSEC_PER_SEC

const char *const pool_closed_names[N_POOL_CLOSED] = {
    [POOL_CLOSED_IDLE] = "idle",       [POOL_CLOSED_AGE] = "age",
    [POOL_CLOSED_SURPLUS] = "surplus", [POOL_CLOSED_NODE] = "node",
    [POOL_CLOSED_FAILED] = "failed",   [POOL_CLOSED_CANCELLED] = "cancelled",
    [POOL_CLOSED_LEFT] = "left",
};

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* See struct quota. */
static uint64_t look(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_seq_cst);
}

static void lock(struct quota *q)
{
    (void)pthread_mutex_lock(&q->lock);
}

static void unlock(struct quota *q)
{
    (void)pthread_mutex_unlock(&q->lock);
}

static struct quota_node *node_of(const struct quota_member *m)
{
    return &m->quota->nodes[m->node];
}

int quota_init(struct quota *q, size_t n_nodes)
{
    *q = (struct quota){.max_open = QUOTA_UNLIMITED, .node_max = QUOTA_UNLIMITED};
    q->nodes = calloc(n_nodes, sizeof(*q->nodes));
    if (q->nodes == NULL)
        return -ENOMEM;
    q->n_nodes = n_nodes;
    for (size_t i = 0; i < n_nodes; i++) {
        q->nodes[i].max = QUOTA_UNLIMITED;
        list_init(&q->nodes[i].members);
        list_init(&q->nodes[i].waiting);
    }
    (void)pthread_mutex_init(&q->lock, NULL);
    return 0;
}

void quota_fini(struct quota *q)
{
    if (q->nodes == NULL)
        return;
    free(q->nodes);
    (void)pthread_mutex_destroy(&q->lock);
}

/*
 * Permits. The lock is held.
 */

static bool has_room(const struct quota *q, const struct quota_node *node)
{
    return q->n_open < q->max_open && node->n_open < node->max;
}

static void post(struct quota_member *m)
{
    if (m->is_posted)
        return;
    m->is_posted = true;
    net_mail_post(m->loop, &m->mail);
}

static void take_out(struct quota *q, struct quota_node *node, struct quota_wait *wait)
{
    list_remove(&wait->link);
    node->n_waiting--;
    (void)atomic_fetch_sub_explicit(&q->n_waiting, 1, memory_order_relaxed);
}

static struct quota_wait *head_of(const struct quota_node *node)
{
    struct list *first = list_first(&node->waiting);

    return first == NULL ? NULL : container_of(first, struct quota_wait, link);
}

/* Who has waited longest of those that would fit. */
static struct quota_node *find_next(const struct quota *q)
{
    struct quota_node *next = NULL;

    for (size_t i = 0; i < q->n_used; i++) {
        struct quota_node *node = &q->nodes[i];

        if (node->n_waiting > 0 && has_room(q, node) &&
            (next == NULL || head_of(node)->order < head_of(next)->order))
            next = node;
    }
    return next;
}

static void grant_waiting(struct quota *q)
{
    struct quota_node *node;

    while (get(&q->n_waiting) > 0 && (node = find_next(q)) != NULL) {
        struct quota_wait *wait = head_of(node);

        take_out(q, node, wait);
        q->n_open++;
        node->n_open++;
        wait->member->n_granted++;
        post(wait->member);
    }
}

/* One loop that has an idle connection is asked to close it. */
static bool reclaim_from(struct quota_node *node)
{
    list_for_each (it, &node->members) {
        struct quota_member *m = container_of(it, struct quota_member, link);

        if (look(&m->n_idle) > m->n_wanted) {
            m->n_wanted++;
            post(m);
            return true;
        }
    }
    return false;
}

static void reclaim(struct quota *q, struct quota_node *node)
{
    if (reclaim_from(node) || node->n_open >= node->max)
        return;
    for (size_t i = 0; i < q->n_used; i++)
        if (reclaim_from(&q->nodes[i]))
            return;
}

/*
 * Automatic size
 */

uint32_t quota_auto_size(double requests_per_s, double response_s)
{
    double busy = requests_per_s * response_s;
    uint32_t n;

    if (busy <= QUOTA_AUTO_MIN)
        return QUOTA_AUTO_MIN;
    if (busy >= QUOTA_AUTO_MAX)
        return QUOTA_AUTO_MAX;
    n = (uint32_t)busy;
    return (double)n < busy ? n + 1 : n;
}

/*
 * What was seen since the last time, or in the last second: the time of a response is what attempts
 * were busy, by how many ended; while none has ended yet, all of it.
 */
static void measure(struct quota_node *node, nsec_t now)
{
    uint64_t asked = 0;
    uint64_t done = 0;
    int64_t busy = 0;
    double passed_s = (double)(now - node->measured_at) / 1e9;

    if (now - node->measured_at < MEASURE_NS)
        return;
    list_for_each (it, &node->members) {
        const struct quota_member *m = container_of(it, struct quota_member, link);

        asked += get(&m->n_asked);
        done += get(&m->n_done);
        busy += atomic_load_explicit(&m->busy_ns, memory_order_relaxed) +
                (int64_t)get(&m->n_busy) * now;
    }
    if (node->measured_at > 0) {
        uint64_t n_done = done > node->done_seen ? done - node->done_seen : 1;
        uint64_t n_asked = asked > node->asked_seen ? asked - node->asked_seen : 0;
        int64_t busy_ns = busy > node->busy_seen ? busy - node->busy_seen : 0;

        node->max =
            quota_auto_size((double)n_asked / passed_s, (double)busy_ns / 1e9 / (double)n_done);
    }
    node->measured_at = now;
    node->asked_seen = asked;
    node->done_seen = done;
    node->busy_seen = busy;
}

/*
 * For all
 */

static void mark_over(struct quota *q, const struct quota_node *node)
{
    if (node->n_open > node->max || q->n_open > q->max_open)
        atomic_store_explicit(&q->is_over, true, memory_order_relaxed);
}

static void set_max(struct quota *q, struct quota_node *node, uint32_t node_max)
{
    if (node_max != QUOTA_AUTO)
        node->max = node_max;
    else if (q->node_max != QUOTA_AUTO)
        node->max = QUOTA_AUTO_MIN;
    mark_over(q, node);
    for (uint32_t i = node->max; i < node->n_open; i++)
        if (!reclaim_from(node))
            break;
}

void quota_configure(struct quota *q, uint32_t max_open, uint32_t node_max)
{
    lock(q);
    q->max_open = max_open;
    atomic_store_explicit(&q->is_over, false, memory_order_relaxed);
    for (size_t i = 0; i < q->n_nodes; i++)
        set_max(q, &q->nodes[i], node_max);
    q->node_max = node_max;
    grant_waiting(q);
    unlock(q);
}

void quota_join(struct quota *q, struct quota_member *m, uint16_t node, struct net_loop *loop)
{
    assert(node < q->n_nodes);

    m->quota = q;
    m->node = node;
    m->loop = loop;
    lock(q);
    list_put_back(&q->nodes[node].members, &m->link);
    if (node >= q->n_used)
        q->n_used = node + 1u;
    unlock(q);
}

int quota_leave(struct quota_member *m)
{
    struct quota *q = m->quota;
    bool is_posted;

    if (q == NULL)
        return 0;
    lock(q);
    is_posted = m->is_posted;
    if (!is_posted) {
        list_remove(&m->link);
        m->quota = NULL;
    }
    unlock(q);
    return is_posted ? -EBUSY : 0;
}

int quota_take(struct quota_member *m, nsec_t now)
{
    struct quota *q = m->quota;
    struct quota_node *node = node_of(m);
    bool is_free;

    lock(q);
    if (q->node_max == QUOTA_AUTO) {
        measure(node, now);
        mark_over(q, node);
    }
    is_free = node->n_waiting == 0 && has_room(q, node);
    if (is_free) {
        q->n_open++;
        node->n_open++;
    }
    unlock(q);
    return is_free ? 0 : QUOTA_FULL;
}

void quota_force(struct quota_member *m)
{
    lock(m->quota);
    m->quota->n_open++;
    node_of(m)->n_open++;
    unlock(m->quota);
}

void quota_give(struct quota_member *m)
{
    struct quota *q = m->quota;

    lock(q);
    q->n_open--;
    node_of(m)->n_open--;
    grant_waiting(q);
    unlock(q);
}

void quota_queue(struct quota_member *m, struct quota_wait *wait)
{
    struct quota *q = m->quota;
    struct quota_node *node = node_of(m);

    wait->member = m;
    lock(q);
    wait->order = ++q->order;
    list_put_back(&node->waiting, &wait->link);
    node->n_waiting++;
    (void)atomic_fetch_add_explicit(&q->n_waiting, 1, memory_order_seq_cst);
    grant_waiting(q); /* room may have come since quota_take() */
    if (!list_is_empty(&wait->link))
        reclaim(q, node);
    unlock(q);
}

void quota_unqueue(struct quota_member *m, struct quota_wait *wait)
{
    struct quota *q = m->quota;

    lock(q);
    if (!list_is_empty(&wait->link))
        take_out(q, node_of(m), wait);
    unlock(q);
}

void quota_receive(struct quota_member *m, uint32_t *ret_granted, uint32_t *ret_wanted)
{
    lock(m->quota);
    *ret_granted = m->n_granted;
    *ret_wanted = m->n_wanted;
    m->n_granted = 0;
    m->n_wanted = 0;
    m->is_posted = false;
    unlock(m->quota);
}

enum quota_verdict quota_judge(struct quota_member *m)
{
    struct quota *q = m->quota;
    struct quota_node *node = node_of(m);
    enum quota_verdict verdict = QUOTA_KEEP;
    const struct quota_wait *head;

    if (look(&q->n_waiting) == 0 && !atomic_load_explicit(&q->is_over, memory_order_relaxed))
        return QUOTA_KEEP;
    lock(q);
    head = head_of(node);
    if (node->n_open > node->max || q->n_open > q->max_open)
        verdict = QUOTA_CLOSE;
    else if (head != NULL)
        verdict = head->member == m ? QUOTA_HAND : QUOTA_CLOSE;
    else if (get(&q->n_waiting) > 0 && q->n_open >= q->max_open)
        verdict = QUOTA_CLOSE;
    unlock(q);
    return verdict;
}

void quota_look(struct quota *q, uint16_t node, struct pool_counters *ret)
{
    struct quota_node *n = &q->nodes[node];

    *ret = (struct pool_counters){0};
    lock(q);
    ret->n_waiting = n->n_waiting;
    ret->max = n->max;
    list_for_each (it, &n->members) {
        const struct quota_member *m = container_of(it, struct quota_member, link);

        ret->n_idle += get(&m->n_idle);
        ret->n_busy += get(&m->n_busy);
        ret->n_created += get(&m->n_created);
        ret->n_reused += get(&m->n_reused);
        ret->n_timeouts += get(&m->n_timeouts);
        for (int i = 0; i < N_POOL_CLOSED; i++)
            ret->n_closed[i] += get(&m->n_closed[i]);
    }
    unlock(q);
}
