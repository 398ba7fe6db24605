/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Intrusive ring list
 *
 * A head and its members are the same struct list. A member that is in no list points at itself, so
 * list_remove() may be called twice.
 */

#include <stdbool.h>
#include <stddef.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *member)
{
    member->next = at->next;
    member->prev = at;
    at->next->prev = member;
    at->next = member;
}

static inline void list_put_front(struct list *head, struct list *member)
{
    list_insert_after(head, member);
}

static inline void list_put_back(struct list *head, struct list *member)
{
    list_insert_after(head->prev, member);
}

static inline void list_remove(struct list *member)
{
    member->prev->next = member->next;
    member->next->prev = member->prev;
    list_init(member);
}

/* The first member, or NULL; it stays in the list. */
static inline struct list *list_first(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

/* The body may remove the member it stands on. */
#define list_for_each_safe(it, head) \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)
