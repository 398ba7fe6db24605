/* SPDX-License-Identifier: MIT */
#include "client/client.h"

#include <errno.h>
#include <signal.h>

#include "base/hash.h"
#include "client/channel.h"

/*
 * Making one
 */

static int read_url(struct client_endpoint *e, struct str text)
{
    const struct url_ports ports = {.mcp = CHASQUI_MCP_PORT, .http = CHASQUI_HTTP_PORT};
    int r = url_parse_endpoint(text, ports, &e->url);

    if (r == 0)
        e->ops = str_eq(str_of(e->url.scheme), STR("http")) ? &client_link_http : &client_link_mcp;
    return r;
}

static size_t count_urls(struct str urls)
{
    size_t n = 0;

    for (; urls.len > 0; n++)
        (void)str_split(&urls, ',');
    return n;
}

/* Return: CHASQUI_OK; else *ret_error is filled. */
static int read_urls(chasqui_client *client, struct str urls, chasqui_error *ret_error)
{
    size_t n = count_urls(urls);

    if (n == 0 || n > CLIENT_ENDPOINTS_MAX)
        return client_error_local(ret_error, MCP_INVALID_ARGUMENT, "between 1 and 64 URLs");
    client->endpoints = calloc(n, sizeof(*client->endpoints));
    if (client->endpoints == NULL)
        return client_error_errno(ret_error, -ENOMEM);
    for (size_t i = 0; i < n; i++) {
        client->endpoints[i].client = client;
        if (read_url(&client->endpoints[i], str_trim(str_split(&urls, ','))) < 0)
            return client_error_local(ret_error, MCP_INVALID_ARGUMENT,
                                      "a URL is not mcp://host:port or http://host:port/prefix");
    }
    client->n_endpoints = n;
    return CHASQUI_OK;
}

static void fill_settings(chasqui_client *client)
{
    const struct client_options *o = &client->options;
    struct mcp_settings *m = &client->mcp_settings;

    *m = mcp_settings_default;
    m->hello.features = MCP_FEATURES_BASIC | (o->batch_calls > 0 ? MCP_FEATURE_BATCH : 0u);
    m->gather_calls = o->batch_calls;
    m->gather_bytes = o->batch_bytes;
    m->gather_ns = o->batch_delay_ns;
    m->hello.codecs = STR("\0\1"); /* Protobuf, JSON */
    if (o->compression != ZIP_NONE) {
        m->hello.features |= MCP_FEATURE_COMPRESSION;
        m->hello.compressions = o->compression == ZIP_GZIP ? STR("\0\1") : STR("\0\2");
    }
    m->hello.max_inflight = 0;
    m->hello.max_message = o->max_message;
    m->hello.call_limit = o->stream_limit;
    m->hello.auth = o->key_len > 0 ? str_make(o->key, 1 + o->key_len) : STR_NULL;
    m->hello.software = STR("libchasqui/" CHASQUI_VERSION);
    m->ping_idle_ns = o->heartbeat_ns;
    if (o->heartbeat_ns < m->ping_open_ns)
        m->ping_open_ns = o->heartbeat_ns;
    m->first_frame_ns = o->connect_timeout_ns;
    m->idle_ns = NSEC_NEVER; /* the pool closes them */
    client->plain_settings = *m;
    client->plain_settings.speaks_plain = true;
    client->upstream_settings = (struct upstream_settings){
        .connect_timeout_ns = o->connect_timeout_ns,
        .idle_timeout_ns = o->idle_close_ns,
        .keepalive_interval_ns = o->heartbeat_ns,
        .max_idle = o->http_connections,
    };
}

#define SPARE_BYTES 2048 /* a call, its service and a small payload */
#define SPARES_MAX  256

struct client_spare {
    struct client_spare *next;
};

void *client_get(chasqui_client *client, size_t n)
{
    struct client_spare *spare = NULL;

    if (n > SPARE_BYTES)
        return malloc(n);
    (void)pthread_mutex_lock(&client->gate);
    if (client->spares != NULL) {
        spare = client->spares;
        client->spares = spare->next;
        client->n_spares--;
    }
    (void)pthread_mutex_unlock(&client->gate);
    return spare != NULL ? (void *)spare : malloc(SPARE_BYTES);
}

