/* SPDX-License-Identifier: MIT */
#include "client/options.h"

#include <errno.h>
#include <stddef.h>

#include "mcp/credit.h"
#include "mcp/hello.h"

#define KIB 1024u
#define MIB (KIB * KIB)

#define DEFAULT_TIMEOUT_MS 3000
#define DEFAULT_RETRIES    5

#define BATCH_CALLS_MAX    256
#define BATCH_BYTES_MAX    (12 * KIB) /* fits a write of the session */
#define BATCH_DELAY_MAX_MS 1000

/* A class as the table below has it; 0 ms of silence: not watched. */
static const struct class_row {
    const char *name;
    uint32_t timeout_ms;
    uint32_t silence_ms;
    bool is_retried;
    bool is_idempotent;
} class_rows[] = {
    {"request", 0, 0, true, false}, /* time-out: an option */
    {"query", 2000, 0, true, true},     {"order", 5000, 0, false, false},
    {"external", 8000, 0, true, false}, {"answer", 600000, 120000, true, false},
};

/* An option that is a number: 0 takes the default. */
static const struct number_row {
    const char *blame;
    size_t offset;
    uint32_t def;
    uint32_t min;
    uint32_t max;
} number_rows[] = {
#define NUMBER(member, def, min, max) \
    { \
        "bad option: " #member, offsetof(chasqui_options, member), (def), (min), (max) \
    }
    NUMBER(timeout_ms, DEFAULT_TIMEOUT_MS, 1, CHASQUI_NEVER),
    NUMBER(connect_timeout_ms, 3000, 1, CHASQUI_NEVER),
    NUMBER(acquire_timeout_ms, 5000, 1, CHASQUI_NEVER),
    NUMBER(heartbeat_ms, 30000, 1000, CHASQUI_NEVER),
    NUMBER(idle_close_ms, 60000, 1, CHASQUI_NEVER),
    NUMBER(connections, 2, 1, 256),
    NUMBER(http_connections, 64, 1, 65536),
    NUMBER(max_calls, 16384, 1, 1u << 24),
    NUMBER(max_message, 64 * MIB, 64 * KIB, 1u << 30),
    NUMBER(stream_limit, 256 * KIB, MCP_WINDOW_MIN, 1u << 30),
    NUMBER(max_retries, DEFAULT_RETRIES, 1, CHASQUI_NO_RETRIES),
    NUMBER(retry_base_ms, 100, 1, 60000),
    NUMBER(retry_max_ms, 2000, 1, 600000),
    NUMBER(retry_budget_percent, 10, 1, 1000),
    NUMBER(retry_budget_min, 10, 1, UINT32_MAX),
    NUMBER(profile, CHASQUI_PROFILE_EXTENDED, CHASQUI_PROFILE_EXTENDED, CHASQUI_PROFILE_PLAIN),
    NUMBER(compression, CHASQUI_COMPRESSION_NONE, CHASQUI_COMPRESSION_NONE,
           CHASQUI_COMPRESSION_ZSTD),
    NUMBER(codec, CHASQUI_CODEC_PROTOBUF, CHASQUI_CODEC_PROTOBUF, CHASQUI_CODEC_JSON),
#undef NUMBER
};

int client_copy_sized(void *to, size_t to_size, const void *from, size_t size, size_t size_min)
{
    const char *bytes = from;

    if (size < size_min)
        return -EINVAL;
    for (size_t i = to_size; i < size; i++)
        if (bytes[i] != 0)
            return -EINVAL;
    memset(to, 0, to_size);
    memcpy(to, from, size < to_size ? size : to_size);
    return 0;
}

static const char *read_numbers(chasqui_options *in)
{
    for (size_t i = 0; i < sizeof(number_rows) / sizeof(number_rows[0]); i++) {
        const struct number_row *row = &number_rows[i];
        uint32_t *value = (uint32_t *)(void *)((char *)in + row->offset);

        if (*value == 0)
            *value = row->def;
        if (*value < row->min || *value > row->max)
            return row->blame;
    }
    return NULL;
}

static nsec_t from_ms(uint32_t ms)
{
    return ms == CHASQUI_NEVER ? NSEC_NEVER : (nsec_t)ms * NSEC_PER_MSEC;
}

static unsigned from_retries(uint32_t n)
{
    return n == CHASQUI_NO_RETRIES ? 0 : n;
}

const struct client_class *client_options_class(const struct client_options *o, const char *name)
{
    for (size_t i = 0; i < o->n_classes; i++)
        if (strcmp(o->classes[i].name, name) == 0)
            return &o->classes[i];
    return NULL;
}

/* The class called @name, or room for it. */
static struct client_class *claim_class(struct client_options *o, const char *name)
{
    const struct client_class *known = client_options_class(o, name);

    if (known != NULL)
        return &o->classes[known - o->classes];
    return &o->classes[o->n_classes++];
}

static void put_builtin(struct client_options *o, const chasqui_options *in)
{
    for (size_t i = 0; i < sizeof(class_rows) / sizeof(class_rows[0]); i++) {
        const struct class_row *row = &class_rows[i];
        struct client_class *c = claim_class(o, row->name);

        memcpy(c->name, row->name, strlen(row->name) + 1);
        c->timeout_ns = from_ms(row->timeout_ms > 0 ? row->timeout_ms : in->timeout_ms);
        c->silence_ns = row->silence_ms > 0 ? from_ms(row->silence_ms) : NSEC_NEVER;
        c->max_retries = row->is_retried ? from_retries(in->max_retries) : 0;
        c->is_idempotent = row->is_idempotent;
    }
}

