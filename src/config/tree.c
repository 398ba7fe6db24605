/* SPDX-License-Identifier: MIT */
#include "config/tree.h"

#include <errno.h>

#include "base/err.h"
#include "config/expand.h"
#include "config/objects.h"
#include "config/secret.h"
#include "config/suggest.h"
#include "config/value.h"

#define MAX_WHY 512

void tree_init(struct tree *t, struct settings *s, struct buf *errors)
{
    *t = (struct tree){.s = s, .errors = errors};
}

static void drop_keys(struct tree *t, size_t n_left)
{
    while (t->n_keys > n_left)
        free(t->keys[--t->n_keys].name);
}

static struct tree_frame *top(struct tree *t)
{
    return t->depth > 0 ? &t->frames[t->depth - 1] : NULL;
}

/* What was collected and cannot be used. */
static void drop_collected(struct tree *t, const struct tree_frame *f)
{
    if (f->kind == FRAME_STRINGS)
        strings_fini(&t->strings);
    else if (f->kind == FRAME_OBJECTS || f->kind == FRAME_NAMED)
        objects_fini(f->slot.row->shape, &t->objects);
}

void tree_fini(struct tree *t)
{
    for (; t->depth > 0; t->depth--)
        drop_collected(t, top(t));
    drop_keys(t, 0);
    free(t->keys);
}

static struct blame blame_at(struct setting_place place, const struct setting *row)
{
    return (struct blame){.place = place, .is_secret = row != NULL && row->is_secret};
}

#define COMPLAIN(t, place, row, ...) \
    do { \
        struct blame blame_ = blame_at(place, row); \
        (void)blame_tell((t)->s, &blame_, (t)->errors, __VA_ARGS__); \
    } while (0)

/*
 * A failure of a function that explains itself in @why: told, or remembered. Return: whether there
 * was none.
 */
static bool is_fine(struct tree *t, int r, struct setting_place place, const struct setting *row,
                    struct buf *why)
{
    if (r == -EX_CONFIG)
        COMPLAIN(t, place, row, STR_FMT, STR_ARG(buf_str(why)));
    else if (r < 0)
        t->is_out_of_memory = true;
    buf_fini(why);
    return r == 0;
}

static bool is_container(const struct tree_event *e)
{
    return e->kind == TREE_LIST || e->kind == TREE_MAPPING;
}

static void skip(struct tree *t, const struct tree_event *e)
{
    if (is_container(e))
        t->n_skipped = 1;
}

/* "must be a whole number, not a list" */
static void refuse_kind(struct tree *t, const struct tree_event *e, const struct setting *row)
{
    static const char *const kinds[] = {
        [TREE_SCALAR] = "a single value", [TREE_LIST] = "a list", [TREE_MAPPING] = "a mapping"};
    struct buf expected = BUF_INIT(MAX_WHY);

    if (value_print_expected(row, &expected) == -ENOMEM)
        t->is_out_of_memory = true;
    COMPLAIN(t, e->place, row, "must be " STR_FMT ", not %s", STR_ARG(buf_str(&expected)),
             kinds[e->kind]);
    buf_fini(&expected);
    skip(t, e);
}

static void push(struct tree *t, enum tree_frame_kind kind, struct tree_slot slot,
                 const struct tree_event *e)
{
    t->frames[t->depth++] = (struct tree_frame){
        .kind = kind,
        .slot = slot,
        .place = e->place,
        .first_key = t->n_keys,
        .n_errors = t->s->n_errors,
    };
}

/* ---- keys ---- */

static bool is_first_of_name(struct tree *t, const struct tree_frame *f, const struct tree_event *e)
{
    for (size_t i = f->first_key; i < t->n_keys; i++) {
        if (str_eq(str_of(t->keys[i].name), e->text)) {
            COMPLAIN(t, e->place, NULL, "`%s` is set twice, first in line %u", t->keys[i].name,
                     t->keys[i].line);
            return false;
        }
    }
    return true;
}

