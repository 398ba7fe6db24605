/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lists of objects
 *
 * An array of structs that grows; shape says what is in one.
 */

#include "config/settings.h"

#define OBJECTS_MAX 4096

/* A row of the shape, or NULL. */
const struct setting *objects_row(const struct setting_shape *shape, struct str key);

/**
 * objects_add() - one more object, with the defaults of its shape
 * @ret_object:  it; good until the next call
 * Return: 0; -ENOBUFS there are OBJECTS_MAX; -ENOMEM.
 */
MUST_USE int objects_add(const struct setting_shape *shape, struct setting_objects *list,
                         struct setting_place place, void **ret_object);

static inline void *objects_at(const struct setting_shape *shape,
                               const struct setting_objects *list, size_t i)
{
    return (char *)list->items + i * shape->size;
}

/* Frees the objects and all they own, and zeroes the list. */
void objects_fini(const struct setting_shape *shape, struct setting_objects *list);

/* Moves all of @from behind those of @list; @from is empty then. Return: 0, -ENOMEM. */
MUST_USE int objects_append(const struct setting_shape *shape, struct setting_objects *list,
                            struct setting_objects *from);
