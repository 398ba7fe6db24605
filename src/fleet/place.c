/* SPDX-License-Identifier: MIT */
#include "fleet/place.h"

#define BLOB_COMPANY_NS (600 * NSEC_PER_SEC)

static bool can_be_managed(const struct fleet_node *node)
{
    return node->life == NODE_LISTED && node->state == NODE_UP &&
           !str_eq(str_of(node->url.scheme), STR("mcp"));
}

static bool is_named(const struct placement *policy, struct str name)
{
    for (size_t i = 0; i < policy->n_names; i++)
        if (str_eq(str_of(policy->names[i]), name))
            return true;
    return false;
}

static bool has_all_blobs(const struct fleet *f, const struct place_question *q, size_t node)
{
    for (size_t i = 0; i < q->n_blobs; i++)
        if (!fleet_blob_is_at(f, q->blobs[i], (uint16_t)node))
            return false;
    return true;
}

/* Whether what the new model is made of is there. */
static bool has_parts(const struct fleet *f, const struct place_question *q, size_t node)
{
    return (q->from_key.len == 0 ||
            models_has(&f->nodes[node].models, q->from_key, q->from_hash)) &&
           has_all_blobs(f, q, node);
}

/* More free room: less that is loaded; of those, fewer models. */
static bool has_more_room(const struct fleet_node *a, const struct fleet_node *b)
{
    return a->loaded_bytes != b->loaded_bytes ? a->loaded_bytes < b->loaded_bytes
                                              : a->models.n_models < b->models.n_models;
}

static size_t place_new(const struct fleet *f, const struct placement *policy,
                        const struct place_question *q, uint16_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_slots; i++) {
        const struct fleet_node *node = &f->nodes[i];

        if (!can_be_managed(node) || !has_parts(f, q, i) ||
            (policy->kind == PLACEMENT_NAMED && !is_named(policy, node->name)))
            continue;
        if (policy->kind != PLACEMENT_ROOM || n == 0)
            out[n++] = (uint16_t)i;
        else if (has_more_room(node, &f->nodes[out[0]]))
            out[0] = (uint16_t)i;
    }
    return n;
}

/* Where the model is. *ret_is_known: somewhere, if only on a node that is down. */
static size_t place_known(const struct fleet *f, const struct place_question *q, uint16_t *out,
                          bool *ret_is_known)
{
    size_t n = 0;

    *ret_is_known = false;
    for (size_t i = 0; i < f->n_slots && q->key.len > 0; i++) {
        if (f->nodes[i].life != NODE_LISTED || !models_has(&f->nodes[i].models, q->key, q->hash))
            continue;
        *ret_is_known = true;
        if (can_be_managed(&f->nodes[i]) && has_parts(f, q, i))
            out[n++] = (uint16_t)i;
    }
    return n;
}

int fleet_place(const struct fleet *f, const struct placement *policy,
                const struct place_question *q, uint16_t *out, size_t *ret_n)
{
    bool is_known;

    *ret_n = place_known(f, q, out, &is_known);
    if (*ret_n > 0)
        return 0;
    if (!q->is_new_allowed)
        return is_known || q->key.len == 0 ? PLACE_NO_NODE : PLACE_NOWHERE;
    *ret_n = place_new(f, policy, q, out);
    if (*ret_n > 0)
        return 0;
    return q->n_blobs > 0 ? PLACE_NO_BLOB : q->from_key.len > 0 ? PLACE_NOWHERE : PLACE_NO_NODE;
}

int fleet_place_blob(const struct fleet *f, const struct placement *policy, nsec_t now,
                     uint16_t *out, size_t *ret_n)
{
    const struct fleet_blob *newest = &f->blobs[(f->n_blobs - 1) % FLEET_BLOBS_MAX];

    *ret_n = 1;
    if (policy->kind == PLACEMENT_ROOM && f->n_blobs > 0 && newest->node != FLEET_NO_INDEX &&
        now - newest->at < BLOB_COMPANY_NS && can_be_managed(&f->nodes[newest->node])) {
        out[0] = newest->node;
        return 0;
    }
    *ret_n = place_new(f, policy, &(struct place_question){0}, out);
    return *ret_n > 0 ? 0 : PLACE_NO_NODE;
}

void fleet_blob_forget(struct fleet *f, uint16_t node)
{
    for (size_t i = 0; i < FLEET_BLOBS_MAX; i++)
        if (f->blobs[i].node == node)
            f->blobs[i] = (struct fleet_blob){.node = FLEET_NO_INDEX};
}

void fleet_blob_put(struct fleet *f, uint64_t blob, uint16_t node, nsec_t now)
{
    if (!fleet_blob_is_at(f, blob, node))
        f->blobs[f->n_blobs++ % FLEET_BLOBS_MAX] =
            (struct fleet_blob){.hash = blob, .at = now, .node = node};
}

bool fleet_blob_is_at(const struct fleet *f, uint64_t blob, uint16_t node)
{
    size_t n = f->n_blobs < FLEET_BLOBS_MAX ? (size_t)f->n_blobs : FLEET_BLOBS_MAX;

    for (size_t i = 0; i < n; i++)
        if (f->blobs[i].hash == blob && f->blobs[i].node == node)
            return true;
    return false;
}