static void note_key(struct tree *t, const struct tree_event *e)
{
    struct tree_key *keys = reallocarray(t->keys, t->n_keys + 1, sizeof(*keys));
    char *name = str_dup(e->text);

    if (keys != NULL)
        t->keys = keys;
    if (keys == NULL || name == NULL) {
        free(name);
        t->is_out_of_memory = true;
        return;
    }
    keys[t->n_keys++] = (struct tree_key){.name = name, .line = e->place.line};
}

static void refuse_key(struct tree *t, const struct tree_event *e, const struct suggestion *near)
{
    struct str key = str_head(e->text, SUGGEST_MAX_WORD);

    if (near->best.s != NULL)
        COMPLAIN(t, e->place, NULL, "unknown key `" STR_FMT "`, did you mean `" STR_FMT "`?",
                 STR_ARG(key), STR_ARG(near->best));
    else
        COMPLAIN(t, e->place, NULL, "unknown key `" STR_FMT "`", STR_ARG(key));
}

/* What follows the section's prefix in a row's key; empty when the row is elsewhere. */
static struct str key_inside(const struct setting *row, const struct tree_slot *section)
{
    struct str key = str_of(row->key);

    if (section->row == NULL)
        return key;
    return str_starts(key, str_make(section->row->key, section->prefix_len))
               ? str_from(key, section->prefix_len)
               : STR_NULL;
}

/* `token_file` for the secret `token`. */
static bool is_file_of(struct str name, const struct setting *row, struct str key)
{
    return row->is_secret && row->type == SETTING_STRING &&
           key.len == name.len + strlen(SECRET_SUFFIX) && str_starts(key, name) &&
           str_ends(key, STR(SECRET_SUFFIX));
}

static struct tree_slot find_setting(struct tree *t, const struct tree_slot *section,
                                     const struct tree_event *e)
{
    struct suggestion near;

    suggest_init(&near, e->text);
    for (size_t i = 0; i < t->s->n_states; i++) {
        struct setting_state *state = &t->s->states[i];
        struct str rest = key_inside(state->row, section);
        struct str name = str_head(rest, str_find(rest, '.'));

        if (name.len == 0)
            continue;
        if (str_eq(name, e->text) && name.len == rest.len)
            return (struct tree_slot){.kind = SLOT_STATE, .row = state->row, .state = state};
        if (str_eq(name, e->text))
            return (struct tree_slot){.kind = SLOT_SECTION,
                                      .row = state->row,
                                      .prefix_len =
                                          (size_t)(name.s - state->row->key) + name.len + 1};
        if (is_file_of(name, state->row, e->text) && name.len == rest.len)
            return (struct tree_slot){
                .kind = SLOT_STATE, .row = state->row, .state = state, .is_file = true};
        suggest_offer(&near, name);
    }
    refuse_key(t, e, &near);
    return (struct tree_slot){0};
}

static bool is_name_row(const struct setting_shape *shape, const struct setting *row)
{
    return shape->map_key != NULL && str_eq(str_of(row->key), str_of(shape->map_key));
}

static struct tree_slot find_field(struct tree *t, const struct setting_shape *shape,
                                   const struct tree_event *e)
{
    const struct setting *row = objects_row(shape, e->text);
    struct suggestion near;

    if (row != NULL && !is_name_row(shape, row))
        return (struct tree_slot){.kind = SLOT_FIELD, .row = row};
    suggest_init(&near, e->text);
    for (size_t i = 0; i < shape->n_rows; i++) {
        if (!is_name_row(shape, &shape->rows[i]))
            suggest_offer(&near, str_of(shape->rows[i].key));
    }
    refuse_key(t, e, &near);
    return (struct tree_slot){0};
}

static bool add_object(struct tree *t, const struct setting *row, const struct tree_event *e)
{
    int r = objects_add(row->shape, &t->objects, e->place, &t->object);

    if (r == -ENOBUFS)
        COMPLAIN(t, e->place, row, "has more than %d items", OBJECTS_MAX);
    else if (r < 0)
        t->is_out_of_memory = true;
    return r == 0;
}

