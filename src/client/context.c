/* SPDX-License-Identifier: MIT */
#include "client/context.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "client/call.h"
#include "mcp/ext.h"

#define KEY_MAX   64
#define VALUE_MAX 160

/* Shared by a root and all that descend from it. */
struct tree {
    pthread_mutex_t lock;
    atomic_uint refs; /* contexts */
};

struct pair {
    struct list link;
    size_t key_len;
    size_t value_len;
    char bytes[]; /* key, value */
};

struct chasqui_context {
    atomic_uint refs;
    struct tree *tree;
    chasqui_context *parent;
    /* under the tree's lock */
    struct list children;
    struct list sibling;
    struct list calls; /* members are watches of calls */
    struct list pairs;
    nsec_t deadline;
    bool is_cancelled;
    bool has_trace;
    char trace[CHASQUI_TRACE_LEN];
    char class_name[CLIENT_CLASS_MAX + 1];
};

/*
 * Life
 */

static struct tree *tree_new(void)
{
    struct tree *tree = calloc(1, sizeof(*tree));

    if (tree == NULL)
        return NULL;
    if (pthread_mutex_init(&tree->lock, NULL) != 0) {
        free(tree);
        return NULL;
    }
    return tree;
}

static void tree_unref(struct tree *tree)
{
    if (atomic_fetch_sub_explicit(&tree->refs, 1, memory_order_acq_rel) > 1)
        return;
    (void)pthread_mutex_destroy(&tree->lock);
    free(tree);
}

static void lock(const chasqui_context *context)
{
    (void)pthread_mutex_lock(&context->tree->lock);
}

static void unlock(const chasqui_context *context)
{
    (void)pthread_mutex_unlock(&context->tree->lock);
}

chasqui_context *chasqui_context_new(chasqui_context *parent)
{
    chasqui_context *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->tree = parent != NULL ? parent->tree : tree_new();
    if (c->tree == NULL) {
        free(c);
        return NULL;
    }
    atomic_fetch_add_explicit(&c->tree->refs, 1, memory_order_relaxed);
    atomic_init(&c->refs, 1);
    c->deadline = NSEC_NEVER;
    list_init(&c->children);
    list_init(&c->sibling);
    list_init(&c->calls);
    list_init(&c->pairs);
    if (parent != NULL) {
        c->parent = chasqui_context_ref(parent);
        lock(c);
        list_put_back(&parent->children, &c->sibling);
        unlock(c);
    }
    return c;
}

