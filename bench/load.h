/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the load programs share
 *
 * A load program drives one server over loopback and prints one line of JSON. CPU time is the
 * server's, user and system, from the kernel's accounting of its processes in nanoseconds
 * (CLOCK_PROCESS_CPUTIME_ID of another process), taken at both ends of the measured window, so
 * that warming up does not count. Programs that cannot go on say why and end: they are no servers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LOAD_PIDS_MAX 16

typedef int64_t load_ns;

#define LOAD_SECOND INT64_C(1000000000)

/* What is measured, and since when. */
struct load_window {
    clockid_t clocks[LOAD_PIDS_MAX];
    size_t n_clocks;
    volatile uint64_t *allocations; /* of bench/count_alloc.c; NULL: not counted */
    load_ns begun;
    load_ns cpu;
    uint64_t allocated;
};

struct load_result {
    uint64_t n;   /* operations in the window */
    uint64_t bad; /* answers that were wrong */
    uint64_t hash;
};

/* Ends the program. */
__attribute__((noreturn)) void load_die(const char *what);

load_ns load_now(void);

/* @pids: "123,456". BENCH_ALLOCATIONS names the counter's file, where there is one. */
void load_window_init(struct load_window *w, const char *pids);
void load_window_begin(struct load_window *w);

/* Prints what happened since the beginning, and @more members (",\"x\":1" or ""). */
void load_window_end(const struct load_window *w, const struct load_result *result,
                     const char *more);

/* A connection to 127.0.0.1 without delay. */
int load_connect(int port);

/* A listening socket of 127.0.0.1; port 0 takes a free one. The port is printed for the runner. */
int load_listen(int port);

/* Writes all of it to a blocking socket. */
void load_write(int fd, const void *bytes, size_t len);

long load_number(const char *text, long min, long max);

/* FNV-1a, begun with LOAD_HASH. */
#define LOAD_HASH UINT64_C(14695981039346656037)
uint64_t load_hash(uint64_t hash, const void *bytes, size_t len);

/* The @permille-th of @n samples, which get sorted. */
load_ns load_percentile(load_ns *samples, size_t n, unsigned permille);
