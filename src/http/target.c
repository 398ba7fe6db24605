/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include "base/err.h"
#include "http/octets.h"

#define PORT_MAX 65535

static bool is_port(struct str port)
{
    uint64_t number;

    return port.len <= 5 && str_to_u64(port, &number) == 0 && number <= PORT_MAX;
}

/*
 * Hex digits, ':' and '.' between the brackets: no zone, no IPvFuture. Whether the address exists
 * is for the resolver.
 */
static size_t ip_literal_len(struct str host)
{
    size_t len = str_find(host, ']');
    size_t n_colons = 0;

    if (len == host.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (host.s[i] == ':')
            n_colons++;
        else if (octets_hex(host.s[i]) < 0 && host.s[i] != '.')
            return 0;
    }
    return n_colons >= 2 ? len + 1 : 0;
}

static size_t reg_name_len(struct str host)
{
    size_t i = 0;

    while (i < host.len) {
        if (octets_is(host.s[i], OCTET_HOST))
            i++;
        else if (host.s[i] == '%' && host.len - i >= 3 && octets_hex(host.s[i + 1]) >= 0 &&
                 octets_hex(host.s[i + 2]) >= 0)
            i += 3;
        else
            break;
    }
    return i;
}

bool target_is_authority(struct str host)
{
    size_t len;

    if (host.len == 0)
        return false;
    len = host.s[0] == '[' ? ip_literal_len(host) : reg_name_len(host);
    if (len == 0)
        return false;
    return len == host.len || (host.s[len] == ':' && is_port(str_from(host, len + 1)));
}

static void split_query(struct str rest, struct h1_head *head)
{
    size_t at = str_find(rest, '?');

    head->path = str_head(rest, at);
    if (at < rest.len)
        head->query = str_make(rest.s + at + 1, rest.len - at - 1);
}

int target_parse(struct str target, struct h1_head *head, struct str *ret_authority)
{
    const struct str scheme = STR("http://");
    struct str rest;
    size_t len = 0;

    *ret_authority = STR_NULL;
    if (target.s[0] == '/') {
        split_query(target, head);
        return 0;
    }
    if (str_eq(target, STR("*")) && head->method == H1_OPTIONS) {
        head->path = target;
        return 0;
    }
    if (!str_eq_nocase(str_head(target, scheme.len), scheme))
        return -EX_H1_TARGET;

    rest = str_from(target, scheme.len);
    while (len < rest.len && rest.s[len] != '/' && rest.s[len] != '?')
        len++;
    if (!target_is_authority(str_head(rest, len)))
        return -EX_H1_TARGET;
    *ret_authority = str_head(rest, len);
    split_query(str_from(rest, len), head);
    if (head->path.len == 0)
        head->path = STR("/");
    return 0;
}
