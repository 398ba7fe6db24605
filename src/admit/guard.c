/* SPDX-License-Identifier: MIT */
#include "admit/guard.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/addr.h"

/* As a shell or a unit file may have left them around the variable's value. */
static struct str unquote(struct str text)
{
    text = str_trim(text);
    while (text.len > 0 && (text.s[0] == '"' || text.s[0] == '\''))
        text = str_from(text, 1);
    while (text.len > 0 && (text.s[text.len - 1] == '"' || text.s[text.len - 1] == '\''))
        text.len--;
    return text;
}

static size_t count_entries(struct str list)
{
    size_t n = 1;

    for (size_t i = 0; i < list.len; i++)
        n += list.s[i] == ',';
    return n;
}

int guard_init(struct guard *g, struct str origins, struct str hostname)
{
    struct guard made = {0};
    struct str rest;

    origins = unquote(origins);
    made.text = str_dup(origins);
    made.patterns = calloc(count_entries(origins), sizeof(made.patterns[0]));
    if (made.text == NULL || made.patterns == NULL) {
        guard_fini(&made);
        return -ENOMEM;
    }
    rest = str_make(made.text, origins.len);
    while (rest.len > 0) {
        struct str entry = str_trim(str_split(&rest, ','));

        if (entry.len > 0)
            made.patterns[made.n_patterns++] = entry;
    }
    /* A name cut short would be another machine's. */
    if (hostname.len > 0 && hostname.len < sizeof(made.hostname))
        memcpy(made.hostname, hostname.s, hostname.len);
    *g = made;
    return 0;
}

void guard_fini(struct guard *g)
{
    free(g->text);
    free(g->patterns);
    *g = (struct guard){0};
}

struct str guard_find_bad_origin(struct str origins)
{
    origins = unquote(origins);
    while (origins.len > 0) {
        struct str entry = str_trim(str_split(&origins, ','));

        if (entry.len > 0 && str_search(entry, STR("://")) == entry.len &&
            str_find(entry, '*') == entry.len)
            return entry;
    }
    return STR_NULL;
}

static bool starts_nocase(struct str text, struct str prefix)
{
    return str_eq_nocase(str_head(text, prefix.len), prefix);
}

static bool ends_nocase(struct str text, struct str suffix)
{
    return text.len >= suffix.len &&
           (suffix.len == 0 || str_eq_nocase(str_from(text, text.len - suffix.len), suffix));
}

/* Cuts off @text all up to and with the first @needle. Return: whether there is one. */
static bool skip_past(struct str *text, struct str needle)
{
    for (size_t i = 0; i + needle.len <= text->len; i++) {
        if (starts_nocase(str_from(*text, i), needle)) {
            *text = str_from(*text, i + needle.len);
            return true;
        }
    }
    return false;
}

static bool matches(struct str pattern, struct str text)
{
    size_t star = str_find(pattern, '*');

    if (star == pattern.len)
        return str_eq_nocase(text, pattern);
    if (!starts_nocase(text, str_head(pattern, star)))
        return false;
    text = str_from(text, star);
    pattern = str_from(pattern, star + 1);
    /* The first place for a part between two stars leaves the most for the parts after it. */
    while ((star = str_find(pattern, '*')) < pattern.len) {
        if (!skip_past(&text, str_head(pattern, star)))
            return false;
        pattern = str_from(pattern, star + 1);
    }
    return ends_nocase(text, pattern);
}

/* Whether @authority is a host of the defaults, with any port. */
static bool is_default_host(struct str authority)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]", "0.0.0.0"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct str host = str_of(hosts[i]);
        struct str rest = str_from(authority, host.len);
        uint64_t port;

        if (!starts_nocase(authority, host))
            continue;
        if (rest.len == 0)
            return true;
        return rest.s[0] == ':' && str_to_u64(str_from(rest, 1), &port) == 0 && port <= UINT16_MAX;
    }
    return false;
}

static bool is_default_origin(struct str origin)
{
    static const char *const schemes[] = {"app", "file", "tauri", "vscode-webview", "vscode-file"};
    size_t at = str_search(origin, STR("://"));
    struct str scheme = str_head(origin, at);

    if (at == origin.len)
        return false;
    if (str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https")))
        return is_default_host(str_from(origin, at + 3));
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_eq_nocase(scheme, str_of(schemes[i])))
            return true;
    return false;
}

/* One origin and not a list of them, nor bytes that no browser sends. */
static bool is_plausible(struct str origin)
{
    for (size_t i = 0; i < origin.len; i++)
        if (origin.s[i] <= ' ' || origin.s[i] >= 0x7f)
            return false;
    return origin.len > 0 && !str_eq_nocase(origin, STR("null"));
}

bool guard_allows_origin(const struct guard *g, struct str origin)
{
    bool is_known = is_plausible(origin);

    if (is_known && is_default_origin(origin))
        return true;
    for (size_t i = 0; i < g->n_patterns; i++)
        if (str_eq(g->patterns[i], STR("*")) || (is_known && matches(g->patterns[i], origin)))
            return true;
    return false;
}

/* IPv4 networks stand as IPv4-mapped IPv6 networks: one table, one comparison. */
#define V4(a, b, n) \
    { \
        .bytes = {[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b)}, .n_bits = 96 + (n) \
    }
#define V6(a, b, n) \
    { \
        .bytes = {(a), (b)}, .n_bits = (n) \
    }

static const struct network {
    unsigned char bytes[16];
    unsigned n_bits;
} near_networks[] = {
    V4(0, 0, 32),  /* unspecified */
    V4(127, 0, 8), /* loopback */
    V4(10, 0, 8),  /* private */
    V4(172, 16, 12),
    V4(192, 168, 16),
    V4(169, 254, 16),                     /* link-local */
    V6(0, 0, 128),                        /* unspecified */
    {.bytes = {[15] = 1}, .n_bits = 128}, /* loopback */
    V6(0xfc, 0, 7),                       /* private */
    V6(0xfe, 0x80, 10),                   /* link-local */
};

#undef V4
#undef V6

static bool is_in(const struct network *net, const unsigned char address[static 16])
{
    unsigned n_whole = net->n_bits / 8;
    unsigned mask = (0xff00U >> (net->n_bits % 8)) & 0xffU;

    if (memcmp(net->bytes, address, n_whole) != 0)
        return false;
    return mask == 0 || ((net->bytes[n_whole] ^ address[n_whole]) & mask) == 0;
}

/* Whether @host is an IP address of this machine or nearby; a rebound name never is one. */
static bool is_near_address(const char *host)
{
    unsigned char address[16] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET, host, address + 12) != 1 && inet_pton(AF_INET6, host, address) != 1)
        return false;
    for (size_t i = 0; i < sizeof(near_networks) / sizeof(near_networks[0]); i++)
        if (is_in(&near_networks[i], address))
            return true;
    return false;
}

static bool is_near_name(const struct guard *g, struct str name)
{
    static const char *const domains[] = {".localhost", ".local", ".internal"};

    if (name.len == 0 || str_eq_nocase(name, STR("localhost")) ||
        str_eq_nocase(name, str_of(g->hostname)))
        return true;
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
        if (name.len > strlen(domains[i]) && ends_nocase(name, str_of(domains[i])))
            return true;
    return false;
}

bool guard_allows_host(const struct guard *g, struct str host)
{
    struct addr a;

    if (host.len == 0 || is_default_host(host))
        return true;
    if (addr_parse(host, 0, &a) < 0)
        return false;
    return is_near_name(g, str_of(a.host)) || is_near_address(a.host);
}
