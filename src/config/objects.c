/* SPDX-License-Identifier: MIT */
#include "config/objects.h"

#include <errno.h>

#include "config/value.h"

const struct setting *objects_row(const struct setting_shape *shape, struct str key)
{
    for (size_t i = 0; i < shape->n_rows; i++) {
        if (str_eq(str_of(shape->rows[i].key), key))
            return &shape->rows[i];
    }
    return NULL;
}

static int reserve(const struct setting_shape *shape, struct setting_objects *list, size_t n)
{
    void *items = reallocarray(list->items, list->n + n, shape->size);
    struct setting_place *places;

    if (items == NULL)
        return -ENOMEM;
    list->items = items;
    places = reallocarray(list->places, list->n + n, sizeof(*places));
    if (places == NULL)
        return -ENOMEM;
    list->places = places;
    return 0;
}

static void free_fields(const struct setting_shape *shape, void *object)
{
    for (size_t i = 0; i < shape->n_rows; i++)
        value_free(&shape->rows[i], (char *)object + shape->rows[i].offset);
}

int objects_add(const struct setting_shape *shape, struct setting_objects *list,
                struct setting_place place, void **ret_object)
{
    void *object;
    int r;

    if (list->n >= OBJECTS_MAX)
        return -ENOBUFS;
    r = reserve(shape, list, 1);
    if (r < 0)
        return r;
    object = objects_at(shape, list, list->n);
    memset(object, 0, shape->size);
    for (size_t i = 0; r == 0 && i < shape->n_rows; i++)
        r = value_default(&shape->rows[i], (char *)object + shape->rows[i].offset);
    if (r < 0) {
        free_fields(shape, object);
        return r;
    }
    list->places[list->n++] = place;
    *ret_object = object;
    return 0;
}

void objects_fini(const struct setting_shape *shape, struct setting_objects *list)
{
    for (size_t i = 0; i < list->n; i++)
        free_fields(shape, objects_at(shape, list, i));
    free(list->items);
    free(list->places);
    *list = (struct setting_objects){0};
}

int objects_append(const struct setting_shape *shape, struct setting_objects *list,
                   struct setting_objects *from)
{
    if (from->n > 0) {
        if (reserve(shape, list, from->n) < 0)
            return -ENOMEM;
        memcpy(objects_at(shape, list, list->n), from->items, from->n * shape->size);
        memcpy(list->places + list->n, from->places, from->n * sizeof(*from->places));
        list->n += from->n;
    }
    free(from->items);
    free(from->places);
    *from = (struct setting_objects){0};
    return 0;
}
