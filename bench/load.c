/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

void load_die(const char *what)
{
    (void)fprintf(stderr, "bench: %s: %s\n", what, errno != 0 ? strerror(errno) : "unexpected");
    exit(1);
}

static load_ns read_clock(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) < 0)
        load_die("reading the CPU time of the server");
    return (load_ns)ts.tv_sec * LOAD_SECOND + ts.tv_nsec;
}

load_ns load_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static load_ns read_cpu(const struct load_window *w)
{
    load_ns sum = 0;

    for (size_t i = 0; i < w->n_clocks; i++)
        sum += read_clock(w->clocks[i]);
    return sum;
}

static void map_allocations(struct load_window *w)
{
    const char *name = getenv("BENCH_ALLOCATIONS");
    int fd;
    void *page;

    if (name == NULL)
        return;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    page = fd >= 0 ? mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (page == MAP_FAILED)
        load_die(name);
    w->allocations = page;
    (void)close(fd);
}

void load_window_init(struct load_window *w, const char *pids)
{
    *w = (struct load_window){0};
    map_allocations(w);
    while (*pids != '\0') {
        char *end;
        long pid = strtol(pids, &end, 10);

        if (end == pids || w->n_clocks == LOAD_PIDS_MAX)
            load_die("list of processes");
        if (clock_getcpuclockid((pid_t)pid, &w->clocks[w->n_clocks]) != 0)
            load_die("no such process");
        w->n_clocks++;
        pids = *end == ',' ? end + 1 : end;
    }
}

void load_window_begin(struct load_window *w)
{
    w->allocated = w->allocations != NULL ? *w->allocations : 0;
    w->cpu = read_cpu(w);
    w->begun = load_now();
}

void load_window_end(const struct load_window *w, const struct load_result *result,
                     const char *more)
{
    load_ns wall = load_now() - w->begun;
    load_ns cpu = read_cpu(w) - w->cpu;

    (void)printf("{\"n\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"wall_ns\":%" PRId64
                 ",\"cpu_ns\":%" PRId64 ",\"hash\":\"%016" PRIx64 "\"",
                 result->n, result->bad, wall, cpu, result->hash);
    if (w->allocations != NULL)
        (void)printf(",\"allocations\":%" PRIu64, *w->allocations - w->allocated);
    (void)printf("%s}\n", more);
}

static struct sockaddr_in address(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

int load_connect(int port)
{
    struct sockaddr_in to = address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        load_die("connecting");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int load_listen(int port)
{
    struct sockaddr_in at = address(port);
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        load_die("socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        load_die("listening");
    (void)printf("%u\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    return fd;
}

void load_write(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0)
            load_die("writing");
        at += n;
        len -= (size_t)n;
    }
}

long load_number(const char *text, long min, long max)
{
    char *end;
    long n = strtol(text, &end, 10);

    errno = 0;
    if (end == text || *end != '\0' || n < min || n > max)
        load_die(text);
    return n;
}

uint64_t load_hash(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return hash;
}

static int compare(const void *a, const void *b)
{
    load_ns x = *(const load_ns *)a;
    load_ns y = *(const load_ns *)b;

    return (x > y) - (x < y);
}

load_ns load_percentile(load_ns *samples, size_t n, unsigned permille)
{
    if (n == 0)
        return 0;
    qsort(samples, n, sizeof(*samples), compare);
    return samples[(n - 1) * permille / 1000];
}