void client_give(chasqui_client *client, void *memory, size_t n)
{
    struct client_spare *spare = memory;
    bool is_kept = false;

    (void)pthread_mutex_lock(&client->gate);
    if (n <= SPARE_BYTES && client->n_spares < SPARES_MAX) {
        spare->next = client->spares;
        client->spares = spare;
        client->n_spares++;
        is_kept = true;
    }
    (void)pthread_mutex_unlock(&client->gate);
    if (!is_kept)
        free(memory);
}

static void client_free(chasqui_client *client)
{
    while (client->spares != NULL) {
        struct client_spare *next = client->spares->next;

        free(client->spares);
        client->spares = next;
    }
    (void)pthread_mutex_destroy(&client->gate);
    free(client->endpoints);
    free(client);
}

void client_unref(chasqui_client *client)
{
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) == 1)
        client_free(client);
}

static chasqui_client *client_new(void)
{
    chasqui_client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return NULL;
    if (pthread_mutex_init(&client->gate, NULL) != 0) {
        free(client);
        return NULL;
    }
    atomic_init(&client->refs, 1);
    list_init(&client->calls);
    return client;
}

/*
 * The loop
 */

/* Everything ends: what is left of the loop is for net_loop_fini(). */
static void shut_down(chasqui_client *client)
{
    struct client_end end = client_end_local(MCP_CANCELLED, 0, "the client was closed");
    struct list *it;

    client->is_closing = true;
    while ((it = list_first(&client->calls)) != NULL)
        client_call_end(container_of(it, chasqui_call, link), &end);
    client_channel_close(client);
    client->is_closed = true;
}

static void on_close(struct net_mail *mail)
{
    chasqui_client *client = container_of(mail, chasqui_client, close_mail);

    shut_down(client);
    net_loop_stop(&client->loop);
}

static void loop_fini(chasqui_client *client)
{
    net_loop_fini(&client->loop);
    mcp_pool_fini(&client->pool);
    client_coder_fini(&client->coder);
    zip_fini(&client->zip);
}

static void *client_main(void *arg)
{
    chasqui_client *client = arg;

    net_loop_run(&client->loop);
    loop_fini(client);
    return NULL;
}

static int loop_init(chasqui_client *client)
{
    nsec_t now = time_now();
    int r = net_loop_init(&client->loop);

    if (r < 0)
        return r;
    client->close_mail.deliver = on_close;
    client->rng.state = hash_key_make().k0;
    mcp_pool_init(&client->pool, NULL);
    client_coder_init(&client->coder, client->options.codec, client->options.max_message);
    zip_init(&client->zip, client->options.max_message);
    budget_init(&client->budget, client->options.retry_share, client->options.retry_min, now);
    r = client_channel_init(client);
    if (r < 0) {
        client_channel_close(client);
        loop_fini(client);
    }
    return r;
}

/* No signal of the program is delivered there; SIGPIPE, which writing may raise, stays pending and
 * harmless. */
static int start_thread(chasqui_client *client)
{
    sigset_t all;
    sigset_t before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&client->thread, NULL, client_main, client);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

/* Return: CHASQUI_OK; else *ret_error is filled, and the loop is not there. */
static int bring_up(chasqui_client *client, chasqui_error *ret_error)
{
    int r = loop_init(client);

    if (r < 0)
        return client_error_errno(ret_error, r);
    if (client->options.is_own_loop) {
        net_loop_poll(&client->loop); /* its bell is in the descriptor from now on */
        return CHASQUI_OK;
    }
    r = start_thread(client);
    if (r == 0)
        return CHASQUI_OK;
    client_channel_close(client);
    loop_fini(client);
    return client_error_errno(ret_error, r);
}

int chasqui_open(const char *urls, const chasqui_options *options, chasqui_client **ret_client,
                 chasqui_error *ret_error)
{
    chasqui_client *client = client_new();
    const char *wrong;
    int r;

    if (client == NULL)
        return client_error_errno(ret_error, -ENOMEM);
    wrong = client_options_read(options, &client->options);
    r = wrong != NULL ? client_error_local(ret_error, MCP_INVALID_ARGUMENT, wrong)
                      : read_urls(client, str_of(urls), ret_error);
    if (r == CHASQUI_OK) {
        fill_settings(client);
        r = bring_up(client, ret_error);
    }
    if (r != CHASQUI_OK) {
        client_free(client);
        return r;
    }
    *ret_client = client;
    return client_error_local(ret_error, MCP_OK, "");
}