static bool parse_field(struct tree *t, const struct setting *row, struct str text,
                        const struct tree_event *e)
{
    struct buf why = BUF_INIT(MAX_WHY);
    int r = value_parse(row, text, (char *)t->object + row->offset, &why);

    return is_fine(t, r, e->place, row, &why);
}

static struct tree_slot begin_named(struct tree *t, const struct setting *row,
                                    const struct tree_event *e)
{
    if (!add_object(t, row, e))
        return (struct tree_slot){0};
    if (!parse_field(t, objects_row(row->shape, str_of(row->shape->map_key)), e->text, e))
        return (struct tree_slot){0};
    return (struct tree_slot){.kind = SLOT_NAMED, .row = row};
}

static void on_key(struct tree *t, struct tree_frame *f, const struct tree_event *e)
{
    f->has_key = true;
    f->next = (struct tree_slot){0};
    if (is_container(e)) {
        COMPLAIN(t, e->place, NULL, "a key must be a word");
        skip(t, e);
        return;
    }
    if (e->kind == TREE_VOID || !is_first_of_name(t, f, e))
        return;
    if (f->kind == FRAME_SECTION)
        f->next = find_setting(t, &f->slot, e);
    else if (f->kind == FRAME_OBJECT)
        f->next = find_field(t, f->slot.row->shape, e);
    else
        f->next = begin_named(t, f->slot.row, e);
    /* Unknown keys are not noted: there may be many, and each has its error. */
    if (f->next.kind != SLOT_SKIP)
        note_key(t, e);
}

/* ---- values ---- */

/*
 * The scalar's text with its variables replaced. Return: whether it can be used; if not, the reason
 * is told.
 */
static bool expand(struct tree *t, const struct setting *row, const struct tree_event *e,
                   struct buf *text)
{
    struct buf why = BUF_INIT(MAX_WHY);
    int r;

    if (e->is_null)
        r = buf_put(&why, STR("has no value"));
    else if (str_find(e->text, '\0') < e->text.len)
        r = buf_put(&why, STR("must not have a NUL byte"));
    else
        r = expand_variables(e->text, text, &why);
    if (r == -ENOBUFS)
        r = buf_put(&why, STR("is too long with its variables"));
    if (r == 0 && why.len > 0)
        r = -EX_CONFIG;
    return is_fine(t, r, e->place, row, &why);
}

/* The same key twice is told elsewhere: this is the secret and its file. */
static bool is_first_form(struct tree *t, const struct setting_state *state,
                          const struct tree_event *e)
{
    if (!state->row->is_secret || state->origin != SETTING_FROM_FILE)
        return true;
    COMPLAIN(t, e->place, state->row, "is set twice, here and in line %u: as itself and as a file",
             state->place.line);
    return false;
}

static void on_file_of_state(struct tree *t, struct setting_state *state, struct str path,
                             const struct tree_event *e)
{
    struct buf text = BUF_INIT(SETTINGS_MAX_FILE);
    struct buf why = BUF_INIT(MAX_WHY);
    struct blame at = blame_at(e->place, state->row);
    int r = secret_read(path, &text, &why);

    if (is_fine(t, r, e->place, state->row, &why) &&
        state_set_text(t->s, state, buf_str(&text), SETTING_FROM_FILE, &at, t->errors) == -ENOMEM)
        t->is_out_of_memory = true;
    buf_fini(&text);
}

static void on_scalar_of_state(struct tree *t, struct setting_state *state, struct str text,
                               const struct tree_event *e)
{
    struct blame at = blame_at(e->place, state->row);

    if (state_set_text(t->s, state, text, SETTING_FROM_FILE, &at, t->errors) == -ENOMEM)
        t->is_out_of_memory = true;
}

