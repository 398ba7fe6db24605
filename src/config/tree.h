/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tree of a configuration file into the rows
 *
 * Takes the file as a sequence of events, without knowing the syntax they were written in. A stack
 * of frames says what the container being read is; a key leaves in its mapping's frame a slot,
 * which says where the value that follows goes. What leads nowhere (an unknown key, a value of the
 * wrong kind) is told once and skipped with all it holds. A list is collected apart and put into
 * its field whole, when nothing in it was wrong. Private.
 */

#include "config/state.h"

enum tree_event_kind {
    TREE_SCALAR,
    TREE_LIST,
    TREE_MAPPING,
    TREE_END,  /* of the innermost list or mapping */
    TREE_VOID, /* a scalar that was told to be wrong already */
};

struct tree_event {
    enum tree_event_kind kind;
    struct str text; /* of a scalar; also of a key */
    bool is_null;    /* a plain scalar that is empty, ~ or null */
    struct setting_place place;
};

enum tree_slot_kind {
    SLOT_SKIP,
    SLOT_SECTION, /* a mapping of settings */
    SLOT_STATE,   /* a row of a room */
    SLOT_FIELD,   /* a row of a shape, in the object being read */
    SLOT_NAMED,   /* an object whose name is set already */
};

struct tree_slot {
    enum tree_slot_kind kind;
    const struct setting *row;   /* of a section: one that is inside; NULL: the whole file */
    size_t prefix_len;           /* SLOT_SECTION: bytes of row->key that name it, with the dot */
    struct setting_state *state; /* SLOT_STATE */
    bool is_file;                /* SLOT_STATE: the value is the name of a file that holds it */
};

enum tree_frame_kind {
    FRAME_SECTION, /* mapping of settings */
    FRAME_OBJECT,  /* mapping: one object */
    FRAME_NAMED,   /* mapping of names to objects */
    FRAME_OBJECTS, /* list of objects */
    FRAME_STRINGS, /* list of texts */
};

struct tree_frame {
    enum tree_frame_kind kind;
    struct tree_slot slot; /* that this container is the value of */
    struct setting_place place;
    size_t first_key;  /* in tree.keys: this mapping's begin here */
    unsigned n_errors; /* of the settings when it began */
    bool has_key;      /* the value of `next` follows */
    struct tree_slot next;
};

struct tree_key {
    char *name;
    uint32_t line;
};

struct tree {
    struct settings *s;
    struct buf *errors;
    struct tree_frame frames[SETTINGS_MAX_DEPTH];
    size_t depth;
    size_t n_skipped; /* open containers of what is skipped */
    struct tree_key *keys;
    size_t n_keys;
    struct setting_objects objects; /* being collected; lists of objects do not nest */
    void *object;                   /* the last of them, NULL when it could not be made */
    struct strings strings;
    bool is_out_of_memory;
};

void tree_init(struct tree *t, struct settings *s, struct buf *errors);
void tree_fini(struct tree *t);

/*
 * Feeds one event; problems are told and counted in the settings. Return: 0; -EX_CONFIG nested too
 * deeply, or too many errors: stop; -ENOMEM.
 */
MUST_USE int tree_feed(struct tree *t, const struct tree_event *e);
