/* SPDX-License-Identifier: MIT */
#include "fleet/affinity.h"

#include "base/hash.h"

#define KIB      1024
#define NO_NODES UINT64_MAX

/* Where mark @i stands. */
static size_t place_of(uint32_t i)
{
    if (i < 16)
        return (size_t)(i + 1) * KIB;
    if (i < 32)
        return (size_t)(16 + (i - 15) * 4) * KIB;
    return (size_t)(80 + (i - 31) * 32) * KIB;
}

/* Goes on with @text, which begins at @from of the whole. */
static void read_text(struct prefix *p, uint64_t hash, size_t from, struct str text)
{
    while (p->n < PREFIX_MARKS) {
        size_t n = place_of(p->n) - from;

        if (text.len < n)
            return;
        hash = hash_bytes((struct hash_key){hash, 1}, str_head(text, n));
        p->marks[p->n++] = hash;
        text = str_from(text, n);
        from += n;
    }
}

/* The system prompt is a mark of its own, whatever its length: it is what prompts share. */
void prefix_read(struct prefix *p, uint64_t model, struct str system, struct str content)
{
    uint64_t hash = hash_bytes((struct hash_key){model, 0}, system);

    p->n = 0;
    if (system.len >= KIB)
        p->marks[p->n++] = hash;
    read_text(p, hash, p->n > 0 ? place_of(0) : 0, content);
}

int affinity_init(struct affinity *a)
{
    int r = lru_init(&a->sessions, AFFINITY_SESSIONS_MAX);

    return r < 0 ? r : lru_init(&a->marks, AFFINITY_MARKS_MAX);
}

void affinity_fini(struct affinity *a)
{
    lru_fini(&a->sessions);
    lru_fini(&a->marks);
}

uint16_t affinity_home(const struct affinity *a, uint64_t session, nsec_t idle, nsec_t now)
{
    const struct lru_entry *e = lru_get(&a->sessions, session);

    return e != NULL && now - e->at < idle ? (uint16_t)e->value : AFFINITY_NO_NODE;
}

void affinity_put_home(struct affinity *a, uint64_t session, uint16_t node, nsec_t now)
{
    lru_put(&a->sessions, session, node, now);
}

/* Who knows a mark knew those before it too, so halving finds the last one. */
struct prefix_known affinity_look(const struct affinity *a, const struct prefix *p)
{
    struct prefix_known known = {0, NO_NODES};
    uint32_t end = p->n;

    while (known.n < end) {
        uint32_t middle = known.n + (end - known.n + 1) / 2;
        const struct lru_entry *e = lru_get(&a->marks, p->marks[middle - 1]);

        if (e == NULL)
            end = middle - 1;
        else
            known = (struct prefix_known){middle, e->value};
    }
    return known;
}

bool prefix_is_known_by(const struct prefix_known *known, uint16_t node)
{
    for (int i = 0; i < PREFIX_NODES; i++)
        if ((uint16_t)(known->nodes >> (16 * i)) == node)
            return true;
    return false;
}

/* @node first, the others behind it. */
static uint64_t put_first(uint64_t nodes, uint16_t node)
{
    uint64_t out = node;
    int n = 1;

    for (int i = 0; i < PREFIX_NODES && n < PREFIX_NODES; i++) {
        uint16_t other = (uint16_t)(nodes >> (16 * i));

        if (other != node)
            out |= (uint64_t)other << (16 * n++);
    }
    while (n < PREFIX_NODES)
        out |= (uint64_t)AFFINITY_NO_NODE << (16 * n++);
    return out;
}

void affinity_learn(struct affinity *a, const struct prefix *p, const struct prefix_known *known,
                    uint16_t node, nsec_t now)
{
    /* of what it knows the last mark alone is made new */
    uint32_t from = known->n > 0 && prefix_is_known_by(known, node) ? known->n - 1 : 0;

    for (uint32_t i = from; i < p->n; i++) {
        const struct lru_entry *e = lru_get(&a->marks, p->marks[i]);

        lru_put(&a->marks, p->marks[i], put_first(e != NULL ? e->value : NO_NODES, node), now);
    }
}