/* An object by its lead alone. */
static void on_lead(struct tree *t, const struct setting *row, struct str text,
                    const struct tree_event *e)
{
    const struct setting_shape *shape = row->shape;

    if (shape->lead == NULL)
        COMPLAIN(t, e->place, row, "must be a mapping");
    else
        (void)parse_field(t, objects_row(shape, str_of(shape->lead)), text, e);
}

static void put_scalar(struct tree *t, const struct tree_slot *slot, struct str text,
                       const struct tree_event *e)
{
    switch (slot->kind) {
    case SLOT_STATE:
        if (!is_first_form(t, slot->state, e))
            return;
        if (slot->is_file)
            on_file_of_state(t, slot->state, text, e);
        else
            on_scalar_of_state(t, slot->state, text, e);
        return;
    case SLOT_FIELD:
        (void)parse_field(t, slot->row, text, e);
        return;
    case SLOT_NAMED:
        on_lead(t, slot->row, text, e);
        return;
    case SLOT_SECTION:
    case SLOT_SKIP:
        return;
    }
}

static void on_scalar(struct tree *t, const struct tree_slot *slot, const struct tree_event *e)
{
    struct buf text = BUF_INIT(SETTINGS_MAX_FILE);

    if (slot->kind == SLOT_SKIP)
        return;
    if (slot->kind == SLOT_SECTION) {
        /* A section whose lines are all commented out is an empty one. */
        if (!e->is_null)
            COMPLAIN(t, e->place, NULL, "must be a mapping, not a single value");
        return;
    }
    if (expand(t, slot->row, e, &text))
        put_scalar(t, slot, buf_str(&text), e);
    buf_fini(&text);
}

static void on_list(struct tree *t, const struct tree_slot *slot, const struct tree_event *e)
{
    bool is_value = slot->kind == SLOT_STATE || slot->kind == SLOT_FIELD;

    if (is_value && slot->row->type == SETTING_STRINGS) {
        push(t, FRAME_STRINGS, *slot, e);
    } else if (is_value && slot->row->type == SETTING_OBJECTS &&
               slot->row->shape->map_key == NULL) {
        push(t, FRAME_OBJECTS, *slot, e);
    } else if (is_value) {
        refuse_kind(t, e, slot->row);
    } else {
        if (slot->kind != SLOT_SKIP)
            COMPLAIN(t, e->place, NULL, "must be a mapping, not a list");
        skip(t, e);
    }
}

static void on_mapping(struct tree *t, const struct tree_slot *slot, const struct tree_event *e)
{
    const struct setting *row = slot->row;

    if (slot->kind == SLOT_SECTION)
        push(t, FRAME_SECTION, *slot, e);
    else if (slot->kind == SLOT_NAMED)
        push(t, FRAME_OBJECT, *slot, e);
    else if (slot->kind == SLOT_STATE && row->type == SETTING_OBJECTS &&
             row->shape->map_key != NULL)
        push(t, FRAME_NAMED, *slot, e);
    else if (slot->kind == SLOT_SKIP)
        skip(t, e);
    else
        refuse_kind(t, e, row);
}

static void on_value(struct tree *t, const struct tree_slot *slot, const struct tree_event *e)
{
    if (e->kind == TREE_LIST)
        on_list(t, slot, e);
    else if (e->kind == TREE_MAPPING)
        on_mapping(t, slot, e);
    else if (e->kind == TREE_SCALAR)
        on_scalar(t, slot, e);
}

static void put_item(struct tree *t, const struct setting *row, const struct tree_event *e)
{
    struct buf text = BUF_INIT(SETTINGS_MAX_FILE);
    struct buf why = BUF_INIT(MAX_WHY);

    if (expand(t, row, e, &text))
        (void)is_fine(t, value_put_item(row, buf_str(&text), &t->strings, &why), e->place, row,
                      &why);
    buf_fini(&text);
}