chasqui_context *chasqui_context_ref(chasqui_context *context)
{
    if (context != NULL)
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

static void context_free(chasqui_context *c)
{
    lock(c);
    list_remove(&c->sibling);
    unlock(c);
    list_for_each_safe (it, &c->pairs)
        free(container_of(it, struct pair, link));
    tree_unref(c->tree);
    free(c);
}

/* The last child of a parent may be what keeps it: upwards in a loop. */
void chasqui_context_unref(chasqui_context *context)
{
    while (context != NULL &&
           atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1) {
        chasqui_context *parent = context->parent;

        context_free(context);
        context = parent;
    }
}

/*
 * Changes, and who hears of them
 */

static chasqui_context *child_of(struct list *sibling)
{
    return container_of(sibling, chasqui_context, sibling);
}

/* The context behind @at when all under @root are walked through, parents first; NULL: that was the
 * last. */
static chasqui_context *walk(chasqui_context *root, chasqui_context *at)
{
    if (!list_is_empty(&at->children))
        return child_of(at->children.next);
    while (at != root) {
        if (at->sibling.next != &at->parent->children)
            return child_of(at->sibling.next);
        at = at->parent;
    }
    return NULL;
}

/* Under the lock: poking only posts mail. */
static void tell_calls(chasqui_context *root)
{
    for (chasqui_context *at = root; at != NULL; at = walk(root, at))
        list_for_each (it, &at->calls)
            client_call_context_changed(it);
}

void chasqui_context_set_timeout(chasqui_context *context, uint32_t timeout_ms)
{
    nsec_t deadline = time_now() + (nsec_t)timeout_ms * NSEC_PER_MSEC;

    if (timeout_ms == UINT32_MAX)
        return;
    lock(context);
    if (deadline < context->deadline) {
        context->deadline = deadline;
        tell_calls(context);
    }
    unlock(context);
}

void chasqui_context_cancel(chasqui_context *context)
{
    lock(context);
    if (!context->is_cancelled) {
        context->is_cancelled = true;
        tell_calls(context);
    }
    unlock(context);
}

bool client_context_look(const chasqui_context *context, nsec_t *ret_deadline)
{
    bool is_cancelled = false;

    *ret_deadline = NSEC_NEVER;
    if (context == NULL)
        return false;
    lock(context);
    for (const chasqui_context *at = context; at != NULL; at = at->parent) {
        is_cancelled = is_cancelled || at->is_cancelled;
        if (at->deadline < *ret_deadline)
            *ret_deadline = at->deadline;
    }
    unlock(context);
    return is_cancelled;
}

int64_t chasqui_context_time_left(const chasqui_context *context)
{
    nsec_t deadline;
    nsec_t left;

    (void)client_context_look(context, &deadline);
    if (deadline == NSEC_NEVER)
        return -1;
    left = deadline - time_now();
    return left > 0 ? left / NSEC_PER_MSEC : 0;
}

int chasqui_context_is_cancelled(const chasqui_context *context)
{
    nsec_t deadline;

    return client_context_look(context, &deadline) ? 1 : 0;
}

void client_context_watch(chasqui_context *context, struct list *watch)
{
    if (context == NULL)
        return;
    lock(context);
    list_put_back(&context->calls, watch);
    unlock(context);
}

void client_context_unwatch(chasqui_context *context, struct list *watch)
{
    if (context == NULL)
        return;
    lock(context);
    list_remove(watch);
    unlock(context);
}

/*
 * What travels
 */

void chasqui_context_set_trace(chasqui_context *context,
                               const unsigned char trace[CHASQUI_TRACE_LEN])
{
    lock(context);
    memcpy(context->trace, trace, CHASQUI_TRACE_LEN);
    context->has_trace = true;
    unlock(context);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads @n bytes as lower-case hex. Whether all are zero: such an id is none. */
static bool read_hex(const char *text, unsigned char *out, size_t n, bool *ret_is_zero)
{
    *ret_is_zero = true;
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

        if (low < 0)
            return false;
        out[i] = (unsigned char)(high * 16 + low);
        *ret_is_zero = *ret_is_zero && out[i] == 0;
    }
    return true;
}

int chasqui_context_set_traceparent(chasqui_context *context, const char *traceparent)
{
    unsigned char trace[CHASQUI_TRACE_LEN];
    bool is_zero[3];

    if (traceparent == NULL || strlen(traceparent) != 55 || memcmp(traceparent, "00-", 3) != 0 ||
        traceparent[35] != '-' || traceparent[52] != '-')
        return CHASQUI_INVALID_ARGUMENT;
    if (!read_hex(traceparent + 3, trace, 16, &is_zero[0]) ||
        !read_hex(traceparent + 36, trace + 16, 8, &is_zero[1]) ||
        !read_hex(traceparent + 53, trace + 24, 1, &is_zero[2]) || is_zero[0] || is_zero[1])
        return CHASQUI_INVALID_ARGUMENT;
    chasqui_context_set_trace(context, trace);
    return CHASQUI_OK;
}

int chasqui_context_set_class(chasqui_context *context, const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;

    if (len == 0 || len > CLIENT_CLASS_MAX)
        return CHASQUI_INVALID_ARGUMENT;
    lock(context);
    memcpy(context->class_name, name, len + 1);
    unlock(context);
    return CHASQUI_OK;
}

static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.s[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return key.len > 0 && key.len <= KEY_MAX;
}

static bool is_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.s[i] < 0x20 || value.s[i] == 0x7f)
            return false;
    return value.len <= VALUE_MAX && mcp_is_utf8(value);
}

