/* SPDX-License-Identifier: MIT */
#include "observe/series.h"

#include <errno.h>

#include "observe/text.h"

#define FIRST_SLOTS 64
#define MAX_NAME    255

/* ---- labels ---- */

/* The format's own escapes: backslash, quote and line feed. */
static int put_label_value(struct str value, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < value.len; i++) {
        char c = value.s[i];

        if (c == '\n')
            r = buf_put(out, STR("\\n"));
        else if (c == '"' || c == '\\')
            r = buf_put(out, str_make((const char[]){'\\', c}, 2));
        else
            r = buf_put_char(out, c);
    }
    return r;
}

static int put_label(const char *name, struct str value, bool is_first, struct buf *out)
{
    int r = buf_printf(out, "%s%s=\"", is_first ? "" : ",", name);

    if (r == 0)
        r = put_label_value(value, out);
    return r < 0 ? r : buf_put_char(out, '"');
}

int series_print_labels(const struct series *s, unsigned which, struct buf *out)
{
    const struct series_labels *l = &s->labels;
    char status[16] = "other";
    const struct {
        const char *name;
        struct str value;
    } all[] = {
        {"route", l->route},
        {"model", l->model},
        {"node", l->node},
        {"status", STR_NULL},
        {"reason", l->reason < N_REASONS ? str_of(reason_name(l->reason)) : STR("other")},
        {"outcome", l->outcome},
    };
    bool is_first = true;
    int r = 0;

    if (l->status >= 0)
        (void)snprintf(status, sizeof(status), "%d", l->status);
    for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
        if ((which & (1U << i)) == 0)
            continue;
        r = put_label(all[i].name, (1U << i) == SERIES_STATUS ? str_of(status) : all[i].value,
                      is_first, out);
        is_first = false;
    }
    return r;
}

/* ---- table ---- */

static struct series_labels mask(const struct series_labels *labels, unsigned which)
{
    return (struct series_labels){
        .route = which & SERIES_ROUTE ? labels->route : STR_NULL,
        .model = which & SERIES_MODEL ? labels->model : STR_NULL,
        .node = which & SERIES_NODE ? labels->node : STR_NULL,
        .outcome = which & SERIES_OUTCOME ? labels->outcome : STR_NULL,
        .status = which & SERIES_STATUS ? labels->status : 0,
        .reason = which & SERIES_REASON ? labels->reason : REASON_none,
    };
}

/* Labels in the form in which they are compared, hashed and kept. */
struct packed {
    struct series_labels labels; /* texts point into bytes */
    size_t len;
    char bytes[4 * MAX_NAME + 16];
};

/*
 * One value that is no UTF-8 would make a scrape fail as a whole. It is repaired here and not when
 * printed, so that two values that look alike are one series.
 */
static void pack_text(struct packed *p, struct str *text)
{
    struct str rest = str_head(*text, MAX_NAME);
    size_t begin = p->len;

    while (rest.len > 0) {
        size_t n = text_utf8_len(rest);

        if (n == 0)
            p->bytes[p->len] = '?';
        else
            memcpy(p->bytes + p->len, rest.s, n);
        n = n > 0 ? n : 1;
        p->len += n;
        rest = str_from(rest, n);
    }
    *text = str_make(p->bytes + begin, p->len - begin);
}

static void pack(struct packed *p, const struct series_labels *labels)
{
    struct series_labels *l = &p->labels;
    struct str numbers;

    p->len = 0;
    *l = *labels;
    pack_text(p, &l->route);
    pack_text(p, &l->model);
    pack_text(p, &l->node);
    pack_text(p, &l->outcome);
    /* Lengths belong to the hash: "ab" + "c" is not "a" + "bc". */
    numbers = str_make((const char[]){(char)l->route.len, (char)l->model.len, (char)l->node.len,
                                      (char)l->status, (char)(l->status >> 8), (char)l->reason},
                       6);
    memcpy(p->bytes + p->len, numbers.s, numbers.len);
}

static uint64_t hash_packed(const struct series_table *t, const struct packed *p)
{
    return hash_bytes(t->key, str_make(p->bytes, p->len + 6));
}

static bool is_same(const struct series_labels *a, const struct series_labels *b)
{
    return a->status == b->status && a->reason == b->reason && str_eq(a->route, b->route) &&
           str_eq(a->model, b->model) && str_eq(a->node, b->node) && str_eq(a->outcome, b->outcome);
}

