/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Settings
 *
 * The mechanism, which knows no setting by name. A room describes its settings once, as const rows
 * with offsets into a small struct of its own; the command joins the rooms and gets defaults, the
 * YAML file, the environment, flags, help, the reference page and the effective configuration from
 * the same rows.
 *
 *     struct retry_settings { uint64_t max_retries; nsec_t base_delay; };
 *
 *     const struct setting retry_setting_rows[] = {
 *         {.key = "retry.max_retries", .type = SETTING_U64, .offset = offsetof(struct
 *         retry_settings, max_retries),
 *          .def = "5", .max = 100, .flag = "--retries", .arg = "N", .text = "Retries of one
 *          request"},
 *         {.key = "retry.base_delay", .type = SETTING_DURATION, .offset = offsetof(struct
 *         retry_settings, base_delay),
 *          .def = "100ms", .min = 1e6, .max = 60e9, .text = "Delay before the first retry"},
 *     };
 *
 *     struct retry_settings retry;
 *     const struct settings_room rooms[] = {{"retry", retry_setting_rows,
 *     ARRAY_LEN(retry_setting_rows), &retry}};
 *
 *     settings_init(&s, rooms, 1);                              // targets hold the defaults now
 *     settings_parse_args(&s, argc, argv, NULL, &errors);       // any order: flag > environment >
 *     file > default settings_load_env(&s, &errors); settings_load_yaml(&s, path, &errors); ...
 *     settings_fini(&s);                                        // frees strings and lists in the
 *     targets
 *
 * Problems are collected, all of them in one run, as text for people: `file:line:column: error:
 * ...`, the source line, a caret. A value that is refused leaves the target as it was. Not
 * thread-safe: one thread, at start or reload.
 */

#include "base/buf.h"
#include "base/time.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define SETTINGS_MAX_FILE   ((size_t)1024 * 1024)
#define SETTINGS_MAX_DEPTH  16
#define SETTINGS_MAX_ERRORS 50
#define SETTINGS_NO_ITEM    SIZE_MAX

/* The type of the row decides the C type at its offset, and what is written in the file. */
enum setting_type {
    SETTING_BOOL,     /* bool: true | false. As a flag it needs no value */
    SETTING_U64,      /* uint64_t: 5, or one of the choices ("auto") */
    SETTING_RATIO,    /* double: 0.5 */
    SETTING_PERCENT,  /* double: 10% is 0.1 */
    SETTING_DURATION, /* nsec_t: 250ms, 5s, 2m, 1h, 1.5s, 0; or one of the choices (setting_none) */
    SETTING_SIZE,     /* uint64_t: 512B, 64KiB, 1GiB, 10MB, 0; or one of the choices */
    SETTING_STRING,   /* char *, on the heap; never NULL, "" without a default */
    /* struct strings: [a, b] or one scalar; as text "a,b". With choices: only those words */
    SETTING_STRINGS,
    SETTING_ENUM,    /* int (or an enum): one of the choices */
    SETTING_OBJECTS, /* struct setting_objects: [{...}, {...}], see struct setting_shape */
};

/* A word that stands for a value. An array of them ends with a NULL name. */
struct setting_choice {
    const char *name;
    int64_t value;
};

/* {"none", NSEC_NEVER}: for durations that may be without end. */
extern const struct setting_choice setting_none[];

struct strings {
    char **items;
    size_t n;
};

struct setting_place {
    uint32_t line; /* from 1; 0: not from a file */
    uint32_t column;
};

/* @n structs of shape->size bytes. */
struct setting_objects {
    void *items;
    struct setting_place *places;
    size_t n;
};

struct setting_shape;

struct setting {
    const char *key; /* "timeouts.connect"; in a shape "url". NULL: a flag only, never in a file */
    enum setting_type type;
    size_t offset;   /* in the room's target, or in the object */
    const char *def; /* as in a file, lists as "a,b"; NULL: 0, false, "", empty, the first choice */
    /*
     * range of the value in the unit of its C type (ns, bytes, 0.1); of a string its length; of a
     * list its items.
     */
    double min;
    double max;       /* Both 0: any. Only max 0: no upper bound. Choices are not checked. */
    const char *flag; /* "--listen", or NULL */
    const char *arg;  /* "ADDR", for help; NULL for a bool */
    const char *env;  /* "CHASQUI_LISTEN", or NULL */
    const char *text; /* one line, for help and reference, without full stop */
    /*
     * printed as ***, and its source line is never shown; a string may also stand in a file that
     * `<key>_file` names
     */
    bool is_secret;
    bool needs_restart;
    bool is_required; /* in a shape: every object must have it */
    const struct setting_choice *choices;
    const struct setting_shape *shape; /* of SETTING_OBJECTS */
    /*
     * A string or an item of a list: NULL when good, else what is wrong ("is not a URL"). May be
     * NULL.
     */
    const char *(*check)(struct str value);
};

/*
 * What the objects of a list look like. Rows may have every type but SETTING_OBJECTS.
 *
 * @lead:     key of the row that a scalar alone sets: `nodes: [http://a]`, `--node http://a`; NULL:
 *            a scalar is an error
 * @map_key:  key of the SETTING_STRING row that takes the name in a mapping, and then the value is
 *            a mapping, not a list: `classes: { query: {timeout: 2s} }`, and with a lead `aliases:
 *            { fast: llama3.2 }`; NULL: a list
 */
struct setting_shape {
    const struct setting *rows;
    size_t n_rows;
    size_t size;
    const char *lead;
    const char *map_key;
};

struct settings_room {
    const char *name; /* heading in help and reference */
    const struct setting *rows;
    size_t n_rows;
    void *target;
};

enum setting_origin {
    SETTING_FROM_DEFAULT,
    SETTING_FROM_FILE,
    SETTING_FROM_ENV,
    SETTING_FROM_FLAG, /* wins */
};

struct setting_state; /* private: where each row's value is from */

struct settings {
    const struct settings_room *rooms;
    size_t n_rooms;
    struct setting_state *states;
    size_t n_states;
    char *path; /* of the file loaded, and its text for carets */
    struct buf source;
    unsigned n_errors;
};

/*
 * Fills all targets with their defaults. @rooms must outlive @s. A default that does not parse is a
 * bug (assert). Return: 0, -ENOMEM.
 */
MUST_USE int settings_init(struct settings *s, const struct settings_room *rooms, size_t n_rooms);

/* Frees what the targets own and zeroes those fields. A zeroed @s is accepted. */
void settings_fini(struct settings *s);

/* Return: 0; -EX_CONFIG with texts in @errors; -ENOMEM. */
MUST_USE int settings_load_yaml(struct settings *s, const char *path, struct buf *errors);

/* As settings_load_yaml(), from memory; @name stands in the errors. */
MUST_USE int settings_load_text(struct settings *s, const char *name, struct str text,
                                struct buf *errors);

/*
 * Variables named by rows; one that is not set or empty is left alone. Return: as
 * settings_load_yaml().
 */
MUST_USE int settings_load_env(struct settings *s, struct buf *errors);

/**
 * settings_parse_args() - long flags: `--flag value`, `--flag=value`, a bool as `--flag`; `--` ends
 * them
 * @argv:      argv[0] is not looked at
 * @operands:  other arguments are appended here (strings_fini() frees); NULL: they are errors
 *
 * A list's flag may be repeated; together they replace the file's list.
 *
 * Return: as settings_load_yaml().
 */
MUST_USE int settings_parse_args(struct settings *s, int argc, char *const *argv,
                                 struct strings *operands, struct buf *errors);

/* Sets one by key, from text as in a file; lists as "a,b". Return: as settings_load_yaml(). */
MUST_USE int settings_set(struct settings *s, const char *key, struct str text,
                          enum setting_origin origin, struct buf *errors);

/* Where a value comes from. The key must exist. */
enum setting_origin settings_origin(const struct settings *s, const char *key);

/**
 * settings_error() - a problem found later, for instance between two settings, told like those
 * found while loading
 * @item:  of a list of objects: which one; else SETTINGS_NO_ITEM
 *
 * Return: -EX_CONFIG.
 */
int settings_error(struct settings *s, const char *key, size_t item, struct buf *errors,
                   const char *format, ...) PRINTF(5, 6);

typedef int setting_change_fn(void *arg, const struct setting *row);

/**
 * settings_compare() - calls @fn for each setting whose value differs
 * @a, @b:  of the same rows
 *
 * Return: 0; what @fn returned, other than 0; -ENOBUFS, -ENOMEM.
 */
MUST_USE int settings_compare(const struct settings *a, const struct settings *b,
                              setting_change_fn *fn, void *arg);

/* The flag table for --help, a heading per room. Return: 0, -ENOBUFS, -ENOMEM, as the two below. */
MUST_USE int settings_help(const struct settings *s, struct buf *out);

/*
 * The effective configuration as YAML, each value's origin as a comment, secrets masked. Loads
 * again to the same values.
 */
MUST_USE int settings_print(const struct settings *s, struct buf *out);

/* The reference page's tables, in Markdown. */
MUST_USE int settings_reference(const struct settings *s, struct buf *out);

/* A JSON Schema (draft 7) of the file. Keys have at most one dot. */
MUST_USE int settings_schema(const struct settings *s, struct buf *out);

/* The settings of a manual page: a subsection per room, an entry per key. */
MUST_USE int settings_manual(const struct settings *s, struct buf *out);

/* The flags of a command as entries of a manual page. Targets are not looked at. */
MUST_USE int settings_flags_manual(const struct settings_room *rooms, size_t n_rooms,
                                   struct buf *out);

void strings_fini(struct strings *list);

/* Appends a copy. Return: 0, -ENOMEM. */
MUST_USE int strings_put(struct strings *list, struct str item);
