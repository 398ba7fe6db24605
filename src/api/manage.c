/* SPDX-License-Identifier: MIT */
#include "api/manage.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "json/reader.h"

/*
 * Bodies
 */

int api_digest_parse(struct str text, struct str *ret_hex)
{
    struct str hex = str_from(text, 7);

    if (!str_starts(text, STR("sha256")) || hex.len != 64 || (text.s[6] != ':' && text.s[6] != '-'))
        return -EINVAL;
    for (size_t i = 0; i < hex.len; i++) {
        char c = ascii_lower(hex.s[i]);

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return -EINVAL;
    }
    *ret_hex = hex;
    return 0;
}

/* {"name":"sha256:..."}: whose brace was read. */
static int read_digests(struct json_reader *r, struct api_create *create)
{
    struct json_token t;
    int rc;

    while ((rc = json_next(r, &t)) == 0 && t.type == JSON_KEY) {
        struct str hex;

        rc = json_next(r, &t);
        if (rc < 0)
            return rc;
        if (json_is_begin(&t))
            rc = json_leave(r);
        else if (t.type == JSON_STRING && api_digest_parse(t.raw, &hex) == 0 &&
                 create->n_digests < API_DIGESTS_MAX)
            create->digests[create->n_digests++] = hex;
        if (rc < 0)
            return rc;
    }
    return rc;
}

static void take_from(struct api_create *create, const struct json_token *t)
{
    char space[MODEL_KEY_MAX];
    /* A lent buffer at its maximum never allocates. */
    struct buf lent = {.data = space, .cap = sizeof(space), .max = sizeof(space)};

    if (json_decode(t, &lent) < 0 || model_key_parse(buf_str(&lent), &create->from) < 0)
        create->from.len = 0;
}

static int read_create_member(struct json_reader *r, const struct json_token *key,
                              struct api_create *create)
{
    bool is_from = json_key_is(key, STR("from"));
    bool has_digests = json_key_is(key, STR("files")) || json_key_is(key, STR("adapters"));
    struct json_token t;
    int rc;

    if (!is_from && !has_digests)
        return json_skip(r, NULL);
    rc = json_next(r, &t);
    if (rc < 0)
        return rc;
    if (has_digests && t.type == JSON_OBJECT_BEGIN)
        return read_digests(r, create);
    if (json_is_begin(&t))
        return json_leave(r);
    if (is_from && t.type == JSON_STRING)
        take_from(create, &t);
    return 0;
}

void api_create_read(struct str body, struct api_create *ret_create)
{
    struct json_reader r;
    struct json_token t;
    int rc;

    ret_create->from.len = 0;
    ret_create->n_digests = 0;
    json_reader_init(&r, body);
    rc = json_next(&r, &t);
    if (rc < 0 || t.type != JSON_OBJECT_BEGIN)
        return;
    while (rc == 0 && json_next(&r, &t) == 0 && t.type == JSON_KEY)
        rc = read_create_member(&r, &t, ret_create);
}

bool api_is_true(struct str body, struct str name)
{
    struct json_reader r;
    struct json_token t;
    bool is_true = false;
    int rc;

    json_reader_init(&r, body);
    rc = json_next(&r, &t);
    if (rc < 0 || t.type != JSON_OBJECT_BEGIN)
        return false;
    while (rc == 0 && json_next(&r, &t) == 0 && t.type == JSON_KEY) {
        struct str raw = STR_NULL;
        bool is_it = json_key_is(&t, name);

        rc = json_skip(&r, &raw);
        if (is_it)
            is_true = str_eq(raw, STR("true"));
    }
    return is_true;
}

/*
 * Progress
 */

static void take_step(struct api_step *step, const struct json_token *key,
                      const struct json_token *t)
{
    uint64_t number = 0;

    if (t->type == JSON_NUMBER && json_to_u64(t, &number) == 0) {
        if (json_key_is(key, STR("total")))
            step->total = number;
        else if (json_key_is(key, STR("completed")))
            step->completed = number;
        else if (json_key_is(key, STR("status")))
            step->code = number;
    }
    if (json_key_is(key, STR("error")))
        step->is_error = t->type != JSON_NULL;
    if (t->type != JSON_STRING)
        return;
    if (json_key_is(key, STR("status")))
        step->status = t->raw;
    else if (json_key_is(key, STR("digest")))
        step->digest = t->raw;
}

