/* SPDX-License-Identifier: MIT */
#include "fleet/slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FIRST_LIMIT 2
/* Without durations (the OpenAI and Anthropic APIs, embeddings) nothing would ever say "too many". */
#define BLIND_MAX   16
#define PROBE_FIRST 32
#define PROBE_MAX   256
/* A node's own work is in the same difference; waits are a share of other requests' time. */
#define WAIT_MIN_NS (10 * NSEC_PER_MSEC)
#define WAIT_SHARE  5
#define WAITS_MIN   2 /* one alone may be a busy machine */
/* About 10 ms while streaming (Ollama 0.11.4); prompt evaluation of older ones runs to its end. */
#define LINGER_MIN_NS (20 * NSEC_PER_MSEC)
#define LINGER_MAX_NS (5 * NSEC_PER_SEC)
#define SOON_NS       (100 * NSEC_PER_MSEC)

void slots_fini(struct slots_table *t)
{
    free(t->at);
    *t = (struct slots_table){0};
}

static void learn_anew(struct slots *s)
{
    s->limit = FIRST_LIMIT;
    s->n_needed = 0;
    s->n_clean = 0;
    s->n_waits = 0;
    s->linger = LINGER_MIN_NS;
    s->n_served = 0;
}

void slots_forget(struct slots_table *t)
{
    for (uint16_t i = 0; i < t->n; i++)
        learn_anew(&t->at[i]);
}

static struct slots *find(const struct slots_table *t, const struct residency *what)
{
    for (uint16_t i = 0; i < t->n; i++)
        if (t->at[i].what.model == what->model && t->at[i].what.options == what->options)
            return &t->at[i];
    return NULL;
}

const struct slots *slots_find(const struct slots_table *t, const struct residency *what)
{
    return find(t, what);
}

const struct slots *slots_find_latest(const struct slots_table *t, uint64_t model)
{
    const struct slots *latest = NULL;

    for (uint16_t i = 0; i < t->n; i++)
        if (t->at[i].what.model == model && (latest == NULL || t->at[i].used_at > latest->used_at))
            latest = &t->at[i];
    return latest;
}

static uint32_t limit_of(const struct slots *s, uint32_t setting)
{
    if (setting != SLOTS_AUTO)
        return setting;
    return s != NULL ? s->limit : FIRST_LIMIT;
}

uint32_t slots_limit(const struct slots_table *t, uint32_t setting, const struct residency *what)
{
    return limit_of(find(t, what), setting);
}

static bool is_busy_otherwise(const struct slots_table *t, const struct residency *what)
{
    for (uint16_t i = 0; i < t->n; i++)
        if (t->at[i].what.model == what->model && t->at[i].what.options != what->options &&
            t->at[i].n_busy > 0)
            return true;
    return false;
}

/* An idle place, of those the one that was not used for longest; NULL: all are busy. */
static struct slots *find_idle(const struct slots_table *t)
{
    struct slots *oldest = NULL;

    for (uint16_t i = 0; i < t->n; i++)
        if (t->at[i].n_busy == 0 && (oldest == NULL || t->at[i].used_at < oldest->used_at))
            oldest = &t->at[i];
    return oldest;
}

uint32_t slots_free(const struct slots_table *t, uint32_t setting, const struct residency *what)
{
    const struct slots *s = find(t, what);
    uint32_t limit = limit_of(s, setting);

    if (limit == SLOTS_ANY)
        return SLOTS_ANY;
    if (is_busy_otherwise(t, what))
        return 0;
    if (s == NULL)
        return t->n < SLOTS_MAX || find_idle(t) != NULL ? limit : 0;
    return s->n_busy < limit ? limit - s->n_busy : 0;
}

static int grow(struct slots_table *t)
{
    uint16_t cap = t->cap > 0 ? (uint16_t)(t->cap * 2) : 4;
    struct slots *at = realloc(t->at, cap * sizeof(*at));

    if (at == NULL)
        return -ENOMEM;
    t->at = at;
    t->cap = cap;
    return 0;
}

static int get(struct slots_table *t, const struct residency *what, struct slots **ret_slots)
{
    struct slots *s = find(t, what);

    if (s == NULL && t->n == SLOTS_MAX)
        s = find_idle(t);
    else if (s != NULL) {
        *ret_slots = s;
        return 0;
    } else if (t->n == t->cap && grow(t) < 0)
        return -ENOMEM;
    else
        s = &t->at[t->n++];
    if (s == NULL)
        return -ENOBUFS;
    *s = (struct slots){.what = *what};
    learn_anew(s);
    *ret_slots = s;
    return 0;
}

int slots_take(struct slots_table *t, uint32_t setting, const struct residency *what, nsec_t now,
               struct slot *ret_slot)
{
    struct slots *s;
    int r = get(t, what, &s);

    if (r < 0)
        return r;
    s->n_busy++;
    s->used_at = now;
    *ret_slot = (struct slot){
        .index = (uint16_t)(s - t->at),
        .n_busy = s->n_busy,
        .is_full = s->n_busy >= limit_of(s, setting),
        .taken_at = now,
    };
    return 0;
}

/* No answer waits behind another: there may be more. */
static void grow_fast(struct slots *s, uint32_t max)
{
    if (s->limit < max)
        s->limit = s->limit * 2 < max ? s->limit * 2 : max;
}

bool slots_wants_begin(const struct slots_table *t, uint32_t setting, const struct slot *slot)
{
    return setting == SLOTS_AUTO && slot->index != SLOTS_NONE && t->at[slot->index].n_needed == 0;
}

