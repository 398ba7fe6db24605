/* SPDX-License-Identifier: MIT */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static int put_host(struct str host, struct addr *ret)
{
    if (host.len >= sizeof(ret->host))
        return -EINVAL;
    for (size_t i = 0; i < host.len; i++)
        if ((unsigned char)host.s[i] <= ' ' || (unsigned char)host.s[i] >= 0x7f ||
            strchr("/?#@[]\\\"'<>", host.s[i]) != NULL)
            return -EINVAL;
    if (host.len > 0)
        memcpy(ret->host, host.s, host.len);
    ret->host[host.len] = '\0';
    return 0;
}

/* "::1", "fe80::1%eth0" */
static bool is_v6_literal(const char *host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t n = strcspn(host, "%");

    if (n >= sizeof(text))
        return false;
    memcpy(text, host, n);
    text[n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static int put_v6(struct str host, struct addr *ret)
{
    int r = put_host(host, ret);

    return r == 0 && !is_v6_literal(ret->host) ? -EINVAL : r;
}

static int put_port(struct str text, struct addr *ret)
{
    uint64_t port;

    if (str_to_u64(text, &port) < 0 || port > UINT16_MAX)
        return -EINVAL;
    ret->port = (uint16_t)port;
    return 0;
}

/* "[v6]" or "[v6]:port" */
static int parse_bracketed(struct str text, struct addr *ret)
{
    size_t close = str_find(text, ']');
    struct str rest = str_from(text, close + 1);
    struct str host = str_from(str_head(text, close), 1);

    if (close == text.len || put_v6(host, ret) < 0)
        return -EINVAL;
    if (rest.len == 0)
        return 0;
    return rest.s[0] == ':' ? put_port(str_from(rest, 1), ret) : -EINVAL;
}

int addr_parse(struct str text, uint16_t default_port, struct addr *ret_addr)
{
    struct addr a = {.port = default_port};
    size_t colon = str_find(text, ':');
    int r;

    if (text.len == 0)
        return -EINVAL;
    if (text.s[0] == '[') {
        r = parse_bracketed(text, &a);
    } else if (colon < text.len &&
               str_find(str_from(text, colon + 1), ':') < text.len - colon - 1) {
        r = put_v6(text, &a); /* two colons and no brackets: a bare IPv6 literal */
    } else {
        r = put_host(str_head(text, colon), &a);
        if (r == 0 && colon < text.len)
            r = put_port(str_from(text, colon + 1), &a);
    }
    if (r < 0)
        return r;
    *ret_addr = a;
    return 0;
}

bool addr_is_loopback(const struct addr *a)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, a->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, a->host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
    return str_eq_nocase(str_of(a->host), STR("localhost"));
}

const char *addr_print(const struct addr *a, char out[static 280])
{
    bool is_v6 = strchr(a->host, ':') != NULL;

    (void)snprintf(out, 280, is_v6 ? "[%s]:%u" : "%s:%u", a->host, a->port);
    return out;
}

/* Schemes of nodes, and the port where the URL names none. */
static const struct scheme {
    const char *name;
    uint16_t port;
} schemes[] = {
    {"http", 80},
    {"mcp", 11436},
};

#define OLLAMA_PORT 11434 /* without a scheme */

/* Scheme into @ret, rest into *text. */
static int take_scheme(struct str *text, struct url *ret, uint16_t *ret_port)
{
    size_t at = str_search(*text, STR("://"));

    (void)snprintf(ret->scheme, sizeof(ret->scheme), "%s", schemes[0].name);
    *ret_port = OLLAMA_PORT;
    if (at == text->len)
        return 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!str_eq_nocase(str_head(*text, at), str_of(schemes[i].name)))
            continue;
        (void)snprintf(ret->scheme, sizeof(ret->scheme), "%s", schemes[i].name);
        *ret_port = schemes[i].port;
        *text = str_from(*text, at + 3);
        return 0;
    }
    return -EPROTONOSUPPORT;
}

/*
 * OLLAMA_HOST is a server's bind address as well; as a destination "all addresses" means this
 * machine.
 */
static void bind_to_destination(struct addr *a)
{
    if (a->host[0] == '\0' || strcmp(a->host, "0.0.0.0") == 0)
        (void)snprintf(a->host, sizeof(a->host), "127.0.0.1");
    else if (strcmp(a->host, "::") == 0)
        (void)snprintf(a->host, sizeof(a->host), "::1");
}

int url_parse_node(struct str text, struct url *ret_url)
{
    struct url u = {0};
    uint16_t port;
    size_t slash;
    struct str path;
    int r;

    text = str_trim(text);
    while (text.len > 0 && (text.s[0] == '"' || text.s[0] == '\''))
        text = str_from(text, 1);
    while (text.len > 0 && (text.s[text.len - 1] == '"' || text.s[text.len - 1] == '\''))
        text.len--;
    text = str_trim(text);
    r = take_scheme(&text, &u, &port);
    if (r < 0)
        return r;
    slash = str_find(text, '/');
    path = str_from(text, slash);
    while (path.len > 0 && path.s[path.len - 1] == '/')
        path.len--;
    if (path.len >= sizeof(u.path) || str_find(path, '?') < path.len ||
        str_find(path, '#') < path.len)
        return -EINVAL;
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.s[i] <= ' ' || (unsigned char)path.s[i] >= 0x7f)
            return -EINVAL;
    if (path.len > 0)
        memcpy(u.path, path.s, path.len);
    r = addr_parse(str_head(text, slash), port, &u.addr);
    if (r < 0 || u.addr.port == 0)
        return -EINVAL;
    bind_to_destination(&u.addr);
    *ret_url = u;
    return 0;
}

int url_parse_endpoint(struct str text, struct url_ports ports, struct url *ret_url)
{
    size_t at = str_search(text, STR("://"));
    struct str scheme = at < text.len ? str_head(text, at) : STR("mcp");
    struct str rest = at < text.len ? str_from(text, at + 3) : text;
    size_t slash = str_find(rest, '/');
    struct str path = str_from(rest, slash);
    bool is_http = str_eq_nocase(scheme, STR("http"));
    struct url u = {.scheme = "mcp"};

    if (!is_http && !str_eq_nocase(scheme, STR("mcp")))
        return -EINVAL;
    while (path.len > 0 && path.s[path.len - 1] == '/')
        path.len--;
    if (path.len >= sizeof(u.path) || (path.len > 0 && !is_http))
        return -EINVAL;
    for (size_t i = 0; i < path.len; i++)
        if (path.s[i] <= ' ' || path.s[i] > '~' || path.s[i] == '?' || path.s[i] == '#')
            return -EINVAL;
    if (path.len > 0)
        memcpy(u.path, path.s, path.len);
    if (is_http)
        memcpy(u.scheme, "http", sizeof("http"));
    if (addr_parse(str_head(rest, slash), is_http ? ports.http : ports.mcp, &u.addr) < 0 ||
        u.addr.port == 0 || u.addr.host[0] == '\0')
        return -EINVAL;
    *ret_url = u;
    return 0;
}
