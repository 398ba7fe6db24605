/* SPDX-License-Identifier: MIT */
#include "api/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "api/model_name.h"
#include "base/err.h"
#include "base/hash.h"
#include "json/reader.h"
#include "json/writer.h"

/* ---- reading a listing --------------------------------------------------------------------- */

struct element {
    struct str raw;
    /* the name is empty when there is none, or one longer than any valid name */
    struct api_model model;
    char space[MODEL_KEY_MAX];
};

static int enter_object(struct json_reader *r, struct str text)
{
    struct json_token t;
    int rc;

    json_reader_init(r, text);
    rc = json_next(r, &t);
    if (rc < 0)
        return rc;
    return t.type == JSON_OBJECT_BEGIN ? 0 : -EX_JSON_SYNTAX;
}

enum {
    LISTING_EMPTY = 1, /* null instead of an array */
};

/*
 * Goes to the array @list of the top object. Return: 0 json_element() comes next; LISTING_EMPTY;
 * -EX_JSON_*.
 */
static int enter_listing(struct json_reader *r, struct str body, struct str list)
{
    struct json_token t;
    int rc = enter_object(r, body);

    while (rc == 0) {
        rc = json_next(r, &t);
        if (rc < 0)
            break;
        if (t.type != JSON_KEY)
            return -EX_JSON_SYNTAX;
        if (!json_key_is(&t, list)) {
            rc = json_skip(r, NULL);
            continue;
        }
        rc = json_next(r, &t);
        if (rc < 0)
            break;
        if (t.type == JSON_NULL)
            return LISTING_EMPTY;
        return t.type == JSON_ARRAY_BEGIN ? 0 : -EX_JSON_SYNTAX;
    }
    return rc;
}

static void take_name(struct element *e, const struct json_token *t)
{
    /* A lent buffer at its maximum never allocates. */
    struct buf lent = {.data = e->space, .cap = sizeof(e->space), .max = sizeof(e->space)};

    e->model.name = json_decode(t, &lent) == 0 ? buf_str(&lent) : STR_NULL;
}

/*
 * Reads the members of an element that we look at. "model" is as good as "name", both are there in
 * /api/tags.
 */
static int read_element(struct element *e)
{
    struct json_reader r;
    struct json_token key;
    struct json_token t;
    int rc;

    e->model = (struct api_model){0};
    rc = enter_object(&r, e->raw);
    while (rc == 0) {
        rc = json_next(&r, &key);
        if (rc < 0 || key.type != JSON_KEY)
            break;
        rc = json_next(&r, &t);
        if (rc < 0)
            break;
        if (json_is_begin(&t))
            rc = json_leave(&r);
        else if (t.type == JSON_NUMBER && json_key_is(&key, STR("size")))
            (void)!json_to_u64(&t, &e->model.size);
        else if (t.type != JSON_STRING)
            continue;
        else if (json_key_is(&key, STR("digest")))
            e->model.digest = t.raw;
        else if (json_key_is(&key, STR("expires_at")))
            e->model.expires_at = t.raw;
        else if (e->model.name.len == 0 &&
                 (json_key_is(&key, STR("name")) || json_key_is(&key, STR("model")) ||
                  json_key_is(&key, STR("id"))))
            take_name(e, &t);
    }
    return rc;
}

/* Return: 0 @e is the next element; JSON_LAST; -EX_JSON_*. One that is no object has no name. */
static int next_element(struct json_reader *r, struct element *e)
{
    int rc = json_element(r);

    if (rc != 0)
        return rc;
    rc = json_skip(r, &e->raw);
    if (rc < 0)
        return rc;
    e->model.name = STR_NULL;
    return e->raw.s[0] == '{' ? read_element(e) : 0;
}

int api_each_model(struct str body, api_each_model_fn *each, void *arg)
{
    struct json_reader r;
    struct element e;
    int rc = enter_listing(&r, body, STR("models"));

    if (rc == LISTING_EMPTY)
        return 0;
    while (rc == 0) {
        rc = next_element(&r, &e);
        if (rc == JSON_LAST)
            return 0;
        if (rc == 0 && e.model.name.len > 0)
            rc = each(arg, &e.model);
    }
    return rc;
}

int api_read_version(struct str body, char out[static 64])
{
    struct json_reader r;
    struct json_token t;
    struct buf lent = {.data = out, .cap = 63, .max = 63};
    int rc = enter_object(&r, body);

    while (rc == 0) {
        rc = json_next(&r, &t);
        if (rc < 0 || t.type != JSON_KEY)
            break;
        if (!json_key_is(&t, STR("version"))) {
            rc = json_skip(&r, NULL);
            continue;
        }
        if (json_next(&r, &t) < 0 || t.type != JSON_STRING || json_decode(&t, &lent) < 0)
            break;
        out[lent.len] = '\0';
        return 0;
    }
    return -EX_JSON_SYNTAX;
}

/* ---- models already there ------------------------------------------------------------------ */

/* An open-addressed set of hashes of model keys; 0 is a free slot. At most half full. */
struct seen {
    uint64_t *slots;
    size_t n;
    size_t cap; /* a power of two, or 0 */
};