void series_table_init(struct series_table *t, unsigned which, size_t max)
{
    static const struct series_labels other = {
        .route = {"other", 5},
        .model = {"other", 5},
        .node = {"other", 5},
        .outcome = {"other", 5},
        .status = -1,
        .reason = N_REASONS,
    };

    *t = (struct series_table){.which = which, .key = hash_key_make(), .max = max};
    t->other.labels = mask(&other, which);
}

void series_table_fini(struct series_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->all[i]);
    free(t->all);
    free(t->slots);
    *t = (struct series_table){0};
}

/* Where the series is, or belongs. */
static struct series **find_slot(const struct series_table *t, uint64_t hash,
                                 const struct series_labels *labels)
{
    size_t i = hash & (t->n_slots - 1);

    while (t->slots[i] != NULL &&
           (t->slots[i]->hash != hash || !is_same(&t->slots[i]->labels, labels)))
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

/* Return: whether there is room for one more. */
static bool grow(struct series_table *t)
{
    struct series_table bigger = *t;
    struct series **all;

    if (t->n < t->n_slots / 2)
        return true;
    bigger.n_slots = t->n_slots > 0 ? 2 * t->n_slots : FIRST_SLOTS;
    all = reallocarray(t->all, bigger.n_slots / 2, sizeof(struct series *));
    if (all == NULL)
        return false;
    t->all = all;
    bigger.all = all;
    bigger.slots = calloc(bigger.n_slots, sizeof(struct series *));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < t->n; i++)
        *find_slot(&bigger, all[i]->hash, &all[i]->labels) = all[i];
    free(t->slots);
    t->slots = bigger.slots;
    t->n_slots = bigger.n_slots;
    return true;
}

static struct str move_text(struct str text, const char *from, const char *to)
{
    return str_make(to + (text.s - from), text.len);
}

static struct series *make(uint64_t hash, const struct packed *p)
{
    struct series *s = calloc(1, sizeof(*s) + p->len);
    char *texts;

    if (s == NULL)
        return NULL;
    texts = (char *)(s + 1);
    memcpy(texts, p->bytes, p->len);
    s->hash = hash;
    s->labels = p->labels;
    s->labels.route = move_text(p->labels.route, p->bytes, texts);
    s->labels.model = move_text(p->labels.model, p->bytes, texts);
    s->labels.node = move_text(p->labels.node, p->bytes, texts);
    s->labels.outcome = move_text(p->labels.outcome, p->bytes, texts);
    return s;
}

struct series *series_get(struct series_table *t, const struct series_labels *labels)
{
    const struct series_labels wanted = mask(labels, t->which);
    struct packed p;
    struct series **slot;
    struct series *s;
    uint64_t hash;

    /* Packing changes nothing of what is packed, so labels that are equal as they come are the same. */
    if (t->last != NULL && is_same(&wanted, &t->last->labels))
        return t->last;
    pack(&p, &wanted);
    hash = hash_packed(t, &p);
    slot = t->n_slots > 0 ? find_slot(t, hash, &p.labels) : NULL;
    if (slot != NULL && *slot != NULL) {
        t->last = *slot;
        return *slot;
    }
    /* Series called "other" already must not stand twice in one family. */
    if (is_same(&p.labels, &t->other.labels) || t->n == t->max || !grow(t))
        return &t->other;
    s = make(hash, &p);
    if (s == NULL)
        return &t->other;
    t->all[t->n++] = s;
    *find_slot(t, hash, &p.labels) = s;
    return s;
}

const struct series *series_at(const struct series_table *t, size_t i)
{
    if (i < t->n)
        return t->all[i];
    return i == t->n && t->other.n > 0 ? &t->other : NULL;
}

void series_add_table(struct series_table *t, const struct series_table *from)
{
    size_t i = 0;

    for (const struct series *s; (s = series_at(from, i)) != NULL; i++) {
        struct series *sum = series_get(t, &s->labels);

        sum->n += s->n;
        sum->tokens_in += s->tokens_in;
        sum->tokens_out += s->tokens_out;
        histogram_add(&sum->queued, &s->queued);
        histogram_add(&sum->first_record, &s->first_record);
        histogram_add(&sum->between, &s->between);
        histogram_add(&sum->total, &s->total);
    }
}
