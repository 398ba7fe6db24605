/* SPDX-License-Identifier: MIT */
#include "client/server.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "client/fault.h"

#define KIB 1024u
#define MIB (KIB * KIB)

/*
 * Connections
 */

static int on_hello(struct mcp_session *s, const struct mcp_hello *hello)
{
    const chasqui_server *server =
        container_of(wire_of(s), struct client_server_conn, wire)->server;

    return server->key_len > 0 &&
                   !str_eq_secret(hello->auth, str_make(server->key, 1 + server->key_len))
               ? MCP_UNAUTHENTICATED
               : MCP_OK;
}

static const struct mcp_session_ops session_ops = {
    .name = "server",
    .on_hello = on_hello,
    .on_request = client_served_request,
    .on_cancel = client_served_cancelled,
    .on_room = client_served_room,
};

static void conn_forget(struct client_server_conn *c)
{
    chasqui_server *server = c->server;

    list_remove(&c->link);
    free(c);
    (void)pthread_mutex_lock(&server->lock);
    server->n_conns--;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

static void on_closed(struct wire *w)
{
    struct client_server_conn *c = container_of(w, struct client_server_conn, wire);

    list_for_each_safe (it, &c->calls)
        client_served_lost(container_of(it, chasqui_served, link));
    wire_fini(w);
    conn_forget(c);
}

static const struct wire_ops wire_ops = {
    .name = "server",
    .on_closed = on_closed,
};

/* NULL: no memory, or there are too many. */
static struct client_server_conn *conn_new(chasqui_server *server)
{
    struct client_server_conn *c = NULL;

    (void)pthread_mutex_lock(&server->lock);
    if (server->n_conns < server->max_connections)
        c = calloc(1, sizeof(*c));
    if (c != NULL)
        server->n_conns++;
    (void)pthread_mutex_unlock(&server->lock);
    if (c == NULL)
        return NULL;
    c->server = server;
    list_init(&c->calls);
    list_init(&c->link);
    list_put_back(&server->conns, &c->link);
    return c;
}

static void on_connection(struct net_listener *listener)
{
    chasqui_server *server = container_of(listener, chasqui_server, listener);
    const struct wire_setup setup = {
        .loop = &server->loop,
        .ops = &wire_ops,
        .settings = &server->settings,
        .session_ops = &session_ops,
        .pool = &server->pool,
    };
    struct client_server_conn *c = conn_new(server);

    if (c == NULL) {
        net_listener_refuse(listener);
        return;
    }
    if (wire_accept(&c->wire, &setup, listener) == 0 || c->wire.stream.is_open)
        return;
    conn_forget(c);
    net_listener_refuse(listener); /* one that waits for ever would keep all others out */
}

/*
 * The loop
 */

static void dismiss(struct client_server_conn *c, unsigned grace_s)
{
    if (mcp_session_goaway(&c->wire.session, MCP_GOAWAY_MAINTENANCE, grace_s, time_now()) < 0)
        wire_close(&c->wire);
    else
        wire_wake(&c->wire);
}

static void on_drain(struct net_mail *mail)
{
    chasqui_server *server = container_of(mail, chasqui_server, drain_mail);
    uint32_t grace_s;

    if (!server->is_draining)
        net_listener_close(&server->listener);
    server->is_draining = true;
    (void)pthread_mutex_lock(&server->lock);
    grace_s = server->grace_s;
    server->is_drained = true;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
    list_for_each_safe (it, &server->conns)
        dismiss(container_of(it, struct client_server_conn, link), grace_s);
}

static void stop_if_over(chasqui_server *server)
{
    if (server->is_closing && server->n_calls == 0)
        net_loop_stop(&server->loop);
}

void client_server_left(chasqui_server *server)
{
    server->n_calls--;
    stop_if_over(server);
}

static void on_close(struct net_mail *mail)
{
    chasqui_server *server = container_of(mail, chasqui_server, close_mail);

    server->is_closing = true;
    if (!server->is_draining)
        net_listener_close(&server->listener);
    list_for_each_safe (it, &server->conns) {
        struct wire *w = &container_of(it, struct client_server_conn, link)->wire;

        wire_flush(w);
        wire_close(w);
    }
    stop_if_over(server);
}

static void loop_fini(chasqui_server *server)
{
    net_loop_fini(&server->loop);
    mcp_pool_fini(&server->pool);
    client_coder_fini(&server->coder);
    zip_fini(&server->zip);
}

static void *server_main(void *arg)
{
    chasqui_server *server = arg;

    /* Whoever started it has then written down what callbacks may ask for. */
    (void)pthread_mutex_lock(&server->lock);
    (void)pthread_mutex_unlock(&server->lock);
    net_loop_run(&server->loop);
    loop_fini(server);
    return NULL;
}

/* No signal of the program is delivered there. Return: 0; -errno. */
static int start_thread(chasqui_server *server)
{
    sigset_t all;
    sigset_t before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_mutex_lock(&server->lock);
    r = pthread_create(&server->thread, NULL, server_main, server);
    server->is_listening = r == 0;
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

/* Return: 0; -errno, and the loop is not there. */
static int bring_up(chasqui_server *server, int fd)
{
    int r = net_loop_init(&server->loop);

    if (r < 0) {
        (void)close(fd);
        return r;
    }
    mcp_pool_init(&server->pool, NULL);
    client_coder_init(&server->coder, CODEC_JSON, server->settings.hello.max_message);
    zip_init(&server->zip, server->settings.hello.max_message);
    r = net_listener_open(&server->loop, &server->listener, fd, on_connection);
    if (r == 0) {
        r = start_thread(server);
        if (r < 0)
            net_listener_close(&server->listener);
    }
    if (r < 0)
        loop_fini(server);
    return r;
}

/*
 * Options
 */

static bool is_key(const char *key, size_t len)
{
    if (len == 0 || len > CLIENT_KEY_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    return true;
}

/* 0 takes the default. Return: whether it is in its range. */
static bool read_number(uint32_t *value, uint32_t def, uint32_t min, uint32_t max)
{
    if (*value == 0)
        *value = def;
    return *value >= min && *value <= max;
}

static void fill_settings(chasqui_server *server, const chasqui_server_options *in)
{
    struct mcp_settings *m = &server->settings;

    *m = mcp_settings_default;
    m->hello.codecs = STR("\0\1"); /* Protobuf, JSON */
    m->hello.features |= MCP_FEATURE_COMPRESSION;
    m->hello.compressions = STR("\0\1\2"); /* none, gzip, zstd */
    m->hello.software = STR("libchasqui/" CHASQUI_VERSION);
    m->hello.max_inflight = (uint16_t)in->max_calls;
    m->hello.max_message = in->max_message;
    m->idle_ns = (nsec_t)in->idle_close_ms * NSEC_PER_MSEC;
    m->hello.idle_s = (uint16_t)((in->idle_close_ms + 999) / 1000);
    m->needs_key = server->key_len > 0;
    m->needs_hello = (in->flags & CHASQUI_EXTENDED_ONLY) != 0;
    server->max_connections = in->max_connections;
}

/* Return: NULL, or what is wrong. */
static const char *read_options(chasqui_server *server, const chasqui_server_options *options)
{
    chasqui_server_options in = {.size = sizeof(in)};
    size_t key_len;

    if (options != NULL &&
        client_copy_sized(&in, sizeof(in), options, options->size, sizeof(size_t)) < 0)
        return "bad size of the options";
    if (!read_number(&in.max_connections, 1024, 1, 1u << 20))
        return "bad option: max_connections";
    if (!read_number(&in.max_calls, 256, MCP_EARLY_CALLS, UINT16_MAX))
        return "bad option: max_calls";
    if (!read_number(&in.max_message, 64 * MIB, 64 * KIB, 1u << 30))
        return "bad option: max_message";
    if (!read_number(&in.idle_close_ms, 300000, 1000, UINT16_MAX * 1000u))
        return "bad option: idle_close_ms";
    key_len = in.key != NULL ? strlen(in.key) : 0;
    if (in.key != NULL && !is_key(in.key, key_len))
        return "bad key";
    server->key[0] = MCP_AUTH_BEARER;
    if (key_len > 0)
        memcpy(server->key + 1, in.key, key_len);
    server->key_len = key_len;
    fill_settings(server, &in);
    return NULL;
}

/*
 * Public
 */

static void server_free(chasqui_server *server)
{
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->services);
    free(server);
}

static chasqui_server *server_new(void)
{
    chasqui_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    if (pthread_mutex_init(&server->lock, NULL) != 0) {
        free(server);
        return NULL;
    }
    if (pthread_cond_init(&server->changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&server->lock);
        free(server);
        return NULL;
    }
    list_init(&server->conns);
    server->drain_mail.deliver = on_drain;
    server->close_mail.deliver = on_close;
    return server;
}

int chasqui_server_new(const chasqui_server_options *options, chasqui_server **ret_server,
                       chasqui_error *ret_error)
{
    chasqui_server *server = server_new();
    const char *wrong;

    if (server == NULL)
        return client_error_errno(ret_error, -ENOMEM);
    wrong = read_options(server, options);
    if (wrong != NULL) {
        server_free(server);
        return client_error_local(ret_error, MCP_INVALID_ARGUMENT, wrong);
    }
    *ret_server = server;
    return client_error_local(ret_error, MCP_OK, "");
}

const struct client_server_service *client_server_find(const chasqui_server *server,
                                                       struct str name)
{
    for (size_t i = 0; i < server->n_services; i++)
        if (str_eq(str_of(server->services[i].name), name))
            return &server->services[i];
    return NULL;
}

int chasqui_server_add(chasqui_server *server, const chasqui_service *service)
{
    struct client_server_service *all;
    chasqui_service in;
    struct str name;

    if (server->is_listening)
        return CHASQUI_FAILED_PRECONDITION;
    if (service == NULL || client_copy_sized(&in, sizeof(in), service, service->size,
                                             offsetof(chasqui_service, on_room)) < 0)
        return CHASQUI_INVALID_ARGUMENT;
    name = str_of(in.name);
    if (name.len == 0 || name.len > MCP_METHOD_MAX || !mcp_is_utf8(name) || in.on_request == NULL)
        return CHASQUI_INVALID_ARGUMENT;
    if (client_server_find(server, name) != NULL)
        return CHASQUI_ALREADY_EXISTS;
    if (server->n_services == CLIENT_SERVICES_MAX)
        return CHASQUI_RESOURCE_EXHAUSTED;
    all = realloc(server->services, (server->n_services + 1) * sizeof(*all));
    if (all == NULL)
        return CHASQUI_RESOURCE_EXHAUSTED;
    server->services = all;
    all += server->n_services++;
    *all = (struct client_server_service){.public = in, .known = codec_service_find(name)};
    if (all->known != NULL && all->known->is_opaque)
        all->known = NULL;
    memcpy(all->name, in.name, name.len + 1);
    all->public.name = NULL; /* it is the caller's; ours is beside it */
    return CHASQUI_OK;
}

int chasqui_server_listen(chasqui_server *server, const char *address, chasqui_error *ret_error)
{
    int fd;
    int r;

    if (server->is_listening)
        return client_error_local(ret_error, MCP_FAILED_PRECONDITION, "it listens already");
    if (addr_parse(str_of(address), 0, &server->address) < 0)
        return client_error_local(ret_error, MCP_INVALID_ARGUMENT, "the address is not host:port");
    r = net_listen_fds(&server->address, 1, &fd);
    if (r == 0)
        r = bring_up(server, fd);
    if (r < 0)
        return client_error_errno(ret_error, r);
    return client_error_local(ret_error, MCP_OK, "");
}

unsigned chasqui_server_port(const chasqui_server *server)
{
    return server->is_listening ? server->address.port : 0;
}

static bool is_own_thread(const chasqui_server *server)
{
    return server->is_listening && pthread_equal(pthread_self(), server->thread) != 0;
}

int chasqui_server_drain(chasqui_server *server, uint32_t grace_ms)
{
    uint32_t grace_s = grace_ms / 1000 + (grace_ms % 1000 > 0);

    if (!server->is_listening || is_own_thread(server))
        return CHASQUI_FAILED_PRECONDITION;
    (void)pthread_mutex_lock(&server->lock);
    if (!server->is_asked) {
        server->is_asked = true;
        server->grace_s = grace_s < UINT16_MAX ? grace_s : UINT16_MAX;
        net_mail_post(&server->loop, &server->drain_mail);
    }
    while (!server->is_drained || server->n_conns > 0)
        (void)pthread_cond_wait(&server->changed, &server->lock);
    (void)pthread_mutex_unlock(&server->lock);
    return CHASQUI_OK;
}

void chasqui_server_free(chasqui_server *server)
{
    if (server == NULL || is_own_thread(server))
        return;
    if (server->is_listening) {
        net_mail_post(&server->loop, &server->close_mail);
        (void)pthread_join(server->thread, NULL);
    }
    server_free(server);
}