/* Where @hash is, or the free slot where it would be. */
static uint64_t *seen_slot(const struct seen *seen, uint64_t hash)
{
    size_t at = (size_t)hash & (seen->cap - 1);

    while (seen->slots[at] != 0 && seen->slots[at] != hash)
        at = (at + 1) & (seen->cap - 1);
    return &seen->slots[at];
}

static int seen_grow(struct seen *seen)
{
    struct seen bigger = {.n = seen->n, .cap = seen->cap > 0 ? seen->cap * 2 : 64};

    bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < seen->cap; i++)
        if (seen->slots[i] != 0)
            *seen_slot(&bigger, seen->slots[i]) = seen->slots[i];
    free(seen->slots);
    *seen = bigger;
    return 0;
}

enum {
    SEEN_BEFORE = 1,
};

/*
 * The key of @name, or @name itself when a node lists what is no valid name. Return: 0 it is new;
 * SEEN_BEFORE; -ENOMEM.
 */
static int seen_add(struct seen *seen, struct str name)
{
    struct model_key key;
    struct str text = model_key_parse(name, &key) == 0 ? model_key_str(&key) : name;
    /*
     * 64 bits suffice for a listing: a collision by chance hides one model in 10^12 listings of
     * 1000.
     */
    uint64_t hash = hash_bytes((struct hash_key){0}, text) | 1;
    uint64_t *slot;
    int rc;

    if (seen->n * 2 >= seen->cap) {
        rc = seen_grow(seen);
        if (rc < 0)
            return rc;
    }
    slot = seen_slot(seen, hash);
    if (*slot == hash)
        return SEEN_BEFORE;
    *slot = hash;
    seen->n++;
    return 0;
}

/* ---- merging ------------------------------------------------------------------------------- */

struct merge {
    struct buf *out;
    struct str list; /* name of the array */
    bool keeps_all;  /* and says whose each element is */
    size_t n_put;
    struct seen seen;
};

/*
 * Whether a body is a listing from its first to its last byte: a part is taken whole or not at all.
 */
static bool is_listing(struct str body, struct str list)
{
    struct json_reader r;
    int rc = enter_listing(&r, body, list);

    if (rc < 0)
        return false;
    return json_leave(&r) == 0 && (rc == LISTING_EMPTY || json_leave(&r) == 0);
}

/* The element with "node":"NAME" as its last member. It has members: at least its name. */
static int put_with_node(struct buf *out, struct str raw, struct str node)
{
    struct json_writer w;
    int rc = buf_put(out, str_head(raw, raw.len - 1));

    if (rc == 0)
        rc = buf_put(out, STR(",\"node\":"));
    if (rc < 0)
        return rc;
    json_writer_init(&w, out);
    json_str(&w, node);
    rc = json_writer_result(&w);
    return rc < 0 ? rc : buf_put_char(out, '}');
}

static int put_element(struct merge *m, const struct element *e, struct str node)
{
    int rc = m->keeps_all ? 0 : seen_add(&m->seen, e->model.name);

    if (rc != 0)
        return rc == SEEN_BEFORE ? 0 : rc;
    rc = buf_put(m->out, m->n_put > 0 ? STR(",") : STR("["));
    if (rc < 0)
        return rc;
    m->n_put++;
    return m->keeps_all ? put_with_node(m->out, e->raw, node) : buf_put(m->out, e->raw);
}

static int put_part(struct merge *m, const struct api_part *part)
{
    struct json_reader r;
    struct element e;
    int rc;

    if (!is_listing(part->body, m->list) || enter_listing(&r, part->body, m->list) != 0)
        return 0;
    for (;;) {
        rc = next_element(&r, &e);
        if (rc != 0)
            return rc == JSON_LAST ? 0 : rc;
        if (e.model.name.len == 0)
            continue;
        rc = put_element(m, &e, part->node);
        if (rc < 0)
            return rc;
    }
}

static int put_parts(struct merge *m, const struct api_part *parts, size_t n_parts,
                     struct str when_empty)
{
    int rc = 0;

    for (size_t i = 0; i < n_parts && rc == 0; i++)
        rc = put_part(m, &parts[i]);
    if (rc < 0)
        return rc;
    return buf_put(m->out, m->n_put > 0 ? STR("]") : when_empty);
}

int api_merge(enum api_route_id route, const struct api_part *parts, size_t n_parts,
              struct buf *out)
{
    bool is_v1 = route == ROUTE_V1_MODELS;
    struct merge m = {
        .out = out, .list = is_v1 ? STR("data") : STR("models"), .keeps_all = route == ROUTE_PS};
    size_t start = out->len;
    int rc = buf_put(out, is_v1 ? STR("{\"object\":\"list\",\"data\":") : STR("{\"models\":"));

    if (rc == 0)
        rc = put_parts(&m, parts, n_parts, is_v1 ? STR("null") : STR("[]"));
    if (rc == 0)
        rc = buf_put(out, is_v1 ? STR("}\n") : STR("}"));
    if (rc < 0)
        out->len = start;
    free(m.seen.slots);
    return rc;
}