int api_step_read(struct str record, struct api_step *ret_step)
{
    struct json_reader r;
    struct json_token key;
    struct json_token t;
    int rc;

    *ret_step = (struct api_step){0};
    json_reader_init(&r, record);
    rc = json_next(&r, &t);
    if (rc < 0 || t.type != JSON_OBJECT_BEGIN)
        return -EX_JSON_SYNTAX;
    while ((rc = json_next(&r, &key)) == 0 && key.type == JSON_KEY) {
        rc = json_next(&r, &t);
        if (rc < 0)
            return rc;
        take_step(ret_step, &key, &t);
        if (json_is_begin(&t))
            rc = json_leave(&r);
        if (rc < 0)
            return rc;
    }
    ret_step->is_success = str_eq(ret_step->status, STR("success"));
    return rc;
}

void api_progress_init(struct api_progress *p, size_t n_nodes)
{
    *p = (struct api_progress){.n_nodes = n_nodes};
}

void api_progress_fini(struct api_progress *p)
{
    for (size_t i = 0; i < p->n_bars; i++)
        free(p->bars[i].completed);
    p->n_bars = 0;
}

static uint64_t hash(struct str text)
{
    return hash_bytes((struct hash_key){0}, text);
}

/* NULL: there are too many, or no memory. */
static struct api_bar *find_bar(struct api_progress *p, struct str digest)
{
    uint64_t h = hash(digest);
    struct api_bar *bar;

    for (size_t i = 0; i < p->n_bars; i++)
        if (p->bars[i].hash == h)
            return &p->bars[i];
    if (p->n_bars == API_BARS_MAX)
        return NULL;
    bar = &p->bars[p->n_bars];
    *bar = (struct api_bar){.hash = h, .completed = calloc(p->n_nodes, sizeof(uint64_t))};
    if (bar->completed == NULL)
        return NULL;
    p->n_bars++;
    return bar;
}

static int put_line(struct buf *out, struct str record)
{
    int rc = buf_put(out, record);

    return rc == 0 && !str_ends(record, STR("\n")) ? buf_put_char(out, '\n') : rc;
}

/* Every node has the whole file to fetch, so the bar of all is as long as all of them. */
static int put_bar(struct api_progress *p, size_t node, const struct api_step *step,
                   struct str record, struct buf *out)
{
    struct api_bar *bar = find_bar(p, step->digest);
    uint64_t completed = 0;

    if (bar == NULL)
        return put_line(out, record);
    if (step->total > bar->total)
        bar->total = step->total;
    if (step->completed > bar->completed[node])
        bar->completed[node] = step->completed;
    for (size_t i = 0; i < p->n_nodes; i++)
        completed += bar->completed[i];
    return buf_printf(out,
                      "{\"status\":\"" STR_FMT "\",\"digest\":\"" STR_FMT
                      "\",\"total\":%llu,\"completed\":%llu}\n",
                      STR_ARG(step->status), STR_ARG(step->digest),
                      (unsigned long long)(bar->total * p->n_nodes), (unsigned long long)completed);
}

/* Whether it was told before; it counts as told now. */
static bool was_told(struct api_progress *p, struct str status)
{
    uint64_t h = hash(status);

    for (size_t i = 0; i < p->n_statuses; i++)
        if (p->statuses[i] == h)
            return true;
    if (p->n_statuses < API_STATUSES_MAX)
        p->statuses[p->n_statuses++] = h;
    return false;
}

int api_progress_feed(struct api_progress *p, size_t node, struct str record, struct buf *out)
{
    struct api_step step;

    if (p->n_nodes == 1)
        return put_line(out, record);
    if (api_step_read(record, &step) < 0 || step.is_error || step.is_success)
        return 0;
    if (step.digest.len > 0)
        return put_bar(p, node, &step, record, out);
    return was_told(p, step.status) ? 0 : put_line(out, record);
}