static struct str pair_key(const struct pair *p)
{
    return str_make(p->bytes, p->key_len);
}

static struct str pair_value(const struct pair *p)
{
    return str_make(p->bytes + p->key_len, p->value_len);
}

static struct pair *pair_new(struct str key, struct str value)
{
    struct pair *p = malloc(sizeof(*p) + key.len + value.len);

    if (p == NULL)
        return NULL;
    list_init(&p->link);
    p->key_len = key.len;
    p->value_len = value.len;
    memcpy(p->bytes, key.s, key.len);
    if (value.len > 0)
        memcpy(p->bytes + key.len, value.s, value.len);
    return p;
}

/* Under the lock: takes out the pair called @key. @ret_n: pairs left. */
static struct pair *take_pair(chasqui_context *context, struct str key, size_t *ret_n)
{
    struct pair *found = NULL;

    *ret_n = 0;
    list_for_each_safe (it, &context->pairs) {
        struct pair *p = container_of(it, struct pair, link);

        if (str_eq(pair_key(p), key)) {
            list_remove(&p->link);
            found = p;
        } else {
            (*ret_n)++;
        }
    }
    return found;
}

int chasqui_context_set_metadata(chasqui_context *context, const char *key, const char *value)
{
    struct pair *old;
    struct pair *p;
    size_t n;

    if (!is_key(str_of(key)) || value == NULL || !is_value(str_of(value)))
        return CHASQUI_INVALID_ARGUMENT;
    p = pair_new(str_of(key), str_of(value));
    if (p == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    lock(context);
    old = take_pair(context, str_of(key), &n);
    if (n < CLIENT_METADATA_MAX) {
        list_put_back(&context->pairs, &p->link);
        p = NULL;
    }
    unlock(context);
    free(old);
    free(p);
    return p == NULL ? CHASQUI_OK : CHASQUI_INVALID_ARGUMENT;
}

int client_metadata_put(char *tlvs, size_t *len, size_t cap, struct str key, struct str value)
{
    size_t value_len = 1 + key.len + value.len;
    char *at = tlvs + *len;

    if (value_len > MCP_TLV_MAX || 2 + value_len > cap - *len)
        return -EMSGSIZE;
    *at++ = (char)MCP_TAG_METADATA;
    *at++ = (char)value_len;
    *at++ = (char)key.len;
    at = mempcpy(at, key.s, key.len);
    if (value.len > 0)
        memcpy(at, value.s, value.len);
    *len += 2 + value_len;
    return 0;
}

/* What a descendant has set already stands. */
static int inherit_pairs(const chasqui_context *from, struct client_inherited *ret)
{
    list_for_each (it, &from->pairs) {
        const struct pair *p = container_of(it, struct pair, link);
        const struct mcp_ext ext = {.tlvs = str_make(ret->tlvs, ret->tlvs_len)};

        if (mcp_ext_metadata(&ext, pair_key(p)).s != NULL)
            continue;
        if (++ret->n_pairs > CLIENT_METADATA_MAX ||
            client_metadata_put(ret->tlvs, &ret->tlvs_len, CLIENT_PAIRS_MAX, pair_key(p),
                                pair_value(p)) < 0)
            return -EMSGSIZE;
    }
    return 0;
}

int client_context_inherit(const chasqui_context *context, struct client_inherited *ret)
{
    int r = 0;

    ret->has_trace = false;
    ret->class_name[0] = '\0';
    ret->n_pairs = 0;
    ret->tlvs_len = 0;
    if (context == NULL)
        return 0;
    lock(context);
    for (const chasqui_context *at = context; at != NULL && r == 0; at = at->parent) {
        if (at->has_trace && !ret->has_trace) {
            memcpy(ret->trace, at->trace, sizeof(ret->trace));
            ret->has_trace = true;
        }
        if (ret->class_name[0] == '\0')
            memcpy(ret->class_name, at->class_name, sizeof(ret->class_name));
        r = inherit_pairs(at, ret);
    }
    unlock(context);
    return r;
}