bool slots_begin(struct slots_table *t, struct slot *slot)
{
    struct slots *s;

    if (slot->index == SLOTS_NONE || slot->has_begun)
        return false;
    s = &t->at[slot->index];
    slot->has_begun = true;
    s->n_begun++;
    if (s->n_needed > 0 || s->n_begun < s->limit)
        return false;
    grow_fast(s, SLOTS_LEARN_MAX);
    return true;
}

/* What the node did not spend on the request itself; -1: it does not say. */
static nsec_t wait_of(const struct slots_told *told)
{
    uint64_t own = told->load_ns + told->prompt_ns + told->eval_ns;
    uint64_t work = told->prompt_ns + told->eval_ns;

    if (told->total_ns == 0 || told->eval_ns == 0)
        return -1;
    if (told->total_ns <= own || told->total_ns - own < WAIT_MIN_NS ||
        told->total_ns - own < work / WAIT_SHARE)
        return 0;
    return (nsec_t)(told->total_ns - own);
}

/* A slot was given on before the node had noticed that the one before was gone. */
static bool is_behind_a_cut(const struct slots *s, const struct slot *slot)
{
    return s->freed_at > 0 && slot->taken_at >= s->freed_at &&
           slot->taken_at - s->freed_at < SOON_NS;
}

static void learn_wait(struct slots *s, const struct slot *slot, nsec_t wait)
{
    uint32_t proven = slot->n_busy > 1 ? slot->n_busy - 1 : 1;

    if (is_behind_a_cut(s, slot)) {
        s->linger = s->linger + wait < LINGER_MAX_NS ? s->linger + wait : LINGER_MAX_NS;
        return;
    }
    if (s->n_waits == 0 || proven < s->proven)
        s->proven = proven;
    s->n_waits++;
    s->n_clean = 0;
    if (s->n_waits < WAITS_MIN || s->proven >= s->limit)
        return;
    s->limit = s->proven;
    s->n_needed = s->n_needed == 0 ? PROBE_FIRST : s->n_needed * 2;
    if (s->n_needed > PROBE_MAX)
        s->n_needed = PROBE_MAX;
}

static void learn_no_wait(struct slots *s, const struct slot *slot, bool is_told)
{
    if (is_behind_a_cut(s, slot) && s->linger > LINGER_MIN_NS)
        s->linger -= (s->linger - LINGER_MIN_NS) / 4;
    if (s->n_waits > 0 && slot->n_busy > s->proven)
        s->n_waits = 0;
    if (!slot->is_full || slot->n_busy < s->limit)
        return;
    if (s->n_needed == 0) {
        grow_fast(s, is_told ? SLOTS_LEARN_MAX : BLIND_MAX);
        return;
    }
    if (!is_told || ++s->n_clean < s->n_needed)
        return;
    s->n_clean = 0;
    s->limit++;
}

static void learn(struct slots *s, const struct slot *slot, const struct slots_told *told,
                  nsec_t now)
{
    nsec_t wait = wait_of(told);

    s->service[s->n_served++ % SLOTS_SAMPLES] =
        now - slot->taken_at - (nsec_t)told->load_ns - (wait > 0 ? wait : 0);
    if (wait > 0)
        learn_wait(s, slot, wait);
    else
        learn_no_wait(s, slot, wait == 0);
}

static struct slots *leave(struct slots_table *t, const struct slot *slot)
{
    struct slots *s = &t->at[slot->index];

    assert(slot->index < t->n && s->n_busy > s->n_kept);

    if (slot->has_begun)
        s->n_begun--;
    return s;
}

void slots_give(struct slots_table *t, struct slot *slot, const struct slots_told *told, nsec_t now)
{
    struct slots *s;

    if (slot->index == SLOTS_NONE)
        return;
    s = leave(t, slot);
    if (told != NULL)
        learn(s, slot, told, now);
    s->n_busy--;
    slot->index = SLOTS_NONE;
}

nsec_t slots_keep(struct slots_table *t, struct slot *slot, nsec_t now)
{
    struct slots *s;
    nsec_t latest;

    if (slot->index == SLOTS_NONE)
        return NSEC_NEVER;
    s = leave(t, slot);
    if (s->n_kept++ == 0)
        s->kept_since = now;
    latest = s->kept_since + LINGER_MAX_NS;
    s->kept_until = now + s->linger < latest ? now + s->linger : latest;
    slot->index = SLOTS_NONE;
    return s->kept_until;
}

nsec_t slots_settle(struct slots_table *t, nsec_t now, bool *ret_has_freed)
{
    nsec_t next = NSEC_NEVER;

    for (uint16_t i = 0; i < t->n; i++) {
        struct slots *s = &t->at[i];

        if (s->n_kept == 0)
            continue;
        if (s->kept_until > now) {
            next = s->kept_until < next ? s->kept_until : next;
            continue;
        }
        s->n_busy -= s->n_kept;
        s->n_kept = 0;
        s->freed_at = now;
        *ret_has_freed = true;
    }
    return next;
}

uint32_t slots_n_held(const struct slots_table *t)
{
    uint32_t n = 0;

    for (uint16_t i = 0; i < t->n; i++)
        n += t->at[i].n_busy - t->at[i].n_kept;
    return n;
}

static int compare(const void *a, const void *b)
{
    const nsec_t *x = a;
    const nsec_t *y = b;

    return (*x > *y) - (*x < *y);
}

nsec_t slots_service(const struct slots *s)
{
    nsec_t sorted[SLOTS_SAMPLES];
    uint32_t n = s->n_served < SLOTS_SAMPLES ? s->n_served : SLOTS_SAMPLES;

    if (n == 0)
        return -1;
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = s->service[i];
    qsort(sorted, n, sizeof(sorted[0]), compare);
    return sorted[n / 2];
}