static void on_item(struct tree *t, const struct tree_frame *f, const struct tree_event *e)
{
    struct tree_slot object = {.kind = SLOT_NAMED, .row = f->slot.row};

    if (f->kind == FRAME_STRINGS && e->kind == TREE_SCALAR) {
        put_item(t, f->slot.row, e);
    } else if (f->kind == FRAME_STRINGS) {
        COMPLAIN(t, e->place, f->slot.row, "must be a single value");
        skip(t, e);
    } else if (add_object(t, f->slot.row, e)) {
        on_value(t, &object, e);
    } else {
        skip(t, e);
    }
}

/* ---- ends ---- */

static void check_required(struct tree *t, const struct tree_frame *f)
{
    const struct setting_shape *shape = f->slot.row->shape;

    for (size_t i = 0; i < shape->n_rows; i++) {
        const struct setting *row = &shape->rows[i];
        size_t at = f->first_key;

        if (!row->is_required || is_name_row(shape, row))
            continue;
        while (at < t->n_keys && !str_eq(str_of(t->keys[at].name), str_of(row->key)))
            at++;
        if (at == t->n_keys)
            COMPLAIN(t, f->place, NULL, "`%s` is missing", row->key);
    }
}

/* A list is whole: into its field, unless something in it was wrong. */
static void store_list(struct tree *t, const struct tree_frame *f)
{
    const struct setting *row = f->slot.row;
    void *list = f->kind == FRAME_STRINGS ? (void *)&t->strings : (void *)&t->objects;
    size_t n = f->kind == FRAME_STRINGS ? t->strings.n : t->objects.n;
    struct buf why = BUF_INIT(MAX_WHY);
    bool is_good = t->s->n_errors == f->n_errors && !t->is_out_of_memory;

    if (!is_good || !is_fine(t, value_check_count(row, n, &why), f->place, row, &why)) {
        drop_collected(t, f);
        return;
    }
    if (f->slot.kind == SLOT_STATE) {
        state_store(f->slot.state, list, SETTING_FROM_FILE, f->place);
        return;
    }
    value_free(row, (char *)t->object + row->offset);
    memcpy((char *)t->object + row->offset, list, sizeof(t->strings));
    t->strings = (struct strings){0};
}

static void on_end(struct tree *t)
{
    struct tree_frame *f = top(t);

    if (f->kind == FRAME_OBJECT)
        check_required(t, f);
    else if (f->kind != FRAME_SECTION)
        store_list(t, f);
    drop_keys(t, f->first_key);
    t->depth--;
}

static void dispatch(struct tree *t, const struct tree_event *e)
{
    static const struct tree_slot whole_file = {.kind = SLOT_SECTION};
    struct tree_frame *f = top(t);

    if (e->kind == TREE_END) {
        on_end(t);
    } else if (f == NULL) {
        on_value(t, &whole_file, e);
    } else if (f->kind == FRAME_OBJECTS || f->kind == FRAME_STRINGS) {
        if (e->kind != TREE_VOID)
            on_item(t, f, e);
    } else if (!f->has_key) {
        on_key(t, f, e);
    } else {
        f->has_key = false;
        on_value(t, &f->next, e);
    }
}

/* Return: whether the event is inside of something that is skipped. */
static bool is_skipped(struct tree *t, const struct tree_event *e)
{
    if (t->n_skipped == 0)
        return false;
    if (is_container(e))
        t->n_skipped++;
    else if (e->kind == TREE_END)
        t->n_skipped--;
    return true;
}

int tree_feed(struct tree *t, const struct tree_event *e)
{
    if (is_container(e) && t->depth + t->n_skipped == SETTINGS_MAX_DEPTH) {
        COMPLAIN(t, e->place, NULL, "nested more than %d deep", SETTINGS_MAX_DEPTH);
        return -EX_CONFIG;
    }
    if (!is_skipped(t, e))
        dispatch(t, e);
    if (t->is_out_of_memory)
        return -ENOMEM;
    return t->s->n_errors > SETTINGS_MAX_ERRORS ? -EX_CONFIG : 0;
}
