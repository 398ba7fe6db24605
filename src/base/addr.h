/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Listener addresses and node URLs, as text
 *
 * No resolving here. IPv6 literals stand in brackets where a port follows; in `host` they stand
 * without.
 */

#include "base/str.h"

struct addr {
    char host[256]; /* name or literal, NUL-terminated; "" for all addresses (":8080") */
    uint16_t port;
};

/*
 * "127.0.0.1:11435", "[::1]:80", ":8080", "localhost" (with @default_port). A host with colons is
 * an IPv6 literal or -EINVAL. Return: 0, -EINVAL.
 */
MUST_USE int addr_parse(struct str text, uint16_t default_port, struct addr *ret_addr);

/* Whether only this machine can reach it: 127/8, ::1, localhost; not a name that only looks so. */
bool addr_is_loopback(const struct addr *a);

/* "host:port" with brackets where needed, into @out, NUL-terminated. Return: @out. */
const char *addr_print(const struct addr *a, char out[static 280]);

struct url {
    char scheme[16]; /* "http" or "mcp" */
    struct addr addr;
    char path[256]; /* prefix without trailing slash; "" for none */
};

/**
 * url_parse_node() - a node's URL: as OLLAMA_HOST has it, or mcp://host:port of another Chasqui
 * (port 11436 when absent)
 *
 * Surrounding quotes and spaces go; scheme optional (http); the port is 11434 without a scheme, 80
 * with http://; 0.0.0.0 and [::] mean loopback; ":port" means 127.0.0.1. Userinfo, query and
 * fragment are refused.
 *
 * Return: 0; -EINVAL; -EPROTONOSUPPORT another scheme.
 */
MUST_USE int url_parse_node(struct str text, struct url *ret_url);

/* What a URL of a client means when it does not say. */
struct url_ports {
    uint16_t mcp;
    uint16_t http;
};

/**
 * url_parse_endpoint() - who a client asks: mcp://host:port or http://host:port/prefix
 *
 * Without a scheme: mcp. Strict, where a node's URL is lenient: nothing goes, nothing is replaced.
 *
 * Return: 0; -EINVAL.
 */
MUST_USE int url_parse_endpoint(struct str text, struct url_ports ports, struct url *ret_url);