static const char *put_own(struct client_options *o, const chasqui_options *in)
{
    const char *at = (const char *)in->classes;

    if (in->n_classes > CLIENT_CLASSES_MAX - sizeof(class_rows) / sizeof(class_rows[0]))
        return "too many classes";
    for (size_t i = 0; i < in->n_classes; i++, at += in->classes->size) {
        chasqui_class_options own;
        struct client_class *c;
        size_t len;

        if (client_copy_sized(&own, sizeof(own), at, in->classes->size,
                              offsetof(chasqui_class_options, timeout_ms)) < 0)
            return "bad size of a class";
        len = own.name != NULL ? strlen(own.name) : 0;
        if (len == 0 || len > CLIENT_CLASS_MAX)
            return "bad name of a class";
        c = claim_class(o, own.name);
        memcpy(c->name, own.name, len + 1);
        c->timeout_ns = from_ms(own.timeout_ms > 0 ? own.timeout_ms : DEFAULT_TIMEOUT_MS);
        c->silence_ns = own.silence_ms > 0 ? from_ms(own.silence_ms) : NSEC_NEVER;
        c->max_retries = from_retries(own.max_retries > 0 ? own.max_retries : DEFAULT_RETRIES);
        c->is_idempotent = (own.flags & CHASQUI_IDEMPOTENT) != 0;
    }
    return NULL;
}

/* It becomes a header field: nothing but printable ASCII. */
static const char *read_key(struct client_options *o, const char *key)
{
    size_t len = key != NULL ? strlen(key) : 0;

    if (key != NULL && (len == 0 || len > CLIENT_KEY_MAX))
        return "bad length of the key";
    for (size_t i = 0; i < len; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return "the key has characters that are not printable";
    o->key[0] = MCP_AUTH_BEARER;
    if (len > 0)
        memcpy(o->key + 1, key, len);
    o->key_len = len;
    return NULL;
}

static uint32_t or_default(uint32_t value, uint32_t def)
{
    return value > 0 ? value : def;
}

static const char *read_batch(struct client_options *o, const chasqui_batch_options *batch)
{
    chasqui_batch_options in = {0};

    o->batch_calls = 0;
    if (batch == NULL)
        return NULL;
    if (client_copy_sized(&in, sizeof(in), batch, batch->size, sizeof(size_t)) < 0)
        return "bad size of the batch options";
    if (in.max_calls == 1 || in.max_calls > BATCH_CALLS_MAX || in.max_bytes > BATCH_BYTES_MAX ||
        in.delay_ms > BATCH_DELAY_MAX_MS)
        return "bad option: batch";
    o->batch_calls = or_default(in.max_calls, 64);
    o->batch_bytes = or_default(in.max_bytes, BATCH_BYTES_MAX);
    o->batch_delay_ns = from_ms(or_default(in.delay_ms, 1));
    return NULL;
}

const char *client_options_read(const chasqui_options *options, struct client_options *ret)
{
    static const chasqui_options none = {.size = sizeof(none)};
    chasqui_options in;
    const char *wrong;

    if (options == NULL)
        options = &none;
    if (client_copy_sized(&in, sizeof(in), options, options->size, sizeof(size_t)) < 0)
        return "bad size of the options";
    wrong = read_numbers(&in);
    if (wrong == NULL)
        wrong = read_key(ret, in.key);
    if (wrong == NULL)
        wrong = read_batch(ret, in.batch);
    if (wrong != NULL)
        return wrong;
    if (in.profile == CHASQUI_PROFILE_PLAIN && ret->key_len > 0)
        return "the plain profile has no key";
    ret->compression = (enum zip_algorithm)(in.compression - CHASQUI_COMPRESSION_NONE);
    ret->speaks_plain = in.profile == CHASQUI_PROFILE_PLAIN;
    ret->may_go_plain = in.profile == CHASQUI_PROFILE_EITHER && ret->key_len == 0;
    ret->is_own_loop = (in.flags & CHASQUI_OWN_LOOP) != 0;
    ret->connect_timeout_ns = from_ms(in.connect_timeout_ms);
    ret->acquire_timeout_ns = from_ms(in.acquire_timeout_ms);
    ret->heartbeat_ns = from_ms(in.heartbeat_ms);
    ret->idle_close_ns = from_ms(in.idle_close_ms);
    ret->connections = in.connections;
    ret->http_connections = in.http_connections;
    ret->max_calls = in.max_calls;
    ret->max_message = in.max_message;
    ret->stream_limit = in.stream_limit;
    ret->codec = in.codec == CHASQUI_CODEC_JSON ? CODEC_JSON : CODEC_PROTOBUF;
    ret->retry = (struct retry_settings){
        .base_delay_ns = from_ms(in.retry_base_ms),
        .max_delay_ns = from_ms(in.retry_max_ms),
        .jitter = 0.5,
    };
    ret->retry_share = in.retry_budget_percent / 100.0;
    ret->retry_min = in.retry_budget_min;
    ret->n_classes = 0;
    put_builtin(ret, &in);
    return put_own(ret, &in);
}
