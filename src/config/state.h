/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of this folder share: the rows of all rooms as one array, and how problems are
 * told. Private.
 */

#include "config/settings.h"

struct setting_state {
    const struct settings_room *room;
    const struct setting *row;
    void *field;
    enum setting_origin origin;
    struct setting_place place;
};

/* The row called @key, or NULL. */
struct setting_state *state_find(const struct settings *s, struct str key);

/* Where a problem is: a place in the file, or a word (a flag, a variable). */
struct blame {
    const char *word;
    struct setting_place place; /* when word is NULL */
    bool is_secret;             /* the source line stays hidden */
};

/*
 * Appends one problem and counts it; beyond SETTINGS_MAX_ERRORS only one last line says so. Return:
 * -EX_CONFIG.
 */
int blame_tell(struct settings *s, const struct blame *at, struct buf *errors, const char *format,
               ...) PRINTF(4, 5);

/**
 * state_store() - put a value into the field, when nothing that wins is there already
 * @value:  a field of the row; taken over or freed, zeroed in any case
 */
void state_store(struct setting_state *state, void *value, enum setting_origin origin,
                 struct setting_place place);

/* Frees a field of any type. */
void state_free_field(const struct setting *row, void *field);

/* Room for a field of any type. */
union field {
    char *string;
    struct strings strings;
    struct setting_objects objects;
    uint64_t scalar;
    double real;
};

/**
 * state_set_text() - parse @text and store it
 * @at:  to blame
 * Return: 0, -EX_CONFIG, -ENOMEM.
 */
MUST_USE int state_set_text(struct settings *s, struct setting_state *state, struct str text,
                            enum setting_origin origin, const struct blame *at, struct buf *errors);
