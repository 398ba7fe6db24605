/* SPDX-License-Identifier: MIT */

/*
 * What a connection or a call costs that only waits: opens a tenth of @N, looks at the server's
 * memory (RssAnon), opens the rest, looks again.
 * usage: idle_load http|mcp|stream|calls:METHOD PORT PID SETTLE_SECONDS N
 *   http    connections that had an answer
 *   stream  connections that wait for records of one
 *   mcp     connections after HELLO
 *   calls   CALLS on each such connection, of a METHOD that does not answer soon
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "mcp_peer.h"

#define CALLS  250
#define PROMPT "{\"model\":\"sim\",\"prompt\":\"Why is the sky blue?\"}"

static long anonymous_kib(const char *pid)
{
    char line[256];
    long kib = -1;
    FILE *file;

    (void)snprintf(line, sizeof(line), "/proc/%s/status", pid);
    file = fopen(line, "re");
    while (file != NULL && kib < 0 && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    if (kib < 0)
        load_die("RssAnon");
    (void)fclose(file);
    return kib;
}

static void expect(int fd, const char *start, size_t len)
{
    char in[4096];

    if (read(fd, in, sizeof(in)) < (ssize_t)len || memcmp(in, start, len) != 0)
        load_die("not the answer that was expected");
}

static void open_http(int port)
{
    static const char request[] = "GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    int fd = load_connect(port);

    load_write(fd, request, sizeof(request) - 1);
    expect(fd, "HTTP/1.1 200 ", 13);
}

static void open_stream(int port)
{
    char request[512];
    int n =
        snprintf(request, sizeof(request),
                 "POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(PROMPT), PROMPT);

    load_write(load_connect(port), request, (size_t)n);
}

static int open_mcp(int port)
{
    char hello[64];
    int fd = load_connect(port);

    load_write(fd, hello, (size_t)(mcp_peer_put_hello(hello, 1 << 20, 256 << 10) - hello));
    expect(fd, "\1\14", 2);
    return fd;
}

static void open_calls(int port, const char *method, long n)
{
    char *out = malloc((size_t)n * 256);
    char *at = out;
    int fd = open_mcp(port);

    if (out == NULL)
        load_die("memory");
    for (uint32_t i = 1; i <= (uint32_t)n; i++)
        at = mcp_peer_put_request(at, i, method, 1, PROMPT, strlen(PROMPT));
    load_write(fd, out, (size_t)(at - out));
    free(out);
}

static void open_many(const char *mode, int port, long n)
{
    if (strncmp(mode, "calls:", 6) == 0) {
        for (; n > 0; n -= CALLS)
            open_calls(port, mode + 6, n < CALLS ? n : CALLS);
        return;
    }
    for (; n > 0; n--) {
        if (strcmp(mode, "mcp") == 0)
            (void)open_mcp(port);
        else if (strcmp(mode, "stream") == 0)
            open_stream(port);
        else
            open_http(port);
    }
}

int main(int argc, char **argv)
{
    unsigned settle;
    long first;
    long before;
    long n;
    int port;

    if (argc != 6)
        load_die("usage: idle_load http|mcp|stream|calls:METHOD PORT PID SETTLE_SECONDS N");
    port = (int)load_number(argv[2], 1, 65535);
    settle = (unsigned)load_number(argv[4], 0, 600);
    n = load_number(argv[5], 10, 1000000);
    first = n / 10;
    open_many(argv[1], port, first);
    (void)sleep(settle);
    before = anonymous_kib(argv[3]);
    open_many(argv[1], port, n - first);
    (void)sleep(settle);
    (void)printf("{\"n\":%ld,\"bytes\":%ld,\"all_kib\":%ld}\n", n - first,
                 (anonymous_kib(argv[3]) - before) * 1024, anonymous_kib(argv[3]));
    return 0;
}