bool client_post(chasqui_client *client, struct net_mail *mail)
{
    bool is_open;

    (void)pthread_mutex_lock(&client->gate);
    is_open = !client->is_shut;
    if (is_open)
        net_mail_post(&client->loop, mail);
    (void)pthread_mutex_unlock(&client->gate);
    return is_open;
}

static bool is_own_thread(const chasqui_client *client)
{
    return !client->options.is_own_loop && pthread_equal(pthread_self(), client->thread) != 0;
}

const char *client_may_block(const chasqui_client *client)
{
    if (client->options.is_own_loop)
        return "blocking calls need a client with a thread of its own";
    return is_own_thread(client) ? "no blocking calls from callbacks" : NULL;
}

/*
 * Driven by the caller
 */

/* Writing to a connection that is gone raises SIGPIPE, which is none of the program's business. */
struct quiet {
    sigset_t pipe;
    bool was_pending;
    bool was_blocked;
};

static void quiet_begin(struct quiet *q)
{
    sigset_t pending;
    sigset_t before;

    (void)sigemptyset(&q->pipe);
    (void)sigaddset(&q->pipe, SIGPIPE);
    (void)sigpending(&pending);
    q->was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &q->pipe, &before);
    q->was_blocked = sigismember(&before, SIGPIPE) == 1;
}

static void quiet_end(const struct quiet *q)
{
    const struct timespec now = {0};

    if (!q->was_pending)
        while (sigtimedwait(&q->pipe, NULL, &now) < 0 && errno == EINTR)
            continue;
    if (!q->was_blocked)
        (void)pthread_sigmask(SIG_UNBLOCK, &q->pipe, NULL);
}

int chasqui_fd(const chasqui_client *client)
{
    return client->options.is_own_loop ? net_loop_fd(&client->loop) : -1;
}

int chasqui_next_due(chasqui_client *client)
{
    if (!client->options.is_own_loop)
        return -1;
    return client->is_processing ? 0 : net_loop_wait_ms(&client->loop);
}

int chasqui_process(chasqui_client *client)
{
    struct quiet quiet;

    if (!client->options.is_own_loop || client->is_processing)
        return CHASQUI_FAILED_PRECONDITION;
    quiet_begin(&quiet);
    client->is_processing = true;
    net_loop_poll(&client->loop);
    client->is_processing = false;
    quiet_end(&quiet);
    return CHASQUI_OK;
}

/*
 * The end
 */

/* The last mail: what was posted before it is delivered before it. */
static void shut_gate(chasqui_client *client)
{
    (void)pthread_mutex_lock(&client->gate);
    client->is_shut = true;
    net_mail_post(&client->loop, &client->close_mail);
    (void)pthread_mutex_unlock(&client->gate);
}

void chasqui_close(chasqui_client *client)
{
    struct quiet quiet;

    if (client == NULL || is_own_thread(client) || client->is_processing)
        return;
    shut_gate(client);
    if (client->options.is_own_loop) {
        quiet_begin(&quiet);
        client->is_processing = true;
        net_loop_run(&client->loop);
        loop_fini(client);
        quiet_end(&quiet);
    } else {
        (void)pthread_join(client->thread, NULL);
    }
    client_unref(client);
}

int chasqui_get_stats(const chasqui_client *client, chasqui_stats *ret_stats)
{
    chasqui_stats now = {
        .calls = atomic_load_explicit(&client->n_started, memory_order_relaxed),
        .failures = atomic_load_explicit(&client->n_failed, memory_order_relaxed),
        .retries = atomic_load_explicit(&client->n_retries, memory_order_relaxed),
        .connects = atomic_load_explicit(&client->n_connects, memory_order_relaxed),
        .connect_failures = atomic_load_explicit(&client->n_connect_failures, memory_order_relaxed),
        .connections = atomic_load_explicit(&client->n_connections, memory_order_relaxed),
        .open_calls = atomic_load_explicit(&client->n_calls, memory_order_relaxed),
        .batches = atomic_load_explicit(&client->n_batches, memory_order_relaxed),
    };
    size_t size = ret_stats->size;

    if (size < offsetof(chasqui_stats, failures))
        return CHASQUI_INVALID_ARGUMENT;
    now.size = size;
    memcpy(ret_stats, &now, size < sizeof(now) ? size : sizeof(now));
    return CHASQUI_OK;
}
