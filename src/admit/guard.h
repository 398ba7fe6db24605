/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Guards against web pages
 *
 * The gateway strips Origin and rewrites Host, so it takes over both of Ollama's guards: an Origin
 * list (Ollama's defaults and the syntax of OLLAMA_ORIGINS: comma-separated, "*" anywhere as
 * wildcard), and on a loopback listener a Host check against DNS rebinding. Pure; immutable after
 * init.
 */

#include "base/buf.h"

struct guard {
    char *text;           /* owned copy of the configured list */
    struct str *patterns; /* configured ones, behind the defaults */
    size_t n_patterns;
    char hostname[256]; /* of this machine */
};

/* @origins: OLLAMA_ORIGINS' syntax, may be empty. Return: 0, -ENOMEM. */
MUST_USE int guard_init(struct guard *g, struct str origins, struct str hostname);
void guard_fini(struct guard *g);

/*
 * The first entry of @origins that no origin can match, having neither a scheme nor a wildcard
 * (Ollama does not start with one); else empty.
 */
struct str guard_find_bad_origin(struct str origins);

/*
 * Defaults: http and https on localhost, 127.0.0.1, [::1], 0.0.0.0 with any port, and app://,
 * file://, tauri://, vscode-webview://, vscode-file:// with anything behind. Configured entries
 * match without regard to case; "*" alone lets every origin in, and nothing else "null".
 */
bool guard_allows_origin(const struct guard *g, struct str origin);

/*
 * Whether @host (a Host field, maybe with port) may reach a loopback listener: empty, localhost,
 * this machine's name, *.localhost, *.local, *.internal, and IP addresses that are loopback,
 * private, link-local or unspecified.
 */
bool guard_allows_host(const struct guard *g, struct str host);
